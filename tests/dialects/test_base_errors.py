"""A provider's error inside a status of success, as what a client is told."""

from __future__ import annotations

import pytest

from oneapi.dialects.base_errors import refused


@pytest.mark.parametrize(
    ("named", "status", "retryable"),
    [(0, 502, True), (400, 400, False), (401, 502, False), (429, 429, True), (500, 502, True)],
)
def test_statuses_of_the_request_stay_others_are_a_502(
    named: int, status: int, retryable: bool
) -> None:
    error = refused({"code": "x", "message": "no"}, named)
    assert (error.status, error.retryable) == (status, retryable)
    assert error.original_status == (named or 200)


def test_an_error_without_words_gets_some() -> None:
    error = refused({})
    assert (error.code, error.kind) == ("bad_upstream_answer", "upstream_error")
    assert "error" in error.message
