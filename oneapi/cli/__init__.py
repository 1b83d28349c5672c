"""The command line: one file a verb, `serve` by default."""
