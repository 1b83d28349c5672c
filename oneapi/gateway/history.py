"""The last configurations as files, for restoring: beside the database, 0600, as they were written.

The store has the same texts with their secrets masked, for reading (D12).
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from oneapi.config.load import Loaded

SUFFIX = ".revisions"


def keep(loaded: Loaded, database: Path, *, most: int) -> Path:
    """Write the files of a configuration into a folder of its own; forget all but the last `most`.

    The folder is named after time and revision. Raises `OSError`.
    """
    base = database.with_name(database.name + SUFFIX)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    folder = base / f"{stamp}-{loaded.revision}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, part in enumerate(loaded.documents.parts):
        name = part.path.name if number == 0 else f"{number:02d}-{part.path.name}"
        _write(folder / name, part.text)
    for old in sorted(p for p in base.iterdir() if p.is_dir())[:-most]:
        shutil.rmtree(old)
    return folder


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
