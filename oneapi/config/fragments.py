"""Lines to paste into the file: all TOML that is printed or inserted is rendered by tomli-w."""

from __future__ import annotations

import tomli_w


def pair(name: str, value: str) -> str:
    """`name = "value"`, without the line's end."""
    return tomli_w.dumps({name: value}).rstrip("\n")


def token_lines(name: str, *, user: str, policy: str, key_hash: str) -> str:
    """The table of a token."""
    return tomli_w.dumps({"tokens": {name: {"user": user, "policy": policy, "key": key_hash}}})


def password_lines(user: str, password_hash: str) -> str:
    """The table of a user who has a password."""
    return tomli_w.dumps({"users": {user: {"password": password_hash}}})
