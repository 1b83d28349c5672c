from __future__ import annotations

from oneapi.dialects.base_edit import edit_members
from oneapi.wire.json import members

BODY = b'{"model": "a", "top_p": 1.0E+0, "store":true}'


def edit(**how: object) -> bytes | None:
    return edit_members(members(BODY), **how)  # type: ignore[arg-type]


def test_nothing_to_change_keeps_the_original() -> None:
    assert edit() is None
    assert edit(model="a", set={"store": True}, drop=["seed"]) is None


def test_other_members_keep_their_bytes_and_places() -> None:
    assert edit(model="b") == b'{"model":"b","top_p":1.0E+0,"store":true}'


def test_what_is_set_comes_after_what_is_dropped() -> None:
    assert edit(drop=["store", "top_p"], set={"store": False}) == b'{"model":"a","store":false}'


def test_what_the_dialect_adds_may_be_dropped() -> None:
    assert edit(changes={"stream_options": b"{}"}, drop=["stream_options"]) is None
    assert edit(changes={"x": b"1"}) == BODY.replace(b": ", b":").replace(b", ", b",").replace(
        b"}", b',"x":1}'
    )
