"""A record as a row of the `records` table, as small as it goes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from operator import attrgetter

from oneapi.ir import USAGE_BUCKETS, Usage
from oneapi.ledger.record import Record
from oneapi.ledger.schema import COLUMNS

Value = int | str | bytes | None
Row = tuple[Value, ...]
NameId = Callable[[str, str], int | None]
"""Kind and name to the name's id; None for the empty name."""

INSERT = f"INSERT INTO records ({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"

_HEX = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INT64 = 2**63 - 1
_buckets: Callable[[Usage], tuple[int, ...]] = attrgetter(*USAGE_BUCKETS)


def row(record: Record, name_id: NameId, price_id: int | None) -> Row:
    """The values of `COLUMNS` in their order. `price_id` is the id of the record's price."""
    return (
        record.id,
        record.time_ms,
        name_id("user", record.user),
        name_id("token", record.token),
        name_id("group", record.group),
        name_id("policy", record.policy),
        name_id("revision", record.revision),
        name_id("endpoint", record.endpoint),
        name_id("dialect", record.dialect_in),
        name_id("dialect", record.dialect_out),
        name_id("model", record.model),
        name_id("channel", record.channel),
        name_id("model", record.served_model),
        name_id("error", record.error_code),
        name_id("source", record.usage_source),
        price_id,
        name_id("settlement", record.settlement),
        *_buckets(record.usage),
        record.status,
        record.upstream_status,
        int(record.stream),
        record.cost_nanousd,
        record.ttft_ms,
        record.total_ms,
        record.attempts,
        pack_request_id(record.request_id, record.id),
        pack_client(record.client),
    )


def pack_request_id(request_id: str, record_id: int) -> Value:
    """Nothing for our own id in hexadecimal, half of the text for other hexadecimal and UUIDs.

    A UUID has a leading byte that tells it from 32 digits without dashes.
    """
    if request_id == f"{record_id:016x}":
        return None
    if _HEX.fullmatch(request_id):
        return bytes.fromhex(request_id)
    if _UUID.fullmatch(request_id):
        return b"\x01" + bytes.fromhex(request_id.replace("-", ""))
    return storable(request_id)


def pack_client(client: str) -> Value:
    """An address as a number (IPv4) or 16 bytes (IPv6); other words as they are."""
    if not client:
        return None
    # In C: `ipaddress` would take a third of the whole row's time.
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    try:
        packed = socket.inet_pton(family, client)
    except (OSError, ValueError):
        return storable(client)
    return packed if family == socket.AF_INET6 else int.from_bytes(packed, "big")


def storable(text: str) -> str:
    """A text without what SQLite cannot hold or show: half surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def clamped(values: Row) -> Row:
    """The same row with numbers that fit SQLite's 64 bits: absurd ones must not lose a record."""
    return tuple(
        max(-_INT64, min(_INT64, value)) if isinstance(value, int) else value for value in values
    )
