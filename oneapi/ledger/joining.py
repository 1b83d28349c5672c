"""Joining the processes that write to a ledger, and leaving them in order."""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from sqlite_utils import Database

from oneapi.ledger import charging, processes, reaping
from oneapi.ledger.charging import Charges
from oneapi.ledger.processes import Alive

log = logging.getLogger("oneapi.ledger")


def join(db: Database, path: Path) -> tuple[Alive, Charges]:
    """Register this process and settle what dead ones left. Raises `StoreError`, `sqlite3.Error`.

    From now on the connection notes in `tail` whose records it writes.
    """
    now_ms = time.time_ns() // 1_000_000
    alive: Alive | None = None
    db.execute("BEGIN IMMEDIATE")
    try:
        known = charging.index(db)
        dead = reaping.reap(db, path, 0, known, now_ms)
        alive = processes.register(db, path, now_ms)
        charges = Charges(alive.number)
        charges.known = known
        charges.synced_seq = db.execute(
            "SELECT synced_seq FROM processes WHERE id = ?", (alive.number,)
        ).fetchone()[0]
        db.execute("COMMIT")
    except BaseException:
        if alive is not None:
            alive.end()
        raise
    finally:
        db.conn.rollback()  # does nothing after a commit
    for number in dead:
        processes.forget(path, number)
    # A trigger costs 3 µs a record inside SQLite; a second statement would give the interpreter
    # away once more while the event loop is busy.
    db.execute(
        "CREATE TEMP TRIGGER records_tail AFTER INSERT ON main.records BEGIN"
        f" INSERT INTO tail (record_id, process) VALUES (new.id, {alive.number}); END"
    )
    return alive, charges


def leave(db: Database, path: Path, charges: Charges) -> None:
    """Sum up what this process has spent, and give back its leases. Where that cannot be written,
    whoever comes next settles it as for a dead one.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        charging.flush(db, charges, time.time_ns() // 1_000_000)
        for table, column in (("leases", "process_id"), ("processes", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (charges.number,))
        db.execute("COMMIT")
    except sqlite3.Error as error:
        log.warning("%s: leaving: %s", path, error)
    finally:
        db.conn.rollback()
