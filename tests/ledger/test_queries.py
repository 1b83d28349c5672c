"""Asking the ledger while it is written."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from oneapi.errors import StoreError, UsageError
from oneapi.ir import Usage
from oneapi.ledger import queries, writer
from oneapi.ledger.filters import Filter
from oneapi.ledger.queries import count, follow, page, records
from oneapi.ledger.record import Record, first_id, new_id
from oneapi.ledger.rollups import usage
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]
DAY_MS = 86_400_000
NOON = 1_800_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2  # Unix ms


def write(store: SqliteStore, some: Iterable[Record]) -> None:
    for record in some:
        store.post(record)
    asyncio.run(store.flush())


def ids(found: Iterable[dict[str, Any]]) -> list[int]:
    return [row["id"] for row in found]


@pytest.fixture
def ten(store: SqliteStore, make_record: MakeRecord) -> list[Record]:
    """Ten records a second apart, the odd ones bob's, every fifth refused."""
    made = [
        make_record(
            id=first_id(NOON + 1_000 * n),
            user=("alice", "bob")[n % 2],
            token=f"t{n % 3}",
            model=f"m{n % 2}",
            channel="" if n % 5 == 0 else "home",
            status=429 if n % 5 == 0 else 200,
        )
        for n in range(10)
    ]
    write(store, made)
    return made


def test_the_newest_come_first_unless_asked_otherwise(path: Path, ten: list[Record]) -> None:
    expected = [r.id for r in ten]
    assert ids(records(path)) == expected[::-1]
    assert ids(records(path, newest_first=False)) == expected


def test_pages_go_on_where_the_last_ended(path: Path, ten: list[Record]) -> None:
    expected = [r.id for r in ten]
    first = ids(records(path, limit=4))
    assert first + ids(records(path, limit=100, after_id=first[-1])) == expected[::-1]
    early = ids(records(path, limit=4, newest_first=False))
    assert early + ids(records(path, after_id=early[-1], newest_first=False)) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"user": "bob"}, [1, 3, 5, 7, 9]),
        ({"token": "t0"}, [0, 3, 6, 9]),
        ({"model": "m0"}, [0, 2, 4, 6, 8]),
        ({"channel": "home"}, [1, 2, 3, 4, 6, 7, 8, 9]),
        ({"status": 429}, [0, 5]),
        ({"user": "bob", "status": 429}, [5]),
        ({"user": "nobody"}, []),
        ({"since_ms": NOON + 8_000}, [8, 9]),
        ({"until_ms": NOON + 2_000}, [0, 1]),
        ({"since_ms": NOON + 1, "until_ms": NOON + 2_001}, [1, 2]),
    ],
)
def test_filters(path: Path, ten: list[Record], asked: dict[str, Any], expected: list[int]) -> None:
    assert ids(records(path, newest_first=False, **asked)) == [ten[n].id for n in expected]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Filter(endpoint="chat"), range(10)),
        (Filter(endpoint="none"), []),
        (Filter(channel=""), [0, 5]),
        (Filter(channel="", user="bob"), [5]),
        (Filter(failed=True), [0, 5]),
        (Filter(failed=False, user="bob"), [1, 3, 7, 9]),
        (Filter(user="alice", model="m0", token="t0"), [0, 6]),
        (Filter(status=200, user="bob", until_ms=NOON + 4_000), [1, 3]),
        (Filter(status=200), [1, 2, 3, 4, 6, 7, 8, 9]),
        (Filter(priced=False), []),
        (Filter(min_cost_nanousd=1_234, min_total_ms=900), range(10)),
        (Filter(min_cost_nanousd=1_235), []),
        (Filter(stream=True, group="vip", policy="laptop"), range(10)),
        (Filter(request_id="%"), []),
    ],
    ids=str,
)
def test_other_filters(
    path: Path, ten: list[Record], asked: Filter, expected: Iterable[int]
) -> None:
    wanted = [ten[n].id for n in expected]
    assert ids(records(path, asked, newest_first=False)) == wanted
    assert ids(records(path, asked)) == wanted[::-1]
    assert count(path, asked) == len(wanted)


def test_a_part_of_a_request_id_finds_it(path: Path, ten: list[Record]) -> None:
    assert ids(records(path, Filter(request_id=f"{ten[3].id:016x}"[2:]))) == [ten[3].id]


def test_pages_lead_to_each_other(path: Path, ten: list[Record]) -> None:
    newest_first = [r.id for r in reversed(ten)]
    first = page(path, limit=4)
    second = page(path, limit=4, cursor=first.older)
    third = page(path, limit=4, cursor=second.older)
    assert [ids(p.rows) for p in (first, second, third)] == [
        newest_first[:4],
        newest_first[4:8],
        newest_first[8:],
    ]
    assert (first.newer, third.older) == ("", "")
    back = page(path, limit=4, cursor=third.newer)
    assert ids(back.rows) == newest_first[4:8]
    assert ids(page(path, limit=4, cursor=back.newer).rows) == newest_first[:4]
    assert page(path, limit=4, cursor=back.newer).newer == ""
    assert ids(page(path, limit=4, cursor=back.older).rows) == newest_first[8:]


def test_pages_of_a_filter_lead_to_each_other(path: Path, ten: list[Record]) -> None:
    wanted = Filter(user="bob", status=200)
    first = page(path, wanted, limit=2)
    second = page(path, wanted, limit=2, cursor=first.older)
    assert [r["id"] for r in (*first.rows, *second.rows)] == [ten[n].id for n in (9, 7, 3, 1)]
    assert second.older == ""


@pytest.mark.parametrize("cursor", ["x", "<", "<zz", ">-1", "<" + "f" * 40, "77"])
def test_a_cursor_that_is_none_is_refused(path: Path, ten: list[Record], cursor: str) -> None:
    with pytest.raises(UsageError, match="no page's cursor"):
        page(path, cursor=cursor)


def test_no_record_makes_an_empty_page(path: Path, store: SqliteStore) -> None:
    assert page(path) == queries.Page([], "", "")


def test_a_name_that_stands_for_two_numbers_keeps_the_order_of_time(
    store: SqliteStore, path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.declare("user", {"anna": None, "ann": None})
    made = [
        make_record(id=first_id(NOON + n), user=("anna", "ann", "bob")[n % 3], stream=n % 4 > 0)
        for n in range(300)
    ]
    write(store, made)
    store.declare("user", {"anna": "ann"})
    monkeypatch.setattr(queries, "_FIRST_BLOCK", 7)
    monkeypatch.setattr(queries, "_BLOCK", 20)
    for where, every in ((Filter(user="anna"), 1), (Filter(user="anna", stream=False), 4)):
        wanted = [made[n].id for n in range(0, 300, every) if n % 3 < 2]
        assert ids(records(path, where, limit=None, newest_first=False)) == wanted
        assert ids(records(path, where, limit=None)) == wanted[::-1]
        assert ids(records(path, where, limit=5)) == wanted[::-1][:5]


def test_a_slow_search_tells_how_far_it_is(
    store: SqliteStore, path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_FIRST_BLOCK", 10)
    monkeypatch.setattr(queries, "_BLOCK", 40)
    write(store, (make_record(id=first_id(NOON + n)) for n in range(100)))
    told: list[tuple[int, int]] = []
    rows = records(
        path, Filter(endpoint="x"), progress=lambda ms, looked: told.append((ms, looked))
    )
    assert list(rows) == []
    assert told == []  # the name is known to nobody: nothing is looked at
    seen = records(
        path, Filter(min_total_ms=901), progress=lambda ms, looked: told.append((ms, looked))
    )
    assert list(seen) == []
    assert [(ms - NOON, looked) for ms, looked in told[:3]] == [(90, 10), (50, 50), (10, 90)]
    assert told[-1][1] == 100


def test_the_usual_page_tells_nothing(path: Path, ten: list[Record]) -> None:
    told: list[int] = []
    list(records(path, Filter(user="bob"), progress=lambda ms, looked: told.append(looked)))
    assert told == []


def test_all_of_many_are_read_page_by_page(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, (make_record() for _ in range(2_345)))
    found = ids(records(path, limit=None))
    assert len(found) == len(set(found)) == 2_345


def test_usage_adds_up_by_keys(store: SqliteStore, path: Path, make_record: MakeRecord) -> None:
    spent = Usage(input=10, cache_read=5, audio_in=1, output=3, reasoning=2)
    write(
        store,
        [
            make_record(id=first_id(NOON), user="alice", usage=spent, cost_nanousd=100),
            make_record(id=first_id(NOON + DAY_MS), user="alice", usage=spent, cost_nanousd=None),
            make_record(id=first_id(NOON + 1), user="bob", usage=Usage(), status=502),
        ],
    )
    assert usage(path, by=["user", "day"]) == [
        total("alice", "2027-01-15", 1, 0, 16, 5, 100, 0),
        total("alice", "2027-01-16", 1, 0, 16, 5, 0, 1),
        total("bob", "2027-01-15", 1, 1, 0, 0, 1_234, 0),
    ]


def total(user: str, day: str, *numbers: int) -> dict[str, Any]:
    names = ("requests", "errors", "input_tokens", "output_tokens", "cost_nanousd", "unpriced")
    return {"user": user, "day": day, **dict(zip(names, numbers, strict=True))}


def test_usage_of_a_period_without_records_is_nothing(path: Path, ten: list[Record]) -> None:
    assert usage(path, by=["user"], until_ms=NOON) == []
    (whole,) = usage(path, until_ms=NOON)
    assert whole["requests"] == whole["cost_nanousd"] == 0


def test_usage_in_whole(path: Path, ten: list[Record]) -> None:
    (whole,) = usage(path, since_ms=NOON + 5_000)
    assert (whole["requests"], whole["errors"], whole["cost_nanousd"]) == (5, 1, 5 * 1_234)


def test_usage_by_an_unknown_key_names_the_known(path: Path, ten: list[Record]) -> None:
    with pytest.raises(UsageError, match=r"'colour'; it can be by day, user, token"):
        usage(path, by=["colour"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("10.255.0.1", "10.255.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_addresses_come_back_as_they_were(
    store: SqliteStore, path: Path, make_record: MakeRecord, given: str, shown: str
) -> None:
    write(store, [make_record(client=given)])
    (found,) = records(path)
    assert found["client"] == shown


@pytest.mark.parametrize(
    "given", ["", "x.y-1", "0" * 16, "ab" * 16, "123e4567-e89b-12d3-a456-426614174000"]
)
def test_request_ids_come_back_as_they_were(
    store: SqliteStore, path: Path, make_record: MakeRecord, given: str
) -> None:
    write(store, [make_record(request_id=given), make_record()])
    own, found = records(path)
    assert found["request_id"] == given
    assert own["request_id"] == f"{own['id']:016x}"


def test_times_are_shown_in_words_too(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [make_record(id=first_id(NOON + 7))])
    (found,) = records(path)
    assert (found["time_ms"], found["time"]) == (NOON + 7, "2027-01-15T12:00:00.007Z")


def test_following_begins_with_a_backlog_and_misses_nothing(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    made = [make_record() for _ in range(3_000)]
    write(store, made[:10])
    seen: list[int] = []
    ready = threading.Event()

    def read() -> None:
        for row in follow(path, backlog=2, poll_s=0.001):
            seen.append(row["id"])
            ready.set()
            if len(seen) == 2_992:
                return

    reader = threading.Thread(target=read)
    reader.start()
    assert ready.wait(5)
    for start in range(10, 3_000, 500):
        write(store, made[start : start + 500])
    reader.join(20)
    assert seen == [r.id for r in made[8:]]


def test_following_shows_a_long_request_when_it_ends_not_when_it_began(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    long = make_record(id=new_id())
    write(store, [make_record()])
    lines = follow(path, backlog=1, poll_s=0.001)
    next(lines)
    write(store, [make_record(), long])
    assert [next(lines)["id"] for _ in range(2)][-1] == long.id


def test_following_with_a_filter_until_it_is_stopped(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [make_record(user=u, channel="") for u in ("alice", "bob", "alice", "bob")])
    turns = itertools.count()
    lines = follow(path, backlog=9, user="bob", poll_s=0.001, stopped=lambda: next(turns) > 5)
    assert [row["user"] for row in lines] == ["bob", "bob"]


def test_following_sleeps_while_nothing_happens(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    write(store, [make_record()])
    looks = 0

    def stopped() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            write(store, [make_record(), make_record()])
        return looks > 1 and time.monotonic() - started > 0.3

    started = time.monotonic()
    assert len(list(follow(path, poll_s=0.05, stopped=stopped))) == 2
    assert looks < 20


def test_the_tail_is_kept_short(
    store: SqliteStore, path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "TAIL", 50)
    monkeypatch.setattr(writer, "PRUNE_EVERY", 10)
    write(store, (make_record() for _ in range(600)))
    write(store, (make_record() for _ in range(600)))
    kept = store.transact(lambda db: db.table("tail").count).result()
    assert 50 <= kept <= 600
    assert len(list(records(path, limit=None))) == 1_200


def test_asking_where_there_is_no_ledger_says_so(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no ledger yet"):
        list(records(path))


def test_a_ledger_nobody_has_open_can_be_read(path: Path, store: SqliteStore) -> None:
    store.close()
    assert list(records(path)) == []


def test_absurd_numbers_and_times_find_nothing_and_raise_nothing(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    store.post(make_record(model="m" * 300))
    asyncio.run(store.flush())
    for where in (
        Filter(status=10**30),
        Filter(min_total_ms=10**30),
        Filter(min_cost_nanousd=10**30),
        Filter(since_ms=2**62),
        Filter(user="\udc80"),
        Filter(request_id="\udc80"),
    ):
        assert list(records(path, where)) == []
    for where in (
        Filter(status=200, until_ms=2**62, since_ms=-(2**70)),
        Filter(min_total_ms=-(10**30)),
        Filter(model="m" * 300),
    ):
        assert len(list(records(path, where))) == 1
