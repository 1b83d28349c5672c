"""Budgets shared by real processes: exact together, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from oneapi.ledger.accounts import Account
from tests.ledger.money import promised

ROOT = Path(__file__).parents[2]

# Reads the plan from its arguments, says when it is ready, begins at a line on stdin, and prints
# what came of its requests.
CHILD = """
import asyncio, json, sys, time
from pathlib import Path
from oneapi.ledger.door import Door
from oneapi.ledger.store_sqlite import SqliteStore
from tests.ledger.money import budget, spend

plan = json.loads(sys.argv[2])

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = SqliteStore(Path(sys.argv[1]))
    store.open()
    door = Door(store)
    running = asyncio.ensure_future(door.run())
    wants = [(budget(plan["limit"]), plan["hold"])]
    if plan.get("token"):
        wants.append((budget(plan["token"], scope="token", name="ci"), plan["hold"]))
    slowest = through = 0
    async def one():
        nonlocal slowest, through
        for _ in range(plan["each"]):
            began = time.monotonic()
            made = await spend(door, wants, cost=plan["cost"])
            slowest = max(slowest, time.monotonic() - began)
            through += made is None
            await asyncio.sleep(plan.get("pause", 0))
    await asyncio.gather(*[one() for _ in range(plan["clients"])])
    print(json.dumps([through, slowest]), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    running.cancel()
    store.close()

asyncio.run(main())
"""


class Child:
    """One such process. `begin` returns at once, `outcome` waits."""

    def __init__(self, path: Path, **plan: Any) -> None:
        command = [sys.executable, "-c", CHILD, str(path), json.dumps(plan)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        self._say()

    def outcome(self) -> tuple[int, float]:
        """Requests that went through, and the seconds that the slowest took."""
        assert self._process.stdout is not None
        through, slowest = json.loads(self._process.stdout.readline())
        return through, slowest

    def end(self) -> None:
        self._say()
        assert self._process.wait(30) == 0
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


def together(path: Path, count: int, **plan: Any) -> tuple[int, float]:
    """Processes that start cold at the same moment: how many requests went through in all, and
    the slowest one's seconds.
    """
    children = [Child(path, **plan) for _ in range(count)]
    for child in children:
        child.begin()
    outcomes = [child.outcome() for child in children]
    for child in children:
        child.end()
    return sum(through for through, _ in outcomes), max(slowest for _, slowest in outcomes)


def test_200_from_4_processes_against_a_budget_for_10_let_10_through(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    through, slowest = together(path, 4, limit=100, hold=10, cost=10, clients=50, each=1)
    print(f"4 processes: {through} of 200 went through against a budget for 10, in {slowest:.2f} s")
    assert through == 10
    assert promised(path) == (100, 0)


def test_a_large_budget_is_used_to_the_last_hold_by_4_processes(tmp_path: Path) -> None:
    """Slices that lie idle in one process come to those who need them."""
    path = tmp_path / "oneapi.db"
    plan = {"limit": 5_000, "hold": 10, "cost": 10, "clients": 20, "each": 20, "token": 10**6}
    through, slowest = together(path, 4, **plan)
    print(f"4 processes: {through} of 1,600 went through against a budget for 500")
    assert through == 500
    assert promised(path) == (5_000, 0)
    assert promised(path, Account("token", "ci", "nanousd")) == (5_000, 0)
    assert slowest < 6


def test_what_another_process_leased_and_does_not_need_is_worth_a_little_wait(
    tmp_path: Path,
) -> None:
    path = tmp_path / "oneapi.db"
    first = Child(path, limit=1_000, hold=1, cost=1, clients=1, each=1)
    first.begin()
    assert first.outcome()[0] == 1
    assert promised(path)[1] > 1  # a slice, of which one hold was used
    second = Child(path, limit=1_000, hold=999, cost=999, clients=1, each=1)
    second.begin()
    through, waited = second.outcome()
    assert through == 1
    assert waited < 1.5
    for child in (first, second):
        child.end()
    assert promised(path) == (1_000, 0)


def test_a_killed_processes_lease_is_free_for_whoever_needs_it(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    first = Child(path, limit=1_000, hold=10, cost=3, clients=5, each=10)
    first.begin()
    assert first.outcome()[0] == 50
    first.kill()  # its last second may not be summed up yet
    second = Child(path, limit=1_000, hold=850, cost=850, clients=1, each=1)
    second.begin()
    began = time.monotonic()
    assert second.outcome()[0] == 1
    assert time.monotonic() - began < 3
    second.end()
    assert promised(path) == (1_000, 0)
