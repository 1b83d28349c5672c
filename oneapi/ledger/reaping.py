"""Settling what dead processes left behind: their last records are summed up, their leases end.

What a request held when its process died is free again; it has no record, so it costs nothing.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sqlite_utils import Database

from oneapi.ledger import charging, processes
from oneapi.ledger.charging import Index

log = logging.getLogger("oneapi.ledger")


def reap(db: Database, path: Path, own: int, known: Index, now_ms: int) -> list[int]:
    """Settle the dead within the caller's transaction; their numbers, to be forgotten after it.

    `known` is the index as the database has it now.
    """
    found = processes.dead(db, path, own)
    for number in found:
        _settle(db, number, known, now_ms)
    if found:
        log.warning("%d processes ended without a word; what they spent is settled", len(found))
    db.execute(
        "DELETE FROM processes WHERE gone_ms > 0 AND gone_ms < ?", (now_ms - processes.FORGET_MS,)
    )
    return found


def settle_all(db: Database, known: Index, now_ms: int) -> None:
    """Settle whoever is there, in a copy that nobody writes to yet."""
    for (number,) in db.execute("SELECT id FROM processes WHERE gone_ms = 0").fetchall():
        _settle(db, number, known, now_ms)


def _settle(db: Database, number: int, known: Index, now_ms: int) -> None:
    synced = db.execute("SELECT synced_seq FROM processes WHERE id = ?", (number,)).fetchone()[0]
    added = charging.charged(known, charging.own_rows(db, number, synced), synced)
    charging.write(db, known, added, number, now_ms)
    db.execute("DELETE FROM leases WHERE process_id = ?", (number,))
    db.execute(
        "UPDATE processes SET gone_ms = ?, synced_seq = (SELECT coalesce(max(seq), 0) FROM tail)"
        " WHERE id = ?",
        (now_ms, number),
    )
