"""Recorded refusals of providers in each client dialect, as its official library raises them.

A refusal that speaks of the gateway's own account reaches clients as a 502 that does not repeat it;
every other one keeps its status, and its words are in the exception.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from oneapi.dialects import base_errors, registry
from oneapi.errors import ApiError, UpstreamError
from oneapi.gateway.failures import word
from oneapi.ir import ChatRequest, Failed
from oneapi.providers.account import classify
from oneapi.providers.catalog import load_catalog
from oneapi.providers.preset import Preset
from tests.translation.answered import hints, unwrapped
from tests.translation.canned import Canned
from tests.translation.proof import OPERATIONS, STAMP
from tests.translation.readers import READERS
from tests.translation.recordings import Exchange, exchanges, left_out

PRESETS = {"openai_responses": "openai", "openai_compat_other": "openai-compatible"}
"""Where a file of recordings is not called as the catalog calls its provider."""
SPEAKS = {"anthropic", "gemini", "cohere", "dashscope", "deepl"}
"""Providers whose refusals of what is no chat have the shape of the dialect of their own name."""
ACCOUNT = "the provider refused the gateway's own account; the operator's log says more"


def refusals() -> list[Exchange]:
    return [e for e in exchanges() if e.status >= 400]


def broken() -> list[Exchange]:
    """Streams that hold an error where their status said success."""
    found = [e for e in exchanges() if e.dialect and e.status < 300 and e.stream]
    return [e for e in found if left_out(e) == "an error inside a success"]


@cache
def _catalog() -> dict[str, Preset]:
    return dict(load_catalog())


def error_of(exchange: Exchange) -> UpstreamError:
    """As the gateway has it of the provider's answer."""
    own = exchange.provider if exchange.provider in SPEAKS else "openai-chat"
    provider = registry.chat_provider(exchange.spoken or own)
    read = provider.parse_error if provider is not None else base_errors.parse_error
    headers = [(n.lower().encode(), v.encode()) for n, v in exchange.headers]
    message, code, kind = read(exchange.status, headers, exchange.raw)
    preset = _catalog()[PRESETS.get(exchange.provider, exchange.provider)]
    if classify(exchange.status, code, preset, message).auth:
        return UpstreamError(502, ACCOUNT, code="upstream_auth", retryable=False)
    return UpstreamError(
        exchange.status,
        message,
        code=word(code) or "upstream_error",
        kind=word(kind) or "upstream_error",
        retryable=False,
    )


def told(exchange: Exchange) -> str:
    """The provider's own words, read by the shapes of recorded errors alone."""
    body: Any = exchange.body
    if isinstance(body, str):
        return "" if body.startswith("<") else body
    if isinstance(body, list):
        body = body[0]
    error = body.get("error")
    if isinstance(error, dict):
        return str(error["message"])
    detail = body.get("detail")
    if isinstance(detail, list):
        return str(detail[0]["msg"])
    return str(body.get("message") or error or detail)


def problem(exchange: Exchange, dialect: str, server: Canned) -> str:
    """What the dialect's library raises otherwise than it should, "" for nothing."""
    error = error_of(exchange)
    words = ACCOUNT if error.code == "upstream_auth" else told(exchange)
    return mismatch(error, words, dialect, server)


def mismatch(error: ApiError, words: str, dialect: str, server: Canned) -> str:
    """How the library's exception differs from the one that the error should be."""
    client = registry.client(dialect)
    server.status = status = client.error_status(error)
    server.body, server.content_type = client.render_error(error), "application/json"
    try:
        READERS[dialect](server.base, stream=False)
    except Exception as raised:  # noqa: BLE001 - the library's own tree is what is looked at
        return _compared(raised, status, words, dialect)
    finally:
        server.status = 200
    return "nothing was raised"


def _compared(raised: Exception, status: int, words: str, dialect: str) -> str:
    name, kind = type(raised).__name__, _kind(raised, dialect)
    wanted_name, wanted_kind = name_of(dialect, status), kind_of(dialect, status)
    if wanted_name is not None and name != wanted_name:
        return f"{name}, not {wanted_name} for {status}: {raised}"
    if _status(raised) != status:
        return f"status {_status(raised)}, not {status}"
    if _folded(words) not in _folded(str(raised)):
        return f"{str(raised)!r} does not say {words!r}"
    if wanted_kind is not None and kind != wanted_kind:
        return f"kind {kind!r}, not {wanted_kind!r} for {status}"
    return ""


def _folded(text: str) -> str:
    """Words alone: libraries print objects, in which quotation marks are escaped."""
    return re.sub(r"(\\+.|[^\w])+", " ", text).strip()


def _status(raised: Any) -> Any:
    code = getattr(raised, "status_code", None)
    return raised.code if code is None else code


def _kind(raised: Any, dialect: str) -> Any:
    if dialect == "anthropic":
        return raised.body["error"]["type"]
    return getattr(raised, "status", None)


_OPENAI = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
_ANTHROPIC = {
    **_OPENAI,
    402: "PaymentRequiredError",
    413: "ContentTooLargeError",
    529: "OverloadedError",
}
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Anthropic's words for statuses; other ones of the client's are invalid_request_error."""
_WORDS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
"""Google's; other ones of the client's are INVALID_ARGUMENT."""


def name_of(dialect: str, status: int) -> str | None:
    """The class that the dialect's library has for a status, None where its versions differ."""
    match dialect:
        case "gemini":
            return "ClientError" if status < 500 else "ServerError"
        case "ollama":
            return "ResponseError"
        case "anthropic":
            return _ANTHROPIC.get(status)
        case _:
            usual = "APIStatusError" if status < 500 else "InternalServerError"
            return _OPENAI.get(status, usual)


def kind_of(dialect: str, status: int) -> str | None:
    """The word beside the status, None where the format has none that is fixed."""
    if dialect == "gemini":
        return _WORDS.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    if dialect == "anthropic":
        return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return None


def stream_problem(exchange: Exchange, dialect: str, server: Canned) -> str:
    """A stream that ends with an error: what came before is delivered, then the library raises."""
    provider = registry.chat_provider(exchange.spoken)
    face = registry.face(dialect, OPERATIONS[dialect])
    assert provider is not None
    assert face is not None
    parser = provider.stream_parser(hints(exchange), STAMP)
    events = [*parser.feed(unwrapped(exchange)), *parser.close()]
    failed = [event.error for event in events if isinstance(event, Failed)]
    if len(failed) != 1:
        return f"{len(failed)} failures in the events"
    renderer = face.stream_renderer(ChatRequest("m", [], dialect, stream=True), STAMP)
    server.body = renderer.render(events)
    server.content_type = face.CONTENT_TYPE.decode()
    try:
        READERS[dialect](server.base, stream=True)
    except Exception as raised:  # noqa: BLE001 - the library's own tree is what is looked at
        words = failed[0].message
        return "" if _folded(words) in _folded(str(raised)) else f"{raised!r} is not {words!r}"
    return "nothing was raised"
