"""Our errors are OpenAI's; theirs are understood in every shape; no key leaks through either."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.openai import (
    error_status,
    model_entry,
    models_list,
    parse_error,
    render_error,
    scrub,
    stream_error,
)
from oneapi.errors import ApiError
from oneapi.wire.json import JSON
from tests.dialects.recorded import Exchange, cases, recorded

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz012345"
ORGANISATION = b"org-AbCdEfGh12345678IjKlMnOp"


def test_an_error_is_openais_object_with_the_request_id() -> None:
    error = ApiError(404, "no such model", code="model_not_found", param="model")
    assert json.loads(render_error(error, "r-1")) == {
        "error": {
            "message": "no such model (request id: r-1)",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


def test_an_error_inside_a_stream_is_an_event() -> None:
    event = stream_error(ApiError(502, "lost", code="upstream_broke"))
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["message"] == "lost"


@pytest.mark.parametrize(
    ("body", "understood"),
    [
        ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, ("m", "c", "t")),
        ({"error": {"code": "401", "message": "m"}}, ("m", "401", "")),
        ({"type": "error", "error": {"type": "t", "message": "m"}}, ("m", "", "t")),
        (
            {"error": {"code": 429, "message": "m", "status": "EXHAUSTED"}},
            ("m", "429", "EXHAUSTED"),
        ),
        ([{"error": {"code": 429, "message": "m"}}], ("m", "429", "")),
        ({"code": "InvalidApiKey", "message": "m", "request_id": "r"}, ("m", "InvalidApiKey", "")),
        ({"message": "m"}, ("m", "", "")),
        ({"detail": "m"}, ("m", "", "")),
        ({"detail": [{"type": "missing", "msg": "m"}]}, ("m", "", "missing")),
        ({"object": "error", "message": "m", "type": "t", "code": "1500"}, ("m", "1500", "t")),
        ({"code": "invalid-argument", "error": "m"}, ("m", "invalid-argument", "")),
        ({"error": "m"}, ("m", "", "")),
        ({"Response": {"Error": {"Code": "c", "Message": "m"}}}, ("m", "c", "")),
        ({"error_code": 110, "error_msg": "m"}, ("m", "110", "")),
        ({"base_resp": {"status_code": 1008, "status_msg": "m"}}, ("m", "1008", "")),
        ({"code": 4000, "msg": "m"}, ("m", "4000", "")),
        ({"header": {"code": 11200, "message": "m"}}, ("m", "11200", "")),
        ({"success": False, "errors": [{"code": 10000, "message": "m"}]}, ("m", "10000", "")),
        ("m", ("m", "", "")),
    ],
)
def test_every_known_shape_is_understood(body: JSON, understood: tuple[str, str, str]) -> None:
    assert parse_error(400, (), json.dumps(body).encode()) == understood


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b"[]", b"null", b"3"])
def test_a_body_without_words_gives_the_status(body: bytes) -> None:
    assert parse_error(503, (), body) == ("the provider answered 503", "", "")


def test_plain_text_is_the_message_and_a_header_may_name_the_kind() -> None:
    assert parse_error(503, (), b"too busy\n") == ("too busy", "", "")
    headers = [(b"x-amzn-errortype", b"ThrottlingException:http://x")]
    assert parse_error(429, headers, b'{"message":"m"}') == ("m", "", "ThrottlingException")


@pytest.mark.parametrize("exchange", cases(recorded(stream=False, ok=False)))
def test_recorded_errors_are_understood_and_left_alone(exchange: Exchange) -> None:
    message, code, kind = parse_error(exchange.status, (), exchange.raw)
    assert not message.startswith("the provider answered")
    body = exchange.body
    told = body.get("error", body) if isinstance(body, dict) else {}
    if isinstance(told, dict):
        assert code == str(told.get("code") or "")
        assert kind in (told.get("type"), "") or isinstance(body.get("detail"), list)
    assert scrub(exchange.raw, [KEY]) == exchange.raw


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (KEY.encode(), b"***"),
        (b"Bearer " + KEY.encode() + b".", b"Bearer ***."),
        (b"sk-proj-*****************2345", b"***"),
        (b"sk-proj-***", b"***"),
        (b"sk-pr...2345, retry", b"***, retry"),
        ("sk-pr…2345".encode(), b"***"),
        (b"sk-pr\\u20262345", b"***"),
        (b"****2345", b"***"),
        (b"key:sk-proj-ab**45", b"key:***"),
        (ORGANISATION, b"org-***"),
        (b"in organization org_01hzxkq3e8f1r7b2v6m9t4n5pq on", b"in organization org-*** on"),
    ],
)
def test_keys_their_echoes_and_organisations_are_removed(said: bytes, left: bytes) -> None:
    before, after = b'{"error":{"message":"Incorrect API key: ', b'","n":1.0E+2}}'
    body = before.replace(b"API key: ", b"API key ") + said + after
    assert scrub(body, [KEY]) == before.replace(b"API key: ", b"API key ") + left + after


@pytest.mark.parametrize(
    "text",
    [
        b"test_ope*******_key",
        b"a ** b and c ... d",
        b"2**10",
        b"wait... then retry",
        b"org-chart and org_id",
        b"sk-other-***9999",
        b"",
    ],
)
def test_other_texts_keep_every_byte(text: bytes) -> None:
    assert scrub(text, [KEY]) == text


def test_a_short_word_is_no_key() -> None:
    assert scrub(b"none of this", ["none", ""]) == b"none of this"


@given(st.binary(), st.text(max_size=20))
def test_arbitrary_bytes_raise_nothing(body: bytes, secret: str) -> None:
    message, code, kind = parse_error(500, (), body)
    assert isinstance(message + code + kind, str)
    assert isinstance(scrub(body, [secret.replace("\ud800", "")]), bytes)


def test_the_models_list_has_the_originals_members() -> None:
    listed = json.loads(models_list([("a", "openai"), ("b", "custom")]))
    assert (listed["object"], [m["id"] for m in listed["data"]]) == ("list", ["a", "b"])
    one = json.loads(model_entry("a", "openai"))
    assert one == listed["data"][0]
    assert (one["created"], one["owned_by"], one["root"], one["parent"]) == (
        1626777600,
        "openai",
        "a",
        None,
    )
    permission = one["permission"][0]
    assert (permission["object"], permission["organization"]) == ("model_permission", "*")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", "server_error"),
        ("not_found_error", "invalid_request_error"),
        ("RESOURCE_EXHAUSTED", "rate_limit_error"),
        ("ValidationException", "invalid_request_error"),
        ("upstream_error", "upstream_error"),
        ("insufficient_quota", "insufficient_quota"),
    ],
)
def test_kinds_of_other_dialects_are_told_in_this_ones_words(kind: str, expected: str) -> None:
    body = render_error(ApiError(400, "no", code="c", kind=kind))
    assert json.loads(body)["error"]["type"] == expected


@pytest.mark.parametrize(("status", "expected"), [(529, 503), (429, 429), (404, 404), (502, 502)])
def test_a_status_that_only_another_dialect_knows_is_translated(status: int, expected: int) -> None:
    assert error_status(ApiError(status, "no", code="c")) == expected


def test_a_key_is_removed_as_json_writes_it() -> None:
    key = 'ab/cd"ef+0123456789'
    for written in (key, 'ab/cd\\"ef+0123456789', 'ab\\/cd\\"ef+0123456789'):
        assert scrub(f'{{"message":"no {written}!"}}'.encode(), [key]) == b'{"message":"no ***!"}'
