"""The verbs that manage people, run in this process over a folder of the test's own."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneapi.cli.main import main

TOML = """
[users.alice]
[groups.default]
may_issue = ["ci", "laptop"]
grant = "$2"
[groups.vip]
[policies.ci]
models = ["m", "glob-*"]
[policies.laptop]
[policies.closed]
[auth.invitations]
inviter = "$3"
"""


@dataclass
class Done:
    status: int
    out: str
    err: str

    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class Verbs:
    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.config = folder / "oneapi.toml"
        self.config.write_text(TOML)
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, stdin: str = "") -> Done:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        try:
            status = main([*words, "--config", str(self.config)])
        except SystemExit as error:
            status = int(error.code or 0)
        out, err = self._capsys.readouterr()
        return Done(status, out, err)

    def database(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.folder.glob("oneapi.db*"))
