"""The command line beside a store that no gateway uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import REPO


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`oneapi WORDS` in a folder with a oneapi.toml."""
    return subprocess.run(
        [sys.executable, "-m", "oneapi", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(REPO)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def audit(folder: Path) -> int:
    """`oneapi audit`: its exit status; what it says is printed."""
    done = command(folder, "audit")
    print(done.stdout, done.stderr)
    return done.returncode
