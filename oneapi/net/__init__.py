"""The two ends of a socket, where speed is decided.

The pool is the end towards providers, the front the one towards clients.
"""
