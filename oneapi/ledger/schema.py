"""The tables, their versions, and how an older file becomes a newer one.

    records     one row a request; `id` is time-ordered, so that it is the index by time as well
    names       every repeated text once: users, models, error codes … (`*_id` columns point here)
    tail        the last records in the order of their commits, for those who follow
    revisions   the last configurations
    secrets     one random key, by which secrets of the configuration are told apart
    responses   stored responses of tokens whose policy keeps them on disk, until they expire
    response_names  ids inside them, and in which one each stands
    price_rules the numbers that the records' prices stand for
    labels      view: names after `was` was applied
    log         view: records with their names, for people and `sqlite-utils rows oneapi.db log`

`PRAGMA user_version` is the schema's version, `application_id` says that the file is ours. Names
are never deleted, since processes remember their ids.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from oneapi.errors import StoreError
from oneapi.ir import USAGE_BUCKETS
from oneapi.ledger import tables_limits, tables_logs, tables_notices, tables_people

APPLICATION_ID = int.from_bytes(b"1API", "big")

NAMED: tuple[tuple[str, str, str], ...] = (
    ("user", "user_id", "user"),
    ("token", "token_id", "token"),
    ("group", "group_id", "group"),
    ("policy", "policy_id", "policy"),
    ("revision", "revision_id", "revision"),
    ("endpoint", "endpoint_id", "endpoint"),
    ("dialect_in", "dialect_in_id", "dialect"),
    ("dialect_out", "dialect_out_id", "dialect"),
    ("model", "model_id", "model"),
    ("channel", "channel_id", "channel"),
    ("served_model", "served_model_id", "model"),
    ("error_code", "error_code_id", "error"),
    ("usage_source", "usage_source_id", "source"),
    ("price_rule", "price_rule_id", "price"),
    ("settlement", "settlement_id", "settlement"),
)
"""The record's fields that are names: field, column, kind."""

PLAIN: dict[str, type] = {
    "status": int,
    "upstream_status": int,
    "stream": int,
    "cost_nanousd": int,
    "ttft_ms": int,
    "total_ms": int,
    "attempts": int,
    "request_id": bytes,  # no affinity: NULL, bytes or text, see `rows.pack_request_id`
    "client": bytes,  # no affinity: IPv4 as an integer, IPv6 as 16 bytes, else text
}

COLUMNS: dict[str, type] = {
    "id": int,
    "time_ms": int,
    **{column: int for _, column, _ in NAMED},
    **dict.fromkeys(USAGE_BUCKETS, int),
    **PLAIN,
}
"""The columns of `records` in their order."""

NULLABLE = frozenset(
    {"cost_nanousd", "ttft_ms", "request_id", "client", *(column for _, column, _ in NAMED)}
)

MIGRATIONS = Migrations("oneapi")
"""One function a version, in order; never edited once released."""


@MIGRATIONS(name="1 records, names, tail, revisions")
def _first(db: Database, /) -> None:
    # Once COLUMNS changes, its value of today moves in here; a test knows it by heart.
    db.table("records").create(COLUMNS, pk="id", not_null=COLUMNS.keys() - NULLABLE - {"id"})
    names = db.table("names")
    names.create(
        {"id": int, "kind": str, "name": str, "declared": int, "same_as": int},
        pk="id",
        not_null={"kind", "name", "declared"},
        defaults={"declared": 0},
    )
    names.create_index(["kind", "name"], unique=True)
    db.table("tail").create({"seq": int, "record_id": int}, pk="seq", not_null={"record_id"})
    db.table("revisions").create(
        {"id": int, "revision": str, "time_ms": int, "outcome": str, "origin": str, "text": str},
        pk="id",
        not_null={"revision", "time_ms", "outcome", "origin", "text"},
    )
    db.table("secrets").create({"name": str, "value": bytes}, pk="name", not_null={"value"})
    # A trigger costs 3 µs a record inside SQLite; a second statement would give the interpreter
    # away once more while the event loop is busy.
    db.execute(
        "CREATE TRIGGER records_tail AFTER INSERT ON records"
        " BEGIN INSERT INTO tail (record_id) VALUES (new.id); END"
    )
    db.create_view("labels", _LABELS)
    db.create_view("log", _log_sql())


@MIGRATIONS(name="2 responses that are kept on disk")
def _second(db: Database, /) -> None:
    columns: dict[str, type] = {
        "user": str,
        "token": str,
        "response_id": str,
        "model": str,
        "channel": str,
        "channel_key": str,
        "time_ms": int,
        "expires_ms": int,
        "native": int,
        "size": int,
        "names": str,
        "input": bytes,
        "answer": bytes,
    }
    responses = db.table("responses")
    responses.create(columns, pk=("user", "token", "response_id"), not_null=set(columns))
    responses.create_index(["user", "token", "time_ms", "size"])
    responses.create_index(["expires_ms"])
    named = {"user": str, "token": str, "name": str, "response_id": str}
    names = db.table("response_names")
    names.create(named, pk=("user", "token", "name"), not_null=set(named))
    names.create_index(["user", "token", "response_id"])


@MIGRATIONS(name="3 money")
def _third(db: Database, /) -> None:
    tables_limits.create(db)
    tables_people.create(db)
    tables_logs.create(db)
    tables_notices.create(db)


VERSION = 3
"""How many migrations there are: the schema that this code reads and writes."""

_LABELS = (
    "SELECT n.id, n.kind, coalesce(t.name, n.name) AS name"
    " FROM names n LEFT JOIN names t ON t.id = n.same_as"
)

_UUID = "||'-'||".join(
    f"substr(lower(hex(r.request_id)), {start}, {length})"
    for start, length in ((3, 8), (11, 4), (15, 4), (19, 4), (23, 12))
)
REQUEST_ID = (
    "CASE WHEN r.request_id IS NULL THEN printf('%016x', r.id)"
    " WHEN typeof(r.request_id) = 'text' THEN r.request_id"
    f" WHEN length(r.request_id) = 17 THEN {_UUID}"
    " ELSE lower(hex(r.request_id)) END"
)
_IPV6 = "||':'||".join(f"substr(lower(hex(r.client)), {start}, 4)" for start in range(1, 33, 4))
_CLIENT = (
    "CASE typeof(r.client) WHEN 'integer' THEN printf('%d.%d.%d.%d',"
    " r.client >> 24, r.client >> 16 & 255, r.client >> 8 & 255, r.client & 255)"
    f" WHEN 'blob' THEN {_IPV6} ELSE coalesce(r.client, '') END"
)


def _log_sql() -> str:
    named = {column: (field, column) for field, column, _ in NAMED}
    parts: list[str] = []
    for column in COLUMNS:
        if column in named:
            field, _ = named[column]
            label = f"SELECT l.name FROM labels l WHERE l.id = r.{column}"
            parts.append(f"coalesce(({label}), '') AS \"{field}\"")
        elif column == "request_id":
            parts.append(f"{REQUEST_ID} AS request_id")
        elif column == "client":
            parts.append(f"{_CLIENT} AS client")
        elif column == "time_ms":
            parts.append("r.time_ms")
            moment = "'%Y-%m-%dT%H:%M:%fZ', r.time_ms / 1000.0, 'unixepoch'"
            parts.append(f"strftime({moment}) AS time")
        else:
            parts.append(f'r."{column}"')
    return f"SELECT {', '.join(parts)} FROM records r"


def pragma(db: Database, name: str) -> int:
    """A PRAGMA's integer."""
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def version_of(db: Database, path: str) -> int:
    """The version of our schema in a database, 0 where it is empty.

    Raises `StoreError` where the schema is somebody else's or newer than this program.
    """
    if pragma(db, "application_id") != APPLICATION_ID:
        tables = db.table_names()
        if not tables:
            return 0
        shown = ", ".join(sorted(tables)[:5])
        raise StoreError(
            f"{path}: this is another program's database (tables {shown}), and it was left as it"
            " is. If it is the original One API's, `oneapi import` reads it; for the ledger name"
            " a file that does not exist yet (state.path)"
        )
    version = pragma(db, "user_version")
    if version > VERSION:
        raise StoreError(
            f"{path}: its schema is version {version}, this program knows {VERSION}: run the newer"
            " program that wrote it, or restore the copy that it made before (`….v*-backup`)"
        )
    return version
