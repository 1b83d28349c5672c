"""Bodies in a file of their own: bounded, dropped rather than waited for."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from oneapi.errors import StoreError
from oneapi.ledger import bodies
from oneapi.ledger.bodies import BodyStore, Bounds, Pair, find, open_bodies, purge
from oneapi.ledger.record import first_id

FOREVER = Bounds(keep_s=10**9, max_size=10**12)
NOW = time.time_ns() // 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi-bodies.db"


def pair(number: int, size: int = 10) -> Pair:
    return Pair(number, b"q" * size, os.urandom(size), size, size)


def fill(path: Path, *pairs: Pair, bounds: Bounds = FOREVER) -> BodyStore:
    store = BodyStore(path, bounds)
    for one in pairs:
        assert store.put(lambda one=one: one, 1)  # type: ignore[misc]
    store.close()
    return store


def ids(path: Path) -> list[int]:
    raw = sqlite3.connect(path)
    found = [row[0] for row in raw.execute("SELECT id FROM bodies ORDER BY id")]
    raw.close()
    return found


def test_bodies_come_back_as_they_were(path: Path) -> None:
    kept = pair(first_id(NOW), 5_000)
    fill(path, kept)
    assert find(path, kept.id) == kept
    assert find(path, kept.id + 1) is None


def test_only_the_owner_may_read_them(path: Path) -> None:
    old = os.umask(0)
    try:
        fill(path, pair(first_id(NOW)))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_they_are_compressed(path: Path) -> None:
    fill(path, *(Pair(first_id(NOW) + n, b"{}" * 50_000, b"", 1, 0) for n in range(20)))
    assert path.stat().st_size < 100_000


def test_a_file_that_is_just_being_made_holds_nothing(path: Path) -> None:
    path.touch()
    assert find(path, 1) is None


def test_nothing_is_made_until_there_is_a_body(path: Path) -> None:
    store = BodyStore(path, FOREVER)
    store.tend()
    store.close()
    assert not path.exists()
    assert find(path, 1) is None


def test_what_is_too_old_goes_even_if_nothing_comes(path: Path) -> None:
    old, new = first_id(NOW - 7_200_000), first_id(NOW)
    fill(path, pair(old), pair(new))
    store = BodyStore(path, Bounds(keep_s=3_600, max_size=10**9))
    store.tend()
    store.close()
    assert ids(path) == [new]


def test_the_oldest_go_while_the_file_is_too_large(path: Path) -> None:
    made = [pair(first_id(NOW) + n, 20_000) for n in range(100)]
    fill(path, *made)
    db = open_bodies(path)
    purge(db, Bounds(10**9, 1_000_000), NOW)
    db.conn.close()
    left = ids(path)
    assert left == [p.id for p in made[-len(left) :]]
    assert 20 < len(left) < 50
    assert path.stat().st_size <= 1_100_000


def test_what_comes_faster_than_it_can_be_written_is_dropped_and_counted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MOST_WAITING", 1_000)
    store = BodyStore(path, FOREVER)
    hold = threading.Event()

    def slow() -> Pair:
        hold.wait(10)
        return pair(first_id(NOW))

    started = time.perf_counter()
    taken = [store.put(slow, 400) for _ in range(5)]
    assert time.perf_counter() - started < 1
    hold.set()
    store.close()
    assert taken == [True, True, False, False, False]
    assert store.dropped == 3


def test_a_body_that_cannot_be_masked_is_dropped_and_the_others_are_kept(path: Path) -> None:
    store = BodyStore(path, FOREVER)

    def fail() -> Pair:
        raise ValueError("no")

    store.put(fail, 1)
    store.put(lambda: pair(first_id(NOW)), 1)
    store.close()
    assert (ids(path), store.dropped) == ([first_id(NOW)], 1)


def test_a_file_that_cannot_be_written_drops_and_recovers(tmp_path: Path) -> None:
    blocked = tmp_path / "bodies.db"
    blocked.mkdir()
    store = BodyStore(blocked, FOREVER)
    store.put(lambda: pair(first_id(NOW)), 1)
    end = time.monotonic() + 5
    while not store.dropped and time.monotonic() < end:
        time.sleep(0.01)
    blocked.rmdir()
    store.put(lambda: pair(first_id(NOW) + 1), 1)
    store.close()
    assert (ids(blocked), store.dropped) == ([first_id(NOW) + 1], 1)


def test_another_programs_database_is_left_as_it_is(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE cats (name)")
    raw.close()
    with pytest.raises(StoreError, match="another program's database"):
        open_bodies(path)


def test_two_processes_may_write_one_file(path: Path) -> None:
    stores = [BodyStore(path, FOREVER) for _ in range(2)]
    for n in range(200):
        stores[n % 2].put(lambda n=n: pair(first_id(NOW) + n), 1)  # type: ignore[misc]
    for store in stores:
        store.close()
    assert len(ids(path)) == 200
