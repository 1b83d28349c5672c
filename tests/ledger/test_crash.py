"""What was acknowledged is in the database, whatever happens to the process."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

# Appends from 16 tasks and writes each id to stdout once its record is committed, as a gateway
# sends the last bytes of an answer.
CHILD = """
import asyncio, os, sys
from pathlib import Path
from oneapi.ir import Usage
from oneapi.ledger.record import Record, new_id
from oneapi.ledger.store_sqlite import SqliteStore

def record(n):
    i = new_id()
    return Record(i, i >> 20, "alice", f"t{n % 5}", "vip", "ci", "r1", "chat", "a", "b",
        f"m{n % 50}", "home", "qwen", 200, "", 200, True, Usage(input=n), "upstream", 5, "p",
        "complete", 1, 2, 1, f"{i:016x}", "127.0.0.1")

async def client(store, limit):
    n = 0
    while n < limit:
        n += 1
        made = record(n)
        await store.append(made)
        os.write(1, made.id.to_bytes(8, "big"))

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    store.open()
    await asyncio.gather(*[client(store, int(sys.argv[2])) for _ in range(16)])
    store.close()

"""
RUN = CHILD + "\nasyncio.run(main())\n"

# Imports once, then forks a child for every line it reads; says 0 when that is dead.
NURSERY = (
    CHILD
    + """
while sys.stdin.readline():
    pid = os.fork()
    if not pid:
        os.write(1, os.getpid().to_bytes(8, "big"))
        asyncio.run(main())
        os._exit(0)
    os.waitpid(pid, 0)
    os.write(1, bytes(8))
"""
)


def start(path: Path, each: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(path), str(each)], stdout=subprocess.PIPE
    )


def acknowledged(raw: bytes) -> list[int]:
    whole = len(raw) // 8 * 8
    return [int.from_bytes(raw[n : n + 8], "big") for n in range(0, whole, 8)]


def kept(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in connection.execute("SELECT id FROM records")]


def killed_in_flight(nursery: subprocess.Popen[bytes]) -> list[int]:
    """Ids a child acknowledged before it was killed at a random moment of its work."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(b"\n")
    nursery.stdin.flush()
    pid = int.from_bytes(nursery.stdout.read(8), "big")
    seen = [int.from_bytes(nursery.stdout.read(8), "big")]  # it works now
    timer = threading.Timer(random.uniform(0.0, 0.1), os.kill, (pid, signal.SIGKILL))
    timer.start()
    while found := int.from_bytes(nursery.stdout.read(8), "big"):  # 0: it is dead
        seen.append(found)
    timer.join()
    return seen


def test_twenty_kills_lose_and_double_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    command = [sys.executable, "-c", NURSERY, str(path), str(10**9)]
    pipe = subprocess.PIPE
    seen: list[int] = []
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as nursery:
        for _ in range(20):
            seen += killed_in_flight(nursery)
            ids = kept(path)
            assert len(ids) == len(set(ids))
            assert set(seen) <= set(ids)
    assert len(seen) == len(set(seen))
    assert len(seen) > 1_000  # the kills met work under way


def test_two_processes_write_one_file_without_losing_a_record(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.db"
    children = [start(path, 200) for _ in range(2)]
    seen = [i for child in children for i in acknowledged(child.communicate(timeout=60)[0])]
    assert len(seen) == 2 * 16 * 200
    assert sorted(seen) == sorted(kept(path))


def test_a_record_is_committed_before_its_future_is_done(tmp_path: Path) -> None:
    """One append, killed at the very acknowledgement."""
    path = tmp_path / "oneapi.db"
    script = RUN.replace('os.write(1, made.id.to_bytes(8, "big"))', "os.kill(os.getpid(), 9)")
    started = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", script, str(path), "1"], timeout=60, check=False)
    assert ran.returncode == -signal.SIGKILL, f"after {time.monotonic() - started:.1f} s"
    assert len(kept(path)) >= 1
