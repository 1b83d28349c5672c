"""Processes that die: what they spent is summed up, what they held is free, nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from oneapi.ledger import audit_sums
from oneapi.ledger.accounts import Account, Period
from oneapi.ledger.door import Door
from oneapi.ledger.opening import reading
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.money import a_request, budget, crash, held, opened, promised, spend

DAY = Period("day")
WINDOW = Period("rolling", 3_600)
WANTS = [
    (budget(10**15), 900),
    (budget(10**15, scope="token", name="ci", period=DAY), 900),
    (budget(10**15, scope="channel", name="home", unit="tokens", period=WINDOW), 900),
    (budget(10**15, scope="group", name="vip", unit="requests", period=DAY), 1),
]

# Spends without end, at random, from 16 tasks.
CHILD = """
import asyncio, random, sys
from pathlib import Path
from oneapi.ledger.door import Door
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.money import spend
from tests.ledger.test_reaping import WANTS

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    store.open()
    door = Door(store)
    background = asyncio.ensure_future(door.run())
    print("ready", flush=True)
    async def client():
        while True:
            cost, user = random.randrange(1000), random.choice(["alice", "bob"])
            await spend(door, random.sample(WANTS, 3), cost=cost, user=user)
    await asyncio.gather(*[client() for _ in range(16)])

asyncio.run(main())
"""


def differences(path: Path) -> list[audit_sums.Check]:
    """Sums that are not what the records say, what is still to be summed up included."""
    with reading(path) as db:
        return [check for check in audit_sums.spend(db) if check.stored != check.computed]


def test_what_a_dead_process_spent_is_summed_up_by_the_next(path: Path) -> None:
    async def run(store: SqliteStore) -> None:
        door = Door(store)
        for _ in range(5):
            assert await spend(door, WANTS, cost=30) is None
        assert await held(door, WANTS) is not None

    first = SqliteStore(path)
    first.open()
    asyncio.run(run(first))
    crash(first)
    assert promised(path)[1] > 0
    second = SqliteStore(path)
    second.open()
    assert promised(path) == (150, 0)
    assert promised(path, WANTS[1][0].account) == (150, 0)
    assert promised(path, WANTS[2][0].account) == (150, 0)
    assert promised(path, WANTS[3][0].account) == (5, 0)
    second.close()
    assert list(path.parent.glob("*.alive")) == []


def test_where_its_file_is_gone_too_a_process_with_our_own_number_is_dead(path: Path) -> None:
    """In a container every gateway is process 1: a restored ledger would wait for itself."""

    async def run(store: SqliteStore) -> None:
        assert await spend(Door(store), WANTS, cost=30) is None

    first = SqliteStore(path)
    first.open()
    asyncio.run(run(first))
    crash(first)
    for file in path.parent.glob("*.alive"):
        file.unlink()
    second = SqliteStore(path)
    second.open()
    assert promised(path) == (30, 0)
    second.close()


def test_a_living_process_is_not_reaped(path: Path) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    first.open()

    async def run() -> None:
        door = Door(first)
        assert await held(door, [(budget(100), 60)]) is not None
        second.open()
        assert await held(Door(second), [(budget(100), 41)]) is None

    asyncio.run(run())
    second.close()
    first.close()


def test_a_running_process_finds_the_dead_when_it_needs_their_lease(path: Path) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    first.open()
    second.open()

    async def dies() -> None:
        assert await held(Door(first), [(budget(100), 60)]) is not None

    async def lives() -> None:
        began = time.monotonic()
        assert await spend(Door(second), [(budget(100), 100)], cost=100) is None
        assert time.monotonic() - began < 1

    asyncio.run(dies())
    crash(first)
    asyncio.run(lives())
    second.close()


def test_a_process_that_was_only_thought_dead_counts_nothing_twice(path: Path) -> None:
    """Somebody took its lock away: it goes on, and the sums stay right."""
    first = SqliteStore(path)
    first.open()

    async def run() -> None:
        door = Door(first)
        assert await spend(door, WANTS, cost=10) is None
        assert first._alive is not None
        first._alive.abandon()
        other = SqliteStore(path)
        other.open()  # reaps the first
        for cost in (20, 30):
            assert await spend(door, WANTS, cost=cost) is None
        other.close()

    asyncio.run(run())
    first.close()
    assert promised(path) == (60, 0)
    assert promised(path, WANTS[1][0].account) == (60, 0)
    assert differences(path) == []


def test_an_account_opened_by_another_process_counts_records_not_summed_up_yet(
    path: Path,
) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    first.open()
    second.open()
    vip = budget(100, scope="group", name="vip")

    async def run() -> None:
        one, two = Door(first), Door(second)
        await one.settle(None, a_request(10))
        assert await held(two, [(vip, 1)]) is not None  # opens it
        await one.settle(None, a_request(20))  # which this process does not know yet
        assert await held(one, [(vip, 70)]) is None
        await one.settle(None, a_request(30))

    asyncio.run(run())
    first.close()
    second.close()
    assert promised(path, vip.account) == (60, 0)


def test_killed_under_load_every_sum_is_what_the_records_say(path: Path) -> None:
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    for _ in range(2):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(path)],
                stdout=subprocess.PIPE, cwd=root, env=environ,
            )
            for _ in range(2)
        ]  # fmt: skip
        timers = []
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            delay = random.uniform(0.1, 0.6)
            timers.append(threading.Timer(delay, os.kill, (child.pid, signal.SIGKILL)))
            timers[-1].start()
        for child, timer in zip(children, timers, strict=True):
            timer.join()
            child.communicate(timeout=30)
        assert differences(path) == []  # their last second is known to be missing still
    store = SqliteStore(path)
    store.open()
    store.close()
    with opened(path) as db:
        spent, records = db.execute(
            "SELECT sum(cost_nanousd), count(*) FROM records WHERE group_id IS NOT NULL"
        ).fetchone()
        assert records > 100
    alice, bob = (promised(path, Account("user", name, "nanousd")) for name in ("alice", "bob"))
    assert alice[0] + bob[0] == spent
    assert alice[1] == bob[1] == 0
    assert promised(path, WANTS[3][0].account) == (records, 0)
    assert differences(path) == []


@pytest.mark.parametrize("wrong", [7, -7])
def test_the_audit_tells_a_wrong_sum(path: Path, wrong: int) -> None:
    store = SqliteStore(path)
    store.open()
    asyncio.run(spend(Door(store), WANTS, cost=10))
    store.close()
    assert differences(path) == []
    with opened(path) as db:
        db.execute("UPDATE spend SET used = used + ? WHERE bucket = 0", (wrong,))
    found = differences(path)
    assert {check.subject.split()[0] for check in found} == {"user", "token"}
    assert {(check.stored, check.computed) for check in found} == {(10 + wrong, 10)}
