"""Recorded streams cut at every kind of place."""

from __future__ import annotations

import pytest

from tests.translation import cuts
from tests.translation.cases import cases
from tests.translation.recordings import Exchange


@pytest.mark.parametrize("exchange", cases(cuts.streams()))
def test_cuts_change_nothing(exchange: Exchange) -> None:
    assert not cuts.problems(exchange)


@pytest.mark.parametrize("name", cuts.PLACES)
def test_every_kind_of_place_is_found(name: str) -> None:
    raw = "data: {é}\r\n\r\ndata: [DONE]\n\n".encode()
    pieces = cuts.cut(raw, cuts.PLACES[name](raw))
    assert b"".join(pieces) == raw
    assert len(pieces) > 1


def test_a_cut_inside_a_character_parts_its_bytes() -> None:
    assert cuts.cut("aé".encode(), cuts.PLACES["inside characters"]("aé".encode())) == [
        b"a\xc3",
        b"\xa9",
    ]


def test_a_lost_byte_would_be_seen() -> None:
    found = [e for e in cuts.streams() if e.dialect == "anthropic"]
    if not found:
        pytest.skip("no recordings beside the tree")
    pieces = cuts.cut(found[0].raw, iter([1000, 1001]))
    assert cuts.events(found[0], [pieces[0], pieces[2]]) != cuts.events(found[0], pieces)
