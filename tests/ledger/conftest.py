"""Records to write and a store to write them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneapi.ir import Usage
from oneapi.ledger.record import Record, id_time_ms, new_id
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]


def a_record(**changes: Any) -> Record:
    record_id = changes.pop("id", None) or new_id()
    record = Record(
        id=record_id,
        time_ms=id_time_ms(record_id),
        user="alice",
        token="ci",
        group="vip",
        policy="laptop",
        revision="r1",
        endpoint="chat",
        dialect_in="openai-chat",
        dialect_out="ollama",
        model="fast",
        channel="home",
        served_model="qwen3:8b",
        status=200,
        error_code="",
        upstream_status=200,
        stream=True,
        usage=Usage(input=12, cache_read=3, output=5, reasoning=2),
        usage_source="upstream",
        cost_nanousd=1_234,
        price_rule="prices.fast",
        settlement="complete",
        ttft_ms=40,
        total_ms=900,
        attempts=1,
        request_id=f"{record_id:016x}",
        client="127.0.0.1",
    )
    return replace(record, **changes)


@pytest.fixture
def make_record() -> MakeRecord:
    return a_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oneapi.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(path, busy_timeout_s=0.3)
    opened.open()
    yield opened
    opened.close()
