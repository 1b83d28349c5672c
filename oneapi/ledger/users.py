"""Whom rows of the store belong to: users by the name they go under now, whatever `was` did.

Each function runs within the caller's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlite_utils import Database

from oneapi.ledger.names import find

Db: TypeAlias = Database
"""What a piece of work in a transaction is given (`SqliteStore.transact`)."""
_MARKS: Final = "marks"
LATEST_MS: Final = 253_402_300_799_999
"""The last moment of the year 9999: none that is kept lies behind it, for none could be shown."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who manages: a user's name, "" for the operator at the machine and the gateway itself.

    `origin` says from where: `cli`, `gateway`, an address.
    """

    user: str
    origin: str


GATEWAY: Final = Actor("", "gateway")


def user_id(db: Database, name: str) -> int:
    """The number of a user's name, made where it is new."""
    return name_id(db, "user", name)


def name_id(db: Database, kind: str, name: str) -> int:
    """The number of a name of any kind, made where it is new."""
    db.execute(
        "INSERT INTO names (kind, name) VALUES (?, ?) ON CONFLICT (kind, name) DO NOTHING",
        (kind, name),
    )
    found = find(db, kind, name)
    assert found is not None, "it was inserted above"
    return found


def ids_of(db: Database, name: str) -> list[int]:
    """All numbers that a user's rows stand under, its own first; empty for an unknown name."""
    own = find(db, "user", name)
    if own is None:
        return []
    rows = db.execute("SELECT id FROM names WHERE same_as = ? AND kind = 'user'", (own,))
    return [own, *(row[0] for row in rows.fetchall())]


def name_of(db: Database, number: int | None) -> str:
    """The name that a number goes under now, "" for None."""
    if number is None:
        return ""
    row = db.execute("SELECT name FROM labels WHERE id = ?", (number,)).fetchone()
    return row[0] if row is not None else ""


def actor_id(db: Database, actor: Actor) -> int | None:
    """The number of whoever acts."""
    return user_id(db, actor.user) if actor.user else None


def marks(count: int) -> str:
    """So many placeholders: `?, ?, ?`."""
    return ", ".join("?" * count)


def mark(db: Database, text: str) -> bytes:
    """What is kept of a deleted person's name or address: nobody can read it, it only tells
    whether the same one comes again. Keyed by a random key of this database.
    """
    db.execute(
        "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        (_MARKS, secrets.token_bytes(32)),
    )
    key = db.execute("SELECT value FROM secrets WHERE name = ?", (_MARKS,)).fetchone()[0]
    return hmac.new(key, text.strip().lower().encode(), hashlib.sha256).digest()
