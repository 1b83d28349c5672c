"""Gemini's dialect in one place keeps the gateway's protocols; errors and lists are as Google's."""

from __future__ import annotations

import json

import pytest

from oneapi.dialects import gemini
from oneapi.dialects.base import ChatFace, ChatProvider, ClientDialect
from oneapi.errors import ApiError
from oneapi.wire.json import JSON, encode, members
from tests.dialects.gemini_recorded import REFUSED, Exchange, cases, exchanges


def test_it_keeps_the_protocols() -> None:
    dialect: ClientDialect = gemini
    faces: list[ChatFace] = [*gemini.FACES.values(), gemini.face(integers=True)]
    provider: ChatProvider = gemini.CHAT_PROVIDER
    assert {dialect.NAME, provider.NAME, *(face.NAME for face in faces)} == {"gemini"}
    assert set(gemini.FACES) < set(dialect.OPERATIONS)
    assert [face.CONTENT_TYPE for face in faces] == [
        b"text/event-stream",
        b"application/json; charset=UTF-8",
        b"text/event-stream",
    ]
    assert provider.follow_up(b"{}") is None


@pytest.mark.parametrize("exchange", cases(exchanges()))
def test_recorded_requests_pass_the_byte_lane_as_they_are(exchange: Exchange) -> None:
    counts = exchange.api == "count_tokens"
    operation = gemini.OPERATIONS["gemini.count_tokens" if counts else "generate"]
    found = members(encode(exchange.request), gemini.WATCHED)
    assert gemini.peek(operation, found, exchange.model).model == exchange.model
    assert gemini.edit_request(found, model=exchange.model, include_usage=True) is None
    if counts and exchange.status == 200:
        assert gemini.parse_answer(operation, 200, "application/json", exchange.body) == (
            None,
            None,
        )


@pytest.mark.parametrize("exchange", cases(REFUSED))
def test_recorded_refusals_are_read(exchange: Exchange) -> None:
    told = exchange.answer["error"]
    for body in (exchange.body, b"[" + exchange.body + b"]"):
        message, code, kind = gemini.CHAT_PROVIDER.parse_error(exchange.status, [], body)
        assert message == told["message"]
        assert kind == told["status"]
        assert code == ("API_KEY_INVALID" if exchange.status == 400 else str(exchange.status))


def test_a_refusal_without_json_is_told_as_it_is() -> None:
    assert gemini.parse_error(503, [], b"busy") == ("busy", "", "")


@pytest.mark.parametrize(
    ("status", "code", "told", "word", "reason"),
    [
        (401, "invalid_api_key", 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        (401, "missing_api_key", 403, "PERMISSION_DENIED", "CREDENTIALS_MISSING"),
        (404, "model_not_found", 404, "NOT_FOUND", "MODEL_NOT_FOUND"),
        (413, "too_large", 413, "INVALID_ARGUMENT", "TOO_LARGE"),
        (429, "rate_limit", 429, "RESOURCE_EXHAUSTED", "RATE_LIMIT"),
        (502, "upstream_broke", 502, "UNAVAILABLE", "UPSTREAM_BROKE"),
        (529, "overloaded_error", 529, "UNAVAILABLE", "OVERLOADED_ERROR"),
        (500, "internal_error", 500, "INTERNAL", "INTERNAL_ERROR"),
    ],
)
def test_errors_are_googles(status: int, code: str, told: int, word: str, reason: str) -> None:
    error = ApiError(status, "no", code=code, param="contents[0]", headers={"retry-after": "37"})
    found = json.loads(gemini.render_error(error, "req-1"))["error"]
    assert gemini.error_status(error) == told
    assert (found["code"], found["status"], found["message"]) == (told, word, "no")
    details = {d["@type"].rpartition(".")[2]: d for d in found["details"]}
    assert details["ErrorInfo"]["reason"] == reason
    assert details["BadRequest"]["fieldViolations"][0]["field"] == "contents[0]"
    assert details["RetryInfo"]["retryDelay"] == "37s"
    assert details["RequestInfo"]["requestId"] == "req-1"


def test_googles_library_raises_the_error() -> None:
    errors = pytest.importorskip("google.genai.errors")
    error = ApiError(401, "no such key", code="invalid_api_key")
    body = json.loads(gemini.render_error(error))
    with pytest.raises(errors.ClientError) as caught:
        errors.APIError.raise_error(gemini.error_status(error), body, None)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert "API_KEY_INVALID" in str(caught.value)


def test_errors_in_streams_keep_the_framing() -> None:
    error = ApiError(502, "broke", code="upstream_broke")
    event = gemini.stream_error(error)
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\r\n\r\n")
    assert json.loads(b'[{"a":1}' + gemini.array_error(error))[1]["error"]["code"] == 502
    assert json.loads(gemini.array_error(error, begun=False))[0]["error"]["code"] == 502


def test_models_are_listed_page_by_page() -> None:
    entries = [
        gemini.ModelEntry("a", input_limit=100, output_limit=50, thinking=True),
        gemini.ModelEntry("b", display_name="Bee", methods=("embedContent",)),
        gemini.ModelEntry("c"),
    ]
    first = json.loads(gemini.models_list(entries, page_size="2"))
    assert first["nextPageToken"] == "2"
    assert first["models"][0] == {
        "name": "models/a",
        "version": "001",
        "displayName": "a",
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "inputTokenLimit": 100,
        "outputTokenLimit": 50,
        "thinking": True,
    }
    assert first["models"][1]["supportedGenerationMethods"] == ["embedContent"]
    second = json.loads(gemini.models_list(entries, page_size="2", page_token="2"))
    assert second == {"models": [json.loads(gemini.model_entry(entries[2]))]}
    assert len(json.loads(gemini.models_list(entries))["models"]) == 3


@pytest.mark.parametrize("query", [{"page_size": "x"}, {"page_token": "-1"}])
def test_a_page_that_is_none_of_ours_is_refused(query: JSON) -> None:
    with pytest.raises(ApiError) as caught:
        gemini.models_list([], **query)
    assert caught.value.status == 400


def test_counted_tokens_are_told() -> None:
    assert gemini.count_tokens_answer(7) == b'{"totalTokens":7}'
