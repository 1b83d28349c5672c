"""A provider's error inside a status of success, as what a client is told."""

from __future__ import annotations

import pytest

from oneapi.dialects.base_errors import refused, retry_delay


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


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [('"37s"', "37"), ('"1.5s"', "2"), ('"7.000s"', "7"), ('"soon"', ""), ("37", ""), ("null", "")],
)
def test_a_body_that_says_when_is_understood(delay: str, seconds: str) -> None:
    info = f'{{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": {delay}}}'
    body = f'{{"error": {{"code": 429, "details": [{{"quotaId": "x"}}, {info}]}}}}'
    assert retry_delay(body.encode()) == seconds
    assert retry_delay(f"[{body}]".encode()) == seconds


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[1]", b'{"error": "x"}', b'{"error": {"details": {"a": 1}}}']
)
def test_a_body_that_does_not_say_when_says_nothing(body: bytes) -> None:
    assert retry_delay(body) == ""
