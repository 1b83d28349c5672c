"""Responses on disk: whose they are, what is found by which id, and what a purge removes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from oneapi.ledger import kept
from oneapi.ledger.kept import Kept
from oneapi.ledger.opening import reading
from oneapi.ledger.schema import APPLICATION_ID, MIGRATIONS
from oneapi.ledger.store_sqlite import SqliteStore

T = TypeVar("T")
ALICE, BOB = ("alice", "ci"), ("bob", "ci")
ONE = Kept(
    id="resp_1",
    model="fast",
    channel="home",
    time_ms=1_000,
    native=False,
    input=b'[{"role":"user","content":"hi"}]',
    answer=b'{"id":"resp_1"}',
    names=("msg_1", "rs_1"),
    key="abc",
    expires_ms=9_000,
)


def do(store: SqliteStore, work: Callable[[Database], T]) -> T:
    return store.transact(work).result(10)


def put(store: SqliteStore, owner: tuple[str, str], entry: Kept) -> None:
    do(store, lambda db: kept.keep(db, owner, entry))


def ids(path: Path) -> list[str]:
    with reading(path) as db:
        return sorted(row["response_id"] for row in db.table("responses").rows)


def test_what_was_kept_is_found_again_whole(store: SqliteStore, path: Path) -> None:
    put(store, ALICE, ONE)
    assert kept.find(path, ALICE, "resp_1", 2_000) == ONE
    assert kept.find_named(path, ALICE, "rs_1", 2_000) == ONE


def test_others_do_not_find_it(store: SqliteStore, path: Path) -> None:
    put(store, ALICE, ONE)
    assert kept.find(path, BOB, "resp_1", 2_000) is None
    assert kept.find(path, ("alice", "other"), "resp_1", 2_000) is None
    assert kept.find_named(path, BOB, "msg_1", 2_000) is None


def test_what_has_expired_is_not_found_even_before_the_purge(
    store: SqliteStore, path: Path
) -> None:
    put(store, ALICE, ONE)
    assert kept.find(path, ALICE, "resp_1", 9_000) is None
    assert kept.find_named(path, ALICE, "msg_1", 9_000) is None


def test_the_same_id_again_replaces_it(store: SqliteStore, path: Path) -> None:
    put(store, ALICE, ONE)
    newer = replace(ONE, model="slow", names=("msg_2",))
    put(store, ALICE, newer)
    assert kept.find(path, ALICE, "resp_1", 2_000) == newer
    assert kept.find_named(path, ALICE, "msg_1", 2_000) is None


def test_removing_takes_its_names_along(store: SqliteStore, path: Path) -> None:
    put(store, ALICE, ONE)
    assert do(store, lambda db: kept.remove(db, ALICE, "resp_1"))
    assert not do(store, lambda db: kept.remove(db, ALICE, "resp_1"))
    with reading(path) as db:
        assert db.table("response_names").count == 0


def test_a_purge_takes_what_has_expired(store: SqliteStore, path: Path) -> None:
    put(store, ALICE, ONE)
    put(store, BOB, replace(ONE, id="resp_2", expires_ms=20_000))
    assert do(store, lambda db: kept.purge(db, 9_000)) == 1
    assert ids(path) == ["resp_2"]


def test_a_purge_leaves_each_token_its_newest(store: SqliteStore, path: Path) -> None:
    for number in range(5):
        entry = replace(ONE, id=f"resp_{number}", time_ms=number, names=())
        put(store, ALICE, entry)
    put(store, BOB, replace(ONE, id="bobs", time_ms=0))
    do(store, lambda db: kept.purge(db, 1_000, most=2))
    assert ids(path) == ["bobs", "resp_3", "resp_4"]


def test_a_purge_leaves_each_token_so_many_bytes(store: SqliteStore, path: Path) -> None:
    for number in range(4):
        entry = replace(ONE, id=f"r{number}", time_ms=number, answer=b"x" * 10_000, names=())
        put(store, ALICE, entry)
    do(store, lambda db: kept.purge(db, 1_000, most_bytes=25_000))
    assert ids(path) == ["r2", "r3"]


def test_names_that_no_database_holds_do_no_harm(store: SqliteStore, path: Path) -> None:
    odd = replace(ONE, id="a\0b\ud800", names=("n\0",))
    put(store, ALICE, odd)
    assert kept.find(path, ALICE, "a\0b\ud800", 2_000) is not None
    assert kept.find_named(path, ALICE, "n\0", 2_000) is not None


def test_a_file_of_the_first_version_gets_the_table_and_keeps_its_records(path: Path) -> None:
    db = Database(path, execute_plugins=False)
    MIGRATIONS.apply(db, stop_before="2 responses that are kept on disk")
    db.table("revisions").insert(
        {"revision": "r", "time_ms": 1, "outcome": "", "origin": "", "text": ""}
    )
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("PRAGMA user_version = 1")
    db.conn.commit()
    db.close()
    store = SqliteStore(path)
    store.open()
    put(store, ALICE, ONE)
    assert [r.revision for r in store.revisions(5)] == ["r"]
    store.close()
    assert path.with_name("oneapi.db.v1-backup").exists()
