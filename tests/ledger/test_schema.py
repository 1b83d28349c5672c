"""The shape of the file: columns known by heart, small rows, readable by anybody's tools."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from oneapi.ledger import schema
from oneapi.ledger.opening import reading
from oneapi.ledger.record import Record
from oneapi.ledger.rows import row
from oneapi.ledger.store_sqlite import SqliteStore

MakeRecord = Callable[..., Record]

# A change here is a new version of the schema: give it a migration, and the first one these.
RECORDS_1 = """
    id time_ms user_id token_id group_id policy_id revision_id endpoint_id dialect_in_id
    dialect_out_id model_id channel_id served_model_id error_code_id usage_source_id price_rule_id
    settlement_id input cache_read cache_write_5m cache_write_1h audio_in image_in output reasoning
    audio_out images audio_ms characters searches status upstream_status stream cost_nanousd
    ttft_ms total_ms attempts request_id client
""".split()

RESPONSES_2 = """
    user token response_id model channel channel_key time_ms expires_ms native size names input
    answer
""".split()
SUMS_3 = """
    user_id token_id group_id model_id channel_id requests attempted errors unpriced cost_nanousd
    input_tokens output_tokens cached_tokens cached_tenths total_ms ttft_ms answered
""".split()
TABLES = {
    "names": ["id", "kind", "name", "declared", "same_as"],
    "tail": ["seq", "record_id", "process"],
    "secrets": ["name", "value"],
    "revisions": ["id", "revision", "time_ms", "outcome", "origin", "text"],
    "responses": RESPONSES_2,
    "response_names": ["user", "token", "name", "response_id"],
    "price_rules": ["id", "body"],
    "hours": ["hour_ms", *SUMS_3],
    "closings": ["day_ms", *SUMS_3],
    "log_marks": ["name", "time_ms"],
}
INDEXES_3 = {"user_id", "token_id", "model_id", "channel_id", "status"}


def test_the_columns_of_records_are_these(store: SqliteStore, path: Path) -> None:
    with reading(path) as db:
        assert [c.name for c in db.table("records").columns] == RECORDS_1
        assert db.table("records").pks == ["id"]


def test_a_row_has_a_value_for_every_column(make_record: MakeRecord) -> None:
    values = dict(
        zip(schema.COLUMNS, row(make_record(), lambda kind, name: None, None), strict=True)
    )
    assert (values["status"], values["input"], values["reasoning"]) == (200, 12, 2)
    assert (values["total_ms"], values["attempts"], values["client"]) == (900, 1, 0x7F000001)


def test_only_what_can_be_unknown_may_be_null(store: SqliteStore, path: Path) -> None:
    with reading(path) as db:
        nullable = {c.name for c in db.table("records").columns if not c.notnull and not c.is_pk}
    named = {column for _, column, _ in schema.NAMED}
    assert nullable == named | {"cost_nanousd", "ttft_ms", "request_id", "client"}


def test_the_other_tables(store: SqliteStore, path: Path) -> None:
    with reading(path) as db:
        columns = {t: [c.name for c in db.table(t).columns] for t in TABLES}
        views = db.view_names()
    assert columns == TABLES
    assert views == ["labels", "log"]


def test_records_have_these_indexes_and_no_others(store: SqliteStore, path: Path) -> None:
    with reading(path) as db:
        indexes = {tuple(index.columns) for index in db.table("records").indexes}
    assert indexes == {(column,) for column in INDEXES_3}


def test_there_is_a_migration_for_every_version() -> None:
    db = Database(memory=True, execute_plugins=False)
    assert len(schema.MIGRATIONS.pending(db)) == schema.VERSION
    db.close()


def test_the_sqlite_utils_command_reads_the_log(
    store: SqliteStore, path: Path, make_record: MakeRecord
) -> None:
    asyncio.run(_one(store, make_record()))
    command = [sys.executable, "-m", "sqlite_utils", "rows", str(path), "log", "--csv"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    head, line = shown.strip().splitlines()
    cells = dict(zip(head.split(","), line.split(","), strict=True))
    assert (cells["user"], cells["served_model"]) == ("alice", "qwen3:8b")
    assert (cells["settlement"], cells["client"]) == ("complete", "127.0.0.1")


async def _one(store: SqliteStore, record: Record) -> None:
    await store.append(record)
