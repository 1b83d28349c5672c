from __future__ import annotations

import json

import pytest

from oneapi.dialects.anthropic import error_status, parse_error, render_error, stream_error
from oneapi.errors import ApiError
from tests.dialects.anthropic_recorded import ERRORS, Exchange, cases


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_error_has_the_type_of_its_status(status: int, kind: str) -> None:
    error = ApiError(status, "no", code="x", kind="insufficient_quota")
    assert json.loads(render_error(error, "req_1")) == {
        "type": "error",
        "error": {"type": kind, "message": "no"},
        "request_id": "req_1",
    }
    assert error_status(error) == status


def test_an_error_in_a_stream_is_an_event_of_its_own() -> None:
    event = stream_error(ApiError(529, "no", code="x"), "r")
    assert event.startswith(b'event: error\ndata: {"type":"error"')
    assert event.endswith(b"\n\n")


@pytest.mark.parametrize("exchange", cases(ERRORS))
def test_a_recorded_error_comes_back_as_it_was(exchange: Exchange) -> None:
    message, _, kind = parse_error(exchange.status, (), exchange.raw)
    error = ApiError(exchange.status, message, code="x", kind=kind)
    assert json.loads(render_error(error, exchange.body["request_id"] or "")) == exchange.body


@pytest.mark.parametrize("exchange", cases(ERRORS))
def test_the_clients_library_raises_the_right_error(exchange: Exchange) -> None:
    anthropic = pytest.importorskip("anthropic")
    kinds = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        404: anthropic.NotFoundError,
    }
    message, _, kind = parse_error(exchange.status, (), exchange.raw)
    body = render_error(ApiError(exchange.status, message, code="x", kind=kind))

    with pytest.raises(kinds[exchange.status], match=message[:20]):
        raise _raised(anthropic, exchange.status, body)


def _raised(anthropic: object, status: int, body: bytes) -> Exception:
    """What the library makes of the answer."""
    streaming = pytest.importorskip("anthropic._streaming")
    httpx = getattr(streaming, "httpx2", None) or streaming.httpx
    with anthropic.Anthropic(api_key="k") as client:  # type: ignore[attr-defined]
        request = httpx.Request("POST", "http://test.invalid/v1/messages")
        response = httpx.Response(status, content=body, request=request)
        error: Exception = client._make_status_error_from_response(response)
        return error
