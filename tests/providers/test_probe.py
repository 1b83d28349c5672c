"""The tiny request of `oneapi test`."""

from __future__ import annotations

import json

import pytest

from oneapi.net.base import CarrierError, Headers, Timeouts
from oneapi.providers.account import Account
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog
from oneapi.providers.mock import MockCarrier, MockOptions, ScriptedError
from oneapi.providers.probe import Probe, probe_call, probe_operation, read_probe

pytestmark = pytest.mark.anyio

CATALOG = load_catalog()
JSON_TYPE = ((b"content-type", b"application/json"),)


class Said:
    """A reply that was already read."""

    def __init__(self, status: int, body: bytes, headers: Headers = JSON_TYPE) -> None:
        self.status = status
        self.headers = headers
        self.closed = False
        self._body = body

    async def chunk(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise CarrierError("too_large", "too long", sent=True)
        return self._body

    async def aclose(self) -> None:
        self.closed = True


def account(name: str) -> Account:
    return bind("c", preset=CATALOG[name], base_url="https://h.test/v1")


@pytest.mark.parametrize(
    ("name", "model", "operation"),
    [
        ("openai", "gpt-5-mini", "chat"),
        ("openai", "text-embedding-3-small", "embeddings"),
        ("openai", "tts-1", "speech"),
        ("openai", "omni-moderation-latest", "moderations"),
        ("openai", "babbage-002", "completions"),
        ("siliconflow", "BAAI/bge-m3", "embeddings"),
        ("deepseek", "embed-me", "chat"),
    ],
)
async def test_a_models_name_says_what_to_ask(name: str, model: str, operation: str) -> None:
    assert probe_operation(account(name), model) == operation


async def test_a_probe_is_small() -> None:
    call = probe_call(account("groq"), "k", "m")
    assert isinstance(call.body, bytes)
    fields = json.loads(call.body)
    assert (call.target, fields["max_tokens"]) == (b"/v1/chat/completions", 16)
    assert (b"authorization", b"Bearer k") in call.headers
    assert len(call.body) < 150


async def test_a_probe_limits_its_answer_as_the_provider_wants_it() -> None:
    call = probe_call(account("openai"), "k", "gpt-5")
    assert isinstance(call.body, bytes)
    assert "max_tokens" not in json.loads(call.body)
    assert json.loads(call.body)["max_completion_tokens"] == 16


async def test_a_channel_without_operations_cannot_be_probed() -> None:
    with pytest.raises(ValueError, match="offers no operation that is cheap to try"):
        probe_call(account("any-api"), "k", "m")


@pytest.mark.parametrize("model", ["demo", "embed", "tts-1", "moderation", "davinci-002"])
async def test_the_mock_provider_passes_every_probe(model: str) -> None:
    mock = bind("c", preset=CATALOG["mock"])
    reply = await MockCarrier().send(mock.origin, probe_call(mock, "", model), Timeouts())
    assert (await read_probe(reply)).ok


async def test_a_scripted_error_is_told() -> None:
    mock = bind("c", preset=CATALOG["mock"])
    carrier = MockCarrier(MockOptions(error=ScriptedError(503, message="Out of order")))
    reply = await carrier.send(mock.origin, probe_call(mock, "", "demo"), Timeouts())
    assert await read_probe(reply) == Probe(False, 503, "Out of order")


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, b'{"error":{"message":"bad sk-secret here"}}', "bad *** here"),
        (400, b'{"code":"x","error":"a text"}', "a text"),
        (401, b'{"detail":"Invalid API Key"}', "Invalid API Key"),
        (401, b'"Invalid token"', "Invalid token"),
        (502, b"<html>\x1b[31m\n Bad   Gateway", "<html> [31m Bad Gateway"),
        (200, b'{"error":{"message":"inside"}}', "inside"),
        (200, b'{"base_resp":{"status_code":1004,"status_msg":"no"},"choices":null}', "no"),
        (200, b"<html>", "<html>"),
        (200, b"", ""),
        (403, b"", ""),
    ],
)
async def test_a_refusal_is_told_in_one_line_without_the_key(
    status: int, body: bytes, text: str
) -> None:
    said = Said(status, body)
    assert await read_probe(said, secrets=("sk-secret",)) == Probe(False, status, text)
    assert said.closed


async def test_an_answer_is_told_by_its_words() -> None:
    body = b'{"choices":[{"message":{"content":"Hi\\nthere"}}]}'
    assert await read_probe(Said(200, body)) == Probe(True, 200, "Hi there")


async def test_an_answer_that_breaks_closes_too() -> None:
    said = Said(200, b"x" * (2 << 20))
    with pytest.raises(CarrierError):
        await read_probe(said)
    assert said.closed


@pytest.mark.parametrize(
    ("name", "model", "target", "body"),
    [
        ("anthropic", "claude", b"/v1/messages", b'"max_tokens":16'),
        ("gemini", "g", b"/v1/models/g:generateContent", b'"maxOutputTokens":16'),
        ("dashscope-native", "qwen", b"/generation", b'"input":{"messages"'),
        ("replicate", "a/b", b"/v1/models/a/b/predictions", b'"input":{'),
        ("deepl", "deepl-de", b"/v2/translate", b'"text":["Say hi."]'),
        ("bedrock", "anthropic.claude-x", b"/converse", b'"inferenceConfig"'),
    ],
)
async def test_a_provider_without_openais_dialect_is_asked_in_its_own(
    name: str, model: str, target: bytes, body: bytes
) -> None:
    call = probe_call(account(name), "", model)
    assert call.target.endswith(target)
    assert isinstance(call.body, bytes)
    assert body in call.body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"type":"message","content":[{"type":"text","text":"Hi!"}]}', "Hi!"),
        (b'{"candidates":[{"content":{"parts":[{"text":"Hi!"}]}}]}', "Hi!"),
        (b'{"output":{"message":{"content":[{"text":"Hi!"}]}},"usage":{}}', "Hi!"),
        (b'{"message":{"role":"assistant","content":"Hi!"},"done":true}', "Hi!"),
        (b'{"translations":[{"text":"Sag hallo."}]}', "Sag hallo."),
        (b'{"result":{"response":"Hi!"},"success":true}', "Hi!"),
        (b'{"output":{"choices":[{"message":{"content":"Hi!"}}]}}', "Hi!"),
    ],
)
async def test_answers_of_other_dialects_are_answers(body: bytes, words: str) -> None:
    assert await read_probe(Said(200, body)) == Probe(True, 200, words)


async def test_a_prediction_that_begins_is_an_answer() -> None:
    body = b'{"id":"x","status":"processing","input":{"prompt":"Say hi."},"output":null}'
    assert (await read_probe(Said(201, body))).ok
