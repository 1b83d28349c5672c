"""API keys: how they are made, and the hash that stands for one in the file."""

from __future__ import annotations

import hashlib
import secrets
import string

PREFIX = "sk-"
CHOSEN_KEY_LENGTH = 24
"""Characters that a key chosen by people must have (D13)."""

_ALPHABET = string.digits + string.ascii_letters


def new_api_key() -> str:
    """`sk-` and 48 of `[0-9A-Za-z]`: 285 bits."""
    return PREFIX + _random(48)


def new_password() -> str:
    """20 of `[0-9A-Za-z]`: 119 bits."""
    return _random(20)


def key_hash(key: str) -> str:
    """`sha256:` and 64 hexadecimal digits, of the key without one leading `sk-` (D13)."""
    return "sha256:" + hashlib.sha256(key.removeprefix(PREFIX).encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
