"""`oneapi audit`."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal

import pytest

from oneapi.ir import Usage
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price
from oneapi.ledger.record import first_id
from oneapi.ledger.store_sqlite import SqliteStore
from tests.cli.managed import Verbs
from tests.ledger.conftest import a_record

NOON = 1_790_035_200_000  # 2026-09-22T00:00Z
PRICE = Price(rule_of("prices.m", {"input": Decimal(2)}))
USED = Usage(input=1_000_000)


@pytest.fixture
def kept(oneapi: Verbs) -> Verbs:
    store = SqliteStore(oneapi.folder / "oneapi.db")
    store.open()
    made = {"usage": USED, "price": PRICE, "price_rule": PRICE.id}
    for n in range(3):
        store.post(a_record(id=first_id(NOON) + n, cost_nanousd=PRICE.cost(USED), **made))
    asyncio.run(store.flush())
    store.close()
    return oneapi


def tamper(oneapi: Verbs) -> None:
    raw = sqlite3.connect(oneapi.folder / "oneapi.db")
    with raw:
        raw.execute("UPDATE records SET cost_nanousd = 7 WHERE id = ?", (first_id(NOON),))
    raw.close()


def test_a_clean_ledger_exits_with_0(kept: Verbs) -> None:
    done = kept("audit")
    first, reach, last = done.out.splitlines()
    assert (done.status, last) == (0, "no differences")
    assert first.startswith("3 records, $6.00 in all, 1 days of sums, 2 accounts, ")
    assert reach == "the records reach back to 2026-09-22T00:00:00.000+00:00"


def test_a_difference_is_told_and_exits_with_1(kept: Verbs) -> None:
    tamper(kept)
    done = kept("audit")
    assert done.status == 1
    assert done.out.startswith(
        f"cost {first_id(NOON):016x}: its cost is not what its usage and price make"
        " (stored $0.000000007, computed $2.00)\n"
    )
    assert done.out.endswith("2 differences\n")


def test_programs_get_it_as_json(kept: Verbs) -> None:
    tamper(kept)
    cost, _, summary = kept("audit", "--json").json()
    assert (cost["what"], cost["stored"], cost["computed"]) == ("cost", 7, 2_000_000_000)
    assert (summary["what"], summary["records"], summary["differences"]) == ("summary", 3, 2)


def test_a_period_is_looked_at_alone(kept: Verbs) -> None:
    tamper(kept)
    assert kept("audit", "--since", "2026-09-22T01:00").status == 0
