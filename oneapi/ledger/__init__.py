"""Money and memory: prices, the door every request passes, and the store that keeps the records."""
