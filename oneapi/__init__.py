"""One API: a declarative gateway in front of every large-model provider."""

__version__ = "0.1.0"
