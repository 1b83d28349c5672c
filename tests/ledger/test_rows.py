"""Records as rows, and back through the view."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.ledger.rows import clamped, pack_client, pack_request_id, storable


def test_our_own_request_id_takes_no_room() -> None:
    assert pack_request_id(f"{77:016x}", 77) is None


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("00" * 8, bytes(8)),
        ("ab" * 16, b"\xab" * 16),
        ("AB" * 16, "AB" * 16),  # capitals would not come back
        ("abc", "abc"),
        ("", ""),
    ],
)
def test_other_request_ids_are_halved_where_they_come_back_the_same(
    text: str, packed: str | bytes
) -> None:
    assert pack_request_id(text, 1) == packed


def test_a_uuid_is_told_from_plain_hexadecimal() -> None:
    made = uuid.UUID(int=5)
    assert pack_request_id(str(made), 1) == b"\x01" + made.bytes
    assert pack_request_id(made.hex, 1) == made.bytes


@pytest.mark.parametrize(
    ("client", "packed"),
    [
        ("", None),
        ("127.0.0.1", 0x7F000001),
        ("255.255.255.255", 2**32 - 1),
        ("::1", bytes(15) + b"\x01"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("unix", "unix"),
        ("1.2.3", "1.2.3"),
        ("\0", "\ufffd"),
    ],
)
def test_addresses_are_packed(client: str, packed: int | bytes | str | None) -> None:
    assert pack_client(client) == packed


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_stored(text: str) -> None:
    kept = storable(text)
    kept.encode()
    assert "\0" not in kept
    assert len(kept) == len(text)


def test_absurd_numbers_are_clamped() -> None:
    assert clamped((2**80, -(2**80), 5, "x", None)) == (2**63 - 1, -(2**63 - 1), 5, "x", None)
