"""`cmd:[…]`: a secret from a program's output. An argv, never a shell."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 10.0


class CommandError(Exception):
    """The program could not be run or failed. The words never hold its output."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass
class Commands:
    """Outputs by argv, kept over saves; `forget` at SIGHUP runs them again. One loader owns it."""

    outputs: dict[tuple[str, ...], str] = field(default_factory=dict, repr=False)

    def forget(self) -> None:
        self.outputs.clear()

    def output(self, argv: tuple[str, ...], environ: Mapping[str, str], folder: Path) -> str:
        """The program's standard output without the line's end. Raises `CommandError`."""
        if argv not in self.outputs:
            self.outputs[argv] = _run(argv, environ, folder)
        return self.outputs[argv]


def parse_argv(text: str) -> tuple[str, ...]:
    """`["prog", "arg"]` → argv. Raises `CommandError`."""
    try:
        argv = json.loads(text)
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(a, str) and a for a in argv):
        words = "cmd: must be followed by a list of strings, the program first"
        raise CommandError(words, 'such as cmd:["pass", "show", "mail"]')
    return tuple(argv)


def writable_by_others(files: Iterable[Path]) -> str | None:
    """Why commands named in these files may not run (D38): words, or None when they may."""
    for file in files:
        for place in (file.resolve(), file.parent.resolve()):
            status = place.stat()
            if status.st_uid not in (0, os.geteuid()):
                return f"{place} belongs to another user"
            if status.st_mode & stat.S_IWOTH:
                return f"{place} can be written by others"
    return None


def _run(argv: tuple[str, ...], environ: Mapping[str, str], folder: Path) -> str:
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,  # its children end with it
        )
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise CommandError(f"{argv[0]} took longer than {TIMEOUT_S:g} s") from None
    if process.returncode != 0:
        raise CommandError(f"{argv[0]} failed with exit status {process.returncode}")
    try:
        return output.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError(f"{argv[0]} printed something that is not UTF-8") from None
