"""Event streams: frames at every cut, checksums, every type of header."""

from __future__ import annotations

import struct
from time import perf_counter
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.wire.eventstream import EventStream, Frame, encode_frame

ONE = encode_frame({":event-type": "messageStart", ":message-type": "event"}, b'{"role":"a"}')
TWO = encode_frame({":event-type": "contentBlockDelta"}, '{"text":"größe"}'.encode())
NONE = encode_frame({}, b"")
STREAM = ONE + TWO + NONE + ONE


def parsed(*chunks: bytes) -> list[Frame]:
    stream = EventStream()
    frames = [frame for chunk in chunks for frame in stream.feed(chunk)]
    stream.close()
    return frames


def framed(head: bytes, payload: bytes = b"") -> bytes:
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return body + struct.pack(">I", crc32(body))


def header(kind: int, value: bytes) -> bytes:
    return b"\x01x" + bytes((kind,)) + value


def test_a_frame_has_its_headers_and_its_payload() -> None:
    assert parsed(TWO) == [Frame({":event-type": "contentBlockDelta"}, '{"text":"größe"}'.encode())]


def test_a_frame_may_be_empty() -> None:
    assert parsed(NONE) == [Frame({}, b"")]


def test_the_layout_is_the_published_one() -> None:
    # length 16, no headers, the CRC of the prelude, the CRC of the frame
    assert bytes.fromhex("00000010000000000 5c248eb7d98c8ff".replace(" ", "")) == NONE


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 12, 13, 64, 1000])
def test_the_frames_are_the_same_however_the_stream_is_cut(size: int) -> None:
    chunks = [STREAM[i : i + size] for i in range(0, len(STREAM), size)]
    assert parsed(*chunks) == parsed(STREAM)


def test_every_place_is_a_place_to_cut() -> None:
    whole = parsed(STREAM)
    assert all(parsed(STREAM[:i], STREAM[i:]) == whole for i in range(len(STREAM) + 1))


@pytest.mark.parametrize("place", range(len(ONE)))
def test_a_flipped_bit_anywhere_is_refused(place: int) -> None:
    broken = bytearray(ONE)
    broken[place] ^= 0x10
    with pytest.raises(ValueError, match=r"."):
        parsed(bytes(broken), b"")


def test_what_came_before_a_fault_is_served_first() -> None:
    stream = EventStream()
    assert len(stream.feed(ONE + TWO[:-1] + b"!")) == 1
    assert "checksum" in stream.fault
    with pytest.raises(ValueError, match="checksum"):
        stream.feed(TWO)


def test_a_stream_that_ends_inside_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="ends inside a frame"):
        parsed(ONE, TWO[:-1])


def test_a_frame_past_the_limit_is_refused_before_it_is_held() -> None:
    with pytest.raises(ValueError, match="more than 20 bytes"):
        EventStream(20).feed(ONE[:12])


def test_a_frame_shorter_than_its_headers_is_refused() -> None:
    prelude = struct.pack(">II", 20, 100)
    with pytest.raises(ValueError, match="shorter"):
        EventStream().feed(prelude + struct.pack(">I", crc32(prelude)))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (0, b"", "true"),
        (1, b"", "false"),
        (2, b"\xff", "-1"),
        (3, b"\x01\x00", "256"),
        (4, b"\xff\xff\xff\xfe", "-2"),
        (5, b"\x00\x00\x00\x01\x00\x00\x00\x00", "4294967296"),
        (6, b"\x00\x03abc", "YWJj"),
        (7, b"\x00\x03\xc3\xb6!", "ö!"),
        (8, (1732442947584).to_bytes(8), "1732442947584"),
        (9, bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
    ],
)
def test_every_type_of_header_becomes_text(kind: int, value: bytes, expected: str) -> None:
    assert parsed(framed(header(kind, value) + header(0, b""))) == [Frame({"x": "true"}, b"")]
    assert parsed(framed(header(kind, value))) == [Frame({"x": expected}, b"")]


@pytest.mark.parametrize(
    "head",
    [
        header(10, b""),
        header(4, b"\x00"),
        header(7, b"\x00\x09abc"),
        header(7, b"\x00"),
        header(7, b"\x00\x01\xff"),
        header(9, b"\x00"),
        b"\x09x",
        b"\x01x",
    ],
)
def test_malformed_headers_are_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        parsed(framed(head))


def test_small_chunks_of_a_large_frame_cost_linear_time() -> None:
    def cost(size: int) -> float:
        data = encode_frame({}, bytes(size))
        began = perf_counter()
        parsed(*(data[i : i + 16] for i in range(0, len(data), 16)))
        return perf_counter() - began

    small = min(cost(200_000) for _ in range(3))
    assert cost(1_600_000) < 40 * small


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_frames_or_a_value_error(data: bytes) -> None:
    try:
        parsed(data)
    except ValueError:
        return
    assert data == b""
