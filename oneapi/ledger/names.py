"""Names as small integers that stay the same for ever, over renamings too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from sqlite_utils import Database

from oneapi.ledger.prices import Price
from oneapi.ledger.rows import storable

MAX_NAME = 200
"""Characters kept of a name: clients choose some of them (the model they ask for)."""
MAX_KNOWN = 20_000
_NUMBERS = "price's numbers"
"""Not a kind of names: what is known under it has its row in `price_rules`."""


class Names:
    """Ids by kind and name. Belongs to the writer's thread, as its connection does.

    A new name is committed before the record that needs it, by itself: a name that no record
    uses harms nobody, a record whose name was rolled back would.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[tuple[str, str], int] = {}
        self._former: dict[tuple[str, str], int] = {}

    def id(self, kind: str, name: str) -> int | None:
        """The id of a name, made where it is new; None for "". Raises `sqlite3.Error`."""
        if not name:
            return None
        known = self._known.get((kind, name[:MAX_NAME]))
        return known if known is not None else self._intern(kind, name)

    def price(self, price_rule: str, price: Price | None) -> int | None:
        """The id of a price, its numbers kept with the first record that it priced."""
        if price is None:
            return self.id("price", price_rule)
        known = self._known.get((_NUMBERS, price_rule))
        if known is not None:
            return known
        found = self.id("price", price_rule)
        self._db.execute(
            "INSERT INTO price_rules (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (found, price.body),
        )
        if found is not None:  # not before its numbers are kept: writing them may have failed
            self._known[_NUMBERS, price_rule] = found
        return found

    def forget(self) -> None:
        """Ask the database again: a renaming gave a name to another id."""
        self._known.clear()

    def renamed(self, kind: str, names: Mapping[str, str | None], ids: Mapping[str, int]) -> None:
        """Requests that began before a renaming are recorded under the former name: they belong to
        the new one as long as the former one is nothing else's.

        Not so for models: what a provider calls a model is a name of that kind as well.
        """
        if kind == "model":
            return
        for name, was in names.items():
            if was is not None and was not in names:
                self._former[kind, storable(was)[:MAX_NAME]] = ids[name]
        for name in names:
            self._former.pop((kind, storable(name)[:MAX_NAME]), None)

    def _intern(self, kind: str, name: str) -> int:
        kept = storable(name)[:MAX_NAME]
        found = find(self._db, kind, kept)
        if found is None and (former := self._former.get((kind, kept))) is not None:
            return former  # asked for anew each time: somebody may be given that name
        if found is None:
            # Another process may do the same at the same time: one of them inserts, both read.
            self._db.execute(
                "INSERT INTO names (kind, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (kind, kept)
            )
            found = find(self._db, kind, kept)
            assert found is not None, "names are never deleted"
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[kind, name[:MAX_NAME]] = found
        return found


def find(db: Database, kind: str, name: str) -> int | None:
    """The id that a name has now."""
    row = db.execute("SELECT id FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
    return row[0] if row is not None else None


def number(db: Database, kind: str, name: str) -> int | None:
    """The id of a name as records keep it, cut and cleaned."""
    return find(db, kind, storable(name)[:MAX_NAME])


def numbers(db: Database, name_id: int) -> list[int]:
    """All ids that are shown under one name, its own first."""
    rows = db.execute("SELECT id FROM names WHERE same_as = ?", (name_id,)).fetchall()
    return [name_id, *(row[0] for row in rows)]


Merge: TypeAlias = Callable[[Database, int, int], None]
"""Carries over what belongs to the old id, the second is the new one."""


def declare(
    db: Database, kind: str, names: Mapping[str, str | None], merge: Merge | None = None
) -> tuple[dict[str, int], bool]:
    """Ids of declared names, their history carried over, and whether any name now means another
    thing; runs within the caller's transaction.

    Where the new name is not known yet, the old name's row takes it. Where both are known (the
    file was saved with the new name first, and `was` was added later), the old row keeps its
    records and is shown under the new name from now on, and the old name is free again.
    Only names that once stood in a configuration are carried over: a client that asks for a model
    by an old name does not give its name to anything.
    """
    renamings = _renamings(db, kind, names)
    for name, was in renamings:
        db.execute("UPDATE names SET name = ? WHERE kind = ? AND name = ?", (name, kind, was))
    ids: dict[str, int] = {}
    for name in names:
        db.execute(
            "INSERT INTO names (kind, name, declared) VALUES (?, ?, 1)"
            " ON CONFLICT (kind, name) DO UPDATE SET declared = 1",
            (kind, name),
        )
        found = find(db, kind, name)
        assert found is not None, "it was inserted above"
        ids[name] = found
    merged = False
    for name, former in names.items():
        if former is not None and former not in names:
            merged |= _merge(db, kind, former, ids[name], merge)
    return ids, bool(renamings) or merged


def _renamings(db: Database, kind: str, names: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """New and old names in an order in which no step meets a name that is still taken."""
    rows = db.execute("SELECT name, declared FROM names WHERE kind = ?", (kind,)).fetchall()
    taken = {name for name, _ in rows}
    declared = {name for name, was_declared in rows if was_declared}
    wanted = {name: was for name, was in names.items() if was is not None}
    steps: list[tuple[str, str]] = []
    while True:
        step = next(((n, w) for n, w in wanted.items() if n not in taken and w in declared), None)
        if step is None:
            return steps
        name, was = step
        steps.append(step)
        taken = (taken - {was}) | {name}
        declared = (declared - {was}) | {name}
        del wanted[name]


def _merge(db: Database, kind: str, was: str, into: int, merge: Merge | None) -> bool:
    old = db.execute(
        "SELECT id FROM names WHERE kind = ? AND name = ? AND declared = 1", (kind, was)
    ).fetchone()
    if old is None or old[0] == into:
        return False
    # What was merged into the old name before now belongs to the new one as well.
    db.execute("UPDATE names SET same_as = ? WHERE same_as = ?", (into, old[0]))
    db.execute(
        "UPDATE names SET same_as = ?, name = ?, declared = 0 WHERE id = ?",
        (into, f"{was} (#{old[0]})", old[0]),
    )
    if merge is not None:
        merge(db, old[0], into)
    return True
