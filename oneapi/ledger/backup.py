"""`oneapi backup`: a copy of the ledger while it is in use (D41)."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from oneapi.ledger import charging, reaping
from oneapi.ledger.opening import connect, copy, reading, translated


def backup(source: Path, target: Path) -> None:
    """Copy a ledger to a new file, readable by its owner alone, as of one moment.

    Writers go on meanwhile, but not in the copy: there what they spent is summed up, and what they
    hold is free. Raises `StoreError` where the source is no ledger or the target exists; a copy
    that fails half-way is removed.
    """
    with reading(source):  # says in words what is wrong with the source
        copy(source, target)
    try:
        with translated(target):
            _leave_alone(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _leave_alone(target: Path) -> None:
    """No process writes to a copy: settle them all, whoever lives elsewhere."""
    db = connect(target, busy_timeout_s=10.0)
    with contextlib.closing(db.conn):
        db.execute("BEGIN IMMEDIATE")
        reaping.settle_all(db, charging.index(db), time.time_ns() // 1_000_000)
        db.execute("COMMIT")
