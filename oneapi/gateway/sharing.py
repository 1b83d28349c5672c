"""Where the file and the store meet: names that both have, names that changed in the file."""

from __future__ import annotations

from pathlib import Path

from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.errors import ConfigError, Problem, StoreError
from oneapi.ledger import issued, registered
from oneapi.ledger.opening import reading
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Db


def refuse_shared_names(loaded: Loaded, store: SqliteStore) -> None:
    """Refuse a file that declares somebody who is registered in the store: the two would share one
    balance. Blocks. Raises `ConfigError` with the place of each.
    """
    shared = store.transact(lambda db: _shared(loaded, db)).result()
    if shared:
        raise ConfigError(shared)


def shared_names(loaded: Loaded, database: Path) -> list[Problem]:
    """The same, of a database that another process may use, and that may not be there. Blocks."""
    if not database.exists():
        return []
    try:
        with reading(database) as db:
            return _shared(loaded, db)
    except StoreError:  # what is wrong with it is told by whoever needs it
        return []


def _shared(loaded: Loaded, db: Db) -> list[Problem]:
    return [
        loaded.documents.problem(
            Finding(
                ("users", name),
                f"a user {name!r} is registered in the store: both would share one balance",
                f"choose another name; or, if it is the same person, run `oneapi user "
                f"adopt {name}`, and the file's user takes over book and tokens",
                at="key",
            )
        )
        for name in registered.collisions(db, loaded.settings.users)
    ]


def carry_names(loaded: Loaded, store: SqliteStore) -> None:
    """Let issued tokens' names in records follow users that the file renamed (`was`). Blocks."""
    if any(user.was for user in loaded.settings.users.values()):
        if store.transact(issued.follow_names).result():
            store.forget_names()
