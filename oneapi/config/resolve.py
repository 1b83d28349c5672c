"""`${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `$$`; `file:` and `cmd:` where secrets stand.

One pass: what a reference brings in is never looked at again, so no value of the environment can
become a command, a file's name or another reference (D3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneapi.config.commands import CommandError, Commands, parse_argv, writable_by_others
from oneapi.config.documents import Documents
from oneapi.config.findings import Finding, did_you_mean
from oneapi.config.locate import KeyPath
from oneapi.config.paths import is_secret

MAX_SECRET = 65_536
"""Bytes of a secret's file."""

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:[-?])(?P<word>[^}]*))?\}"
    r"|(?P<broken>\{))"
)
_PLACEHOLDER = "unresolved-secret"
_PLACEHOLDER_PROXY = "http://unresolved.invalid:3128"


@dataclass
class Resolver:
    """Resolves one configuration. `findings` and `files` fill as it goes.

    With `secrets` False nothing is run or read, and what a secret would need stands for itself.
    """

    documents: Documents
    environ: Mapping[str, str] = field(repr=False)
    commands: Commands
    secrets: bool
    findings: list[Finding] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    _refusal: tuple[str | None] | None = None  # why no command may run, once it is known

    def tree(self, value: Any, path: KeyPath = ()) -> Any:
        """`value` with every string in it resolved."""
        if isinstance(value, str):
            return self.string(value, path)
        if isinstance(value, dict):
            return {name: self.tree(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.tree(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def string(self, text: str, path: KeyPath) -> str:
        secret = path[0] in ("channels", "server", "users", "admin") and is_secret(path)
        if not secret:
            return self._expand(text, path) if "$" in text else text
        if text.startswith("file:"):
            return self._file(text[5:], path)
        if text.startswith("cmd:"):
            return self._command(text[4:], path)
        self._check_literal(text, path)
        if not self.secrets and self._lacks(text):
            return _placeholder(path)
        return self._expand(text, path)

    def _check_literal(self, text: str, path: KeyPath) -> None:
        if text == "" and "keys" in path:
            self.findings.append(Finding(path, "the key is empty"))
        plain = "${" not in text and not text.startswith("scrypt:")
        if path[0] == "users" and plain:
            words = "a password in plain text is refused"
            self.findings.append(Finding(path, words, "`oneapi password` makes the line for it"))

    def _lacks(self, text: str) -> bool:
        names = (found["name"] for found in _REFERENCE.finditer(text))
        return any(name is not None and not self.environ.get(name) for name in names)

    def _expand(self, text: str, path: KeyPath) -> str:
        return _REFERENCE.sub(lambda found: self._reference(found, path), text)

    def _reference(self, found: re.Match[str], path: KeyPath) -> str:
        if found["dollar"]:
            return "$"
        if found["broken"]:
            words = "${ begins no reference"
            self.findings.append(
                Finding(path, words, "write ${NAME}, or $${ for the two characters")
            )
            return ""
        name, how, word = found["name"], found["how"], found["word"] or ""
        value = self.environ.get(name)
        if how is None and value is not None:
            return value
        if how is not None and value:
            return value
        if how == ":-":
            return word
        if how == ":?":
            words = (
                f"the variable {name} is needed: {word}"
                if word
                else f"the variable {name} is needed"
            )
            self.findings.append(Finding(path, words))
            return ""
        near = did_you_mean(name, (n for n in self.environ if n.isupper()))
        hint = near or f"set it, add it to .env, or write ${{{name}:-default}}"
        self.findings.append(Finding(path, f"the variable {name} is not set", hint))
        return ""

    def _folder(self, path: KeyPath) -> Path:
        home = self.documents.home(path)
        return (home.path if home else self.documents.main).parent

    def _file(self, text: str, path: KeyPath) -> str:
        if not self.secrets:
            return _placeholder(path)
        file = self._folder(path) / self._expand(text, path)
        self.files.append(file)
        try:
            with file.open("rb") as stream:
                data = stream.read(MAX_SECRET + 1)
            if len(data) <= MAX_SECRET:
                return data.decode().rstrip("\r\n")
            words = f"{file} is too long for a secret"
        except OSError as error:
            words = f"{file} cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            words = f"{file} is not UTF-8"
        except ValueError:
            words = "this cannot be the name of a file"
        self.findings.append(Finding(path, words))
        return _placeholder(path)

    def _command(self, text: str, path: KeyPath) -> str:
        try:
            argv = tuple(self._expand(part, path) for part in parse_argv(text))
            if not self.secrets:
                return _placeholder(path)
            refusal = self._may_run()
            if refusal is not None:
                raise CommandError(f"cmd: is refused because {refusal}")
            return self.commands.output(argv, self.environ, self._folder(path))
        except CommandError as error:
            self.findings.append(Finding(path, str(error), error.hint))
            return _placeholder(path)

    def _may_run(self) -> str | None:
        if self._refusal is None:
            files = [part.path for part in self.documents.parts]
            self._refusal = (writable_by_others(files),)
        return self._refusal[0]


def _placeholder(path: KeyPath) -> str:
    return _PLACEHOLDER_PROXY if path[-1] == "proxy" else _PLACEHOLDER
