"""The whole dialect over recordings: what it parses it renders again, and its clients accept it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.base import ChatFace, ChatProvider, ClientDialect, Hints
from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.ollama import CHAT_PROVIDER, FACES, NAME, error_status
from oneapi.dialects.ollama_shapes import usage_of
from oneapi.errors import ApiError
from oneapi.ir import ChatResponse, Failed, Reasoning, Text, ToolCall
from oneapi.wire.json import JSON, encode
from tests.dialects.ollama_recorded import STAMP, Exchange, cases, chats, parsed

HINTS = Hints()


def lines_of(text: str | bytes) -> list[JSON]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def rendered(exchange: Exchange, size: int) -> bytes:
    """The recorded stream through parser and renderer, in chunks of so many bytes."""
    chat = parsed(exchange.request, exchange.operation)
    parser = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
    renderer = FACES[exchange.operation].stream_renderer(chat, STAMP)
    raw = exchange.lines.encode()
    out = [renderer.render(parser.feed(raw[i : i + size])) for i in range(0, len(raw), size)]
    return b"".join((*out, renderer.render(parser.close()), renderer.close()))


def whole(exchange: Exchange) -> ChatResponse:
    if exchange.lines:
        parser = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
        return gather([*parser.feed(exchange.lines.encode()), *parser.close()], NAME)
    return CHAT_PROVIDER.parse_response(encode(exchange.body), HINTS, STAMP)


def foreign(reply: ChatResponse) -> ChatResponse:
    """The same answer as another dialect's parser would tell it."""
    choices = [replace(c, native_stop="end_turn", extra={}) for c in reply.choices]
    for choice in choices:
        choice.parts = [
            ToolCall(p.id, p.name, p.arguments) if isinstance(p, ToolCall) else p
            for p in choice.parts
        ]
    return replace(reply, source="another", raw_usage={"a": 1}, extra={"b": 2}, choices=choices)


def test_the_module_is_a_dialect() -> None:
    from oneapi.dialects import ollama

    dialect: ClientDialect = ollama
    provider: ChatProvider = CHAT_PROVIDER
    faces: list[ChatFace] = list(FACES.values())
    assert dialect.NAME == provider.NAME == faces[0].NAME == "ollama"


@pytest.mark.parametrize("exchange", cases([*chats(stream=False), *chats(stream=True)]))
def test_a_recorded_request_is_rendered_as_it_was(exchange: Exchange) -> None:
    chat = parsed(exchange.request, exchange.operation)
    assert FACES[exchange.operation].render_request(chat) == exchange.request


@pytest.mark.parametrize("exchange", cases([*chats(stream=False), *chats(stream=True)]))
def test_a_recorded_request_goes_to_its_own_operation_unchanged(exchange: Exchange) -> None:
    chat = parsed(exchange.request, exchange.operation)
    outgoing = CHAT_PROVIDER.render_request(chat, chat.model, HINTS)
    assert json.loads(outgoing.body) == exchange.request
    assert (outgoing.operation, list(outgoing.dropped)) == (exchange.operation, [])


@pytest.mark.parametrize("exchange", cases(chats(stream=False)))
def test_a_recorded_answer_is_rendered_as_it_was(exchange: Exchange) -> None:
    chat = parsed(exchange.request, exchange.operation)
    body = FACES[exchange.operation].render_response(whole(exchange), chat, STAMP)
    assert json.loads(body) == exchange.body


@pytest.mark.parametrize("size", [3, 1000, 10**9])
@pytest.mark.parametrize("exchange", cases(chats(stream=True)))
def test_a_recorded_stream_is_rendered_as_it_was(exchange: Exchange, size: int) -> None:
    assert lines_of(rendered(exchange, size)) == lines_of(exchange.lines)


@pytest.mark.parametrize("exchange", cases(chats(stream=True)))
def test_a_recorded_stream_cut_at_every_byte_is_the_same_events(exchange: Exchange) -> None:
    raw = exchange.lines.encode()
    raw = raw[: raw.find(b"\n", 3000) + 1] + raw[raw.rfind(b"\n", 0, -1) + 1 :]
    cut = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
    events = [event for i in range(len(raw)) for event in cut.feed(raw[i : i + 1])] + cut.close()
    straight = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
    assert events == straight.feed(raw) + straight.close()
    assert cut.done


@pytest.mark.parametrize("exchange", cases(chats(stream=True)))
def test_a_stream_with_a_renamed_model_names_it_in_every_line(exchange: Exchange) -> None:
    chat = parsed(exchange.request, exchange.operation)
    parser = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
    renderer = FACES[exchange.operation].stream_renderer(chat, replace(STAMP, model="asked"))
    out = renderer.render(parser.feed(exchange.lines.encode())) + renderer.close()
    assert {line["model"] for line in lines_of(out)} == {"asked"}


@pytest.mark.parametrize("exchange", cases([*chats(stream=False), *chats(stream=True)]))
def test_the_vendors_models_accept_a_foreign_answer(exchange: Exchange) -> None:
    ollama = pytest.importorskip("ollama")
    reply = foreign(whole(exchange))
    chat = parsed(exchange.request, exchange.operation)
    found = json.loads(FACES[exchange.operation].render_response(reply, chat, STAMP))
    said = "".join(p.text for p in reply.choices[0].parts if isinstance(p, Text))
    if exchange.operation.endswith("generate"):
        read = ollama.GenerateResponse.model_validate(found)
        assert read.response == said
    else:
        read = ollama.ChatResponse.model_validate(found)
        assert read.message.content == said
        called = [p for p in reply.choices[0].parts if isinstance(p, ToolCall)]
        assert [
            (call.function.name, call.function.arguments) for call in read.message.tool_calls or ()
        ] == [(call.name, json.loads(call.arguments)) for call in called]
    usage = usage_of({"prompt_eval_count": read.prompt_eval_count, "eval_count": read.eval_count})
    assert usage == reply.usage
    assert read.done is True
    assert read.done_reason == ("length" if reply.choices[0].stop == "length" else "stop")


@pytest.mark.parametrize("exchange", cases([*chats(stream=False), *chats(stream=True)]))
def test_the_vendors_models_accept_a_foreign_stream(exchange: Exchange) -> None:
    ollama = pytest.importorskip("ollama")
    reply = foreign(whole(exchange))
    chat = parsed(exchange.request, exchange.operation)
    renderer = FACES[exchange.operation].stream_renderer(chat, STAMP)
    found = lines_of(renderer.render(replay(reply)) + renderer.close())
    generates = exchange.operation.endswith("generate")
    model = ollama.GenerateResponse if generates else ollama.ChatResponse
    read = [model.model_validate(line) for line in found]
    said = "".join((line.response if generates else line.message.content) or "" for line in read)
    thought = "".join((line if generates else line.message).thinking or "" for line in read)
    parts = reply.choices[0].parts
    assert said == "".join(p.text for p in parts if isinstance(p, Text))
    assert thought == "".join(p.text for p in parts if isinstance(p, Reasoning))
    assert [line.done for line in read] == [False] * (len(read) - 1) + [True]
    assert read[-1].eval_count == (reply.usage.output_tokens if reply.usage else None)


def test_an_error_is_a_text_and_keeps_its_status() -> None:
    from oneapi.dialects import ollama

    error = ApiError(404, "model 'x' not found", code="model_not_found")
    assert ollama.render_error(error) == b'{"error":"model \'x\' not found"}'
    assert ollama.render_error(error, "r1").endswith(b'not found (request id: r1)"}')
    assert ollama.stream_error(error) == b'{"error":"model \'x\' not found"}\n'
    assert error_status(error) == 404


def test_a_providers_refusal_is_read() -> None:
    found = CHAT_PROVIDER.parse_error(404, [], b'{"error":"model \'x\' not found"}')
    assert found == ("model 'x' not found", "", "")


def test_an_error_line_in_mid_stream_ends_both_sides() -> None:
    parser = CHAT_PROVIDER.stream_parser(HINTS, STAMP)
    chat = parsed({"model": "m", "messages": []})
    renderer = FACES["ollama.chat"].stream_renderer(chat, STAMP)
    first = b'{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}\n'
    events = parser.feed(first + b'{"error":"an error was encountered"}\n' + first)
    assert isinstance(events[-1], Failed)
    out = lines_of(renderer.render(events) + renderer.close())
    assert [line.get("error") for line in out] == [None, "an error was encountered"]
