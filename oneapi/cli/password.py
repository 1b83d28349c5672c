"""`oneapi password`: the line for a user's password; the password itself is asked for or read."""

from __future__ import annotations

import argparse
import getpass
import sys

from oneapi.errors import UsageError
from oneapi.people.passwords import hash_password

SHORTEST = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none: a password on a command line would stand in the shell's history."""


def run(args: argparse.Namespace) -> int:
    print(f'password = "{hash_password(ask())}"')
    return 0


def ask() -> str:
    """A password from the terminal, twice, or the first line of stdin. Raises `UsageError`."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise UsageError("the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST:
        raise UsageError(f"a password has at least {SHORTEST} characters")
    return password
