"""Bodies: bounded, inflated under the same bound, in one piece or in several."""

from __future__ import annotations

import gzip
import zlib

import pytest

from oneapi.errors import ApiError
from oneapi.web.body import _inflate

LIMIT = 1000


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_gzip_body_up_to_the_limit_is_inflated(size: int) -> None:
    assert _inflate(gzip.compress(b"x" * size), LIMIT) == b"x" * size


def test_several_members_are_one_body() -> None:
    assert _inflate(gzip.compress(b"one ") + gzip.compress(b"two"), LIMIT) == b"one two"


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(b"x" * (LIMIT + 1)),
        gzip.compress(b"x" * LIMIT) + gzip.compress(b"x"),
        gzip.compress(b"\0" * 50_000_000, 9),
    ],
    ids=["by one", "by a second member", "a bomb"],
)
def test_what_inflates_past_the_limit_is_too_large(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        _inflate(raw, LIMIT)
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(b"hello")[:-1],
        gzip.compress(b"hello")[:-8] + b"\0" * 8,
        gzip.compress(b"hello") + b"trailing",
        zlib.compress(b"hello"),
        b"{}",
    ],
    ids=["empty", "two bytes", "cut", "wrong sum", "trailing", "zlib", "plain"],
)
def test_what_is_no_gzip_is_refused(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        _inflate(raw, LIMIT)
    assert (caught.value.status, caught.value.code) == (400, "invalid_gzip")
