"""Where events end, whatever the chunks, and what their data is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.wire.sse import EventBlocks, data_of, split

EVENTS = [
    b": ping\n\n",
    b'data: {"a":1}\n\n',
    b"event: x\r\ndata: two\r\ndata: lines\r\n\r\n",
    b"data:bare\r\r\n",
    b"\n",
    b"data: [DONE]\n\n",
]
STREAM = b"".join(EVENTS)
PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b":", b"data:y", b" "]))


def fed(stream: bytes, cuts: list[int]) -> tuple[list[bytes], bytes]:
    blocks, events, last = EventBlocks(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        block = blocks.feed(stream[last:cut])
        last = cut
        events += split(block)
    return events, blocks.close()


def test_events_keep_their_bytes_and_their_ends() -> None:
    assert fed(STREAM, []) == (EVENTS, b"")


def test_every_pair_of_cuts_gives_the_same_events() -> None:
    for first in range(len(STREAM)):
        for second in range(first, len(STREAM), 7):
            assert fed(STREAM, [first, second]) == (EVENTS, b"")


def test_an_event_that_ends_between_cr_and_lf_waits_for_the_lf() -> None:
    blocks = EventBlocks()
    assert blocks.feed(b"data: a\r\n\r") == b""
    assert blocks.feed(b"\ndata: b") == b"data: a\r\n\r\n"
    assert blocks.close() == b"data: b"


def test_an_event_that_ends_with_a_bare_cr_comes_with_the_next_byte() -> None:
    blocks = EventBlocks()
    assert blocks.feed(b"data: a\r\r") == b""
    assert blocks.feed(b"d") == b"data: a\r\r"
    assert blocks.close() == b"d"


def test_a_whole_block_is_passed_without_a_copy() -> None:
    chunk = b"data: a\n\ndata: b\n\n"
    assert EventBlocks().feed(chunk) is chunk


def test_an_empty_line_alone_passes_at_once() -> None:
    blocks = EventBlocks()
    assert [blocks.feed(b"\n"), blocks.feed(b"\n"), blocks.feed(b"\r\n")] == [b"\n", b"\n", b"\r\n"]


@given(PIECES, st.lists(st.integers(0, 60)))
def test_bytes_and_events_do_not_depend_on_the_chunks(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    events, rest = fed(stream, [min(cut, len(stream)) for cut in cuts])
    assert b"".join(events) + rest == stream
    whole, whole_rest = fed(stream, [])
    assert (events, rest) == (whole, whole_rest)


@given(st.binary())
def test_split_never_loses_a_byte(block: bytes) -> None:
    assert b"".join(split(block)) == block


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\r\n\r\n", b" x"),
        (b"event: e\ndata: a\nid: 1\ndata:b\n\n", b"a\nb"),
        (b"\xef\xbb\xbfdata: x\n\n", b"x"),
        (b"data\n\n", b""),
        (b"data: cut", b"cut"),
        (b": comment\n\n", None),
        (b"\n", None),
        (b"database: x\n\n", None),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes | None) -> None:
    assert data_of(event) == data


def test_an_event_without_an_end_is_bounded() -> None:
    blocks = EventBlocks(limit=10)
    blocks.feed(b"data: 1234")
    with pytest.raises(ValueError, match="more than 10 bytes"):
        blocks.feed(b"5")


def test_single_bytes_cost_linear_time() -> None:
    def seconds(size: int) -> float:
        blocks, chunks = EventBlocks(), [b"x"] * size
        start = time.process_time()
        for chunk in chunks:
            blocks.feed(chunk)
        return time.process_time() - start

    small = min(seconds(20_000) for _ in range(3))
    assert min(seconds(80_000) for _ in range(3)) < 12 * small
