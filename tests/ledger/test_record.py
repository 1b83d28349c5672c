"""Ids: unique, in the order of time, whoever makes them."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import time

from oneapi.ledger.record import IdSource, first_id, id_time_ms, new_id


def test_ids_rise_and_carry_their_millisecond() -> None:
    before = time.time_ns() // 1_000_000
    ids = [new_id() for _ in range(10_000)]
    after = time.time_ns() // 1_000_000
    assert ids == sorted(set(ids))
    assert before <= id_time_ms(ids[0]) <= id_time_ms(ids[-1]) <= after + 10
    assert ids[-1] < 2**63


def test_ids_of_many_threads_never_meet() -> None:
    source = IdSource()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda _: [source.next() for _ in range(2_000)], range(8))
    ids = [i for batch in made for i in batch]
    assert len(set(ids)) == 16_000


def test_ids_go_on_rising_when_the_clock_is_set_back() -> None:
    source = IdSource()
    ahead = source.next() + (3_600_000 << 20)
    source._last = ahead >> 8
    assert source.next() > ahead


def test_a_forked_process_draws_another_lane() -> None:
    script = (
        "import os\n"
        "from oneapi.ledger import record\n"
        "lanes = set()\n"
        "for _ in range(12):\n"
        "    r, w = os.pipe()\n"
        "    if os.fork() == 0:\n"
        "        os.write(w, bytes([record.new_id() & 255])); os._exit(0)\n"
        "    os.wait(); lanes.add(os.read(r, 1))\n"
        "print(len(lanes))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 4  # twelve draws of 256: fewer is one in 10**11


def test_the_first_id_of_a_millisecond_begins_it() -> None:
    assert id_time_ms(first_id(1_700_000_000_000)) == 1_700_000_000_000
    assert id_time_ms(first_id(1_700_000_000_000) - 1) == 1_699_999_999_999
