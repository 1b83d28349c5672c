"""Many records as a busy site has them: 50 users with 4 tokens each, 20 models, 9 channels, the
few much busier than the many, 3 % failed; over a month.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from oneapi.ir import Usage
from oneapi.ledger.names import Names
from oneapi.ledger.opening import open_for_writing
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price
from oneapi.ledger.record import Record, first_id
from oneapi.ledger.rows import INSERT, Row, row
from tests.ledger.conftest import a_record

END_MS = 1_790_035_200_000  # 2026-09-22T00:00Z
SPAN_MS = 30 * 86_400_000
GROUP = 64  # records a commit
PRICES = [
    Price(rule_of(f"prices.m{n}", {"input": Decimal(n) / 10, "output": Decimal(n)}), ratio)
    for n in range(1, 21)
    for ratio in (1_000_000, 800_000)
]


def fill(path: Path, count: int, seed: int = 1) -> float:
    """Write so many records; microseconds of writing each took."""
    db = open_for_writing(path, busy_timeout_s=10)
    names = Names(db)
    spent = 0.0
    group: list[Row] = []
    for record in _records(count, seed):
        group.append(row(record, names.id, names.price(record.price_rule, record.price)))
        if len(group) == GROUP:
            spent += _write(db.conn, group)
    spent += _write(db.conn, group)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.conn.close()
    return spent / count * 1e6


def _write(connection: sqlite3.Connection, group: list[Row]) -> float:
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, group)
    connection.execute("COMMIT")
    group.clear()
    return time.perf_counter() - started


def _records(count: int, seed: int) -> Iterator[Record]:
    dice = random.Random(seed)
    base = a_record()
    for n in range(count):
        time_ms = END_MS - SPAN_MS + n * SPAN_MS // count
        number = first_id(time_ms) + dice.getrandbits(20)
        user, model = _few(dice, 50), _few(dice, 20)
        failed = dice.random() < 0.03
        price = PRICES[(model - 1) * 2 + user % 2]
        usage = Usage(
            input=dice.randrange(20_000),
            cache_read=dice.choice((0, 0, dice.randrange(20_000))),
            output=dice.randrange(3_000),
            reasoning=dice.choice((0, dice.randrange(2_000))),
        )
        if failed:
            usage = Usage()
        yield replace(
            base,
            id=number,
            time_ms=time_ms,
            user=f"user{user}",
            token=f"token{user}-{dice.randrange(4)}",
            group=("default", "vip")[user % 2],
            model=f"model{model}",
            served_model=f"model{model}-2026",
            channel="" if failed else f"channel{min(model, 9)}",
            endpoint=dice.choice(("chat", "chat", "messages", "embeddings")),
            status=dice.choice((400, 429, 502)) if failed else 200,
            error_code="rate_limited" if failed else "",
            stream=dice.random() < 0.5,
            usage=usage,
            usage_source="none" if failed else "upstream",
            cost_nanousd=0 if failed else price.cost(usage),
            price=None if failed else price,
            price_rule="" if failed else price.id,
            ttft_ms=dice.randrange(3_000),
            total_ms=dice.randrange(60_000),
            request_id=f"{number:016x}",
            client=f"10.0.{dice.randrange(4)}.{dice.randrange(250)}",
        )


def _few(dice: random.Random, most: int) -> int:
    """1 to `most`, the small much more often."""
    return min(int(dice.paretovariate(1.1)), most)
