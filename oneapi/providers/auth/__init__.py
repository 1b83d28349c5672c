"""Ways to sign in that need more than a key in a header: signatures and short-lived tokens."""
