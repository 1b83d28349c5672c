"""`oneapi logs` and `oneapi usage`."""

from __future__ import annotations

import asyncio
import csv
import io
import subprocess
import sys
from typing import Any

import pytest

from oneapi.ledger.bodies import BodyStore, Bounds, Pair
from oneapi.ledger.record import Record, first_id
from oneapi.ledger.store_sqlite import SqliteStore
from tests.cli.managed import Verbs
from tests.ledger.conftest import a_record

DAY_MS = 86_400_000
NOON = 1_790_000_000_000 // DAY_MS * DAY_MS + DAY_MS // 2  # 2026-09-21T12:00Z
HOUR_MS = 3_600_000
SHANGHAI = '[site]\ntimezone = "Asia/Shanghai"\ncurrency = "points"\n'


def keep(oneapi: Verbs, *some: Record) -> None:
    store = SqliteStore(oneapi.folder / "oneapi.db")
    store.open()
    for record in some:
        store.post(record)
    asyncio.run(store.flush())
    store.close()


def at(hours: int, **changes: Any) -> Record:
    return a_record(id=first_id(NOON + hours * HOUR_MS) + hours, **changes)


@pytest.fixture
def kept(oneapi: Verbs) -> Verbs:
    keep(
        oneapi,
        at(0, user="alice", endpoint="chat", cost_nanousd=1_500_000),
        at(1, user="bob", endpoint="embeddings", cost_nanousd=None, request_id="abc-1.x"),
        at(14, user="bob", status=429, error_code="rate_limited", cost_nanousd=0, total_ms=3),
    )
    return oneapi


def test_lines_are_for_people(kept: Verbs) -> None:
    first, second, third = kept("logs").out.splitlines()
    assert first.startswith("2026-09-22 02:00:00 429 chat fast -> home bob/ci $0.000000 3 ms")
    assert " ? 900 ms" in second
    assert " $0.001500 900 ms" in third


def test_money_and_times_are_the_sites(kept: Verbs) -> None:
    kept.config.write_text(SHANGHAI)
    last = kept("logs", "--user", "alice").out
    assert last.startswith("2026-09-21 20:00:00 200 ")
    assert " 750.0 points " in last


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        (["--user", "bob"], [14, 1]),
        (["--status", "429"], [14]),
        (["--failed"], [14]),
        (["--unpriced"], [1]),
        (["--endpoint", "chat"], [14, 0]),
        (["--error-code", "rate_limited"], [14]),
        (["--error-code", ""], [1, 0]),
        (["--request-id", "c-1"], [1]),
        (["--min-cost", "$0.001"], [0]),
        (["--min-ms", "900"], [1, 0]),
        (["--since", "2026-09-22"], [14]),
        (["--until", "2026-09-21T13:00"], [0]),
        (["--limit", "1"], [14]),
        (["--limit", "1", "--all"], [14, 1, 0]),
        (["--oldest-first"], [0, 1, 14]),
        (["--user", "carol"], []),
    ],
)
def test_what_is_asked_for(kept: Verbs, words: list[str], hours: list[int]) -> None:
    rows = kept("logs", "--json", *words).json()
    assert [(row["time_ms"] - NOON) // HOUR_MS for row in rows] == hours


def test_dates_begin_in_the_sites_zone(kept: Verbs) -> None:
    kept.config.write_text(SHANGHAI)
    rows = kept("logs", "--json", "--since", "2026-09-22").json()
    assert [row["status"] for row in rows] == [429]
    assert len(kept("logs", "--json", "--until", "2026-09-21T20:00").json()) == 0


def test_csv_has_a_heading_and_guards_formulas(oneapi: Verbs) -> None:
    keep(oneapi, at(0, model='=HYPERLINK("x")', served_model="-1", token="@a", cost_nanousd=7))
    oneapi.config.write_text(SHANGHAI)
    (row,) = csv.DictReader(io.StringIO(oneapi("logs", "--csv").out))
    assert (row["model"], row["served_model"], row["token"]) == (
        '\'=HYPERLINK("x")',
        "'-1",
        "'@a",
    )
    assert (row["time"], row["cost_points"]) == ("2026-09-21T20:00:00.000+08:00", "0.0035")
    assert (row["id"], row["stream"], row["input"]) == (f"{first_id(NOON):016x}", "1", "12")


def test_a_model_cannot_write_on_the_terminal(oneapi: Verbs) -> None:
    keep(oneapi, at(0, model="a\x1b[2Jb\nc"))
    (line,) = oneapi("logs").out.splitlines()
    assert r"a\x1b[2Jb\nc" in line


@pytest.mark.parametrize("asked", ["abc-1.x", f"{first_id(NOON + HOUR_MS) + 1:016x}"])
def test_bodies_are_shown_by_either_id(kept: Verbs, asked: str) -> None:
    bodies = BodyStore(kept.folder / "oneapi-bodies.db", Bounds(10**9, 10**9))
    pair = Pair(first_id(NOON + HOUR_MS) + 1, b'{"model": 1}', b"data: \xff\n", 12, 999)
    assert bodies.put(lambda: pair, 100)
    bodies.close()
    command = [sys.executable, "-m", "oneapi", "logs", "--body", asked, "--config"]
    done = subprocess.run([*command, str(kept.config)], capture_output=True, check=True)
    assert done.stdout == b'{"model": 1}\ndata: \xff\n'
    assert b"answer, 999 bytes, 8 kept" in done.stderr


def test_bodies_that_are_not_kept_say_what_keeps_them(kept: Verbs) -> None:
    done = kept("logs", "--body", "abc-1.x")
    assert done.status == 2
    assert "log_bodies = true" in done.err


def test_usage_is_added_up(kept: Verbs) -> None:
    head, *lines = kept("usage", "--by", "user,day").out.splitlines()
    assert head.split() == ["USER", "DAY", "REQUESTS", "ERRORS", "IN", "OUT", "COST"]
    assert [line.split() for line in lines] == [
        ["alice", "2026-09-21", "1", "0", "15", "7", "$0.001500"],
        ["bob", "2026-09-21", "1", "0", "15", "7", "$0.000000", "+", "?"],
        ["bob", "2026-09-22", "1", "1", "15", "7", "$0.000000"],
    ]


def test_usage_has_the_sites_days_and_money(kept: Verbs) -> None:
    kept.config.write_text(SHANGHAI)
    shown = kept("usage", "--by", "day", "--since", "2026-09-21").out
    assert "2026-09-21  2" in shown
    assert "750.0 points + ?" in shown


def test_usage_by_an_unknown_key_is_refused(kept: Verbs) -> None:
    done = kept("usage", "--by", "colour")
    assert done.status == 2
    assert "--by takes day, user" in done.err
