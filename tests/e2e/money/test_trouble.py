"""A disk that is full, a database that another program keeps locked, a file that may only be read:
requests wait or are refused in words, nothing is charged wrongly, and it goes on by itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.harness import REPO, Answer, Running, Upstream, gateway, scripted_upstream, until
from tests.e2e.money import shop
from tests.e2e.money.books import read_books
from tests.e2e.money.commands import audit
from tests.e2e.money.salvo import CHAT, salvo, shot
from tests.e2e.money.waiting import locked

JSON = Any
NAME: Final = "buyer"
KEY: Final = shop.secret(NAME)
NEARLY: Final = "nearly"
"""One who can pay three requests, so that each has to ask the ledger before it is sent."""
QUOTA: Final = 300
"""Requests that the buyer can pay."""


def toml(url: str) -> str:
    return (
        shop.channel(url)
        + shop.price()
        + shop.buyer(NAME, user='quota = "$30"', policy='budget = "$30/day"')
        + shop.buyer(NEARLY, user='quota = "$0.3"')
        + '[logs]\ndir = ""\naccess = false\n'
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda request: shop.answer_after(request, 0)) as found:
        yield found


@pytest.fixture
def running(tmp_path: Path, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path, toml(upstream.url)) as found:
        yield found


def ask(running: Running, *, stream: bool = False) -> Answer:
    body = dict(shop.STREAM if stream else shop.ASK)
    return running.post(CHAT, body, key=KEY, timeout_s=60)


def charged(running: Running) -> int:
    """Records that cost something."""
    return sum(1 for row in running.records(user=NAME) if row["cost_nanousd"])


@contextlib.contextmanager
def no_room(running: Running) -> Iterator[None]:
    """Files that the gateway writes to may not grow, as on a full disk."""
    database = running.database
    files = (database, database.with_name(f"{database.name}-wal"))
    most = max(file.stat().st_size for file in files)
    _, hard = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_on_a_full_disk_requests_are_refused_unpaid_and_it_goes_on_with_room(
    running: Running, stream: bool
) -> None:
    good = 0
    while good < 5:
        assert ask(running).status == 200
        good += 1
    with no_room(running):
        answers = [ask(running, stream=stream) for _ in range(12)]
    refused = [answer for answer in answers if _refused(answer)]
    good += len(answers) - len(refused)
    assert len(refused) >= 3
    assert until(lambda: ask(running).status == 200, 10)
    rows = running.records(user=NAME)
    assert all(row["cost_nanousd"] == shop.PRICE_NANOUSD for row in rows if row["status"] == 200)
    assert charged(running) == good + 1


def _refused(answer: Answer) -> bool:
    """Whether the ledger could not be written: said by the status, or in a stream under way."""
    if answer.status == 200:
        told = b"ledger_unavailable" in answer.body
        assert told or answer.body.endswith((b"}", b"data: [DONE]\n\n"))
        return told
    assert (answer.status, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert "retry-after" in answer.headers
    return True


def test_after_a_full_disk_the_quota_still_pays_exactly_what_it_should(
    running: Running, tmp_path: Path
) -> None:
    """Holds of refused requests have not been lost: all that is left can be bought, no more."""
    with no_room(running):
        salvo([shot(running.port, KEY, shop.ASK) for _ in range(60)])
    assert until(lambda: ask(running).status == 200, 10)
    shots = [shot(running.port, KEY, shop.ASK, request_id=f"s-{n}") for n in range(100)]
    statuses = Counter(heard.status for _ in range(5) for heard in salvo(shots))
    print("after a full disk:", statuses)
    assert set(statuses) == {200, 429}
    assert charged(running) == QUOTA
    running.stop()
    assert read_books(running.database).faults() == []
    assert audit(tmp_path) == 0


def test_on_a_full_disk_who_must_ask_the_ledger_first_is_not_served_on_trust(
    running: Running, upstream: Upstream
) -> None:
    shots = [
        shot(running.port, shop.secret(NEARLY), shop.ASK, request_id=f"n-{n}") for n in range(20)
    ]
    with no_room(running):
        while salvo(shots[:1])[0].status == 200:  # what fits into the file as it is
            pass
        upstream.received.clear()
        statuses = Counter(heard.status for heard in salvo(shots))
    print("near the limit, on a full disk:", statuses)
    assert set(statuses) <= {429, 503}
    assert until(lambda: salvo(shots[:1])[0].status != 503, 10)
    for _ in range(3):
        salvo(shots)
    paid = sum(1 for row in running.records(user=NEARLY) if row["cost_nanousd"])
    assert paid == 3


def test_a_database_that_is_locked_for_a_while_is_waited_for(running: Running) -> None:
    heard: list[int] = []
    with locked(running.database):
        threads = [threading.Thread(target=lambda: heard.append(ask(running).status))]
        threads += [threading.Thread(target=lambda: heard.append(ask(running, stream=True).status))]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        waited = running.get("/healthz", key=None).status
    for thread in threads:
        thread.join(30)
    assert (waited, heard) == (200, [200, 200])  # nothing but the writer waits
    assert charged(running) == 2


def test_a_file_that_may_only_be_read_is_refused_in_words_and_taken_once_it_may_be_written(
    tmp_path: Path, upstream: Upstream
) -> None:
    with gateway(tmp_path, toml(upstream.url)) as first:
        assert ask(first).status == 200
    first.database.chmod(0o400)
    done = _serve_without_privilege(tmp_path)
    assert done.returncode == 1
    assert "oneapi.db" in done.stderr
    assert "read only" in done.stderr
    first.database.chmod(0o600)
    with gateway(tmp_path, toml(upstream.url)) as again:
        assert ask(again).status == 200
        assert charged(again) == 2


def _serve_without_privilege(folder: Path) -> subprocess.CompletedProcess[str]:
    """`oneapi serve`, by somebody who must obey the modes of files."""
    prefix: list[str] = []
    if os.geteuid() == 0:
        tool = shutil.which("setpriv")
        if tool is None:
            pytest.skip("root may write everywhere, and there is no setpriv to take that away")
        away = "-dac_override,-dac_read_search"
        prefix = [tool, "--bounding-set", away, "--inh-caps", away]
    return subprocess.run(
        [*prefix, sys.executable, "-m", "oneapi", "serve", "--port", "0"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(REPO)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
