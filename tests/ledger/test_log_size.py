"""Small and quick at many records; `tests.soak.logs` shows the same at millions."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oneapi.ledger.audit import Audited, audit
from oneapi.ledger.filters import Filter
from oneapi.ledger.opening import open_for_writing, reading
from oneapi.ledger.purge import used_bytes
from oneapi.ledger.queries import page
from oneapi.ledger.tables_logs import INDEXED
from tests.ledger.many import END_MS, SPAN_MS, fill

COUNT = 50_000
MOST_BYTES = 300


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "oneapi.db"
    print(f"writing: {fill(path, COUNT):.1f} us a record")
    return path


@pytest.fixture
def quiet() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_a_record_takes_less_than_300_bytes_with_indexes_and_sums(many: Path) -> None:
    with reading(many) as db:
        size = used_bytes(db) / COUNT
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    print(f"{size:.0f} bytes a record")
    assert ("hours",) in tables
    assert size < MOST_BYTES


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(user="user1"),
        Filter(user="user41"),
        Filter(token="token7-2"),
        Filter(model="model20"),
        Filter(channel="channel3"),
        Filter(status=200),
        Filter(status=429),
        Filter(status=418),
        Filter(user="user3", until_ms=END_MS - SPAN_MS // 2),
    ],
    ids=str,
)
def test_a_page_of_50_comes_from_an_index(many: Path, wanted: Filter) -> None:
    took = best_ms(lambda: page(many, wanted))
    print(f"{took:.1f} ms")
    assert took < 3 * 50


def test_no_page_by_an_index_sorts_or_scans(many: Path) -> None:
    with reading(many) as db:
        for condition in (
            *(f"r.{column} = 7" for column in INDEXED),
            "r.status = 429 AND r.status <> 200",
        ):
            sql = (
                f"SELECT r.id FROM records r WHERE {condition} AND r.id >= 1 AND r.id < 9"
                " ORDER BY r.id DESC LIMIT 50"
            )
            plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}"))
            assert "COVERING INDEX" in plan
            assert "rowid>?" in plan
            assert "TEMP B-TREE" not in plan


def test_an_audit_takes_seconds(many: Path) -> None:
    found = Audited()
    started = time.perf_counter()
    # Written past the store, so what accounts have spent is not known: their check is another's.
    wrong = [d for d in audit(many, found, until_ms=END_MS + 1)]
    took = time.perf_counter() - started
    print(f"{COUNT / took:,.0f} records a second")
    assert wrong == []
    assert found.records == COUNT
    assert took < 3 * 60 * COUNT / 1_000_000 * 2


@pytest.mark.usefixtures("quiet")
def test_the_sums_cost_a_record_a_few_microseconds(tmp_path: Path) -> None:
    """Groups of 64, as a busy gateway commits; the trigger against a ledger without it."""
    without = tmp_path / "without.db"
    with_ = tmp_path / "with.db"
    db = open_for_writing(without, busy_timeout_s=1)
    db.execute("DROP TRIGGER records_hours")
    db.conn.close()
    costs = []
    for turn in range(3):
        costs.append(fill(with_, 6_000, turn) - fill(without, 6_000, turn))
    print("the trigger takes " + ", ".join(f"{cost:.1f}" for cost in costs) + " us a record")
    assert min(costs) < 3 * 6


def best_ms(work: Callable[[], object], tries: int = 3) -> float:
    times = []
    for _ in range(tries):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return min(times)
