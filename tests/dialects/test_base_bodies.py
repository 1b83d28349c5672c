"""JSON made of parts that came from elsewhere, and options for some models."""

from __future__ import annotations

import pytest

from oneapi.dialects.base_bodies import applies, body_of, encode_text
from oneapi.errors import ApiError
from oneapi.wire.json import JSON


def test_a_body_is_compact_json() -> None:
    assert body_of({"a": ["ü"]}) == '{"a":["ü"]}'.encode()


def test_half_a_letter_in_a_body_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        body_of({"a": "\ud83d"})
    assert raised.value.status == 400


def test_half_a_letter_in_an_answer_is_replaced() -> None:
    assert encode_text(["\ud83d"]) == '["?"]'


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (True, True),
        (False, False),
        (None, False),
        ("m-*", False),
        (["x", "m-*"], True),
        ([1], False),
    ],
)
def test_an_option_is_on_for_all_or_for_patterns(option: JSON, expected: bool) -> None:
    assert applies(option, "m-1") is expected
