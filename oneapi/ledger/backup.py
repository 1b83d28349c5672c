"""`oneapi backup`: a copy of the ledger while it is in use (D41)."""

from __future__ import annotations

from pathlib import Path

from oneapi.ledger.opening import copy, reading


def backup(source: Path, target: Path) -> None:
    """Copy a ledger to a new file, readable by its owner alone, as of one moment.

    Writers go on meanwhile. Raises `StoreError` where the source is no ledger or the target
    exists; a copy that fails half-way is removed.
    """
    with reading(source):  # says in words what is wrong with the source
        copy(source, target)
