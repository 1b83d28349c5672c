"""What changed among users and their tokens since somebody last looked, whoever changed it.

`Changes` belongs to one thread at a time. A look costs microseconds while nothing was committed
by others (`PRAGMA data_version`), and reads only the users concerned where something was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from oneapi.ledger import issued, registered
from oneapi.ledger.issued import IssuedToken
from oneapi.ledger.opening import connect, translated
from oneapi.ledger.registered import Person
from oneapi.ledger.schema import pragma

KEPT: Final = 20_000
"""Lines of the log of changes that are kept; who fell further behind reads everything."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Changed:
    """Live tokens and registered users as they are now.

    `users` are the names they are about, None for everybody. A user's former facts are replaced
    by these: what is not here is gone.
    """

    users: frozenset[int] | None
    tokens: Sequence[IssuedToken]
    people: Sequence[Person]


class Changes:
    """A reader's place in the log of changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: Database | None = None
        self._version = -1
        self._seq = -1

    def look(self) -> Changed | None:
        """What changed since the last look, everything at the first; None for nothing.

        Blocks. Raises `StoreError`; the next look tries again.
        """
        with translated(self._path):
            if self._db is None:
                self._db = connect(self._path, busy_timeout_s=5.0, read_only=True)
            version = pragma(self._db, "data_version")
            if version == self._version:
                return None
            found = self._read(self._db)
            self._version = version  # only now: what failed is looked at again
            return found

    def close(self) -> None:
        if self._db is not None:
            self._db.conn.close()
            self._db = None

    def _read(self, db: Database) -> Changed | None:
        db.execute("BEGIN")  # one view of the log and of what it tells
        try:
            first, last = db.execute(
                "SELECT coalesce((SELECT min(seq) FROM roster_log), 0),"
                " coalesce((SELECT max(seq) FROM roster_log), 0)"
            ).fetchone()
            if last == self._seq:
                return None
            users = self._users(db, first)
            if users is None:
                changed = Changed(None, issued.live_tokens(db), registered.people(db))
            else:
                ids = sorted(users)
                tokens = issued.tokens_of(db, ids)
                changed = Changed(users, tokens, registered.people_of(db, ids))
            self._seq = last
            return changed
        finally:
            db.conn.rollback()

    def _users(self, db: Database, first: int) -> frozenset[int] | None:
        """Whom the new lines are about; None where that is everybody, or not known."""
        if self._seq < 0 or first > self._seq + 1:
            return None
        rows = db.execute(
            "SELECT DISTINCT user_id FROM roster_log WHERE seq > ? LIMIT ?",
            (self._seq, _AT_ONCE + 1),
        ).fetchall()
        return None if len(rows) > _AT_ONCE else frozenset(row[0] for row in rows)


def prune(db: Database) -> None:
    """Forget old lines of the log; in the caller's transaction."""
    db.execute("DELETE FROM roster_log WHERE seq <= (SELECT max(seq) FROM roster_log) - ?", (KEPT,))
