"""Where lines end, whatever the chunks."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.wire.lines import LineBlocks

STREAM = '{"a":"ö"}\n{"b":2}\r\n\n{"c":3}'.encode()


def fed(*chunks: bytes) -> tuple[list[bytes], bytes]:
    blocks = LineBlocks()
    return [blocks.feed(chunk) for chunk in chunks], blocks.close()


def test_whole_lines_are_served_and_the_last_one_is_held() -> None:
    assert fed(STREAM) == ([STREAM[:-7]], b'{"c":3}')


def test_a_line_is_served_when_its_end_comes() -> None:
    assert fed(b'{"a"', b":1}", b"\n{") == ([b"", b"", b'{"a":1}\n'], b"{")


def test_a_block_ends_with_a_line_wherever_the_stream_is_cut() -> None:
    for i in range(len(STREAM) + 1):
        served, rest = fed(STREAM[:i], STREAM[i:])
        assert all(block.endswith(b"\n") for block in served if block)
        assert (b"".join(served), rest) == (STREAM[:-7], b'{"c":3}')


def test_a_closed_stream_has_nothing_left() -> None:
    blocks = LineBlocks()
    blocks.feed(b"rest")
    assert (blocks.close(), blocks.close()) == (b"rest", b"")


def test_a_line_past_the_limit_is_refused() -> None:
    blocks = LineBlocks(limit=10)
    blocks.feed(b"x" * 10)
    with pytest.raises(ValueError, match="more than 10 bytes"):
        blocks.feed(b"x")


def test_a_long_line_in_small_chunks_costs_linear_time() -> None:
    def cost(count: int) -> float:
        began = perf_counter()
        fed(*([b"x" * 16] * count), b"\n")
        return perf_counter() - began

    assert cost(80_000) < 40 * min(cost(10_000) for _ in range(3))


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"bc", b""])))
def test_what_comes_out_is_what_went_in(chunks: list[bytes]) -> None:
    served, rest = fed(*chunks)
    assert b"".join(served) + rest == b"".join(chunks)
    assert b"\n" not in rest
