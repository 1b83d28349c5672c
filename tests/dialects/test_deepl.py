"""DeepL answers chats: what is translated, into what, and what its recorded answers say."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.base import Hints, Outgoing, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.deepl import CHAT_PROVIDER, LIMIT, NAME, PARAMETERS, TRANSLATE
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Failed,
    Media,
    Message,
    OutputFormat,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.native_recorded import (
    CUTS,
    Recorded,
    asks,
    cases,
    recorded,
    run,
    said,
    user,
    well_formed,
)

STAMP = Stamp("0123456789abcdef", model="deepl-zh")
ALL = recorded("deepl")
CHATS = [record for record in ALL if record.api == "translate" and record.method == "POST"]
NOT_CHAT = {
    "usage": "how many characters are left: no request to a model",
    "write": "rephrasing: an endpoint of its own, no translation",
    "languages": "a list of languages",
    "glossaries": "management of glossaries",
    "style_rules": "management of rules of style",
    "translation_memories": "management of translation memories",
    "documents": "files, with polls",
}


def render(chat: ChatRequest, model: str = "deepl-zh", **options: JSON) -> Outgoing:
    before = copy.deepcopy(chat)
    out = CHAT_PROVIDER.render_request(chat, model, Hints(options=options))
    assert chat == before, "a renderer never changes a request"
    return out


def body(chat: ChatRequest, model: str = "deepl-zh", **options: JSON) -> Any:
    return json.loads(render(chat, model, **options).body)


def parse(body: bytes) -> ChatResponse:
    return CHAT_PROVIDER.parse_response(body, Hints(), STAMP)


def parameters(record: Recorded) -> dict[str, Any]:
    """What a recorded request asks for: JSON, or a form with more in the query."""
    if isinstance(record.request, dict):
        return record.request
    found = parse_qs(record.request or "") | parse_qs(record.url.partition("?")[2])
    return {name: values if name == "text" else values[0] for name, values in found.items()}


@pytest.mark.parametrize("record", cases(r for r in CHATS if r.status == 200))
def test_a_recorded_answer_is_read(record: Recorded) -> None:
    reply = parse(record.raw)
    translations = record.body["translations"]
    text = "".join(item["text"] for item in translations)
    billed = sum(item.get("billed_characters", len(item["text"])) for item in translations)
    assert said(reply) == (text, "", [], "stop")
    assert reply.usage == Usage(characters=billed)
    found = translations[0]["detected_source_language"]
    assert reply.choices[0].extra["detected_source_language"] == found


@pytest.mark.parametrize("record", cases(r for r in CHATS if r.status == 200))
def test_a_recorded_request_can_be_asked_for_as_a_chat(record: Recorded) -> None:
    asked = parameters(record)
    if len(asked.get("text", ())) != 1:
        pytest.skip("a chat has one text")
    rest = {k: v for k, v in asked.items() if k in PARAMETERS}
    chat = asks(user(asked["text"][0]), extra=dict(rest))
    out = render(chat)
    assert json.loads(out.body) == {
        "text": asked["text"],
        "show_billed_characters": True,
        **rest,
        "target_lang": asked["target_lang"].upper(),
    }
    assert (out.operation, out.dropped) == (TRANSLATE, [])


@pytest.mark.parametrize("record", cases(r for r in ALL if r.status >= 400))
def test_a_recorded_refusal_is_read(record: Recorded) -> None:
    message, _, _ = CHAT_PROVIDER.parse_error(record.status, (), record.raw)
    given = record.body.get("message") if isinstance(record.body, dict) else None
    assert message.startswith(given or f"the provider answered {record.status}")


@pytest.mark.parametrize("record", cases(ALL))
def test_what_is_no_chat_has_a_reason(record: Recorded) -> None:
    assert record in CHATS or record.api in NOT_CHAT


def test_the_last_words_of_the_user_are_the_text() -> None:
    chat = asks(user("first"), Message("assistant", [Text("erste")]), user("second"))
    out = render(chat)
    assert json.loads(out.body)["text"] == ["second"]
    assert out.dropped == ["messages[0]", "messages[1]"]
    assert not out.streams


def test_a_stream_is_not_asked_for() -> None:
    assert not render(asks(user("x"), stream=True)).streams


@pytest.mark.parametrize(
    ("model", "extra", "options", "expected"),
    [
        ("deepl-zh", {}, {}, "ZH"),
        ("deepl-en-us", {}, {}, "EN-US"),
        ("DeepL-zh-hans", {}, {}, "ZH-HANS"),
        ("ja", {}, {}, "JA"),
        ("deepl", {}, {"target_lang": "DE"}, "DE"),
        ("deepl-zh", {}, {"target_lang": "DE"}, "ZH"),
        ("deepl-zh", {"target_lang": "fr"}, {"target_lang": "DE"}, "FR"),
    ],
)
def test_the_language_is_the_requests_then_the_models_then_the_channels(
    model: str, extra: dict[str, JSON], options: dict[str, JSON], expected: str
) -> None:
    assert body(asks(user("x"), extra=extra), model, **options)["target_lang"] == expected


def test_a_request_without_a_language_is_refused() -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(user("x")), "deepl")
    assert (raised.value.status, raised.value.param) == (400, "model")


def test_system_prompts_are_the_context() -> None:
    chat = asks(Message("system", [Text("about ships")]), user("bow"))
    assert body(chat)["context"] == "about ships"
    assert render(chat, system_prompt=False).dropped == ["messages[0]"]


def test_a_context_of_the_request_comes_first() -> None:
    chat = asks(Message("system", [Text("a")]), user("bow"), extra={"context": "b"})
    assert body(chat)["context"] == "b"
    assert render(chat).dropped == ["messages[0]"]


def test_what_is_no_parameter_of_a_translation_is_named() -> None:
    chat = asks(
        user("x"),
        temperature=0.0,
        max_output=5,
        n=2,
        stop=["."],
        thinking=Thinking(effort="low"),
        modalities=["text", "audio"],
        tools=[Tool("f")],
        extra={"logit_bias": {}, "formality": "more"},
    )
    out = render(chat)
    assert set(out.dropped) == {
        "temperature",
        "max_tokens",
        "n",
        "stop",
        "reasoning_effort",
        "modalities",
        "tools",
        "logit_bias",
    }
    assert json.loads(out.body)["formality"] == "more"


@pytest.mark.parametrize(
    ("chat", "param"),
    [
        (asks(Message("system", [Text("x")])), "messages"),
        (asks(user("")), "messages[0].content"),
        (asks(Message("user", [Text("x"), Media("image", data="AA==")])), "messages[0].content[1]"),
        (asks(Message("user", [ToolResult("c", [Text("x")])])), "messages[0].content[0]"),
        (asks(user("x"), format=OutputFormat("json")), "response_format"),
        (asks(user("x"), tool_choice=ToolChoice("required")), "tool_choice"),
    ],
)
def test_what_a_translation_cannot_give_is_refused(chat: ChatRequest, param: str) -> None:
    with pytest.raises(ApiError) as raised:
        render(chat)
    assert (raised.value.status, raised.value.param) == (400, param)


def test_a_text_that_is_too_long_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ApiError) as raised:
        render(asks(user("x" * LIMIT)))
    assert raised.value.status == 413


def test_characters_that_are_billed_are_counted() -> None:
    reply = parse(b'{"translations":[{"text":"a","billed_characters":42,"model_type_used":"q"}]}')
    assert reply.usage == Usage(characters=42)
    assert reply.choices[0].extra == {"model_type_used": "q"}


@pytest.mark.parametrize(
    ("status", "raw", "message", "code"),
    [
        (403, b"", "the provider answered 403", ""),
        (413, b"<html></html>", "the provider answered 413", ""),
        (456, b'{"message":"Quota exceeded"}', "Quota exceeded", "insufficient_quota"),
        (
            400,
            b'{"message":"Bad request","detail":"no such thing"}',
            "Bad request: no such thing",
            "",
        ),
        (404, b'{"message":{}}', "the provider answered 404", ""),
    ],
)
def test_refusals_of_all_kinds_are_read(status: int, raw: bytes, message: str, code: str) -> None:
    assert CHAT_PROVIDER.parse_error(status, (), raw)[:2] == (message, code)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"translations":[]}', b"<html>"])
def test_what_is_no_answer_is_a_502(raw: bytes) -> None:
    with pytest.raises(UpstreamError) as raised:
        parse(raw)
    assert raised.value.status == 502


def test_a_message_in_a_success_is_the_providers_error() -> None:
    with pytest.raises(UpstreamError) as raised:
        parse(b'{"message":"no"}')
    assert raised.value.message == "no"


@pytest.mark.parametrize("size", CUTS)
def test_a_whole_answer_can_be_told_as_a_stream(size: int) -> None:
    raw = '{"translations":[{"text":"你好"}]}'.encode()
    parser = CHAT_PROVIDER.stream_parser(Hints(), STAMP)
    events = run(parser, raw, size)
    assert well_formed(events)
    assert said(gather(events, NAME)) == ("你好", "", [], "stop")
    assert parser.done


def test_a_stream_of_something_else_fails() -> None:
    events = run(CHAT_PROVIDER.stream_parser(Hints(), STAMP), b"<html>")
    assert [type(event) for event in events] == [Failed]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["translations", "text", "message", "billed_characters"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(JSONS, st.binary(max_size=50))
def test_anything_is_an_answer_or_an_error(value: JSON, noise: bytes) -> None:
    for raw in (json.dumps(value).encode(), noise):
        try:
            reply = parse(raw)
        except UpstreamError:
            continue
        assert len(reply.choices) == 1
