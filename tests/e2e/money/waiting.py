"""A database that another program keeps locked for longer than anybody waits for it, under load."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.harness import Running, gateway, scripted_upstream, until
from tests.e2e.money import shop
from tests.e2e.money.books import Books, read_books
from tests.e2e.money.salvo import CHAT, Heard, salvo, shot

BUYER: Final = "buyer"
QUOTA: Final = 500
"""Requests that the buyer can pay."""
WAVE: Final = 20


@dataclass
class Lock:
    """What was heard while it was locked, in waves of `WAVE`, and afterwards until the quota was
    spent; the books once the gateway has stopped.
    """

    locked: list[Heard] = field(default_factory=list)
    after: list[Heard] = field(default_factory=list)
    answered: bool = False
    books: Books | None = None

    @property
    def statuses(self) -> Counter[int]:
        return Counter(heard.status for heard in self.locked)

    def faults(self) -> list[str]:
        """Everything that must not be, in words."""
        assert self.books is not None
        wrong = self.books.faults()
        if not self.answered:
            wrong.append("the gateway itself did not answer while its ledger was locked")
        if set(self.statuses) - {200, 503}:
            wrong.append(f"statuses while locked: {dict(self.statuses)}")
        if not all(heard.whole for heard in self.locked):
            wrong.append("answers that were cut")
        if {heard.status for heard in self.after} - {200, 429}:
            wrong.append(f"statuses afterwards: {Counter(h.status for h in self.after)}")
        good = sum(map(_answered, [*self.locked, *self.after]))
        paid = sum(row.cost_nanousd > 0 for row in self.books.rows)
        if not good == paid == QUOTA:
            wrong.append(f"{good} answers, {paid} paid, the quota was for {QUOTA}")
        return wrong


def _answered(heard: Heard) -> bool:
    """Whether it is a whole answer: a stream may tell within it that it was not written down."""
    return heard.status == 200 and b"ledger_unavailable" not in heard.body


def toml(url: str) -> str:
    return (
        shop.channel(url)
        + shop.price()
        + shop.buyer(BUYER, user=f'quota = "{QUOTA * 50_000} points"', policy='budget = "$900/day"')
        + '[logs]\ndir = ""\naccess = false\n'
    )


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes to the database and takes its time."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def lock_storm(folder: Path, *, seconds: float) -> Lock:
    """Waves of requests before, during and after."""
    found = Lock()
    with (
        scripted_upstream(lambda request: shop.answer_after(request, 0.05)) as upstream,
        gateway(folder, toml(upstream.url)) as running,
    ):
        found.after += _wave(running, "before")
        with locked(running.database):
            threads = [threading.Thread(target=_loop, args=(running, found, n)) for n in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            found.answered = running.get("/healthz", key=None, timeout_s=5).status == 200
        for thread in threads:
            thread.join(90)
        until(lambda: running.get("/readyz", key=None).status == 200, 60)
        while found.after[-WAVE].status == 200:
            found.after += _wave(running, "after")
    found.books = read_books(running.database)
    return found


def _loop(running: Running, found: Lock, number: int) -> None:
    """A wave that begins while it is locked; its answers come when they come."""
    time.sleep(number)
    found.locked += _wave(running, f"locked-{number}")


def _wave(running: Running, name: str) -> list[Heard]:
    key, asks = shop.secret(BUYER), (shop.ASK, shop.STREAM)
    return salvo(
        [
            shot(running.port, key, asks[n % 2], path=CHAT, request_id=f"{name}-{n}")
            for n in range(WAVE)
        ]
    )
