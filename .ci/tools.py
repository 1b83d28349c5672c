#!/usr/bin/env python3
"""The pinned build tools in `.build/tools`, and environments made with them.

    python3 .ci/tools.py FOLDER LOCK     make or refresh a virtual environment from a lock

Only the standard library, and no `venv` with pip: Debian's bare Python has neither pip nor
ensurepip. Whatever pip can be found only fetches the pinned pip, which does all the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".build"
LOCK = ROOT / ".ci" / "lock"
TOOLS = BUILD / "tools"
APT = ("apt-get", "install", "-y", "--no-install-recommends", "python3-venv")
INSTALL = ("install", "--require-hashes", "--no-deps", "--only-binary", ":all:", "-q")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: tools.py FOLDER LOCK")
    with alone():
        make_environment(Path(sys.argv[1]), Path(sys.argv[2]))


@contextmanager
def alone() -> Iterator[None]:
    """One build in this checkout at a time; a second one waits."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock-file").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_tools() -> None:
    """Put the tools of build.txt into `.build/tools`, unless they are there already."""
    stamp = hashlib.sha256((LOCK / "build.txt").read_bytes()).hexdigest()
    if _read(TOOLS / "stamp") == stamp:
        return
    say("fetching the pinned build tools")
    fresh = BUILD / "tools.new"
    shutil.rmtree(fresh, ignore_errors=True)
    target = ["--no-compile", "--target", str(fresh), "-r", str(LOCK / "build.txt")]
    run([*find_pip(), *INSTALL, *target])
    (fresh / "stamp").write_text(stamp)
    shutil.rmtree(TOOLS, ignore_errors=True)
    fresh.rename(TOOLS)


def find_pip() -> list[str]:
    """The command of some pip; as root on Debian, its package is installed where there is none."""
    if _works([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip"]
    if not _has_ensurepip():
        _install_ensurepip()
    folder = BUILD / "bootstrap"
    venv.create(folder, with_pip=True, clear=True)
    return [str(folder / "bin" / "python"), "-m", "pip"]


def _has_ensurepip() -> bool:
    importlib.invalidate_caches()
    return importlib.util.find_spec("ensurepip") is not None


def _install_ensurepip() -> None:
    """Install Debian's python3-venv, or leave with the one line that somebody else can run."""
    line = " ".join(APT)
    if not shutil.which("apt-get"):
        sys.exit(f"{sys.executable} has neither pip nor ensurepip; install its pip and try again")
    if os.geteuid() != 0:
        sys.exit(f"Python has neither pip nor ensurepip. Run this and try again: sudo {line}")
    say(line)
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    if not _works(APT, env) and not (_works(("apt-get", "update"), env) and _works(APT, env)):
        sys.exit(f"this line failed, see above what it needs: {line}")
    if not _has_ensurepip():
        sys.exit(f"{sys.executable} still has no ensurepip; use Debian's own python3")


def make_environment(folder: Path, lock: Path) -> None:
    """A virtual environment in `folder` with exactly what `lock` names; cached by its hash."""
    stamp = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    python = folder / "bin" / "python"
    if _read(folder / "stamp") == stamp and _works([str(python), "-c", ""]):
        return
    ensure_tools()
    say(f"making {folder.name} from {lock.name}")
    venv.create(folder, with_pip=False, clear=True)
    pip([*INSTALL, "-r", str(lock)], python=python)
    (folder / "stamp").write_text(stamp)


def pip(arguments: Sequence[str], *, python: Path | None = None) -> None:
    """Run the pinned pip, for this interpreter or for that of an environment."""
    target = ["--python", str(python)] if python else []
    run([sys.executable, str(TOOLS / "pip"), *target, *arguments])


def run(argv: Sequence[str], env: dict[str, str] | None = None) -> None:
    """Run one command; leave with its words where it fails. Settings of the user's that would
    change what is installed, or where, are switched off."""
    ours = {
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_PROGRESS_BAR": "off",
    }
    code = subprocess.run(argv, env={**os.environ, **ours, **(env or {})}).returncode
    if code:
        sys.exit(f"failed with {code}: {' '.join(argv)}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _works(argv: Sequence[str], env: dict[str, str] | None = None) -> bool:
    """True if the command ends well. With `env`, what it prints is shown (on stderr)."""
    out = sys.stderr if env else subprocess.DEVNULL
    try:
        done = subprocess.run(argv, env={**os.environ, **(env or {})}, stdout=out, stderr=out)
    except OSError:
        return False
    return done.returncode == 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
