"""Password lines."""

from __future__ import annotations

import base64
import unicodedata

import pytest

from oneapi.people.passwords import hash_password, is_line, verify

# RFC 7914, section 12: "pleaseletmein", "SodiumChloride", N = 2**14, r = 8, p = 1.
RFC_VECTOR = bytes.fromhex(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)


@pytest.fixture(scope="module")
def line() -> str:
    return hash_password("correct horse")


def test_the_right_password_and_no_other_opens(line: str) -> None:
    assert verify("correct horse", line)
    assert not verify("correct horsf", line)
    assert not verify("", line)


def test_a_line_can_stand_in_the_configuration(line: str) -> None:
    assert line.startswith("scrypt:14:8:5:")
    assert line.isascii()
    assert not set('$"\\ \n') & set(line)
    assert is_line(line)


def test_the_same_password_makes_another_line_each_time(line: str) -> None:
    assert hash_password("correct horse") != line


def test_how_a_letter_was_composed_does_not_matter() -> None:
    composed, apart = unicodedata.normalize("NFC", "é中"), unicodedata.normalize("NFD", "é中")
    assert composed != apart
    assert verify(apart, hash_password(composed))


def test_the_parameters_are_the_lines_own() -> None:
    salt, digest = (
        base64.urlsafe_b64encode(raw).decode().rstrip("=")
        for raw in (b"SodiumChloride", RFC_VECTOR)
    )
    assert verify("pleaseletmein", f"scrypt:14:8:1:{salt}:{digest}")
    assert not verify("pleaseletmein", f"scrypt:14:8:2:{salt}:{digest}")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "secret",
        "scrypt:",
        "scrypt:14:8:5:c2FsdHNhbHRzYWx0:",
        "scrypt:14:8:5:!:!",
        "scrypt:30:8:1:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "scrypt:20:32:1:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "scrypt:14:8:99:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "scrypt:0:8:1:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "scrypt:-1:8:1:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "scrypt:²:8:1:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
        "bcrypt:14:8:5:c2FsdHNhbHRzYWx0:c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0",
    ],
)
def test_what_is_no_line_or_too_dear_opens_nothing(line: str) -> None:
    assert not verify("x", line)
    assert not is_line(line)


def test_empty_and_endless_passwords_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        hash_password("")
    with pytest.raises(ValueError, match="longer than 1024"):
        hash_password("x" * 1025)
    assert not verify("x" * 10_000_000, line)
