"""Names keep their numbers, and things that are renamed keep their history."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from oneapi.ledger import names, schema
from oneapi.ledger.opening import open_for_writing
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price
from oneapi.ledger.queries import records
from oneapi.ledger.record import Record
from oneapi.ledger.rollups import usage
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


def serve(store: SqliteStore, make_record: MakeRecord, channel: str, times: int = 1) -> None:
    for _ in range(times):
        store.post(make_record(channel=channel))
    asyncio.run(store.flush())


def by_channel(path: Path) -> dict[str, int]:
    return {row["channel"]: row["requests"] for row in usage(path, by=["channel"])}


def test_ids_are_stable_over_reloads_and_restarts(store: SqliteStore, path: Path) -> None:
    first = store.declare("channel", {"openai": None, "home": None})
    store.declare("channel", {"other": None})
    store.close()
    store.open()
    again = store.declare("channel", {"home": None, "openai": None})
    assert again == first
    assert sorted(first.values()) == [1, 2]


def test_kinds_have_ids_of_their_own(store: SqliteStore) -> None:
    assert store.declare("user", {"ci": None}) != store.declare("token", {"ci": None})


def test_a_name_seen_in_traffic_keeps_its_id_when_declared(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    serve(store, make_record, "home")
    store.declare("channel", {"home": None})
    serve(store, make_record, "home")
    assert by_channel(path) == {"home": 2}


def test_a_renamed_channel_keeps_its_id_and_history(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    old = store.declare("channel", {"old": None})["old"]
    serve(store, make_record, "old", 3)
    assert store.declare("channel", {"new": "old"}) == {"new": old}
    assert store.declare("channel", {"new": "old"}) == {"new": old}  # `was` may stay in the file
    serve(store, make_record, "new")
    assert by_channel(path) == {"new": 4}


def test_was_may_come_after_the_new_name(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    store.declare("channel", {"old": None})
    serve(store, make_record, "old", 3)
    new = store.declare("channel", {"new": None})["new"]
    serve(store, make_record, "new")
    assert store.declare("channel", {"new": "old"}) == {"new": new}
    assert by_channel(path) == {"new": 4}
    assert len(list(records(path, channel="new"))) == 4
    assert list(records(path, channel="old")) == []


def test_a_freed_name_begins_anew(store: SqliteStore, path: Path, make_record: MakeRecord) -> None:
    store.declare("channel", {"old": None})
    store.declare("channel", {"new": None})
    serve(store, make_record, "old", 3)
    store.declare("channel", {"new": "old"})
    store.declare("channel", {"new": "old", "old": None})
    serve(store, make_record, "old")
    assert by_channel(path) == {"new": 3, "old": 1}


def test_history_follows_two_renamings(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    for name in ("a", "b", "c"):
        store.declare("channel", {name: None})
        serve(store, make_record, name)
    store.declare("channel", {"b": "a"})
    store.declare("channel", {"c": "b"})
    assert by_channel(path) == {"c": 3}


@pytest.mark.parametrize("known", [False, True], ids=["at once", "later"])
def test_a_request_under_way_while_its_name_changes_belongs_to_the_new_name(
    store: SqliteStore, path: Path, make_record: MakeRecord, known: bool
) -> None:
    store.declare("channel", {"old": None})
    serve(store, make_record, "old")
    if known:
        store.declare("channel", {"new": None})
    store.declare("channel", {"new": "old"})
    serve(store, make_record, "old", 2)
    assert by_channel(path) == {"new": 3}
    store.declare("channel", {"new": None})  # `was` has done its work
    serve(store, make_record, "old")
    assert by_channel(path) == {"new": 4}
    store.declare("channel", {"new": "old", "old": None})
    serve(store, make_record, "old")
    assert by_channel(path) == {"new": 4, "old": 1}


def test_what_a_provider_calls_a_model_is_no_former_name(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    store.declare("model", {"qwen": None})
    store.declare("model", {"fast": "qwen"})
    store.post(make_record(model="fast", served_model="qwen"))
    asyncio.run(store.flush())
    assert [(r["model"], r["served_model"]) for r in records(path)] == [("fast", "qwen")]


def test_a_chain_of_renamings_in_one_save(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    ids = store.declare("channel", {"a": None, "b": None})
    serve(store, make_record, "a", 1)
    serve(store, make_record, "b", 2)
    assert store.declare("channel", {"b": "a", "c": "b"}) == {"b": ids["a"], "c": ids["b"]}
    assert by_channel(path) == {"b": 1, "c": 2}


def test_a_new_thing_may_take_the_old_name_in_the_same_save(store: SqliteStore) -> None:
    old = store.declare("channel", {"a": None})["a"]
    ids = store.declare("channel", {"b": "a", "a": None})
    assert ids["b"] == old
    assert ids["a"] != old


def test_a_name_that_only_clients_used_is_carried_nowhere(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    serve(store, make_record, "typo")
    store.declare("channel", {"home": "typo"})
    assert by_channel(path) == {"typo": 1}


def test_two_processes_agree_on_new_names(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    other = SqliteStore(path)
    other.open()
    for n in range(20):
        for writing in (store, other):
            writing.post(make_record(model=f"m{n}"))
    asyncio.run(store.flush())
    asyncio.run(other.flush())
    other.close()
    seen = Counter(row["model"] for row in records(path, limit=None))
    assert seen == {f"m{n}": 2 for n in range(20)}
    with_kind = store.transact(lambda db: db.table("names").count_where("kind = 'model'")).result()
    assert with_kind == 21  # the served one is a model's name too


def test_the_memory_of_names_is_bounded(
    store: SqliteStore, path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "MAX_KNOWN", 20)
    for n in range(100):
        store.post(make_record(model=f"m{n}"))
    asyncio.run(store.flush())
    assert {r["model"] for r in records(path, limit=None)} == {f"m{n}" for n in range(100)}


letters = st.sampled_from("abcd")
saves = st.lists(st.dictionaries(letters, st.none() | letters, min_size=1), max_size=8)


@given(saves)
def test_whatever_is_saved_every_declared_name_has_one_number(
    history: list[Mapping[str, str | None]],
) -> None:
    db = Database(memory=True, execute_plugins=False)
    schema.MIGRATIONS.apply(db)
    for declared in history:
        with db.atomic():
            ids, _ = names.declare(db, "channel", declared)
        assert set(ids) == set(declared)
        assert len(set(ids.values())) == len(ids)
        labels = {r["id"]: r["name"] for r in db.query("SELECT * FROM labels")}
        assert all(labels[number] == name for name, number in ids.items())
        # Saving again changes nothing.
        assert names.declare(db, "channel", declared) == (ids, False)
    db.close()


def test_a_price_whose_numbers_were_not_written_is_not_taken_for_known(tmp_path: Path) -> None:
    """A full disk between the name and its numbers: the next record writes them."""
    db = open_for_writing(tmp_path / "oneapi.db", busy_timeout_s=1)
    known, price = names.Names(db), Price(rule_of("prices.m", {"input": Decimal(2)}))
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON price_rules BEGIN SELECT raise(ABORT, 'full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        known.price(price.id, price)
    db.execute("DROP TRIGGER full")
    number = known.price(price.id, price)
    kept = db.execute("SELECT id, body FROM price_rules").fetchall()
    db.conn.close()
    assert kept == [(number, price.body)]
