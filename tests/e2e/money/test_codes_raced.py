"""Redemption codes raced by four processes on one store: each is redeemed as often as it may be,
and the book holds exactly that.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, Final

from oneapi.config.schema import Settings
from oneapi.gateway.people import Balance, People
from oneapi.gateway.people_codes import FreshBatch
from oneapi.ledger.codes import NewBatch
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor
from tests.e2e.harness import REPO

USERS: Final = ("ann", "ben", "cat", "dan")
VALUE: Final = 7_000_000_001
OPERATOR: Final = Actor("", "test")
TOML: Final = "".join(f'[users.{name}]\nquota = "$0"\n' for name in USERS)


def people(database: Path, work: Any) -> Any:
    settings = Settings.model_validate(tomllib.loads(TOML))
    store = SqliteStore(database)
    store.open()
    try:
        return asyncio.run(work(People(store, lambda: settings)))
    finally:
        store.close()


def race(database: Path, batch: FreshBatch) -> list[Counter[str]]:
    """Every user's process tries every code, all at the same moment; outcomes by user."""
    at_s = time.time() + 2.0
    runs = []
    for turn, user in enumerate(USERS):
        codes = [*batch.codes[turn:], *batch.codes[:turn]]
        plan = {"database": str(database), "user": user, "codes": codes, "at_s": at_s, "toml": TOML}
        command = [sys.executable, "-m", "tests.e2e.money.redeemer", json.dumps(plan)]
        runs.append(subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True))
    return [Counter(json.loads(run.communicate(timeout=60)[0])) for run in runs]


async def balances(found: People) -> list[Balance]:
    return [await found.balance(user) for user in USERS]


def test_four_processes_redeem_every_code_once(tmp_path: Path) -> None:
    database = tmp_path / "oneapi.db"
    batch = people(database, lambda p: p.make_codes(OPERATOR, NewBatch("once", 8, VALUE)))
    found = race(database, batch)
    print("codes raced by four processes:", [dict(one) for one in found])
    assert sum(one["redeemed"] for one in found) == 8
    held = people(database, balances)
    for one, balance in zip(found, held, strict=True):
        assert balance.entries_nanousd == one["redeemed"] * VALUE


def test_four_processes_redeem_a_code_for_three_three_times(tmp_path: Path) -> None:
    database = tmp_path / "oneapi.db"
    batch = people(database, lambda p: p.make_codes(OPERATOR, NewBatch("three", 2, VALUE, uses=3)))
    found = race(database, batch)
    assert sum(one["redeemed"] for one in found) == 6
    assert sum(one["code_used"] for one in found) == 2
    assert sum(b.entries_nanousd for b in people(database, balances)) == 6 * VALUE
