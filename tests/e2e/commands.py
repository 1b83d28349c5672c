"""The command line as its user types it: verbs that end by themselves, gateways that run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.e2e.harness import REPO, until


def environment(folder: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean one, whose home is the folder."""
    home = {"HOME": str(folder), "PYTHONPATH": str(REPO)}
    return {"PATH": os.environ["PATH"], **home, **(env or {})}


def oneapi(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a verb in a folder to its end."""
    return subprocess.run(
        [sys.executable, "-m", "oneapi", *words],
        cwd=folder,
        env=environment(folder, env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Started:
    """A gateway started without a file of the test's own; its output so far."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process

    def out(self) -> str:
        return (self.folder / "out.txt").read_text()

    def err(self) -> str:
        return (self.folder / "err.txt").read_text()

    def port(self) -> int:
        """Its port, once it listens."""
        mark = "listening on http://127.0.0.1:"
        assert until(lambda: mark in self.err() or self.process.poll() is not None), self.err()
        assert mark in self.err(), self.err()
        return int(self.err().partition(mark)[2].split()[0])


@contextlib.contextmanager
def started(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """`oneapi WORDS…` in a folder; it is ended, and must end well, when the block is left."""
    with (folder / "out.txt").open("wb") as out, (folder / "err.txt").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "oneapi", *words],
            cwd=folder,
            env=environment(folder, env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        yield Started(folder, process)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(10)
