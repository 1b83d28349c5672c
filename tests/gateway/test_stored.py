"""Stored responses: whose they are, what is bounded, what is found again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi.errors import ApiError
from oneapi.gateway.stored import PURGE_MS, Bounds, Kept, Owner, Stored
from oneapi.ledger.opening import reading
from oneapi.ledger.store_sqlite import SqliteStore

ALICE, BOB = ("alice", "one"), ("bob", "one")
OTHER = ("alice", "two")


def entry(name: str, *, names: tuple[str, ...] = (), size: int = 0, expires_ms: int = 0) -> Kept:
    return Kept(
        id=name,
        model="m",
        channel="c",
        time_ms=1,
        native=False,
        input=b"[]",
        answer=b"x" * size,
        names=names,
        expires_ms=expires_ms,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "oneapi.db")
    opened.open()
    yield opened
    opened.close()


def kept(stored: Stored, owner: Owner, *entries: Kept) -> Stored:
    async def run() -> None:
        for one in entries:
            await stored.keep(owner, one)

    asyncio.run(run())
    return stored


def found(
    stored: Stored, owner: Owner, name: str, *, disk: bool = False, now_ms: int = 2
) -> str | None:
    one = asyncio.run(stored.find(owner, name, now_ms, disk=disk))
    return one.id if one is not None else None


def named(stored: Stored, owner: Owner, name: str, *, disk: bool = False) -> str | None:
    one = asyncio.run(stored.find_named(owner, name, 2, disk=disk))
    return one.id if one is not None else None


def test_a_response_is_its_tokens_alone() -> None:
    stored = kept(Stored(), ALICE, entry("r1", names=("msg_1",)))
    assert found(stored, ALICE, "r1") == "r1"
    assert named(stored, ALICE, "msg_1") == "r1"
    for owner in (BOB, OTHER):
        assert found(stored, owner, "r1") is None
        assert named(stored, owner, "msg_1") is None


def test_two_tokens_may_hold_the_same_id() -> None:
    stored = kept(kept(Stored(), ALICE, entry("r1")), BOB, entry("r1", size=5))
    asyncio.run(stored.forget(ALICE, "r1", disk=False))
    assert (found(stored, ALICE, "r1"), found(stored, BOB, "r1")) == (None, "r1")


def test_an_item_is_anothers_while_only_another_has_it() -> None:
    stored = kept(Stored(), ALICE, entry("r1", names=("rs_1",)))
    assert stored.is_others(BOB, "rs_1")
    assert not stored.is_others(ALICE, "rs_1")
    assert not stored.is_others(BOB, "rs_unknown")
    kept(stored, BOB, entry("r2", names=("rs_1",)))
    assert not stored.is_others(BOB, "rs_1")
    asyncio.run(stored.forget(BOB, "r2", disk=False))
    asyncio.run(stored.forget(ALICE, "r1", disk=False))
    assert not stored.is_others(BOB, "rs_1")


def test_the_least_recently_used_goes_first() -> None:
    stored = kept(Stored(bounds=Bounds(token_entries=2)), ALICE, entry("r1"), entry("r2"))
    found(stored, ALICE, "r1")
    kept(stored, ALICE, entry("r3"))
    assert [found(stored, ALICE, name) for name in ("r1", "r2", "r3")] == ["r1", None, "r3"]


def test_one_token_does_not_push_out_another() -> None:
    stored = kept(Stored(bounds=Bounds(token_entries=3)), ALICE, entry("r1"))
    kept(stored, BOB, *(entry(f"b{n}") for n in range(50)))
    assert found(stored, ALICE, "r1") == "r1"
    assert len(stored) == 4


def test_all_tokens_together_are_bounded_too() -> None:
    stored = Stored(bounds=Bounds(entries=10))
    for number in range(30):
        kept(stored, (f"u{number}", "t"), entry("r", names=(f"msg_{number}",)))
    assert len(stored) == 10
    assert found(stored, ("u29", "t"), "r") == "r"
    assert found(stored, ("u0", "t"), "r") is None
    assert named(stored, ("u0", "t"), "msg_0") is None


def test_bytes_are_bounded_a_token_and_in_total() -> None:
    bounds = Bounds(size=50_000, token_size=20_000)
    stored = kept(Stored(bounds=bounds), ALICE, *(entry(f"r{n}", size=5_000) for n in range(9)))
    assert len(stored) == 3
    for number in range(9):
        kept(stored, (f"u{number}", "t"), entry("r", size=15_000))
    assert stored.size <= 50_000
    assert len(stored) == 3


def test_what_is_larger_than_the_bounds_is_not_kept() -> None:
    stored = kept(Stored(bounds=Bounds(token_size=5_000)), ALICE, entry("r1", size=6_000))
    assert (len(stored), stored.size) == (0, 0)


def test_the_same_id_again_counts_once() -> None:
    stored = kept(Stored(), ALICE, entry("r1", size=900, names=("a",)), entry("r1", names=("b",)))
    assert (len(stored), stored.size) == (1, entry("r1", names=("b",)).size)
    assert (named(stored, ALICE, "a"), named(stored, ALICE, "b")) == (None, "r1")


def test_an_id_that_a_newer_answer_holds_too_leads_to_that_one() -> None:
    stored = kept(Stored(), ALICE, entry("r1", names=("m",)), entry("r2", names=("m",)))
    asyncio.run(stored.forget(ALICE, "r1", disk=False))
    assert named(stored, ALICE, "m") == "r2"


def test_what_has_an_end_is_on_disk_and_found_by_the_next_process(store: SqliteStore) -> None:
    kept(Stored(store), ALICE, entry("r1", names=("m",), expires_ms=9), entry("r2"))
    later = Stored(store)
    assert found(later, ALICE, "r1") is None  # its policy does not look there
    assert found(later, ALICE, "r1", disk=True) == "r1"
    assert found(later, ALICE, "r2", disk=True) is None
    assert found(later, BOB, "r1", disk=True) is None
    assert named(Stored(store), ALICE, "m", disk=True) == "r1"


def test_what_was_forgotten_is_gone_from_the_disk(store: SqliteStore) -> None:
    stored = kept(Stored(store), ALICE, entry("r1", expires_ms=9))
    asyncio.run(stored.forget(ALICE, "r1", disk=True))
    assert found(Stored(store), ALICE, "r1", disk=True) is None


def test_what_has_expired_is_not_found(store: SqliteStore) -> None:
    stored = kept(Stored(store), ALICE, entry("r1", expires_ms=9))
    assert found(stored, ALICE, "r1", disk=True, now_ms=8) == "r1"
    assert found(stored, ALICE, "r1", disk=True, now_ms=9) is None


def test_what_another_process_deleted_is_gone_here_too(store: SqliteStore) -> None:
    stored = kept(Stored(store), ALICE, entry("r1", expires_ms=9))
    assert found(stored, ALICE, "r1", disk=True) == "r1"
    asyncio.run(Stored(store).forget(ALICE, "r1", disk=True))
    assert found(stored, ALICE, "r1", disk=True) is None


def test_a_purge_deletes_what_has_expired_now_and_then(store: SqliteStore) -> None:
    def rows() -> int:
        with reading(store.path) as db:
            return db.table("responses").count

    end = PURGE_MS + 5
    stored = kept(Stored(store), ALICE, entry("r1", expires_ms=end), entry("r2"))
    asyncio.run(stored.purge(end))
    assert (len(stored), rows()) == (1, 0)
    kept(stored, ALICE, entry("r3", expires_ms=end))
    asyncio.run(stored.purge(end + 1))  # too soon after the last one
    assert rows() == 1


def test_a_disk_that_cannot_be_written_is_said_to_the_client(store: SqliteStore) -> None:
    stored = Stored(store)
    store.close()
    with pytest.raises(ApiError) as refused:
        kept(stored, ALICE, entry("r1", expires_ms=9))
    assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
    asyncio.run(stored.purge(PURGE_MS))  # is logged, and the housekeeping goes on
