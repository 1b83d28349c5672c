"""`kill -9` under load with budgets and limits on: four client processes ask one gateway that dies
again and again, and comes back on the same port and store.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.servers import free_port
from tests.e2e.harness import REPO, Running, gateway, until
from tests.e2e.money import shop
from tests.e2e.money.books import Books, read_books
from tests.e2e.storms import MODEL, provider

JSON = Any
NAMES: Final = ("rich", "rolling", "grouped", "poor")
"""The four: far from every limit; always near one; many limits at once; soon without money."""
ROLLING: Final = "$0.02/60s"
POOR: Final = "$0.05"
_WORDS: Final = [{"role": "user", "content": "hello again and again, as often as it takes me"}]
ASKS: Final[tuple[JSON, ...]] = (
    {"model": MODEL, "max_tokens": 120, "messages": _WORDS},
    {"model": MODEL, "max_tokens": 120, "messages": _WORDS, "stream": True},
)


def configuration(base_url: str, *, more: bool = False) -> str:
    """Budgets and limits of every scope and kind; with `more`, further ones that come and go."""
    extra = 'budget = ["$800/hour", "80M tokens/day"]\nrpd = 900_000' if more else ""
    return (
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{base_url}"\n'
        f'keys = ["sk-upstream"]\nmodels = ["provider-model"]\n'
        'budget = ["$1000/day", "900M tokens/month"]\nconcurrency = 200\n'
        f'[models."{MODEL}"]\nroutes = [{{ channel = "up", model = "provider-model" }}]\n'
        'budget = "$500/week"\n'
        + shop.price(MODEL, "input = 1.0\noutput = 2.0")
        + '[groups.club]\nbudget = ["$300/month", "200M tokens/24h"]\n'
        "each = { rpd = 1_000_000, tpm = 50_000_000 }\n"
        + shop.buyer(
            "rich", user=f'quota = "$900"\n{extra}', policy='budget = "$100/day"\nrpm = 1_000_000'
        )
        + shop.buyer("rolling", policy=f'budget = "{ROLLING}"\nqueue_s = 1')
        + shop.buyer(
            "grouped",
            user='group = "club"\nconcurrency = 5\nqueue_s = 10',
            policy='budget = "90M tokens/day"\ntokens_count = "billable"',
            token='quota = "$200"',
        )
        + shop.buyer("poor", user=f'quota = "{POOR}"')
        + '[logs]\ndir = ""\naccess = false\n'
    )


@dataclass
class Storm:
    """What the clients saw, and what the ledger says after the last gateway stopped in order.

    `left` are dead processes' leases and registrations that a new gateway had not resolved in
    time, by kill; `dead` what the last stop left behind.
    """

    kills: int
    completed: dict[str, int] = field(default_factory=dict)
    cut: int = 0
    integrity: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    books: Books | None = None
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(self.completed.values())

    def told(self) -> str:
        """The figures in a line."""
        return (
            f"{self.kills} kills, {len(self.completed)} completed answers {dict(self.statuses)}, "
            f"{self.cut} cut, {len(self.missing)} without a record, {len(self.doubled)} doubled"
        )

    @property
    def missing(self) -> list[str]:
        """Answers without a record."""
        return [request for request in self.completed if not self.counts[request]]

    @property
    def doubled(self) -> list[str]:
        return [request for request, count in self.counts.items() if count > 1]

    def faults(self) -> list[str]:
        """Everything that must not be, in words; empty where all is well."""
        assert self.books is not None
        wrong = [
            *(f"no record of {request}" for request in self.missing[:5]),
            *(f"two records of {request}" for request in self.doubled[:5]),
            *(
                f"after kill {n}: {words}"
                for n, words in enumerate(self.integrity)
                if words != "ok"
            ),
            *self.left,
            *self.books.faults(),
        ]
        for user, limit_nanousd in (("poor", 50_000_000),):
            spent = self.books.spent(user)
            if spent > limit_nanousd:
                wrong.append(f"{user} spent {spent} of {limit_nanousd} nano-dollars")
        peak = self.books.most_within("rolling", 60_000)
        if peak > 20_000_000:
            wrong.append(f"rolling spent {peak} nano-dollars in a minute")
        return wrong


def kill_money(folder: Path, *, kills: int, clients: int = 6) -> Storm:
    """Kill, look, start again; in the end stop in order and read the books.

    Before every other kill budgets come or go by a reload, so that sums begin under load.
    """
    storm = Storm(kills)
    port = free_port()
    with provider() as url, _crews(port, clients) as finish:
        text = configuration(url)
        for number in range(kills):
            with gateway(folder, text, port=port) as running:
                storm.left += _unresolved(running)
                time.sleep(0.3 + random.random() * 0.4)
                if number % 2 == 0:
                    text = configuration(url, more=number % 4 == 0)
                    running.rewrite(text)
                time.sleep(random.random() * 0.5)
                running.kill()
            storm.integrity.append(read_books(running.database, rows=False).integrity)
        with gateway(folder, text, port=port) as running:
            storm.left += _unresolved(running)
            time.sleep(0.5)
            for told in finish():
                storm.completed.update(told["completed"])
                storm.cut += told["cut"]
        storm.books = read_books(running.database)
    storm.counts = Counter(row.request_id for row in storm.books.rows)
    return storm


def _unresolved(running: Running) -> list[str]:
    """What of dead processes is still there some seconds after a new one started."""

    def clean() -> bool:
        books = read_books(running.database, rows=False)
        return {lease.process for lease in books.leases} <= books.alive and len(books.alive) <= 1

    if until(clean, 10):
        return []
    books = read_books(running.database, rows=False)
    return [f"processes {sorted(books.alive)}, leases {books.leases[:5]} are left"]


@contextlib.contextmanager
def _crews(port: int, clients: int) -> Iterator[Any]:
    """A client process for each of `NAMES`; yields what ends them and returns what they saw."""
    crews = [_crew(name, port, clients) for name in NAMES]

    def finish() -> list[Mapping[str, JSON]]:
        for crew in crews:
            assert crew.stdin is not None
            crew.stdin.close()
        return [json.loads(_rest(crew)) for crew in crews]

    try:
        yield finish
    finally:
        for crew in crews:
            crew.kill()
            crew.wait(10)
            for pipe in (crew.stdin, crew.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _rest(crew: subprocess.Popen[str]) -> str:
    assert crew.stdout is not None
    return crew.stdout.read()


def _crew(name: str, port: int, clients: int) -> subprocess.Popen[str]:
    plan = {"port": port, "key": shop.secret(name), "name": name, "clients": clients, "asks": ASKS}
    command = [sys.executable, "-m", "tests.e2e.money.client", json.dumps(plan)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=REPO, stdin=pipe, stdout=pipe, text=True)
