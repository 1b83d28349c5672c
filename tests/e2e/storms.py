"""The two storms that the tests run briefly and `tests/soak` runs long: reloads and `kill -9`."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.crowd import Crowd
from tests.e2e.harness import KEY, REPO, Running, gateway, people, until

MODEL = "bench-model"


@contextmanager
def provider() -> Iterator[str]:
    """The benchmark's scripted provider as a process; yields its base URL, 20 events a stream."""
    command = [sys.executable, "-m", "tests.bench.upstream", "--port", "0"]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int("".join(c for c in process.stdout.readline().split(":")[-1] if c.isdigit()))
        try:
            yield f"http://127.0.0.1:{port}/events-20/pace-2/v1"
        finally:
            process.kill()


def configuration(base_url: str, first: int, second: int) -> str:
    """Two channels of one provider, with these weights."""
    channels = "".join(
        f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{base_url}"\n'
        f'keys = ["sk-upstream"]\nmodels = ["{MODEL}"]\nweight = {weight}\n'
        for name, weight in (("one", first), ("two", second))
    )
    price = f'[prices."{MODEL}"]\ninput = 1.0\noutput = 2.0\n'
    return channels + price + people() + '[logs]\ndir = ""\naccess = false\n'


@dataclass
class Reloads:
    """How a storm of saves ended: `routed` counts records by (revision's weights, channel)."""

    requests: int
    failed: list[str]
    taken: int
    refused: int
    misrouted: int


def reload_storm(folder: Path, *, saves: int, clients: int = 64) -> Reloads:
    """Save again and again under load, every other time a broken file."""
    with provider() as url, gateway(folder, configuration(url, 1, 0)) as running:
        crowd = Crowd(running.port, KEY, clients=clients, model=MODEL, name="reload")
        expected = {_revision(running): "one"}
        taken = refused = 0
        with crowd.running() as seen:
            for number in range(saves):
                if number % 2:
                    refused += _save_broken(running, url)
                    continue
                first = (number // 2) % 2
                running.rewrite(configuration(url, first, 1 - first))
                expected[_revision(running)] = "one" if first else "two"
                taken += 1
                time.sleep(0.1)
        records = running.records()
    routed = Counter((r["revision"], r["channel"]) for r in records)
    misrouted = sum(n for (rev, channel), n in routed.items() if expected.get(rev) != channel)
    return Reloads(len(seen.completed), seen.failed, taken, refused, misrouted)


def _save_broken(running: Running, url: str) -> int:
    """A save that does not load; 1 when the gateway says so and keeps what it has."""
    before = len(running.stderr())
    running.rewrite(configuration(url, 1, 1) + "\n[server]\nbroken = = 1\n", wait=False)
    return int(
        until(lambda: any("configuration not taken" in x for x in running.stderr()[before:]), 5)
    )


def _revision(running: Running) -> str:
    """The revision in force, from the log's last word on it."""
    for line in reversed(running.stderr()):
        if " is in force" in line:
            return line.partition("configuration ")[2].split()[0]
        if "oneapi.server: One API" in line:
            return line.rpartition("(")[2].rstrip(")")
    raise AssertionError("no revision in the log")


@dataclass
class Kill:
    """One `kill -9` under load, and what the ledger says afterwards."""

    completed: int
    records: int
    missing: list[str]
    doubled: list[str]
    integrity: str


def kill_storm(folder: Path, *, kills: int, clients: int = 32) -> list[Kill]:
    """Kill the gateway at a random moment under load, look, start it again, and so on."""
    found: list[Kill] = []
    with provider() as url:
        for number in range(kills):
            name = f"kill{number}"
            with gateway(folder, configuration(url, 1, 1)) as running:
                crowd = Crowd(running.port, KEY, clients=clients, model=MODEL, name=name)
                with crowd.running() as seen:
                    time.sleep(0.3 + random.random() * 0.7)
                    running.kill()
            found.append(_look(folder / "oneapi.db", seen.completed, name))
    return found


def _look(database: Path, completed: dict[str, int], name: str) -> Kill:
    with sqlite3.connect(database) as db:
        integrity = db.execute("PRAGMA integrity_check").fetchone()[0]
        rows = db.execute("SELECT request_id FROM log WHERE request_id LIKE ?", (f"{name}-%",))
        counts = Counter(row[0] for row in rows)
    db.close()
    missing = [request for request in completed if request not in counts]
    doubled = [request for request, n in counts.items() if n > 1]
    return Kill(len(completed), counts.total(), missing, doubled, integrity)
