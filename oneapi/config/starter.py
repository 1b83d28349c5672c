"""The first start: a commented `oneapi.toml`, a `.gitignore`, and secrets that are shown once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TextIO

from oneapi.config.find import FILE_NAME
from oneapi.config.fragments import pair
from oneapi.config.keys import CHOSEN_KEY_LENGTH, key_hash, new_api_key, new_password
from oneapi.errors import ConfigError, Problem

IGNORED = (".env", "oneapi.db*", "oneapi-bodies.db*", "logs/", "oneapi.secrets.txt")
"""What no repository should hold."""

SECRETS_NAME = "oneapi.secrets.txt"


@dataclass(frozen=True)
class Starter:
    """What was written, and the two secrets that stand in it as hashes only."""

    path: Path
    root_password: str = field(repr=False)
    api_key: str = field(repr=False)

    def announce(self, address: str, out: TextIO | None = None) -> None:
        """Show the secrets and a `curl` line, once.

        They go to standard output (or `out`) alone, never through logging. Where that is no
        terminal, it may end in a log: then they go into a 0600 file, and its path is shown (D9).
        """
        out = out or sys.stdout  # None where the process was started with it closed
        lines = self._lines(address)
        if out is None or not out.isatty():
            place = self.path.parent / SECRETS_NAME
            _create(place, lines, 0o600, replace=True)
            lines = f"A configuration was written: {self.path}\nIts secrets are in {place}\n"
        if out is not None:
            print(lines, file=out, flush=True, end="")

    def _lines(self, address: str) -> str:
        body = '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'
        return (
            f"A configuration was written: {self.path}\n"
            "This is shown once:\n"
            f"  address    {address}\n"
            f"  user       root, password {self.root_password}\n"
            f"  API key    {self.api_key}\n"
            "Try it:\n"
            f"  curl {address}/v1/chat/completions -H 'Authorization: Bearer {self.api_key}'"
            f" -H 'Content-Type: application/json' -d '{body}'\n"
        )


def write_starter(
    folder: Path, *, root_token: str | None, hash_password: Callable[[str], str]
) -> Starter:
    """Write the starter into `folder`, which must not hold one.

    `root_token` is `INITIAL_ROOT_TOKEN`: the first API key, chosen by people, of at least 24
    characters. Raises `ConfigError` for a shorter one, or where the folder cannot be written.
    """
    if root_token and not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", root_token):
        words = "a chosen key has letters, digits and . _ ~ + / = - alone"
        raise ConfigError([Problem(words, file="INITIAL_ROOT_TOKEN")])
    if root_token and len(root_token) < CHOSEN_KEY_LENGTH:
        words = f"a chosen key must have at least {CHOSEN_KEY_LENGTH} characters"
        raise ConfigError(
            [Problem(words, file="INITIAL_ROOT_TOKEN", hint="leave it out for a random one")]
        )
    starter = Starter(folder / FILE_NAME, new_password(), root_token or new_api_key())
    template = files("oneapi.config").joinpath("starter.toml").read_text("utf-8")
    text = Template(template).substitute(
        password=pair("password", hash_password(starter.root_password)),
        key=pair("key", key_hash(starter.api_key)),
    )
    try:
        _create(starter.path, text, 0o644)
        _ignore(folder / ".gitignore")
    except OSError as error:
        if error.filename != str(starter.path):  # nobody would ever see its secrets
            starter.path.unlink(missing_ok=True)
        words = f"cannot be written: {error.strerror}"
        raise ConfigError([Problem(words, file=str(error.filename or starter.path))]) from error
    return starter


def _create(path: Path, text: str, mode: int, *, replace: bool = False) -> None:
    """A new file; an old one is an error, or with `replace` goes first."""
    if replace:
        path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)


def _ignore(path: Path) -> None:
    """Add the lines that are missing, and leave the others alone."""
    old = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
    present = {line.strip() for line in old.splitlines()}
    missing = [line for line in IGNORED if line not in present]
    if not missing:
        return
    separator = "" if old == "" or old.endswith("\n") else "\n"
    with path.open("a", encoding="utf-8") as stream:
        stream.write(separator + "".join(f"{line}\n" for line in missing))
