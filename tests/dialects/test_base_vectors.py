from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.base_vectors import from_base64, to_base64, vector_of, vectors_of

MODEL_LIKE = st.floats(-1e5, 1e5, width=32, allow_subnormal=False)


@given(st.lists(MODEL_LIKE, max_size=40))
def test_a_vector_comes_back_as_it_was(vector: list[float]) -> None:
    assert from_base64(to_base64(vector)) == vector


def test_the_bytes_are_what_openais_clients_read() -> None:
    assert to_base64([1.0, -2.5]) == base64.b64encode(struct.pack("<2f", 1.0, -2.5)).decode()


def test_numbers_beyond_32_bits_become_the_largest() -> None:
    assert struct.unpack("<2f", base64.b64decode(to_base64([1e300, -1e300]))) == pytest.approx(
        (3.4028235e38, -3.4028235e38)
    )


def test_bytes_that_are_no_floats_of_any_model_are_small_integers() -> None:
    numbers = [127, -1, 127, -1, 5, 6, 7, 127]
    text = base64.b64encode(struct.pack("8b", *numbers)).decode()
    assert from_base64(text) == [float(number) for number in numbers]


@pytest.mark.parametrize("value", [None, "?", {}, ["a"], [True], [[1.0]], 1])
def test_what_is_no_vector_is_none(value: object) -> None:
    assert vector_of(value) is None
    assert vectors_of([[1.0], value]) is None
