"""Providers' refusals in each client dialect, as the official libraries raise them."""

from __future__ import annotations

import pytest

from oneapi.errors import UpstreamError
from tests.translation import refused
from tests.translation.canned import Canned
from tests.translation.cases import cases, clients
from tests.translation.recordings import Exchange

STATUSES = (
    *(400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 429),
    *(500, 501, 502, 503, 504, 520, 529),
)


@pytest.mark.parametrize("dialect", clients())
@pytest.mark.parametrize("exchange", cases(refused.refusals()))
def test_a_recorded_refusal_is_the_librarys_own_exception(
    exchange: Exchange, dialect: str, server: Canned
) -> None:
    assert not refused.problem(exchange, dialect, server)


@pytest.mark.parametrize("dialect", clients())
@pytest.mark.parametrize("exchange", cases(refused.broken()))
def test_a_recorded_stream_that_breaks_raises_what_broke_it(
    exchange: Exchange, dialect: str, server: Canned
) -> None:
    assert not refused.stream_problem(exchange, dialect, server)


@pytest.mark.parametrize("dialect", clients())
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_the_librarys_own_exception(
    status: int, dialect: str, server: Canned
) -> None:
    error = UpstreamError(status, "in words", code="a_code", retryable=False)
    assert not refused.mismatch(error, "in words", dialect, server)


@pytest.mark.parametrize("dialect", clients())
def test_another_exception_would_be_seen(dialect: str, server: Canned) -> None:
    error = UpstreamError(404, "in words", code="a_code", retryable=False)
    assert refused.mismatch(error, "in other words", dialect, server)
