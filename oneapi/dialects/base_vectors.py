"""Vectors on the wire: lists of numbers, or base64 of little-endian 32-bit floats."""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from struct import pack, unpack
from typing import Final

from oneapi.wire.json import JSON

_LARGEST: Final = 3.4028234663852886e38
_ABSURD: Final = 1e6
"""No model's vectors have numbers as large. Bytes that are 8-bit integers, read as floats, do."""


def to_base64(vector: list[float]) -> str:
    """The vector as OpenAI's clients decode it; numbers beyond 32 bits become the largest."""
    cut = [max(-_LARGEST, min(_LARGEST, number)) for number in vector]
    return b64encode(pack(f"<{len(cut)}f", *cut)).decode()


def from_base64(text: str) -> list[float]:
    """The vector that the text holds. Raises ValueError for what is none.

    Some providers send 8-bit integers as their base64 and do not say so: bytes that are no floats
    of any model are taken for those.
    """
    raw = b64decode(text, validate=True)
    if len(raw) % 4 == 0:
        floats = unpack(f"<{len(raw) // 4}f", raw)
        if all(math.isfinite(number) and abs(number) < _ABSURD for number in floats):
            return list(floats)
    return [float(number) for number in unpack(f"{len(raw)}b", raw)]


def vector_of(value: JSON) -> list[float] | None:
    """The vector in either form, None for what is none."""
    if isinstance(value, str):
        try:
            return from_base64(value)
        except ValueError:
            return None
    if isinstance(value, list) and set(map(type, value)) <= {int, float}:
        return value
    return None


def vectors_of(values: JSON) -> list[list[float]] | None:
    """A list of vectors, None where one of them is none."""
    if not isinstance(values, list):
        return None
    found = [vector for value in values if (vector := vector_of(value)) is not None]
    return found if len(found) == len(values) else None
