"""openai 0.28, the library that most older programs have, in an interpreter of its own: first the
program of a user who has Ollama and the starter's file, then everything else that it can ask for.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from oneapi.config.starter import write_starter
from oneapi.people.passwords import hash_password
from tests.e2e.harness import (
    KEY,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    scripted_upstream,
    sse_reply,
    until,
)
from tests.e2e.recordings import FOLDER, Exchange, read
from tests.e2e.sdk.stage import Stage
from tests.e2e.talk import DONE, sse

JSON = Any
MODEL = "qwen:0.5b-chat-v1.5-q4_1"
VECTOR = [0.5, -0.25, 0.125]
HOST = "<host>:3000"

PROGRAM = """\
import openai
openai.api_key = "sk-xxxx"; openai.api_base = "http://<host>:3000/v1"
response = openai.ChatCompletion.create(model="qwen:0.5b-chat-v1.5-q4_1", max_tokens=100, n=1, stop=None, temperature=0.5,
    messages=[{"role": "system", "content": ""}, {"role": "user", "content": "1+1=？"}])
print(response.choices[0].message.content)
"""  # noqa: E501
"""As it stands in the task; only host and key are put in."""

HEAD = """\
import json, sys
import openai
from openai import error
openai.api_key = "sk-xxxx"; openai.api_base = "http://<host>:3000/v1"
seen = {}
def refused(name, call):
    try:
        call()
    except error.OpenAIError as e:
        seen[name] = [type(e).__name__, e.http_status, e.code, getattr(e, "param", None)]
"""
TAIL = "print(json.dumps(seen))\n"
LOCAL = """\
ask = {"model": "qwen:0.5b-chat-v1.5-q4_1", "messages": [{"role": "user", "content": "Hi"}]}
chunks = list(openai.ChatCompletion.create(stream=True, **ask))
seen["text"] = "".join(c.choices[0].delta.get("content") or "" for c in chunks)
seen["finish"] = chunks[-1].choices[0].finish_reason
seen["vector"] = openai.Embedding.create(model=ask["model"], input="x").data[0].embedding
seen["models"] = [m.id for m in openai.Model.list().data]
seen["model"] = openai.Model.retrieve(ask["model"]).id
refused("unknown", lambda: openai.ChatCompletion.create(**{**ask, "model": "nobody"}))
refused("wrong", lambda: openai.ChatCompletion.create(**{**ask, "messages": "Hi"}))
openai.api_key = "sk-" + "w" * 48
refused("key", lambda: openai.ChatCompletion.create(**ask))
"""
REMOTE = """\
import io
def upload(name):
    file = io.BytesIO(b"bytes of " + name.encode()); file.name = name
    return file
chat = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
seen["alias"] = openai.ChatCompletion.create(**{**chat, "model": "fast"}).model
seen["calls"] = openai.ChatCompletion.create(functions=[{"name": "f", "parameters": {}}], **chat
    ).choices[0].message.content
seen["completion"] = openai.Completion.create(model="gpt-4o", prompt="Hi").choices[0].text
seen["edit"] = openai.Edit.create(model="gpt-4o", instruction="Fix", input="x").choices[0].text
seen["moderation"] = openai.Moderation.create(input="x").results[0].flagged
seen["image"] = openai.Image.create(prompt="a cat", n=1, size="256x256").data[0].url
seen["edited"] = openai.Image.create_edit(image=upload("a.png"), prompt="a dog").data[0].url
seen["variation"] = openai.Image.create_variation(image=upload("a.png")).data[0].url
seen["heard"] = openai.Audio.transcribe("whisper-1", upload("a.wav")).text
seen["translated"] = openai.Audio.translate("whisper-1", upload("a.wav")).text
seen["engine"] = openai.Embedding.create(
    engine="gpt-4o", input="x", encoding_format="float").data[0].embedding
refused("files", lambda: openai.File.list())
refused("tuning", lambda: openai.FineTuningJob.list())
refused("limit", lambda: openai.ChatCompletion.create(user="limit", **chat))
refused("broken", lambda: openai.ChatCompletion.create(user="broken", **chat))
refused("stream", lambda: list(openai.ChatCompletion.create(user="cut", stream=True, **chat)))
"""


def recorded_chat(streamed: bool) -> Exchange | None:
    """A chat that Ollama answered in words, None where the recordings are absent."""
    if not FOLDER.is_dir():
        return None
    found = (e for e in read("ollama") if e.operation == "/chat/completions")
    return next((e for e in found if e.is_stream == streamed and b'"stop"' in e.body), None)


def plain_answer() -> dict[str, JSON]:
    """Ollama's answer, recorded or of the same shape, with the model's name put in."""
    exchange = recorded_chat(streamed=False)
    if exchange is not None:
        return {**json.loads(exchange.body), "model": MODEL}
    message = {"role": "assistant", "content": "1+1=2"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "system_fingerprint": "fp_ollama",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26},
    }


def streamed_answer() -> bytes:
    """A whole stream of Ollama's, recorded or of the same shape."""
    exchange = recorded_chat(streamed=True)
    if exchange is None:
        end = sse(choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}])
        usage = {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}
        return sse("It is") + sse(" 2.") + end + sse(choices=[], usage=usage) + DONE
    return exchange.body.replace(exchange.model.encode(), MODEL.encode())


def values_of(stream: bytes) -> list[JSON]:
    """The values of a stream's events."""
    lines = [line[6:] for line in stream.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def ollama(request: Received) -> Reply:
    """Ollama's side of discovery and of its OpenAI-compatible endpoints."""
    if (request.method, request.path) == ("GET", "/api/tags"):
        return json_reply({"models": [{"name": MODEL, "model": MODEL, "size": 1}]})
    if request.path == "/v1/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": VECTOR}]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return json_reply({"object": "list", "data": data, "model": MODEL, "usage": usage})
    if request.path != "/v1/chat/completions" or request.json()["model"] != MODEL:
        return json_reply({"error": {"message": "model not found", "type": "api_error"}}, 404)
    if request.json().get("stream"):
        stream = streamed_answer()
        return sse_reply(*(stream[at : at + 64] for at in range(0, len(stream), 64)))
    return json_reply(plain_answer())


@pytest.fixture(scope="module")
def ollama_upstream() -> Iterator[Upstream]:
    with scripted_upstream(ollama) as found:
        yield found


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, ollama_upstream: Upstream
) -> Iterator[Running]:
    """A gateway as its first start leaves it, with Ollama at OLLAMA_HOST; its models are known."""
    folder = tmp_path_factory.mktemp("first")
    starter = write_starter(folder, root_token=KEY, hash_password=hash_password)
    environ = {"OLLAMA_HOST": f"127.0.0.1:{ollama_upstream.port}"}
    with gateway(folder, starter.path.read_text("utf-8"), environ) as running:
        assert until(lambda: MODEL.encode() in running.get("/v1/models").body)
        yield running


def run(python: Path, program: str, running: Running, key: str = KEY) -> str:
    """What the program prints, run by the old library's interpreter in a clean environment."""
    assert (program.count(HOST), program.count("sk-xxxx")) == (1, 1)
    program = program.replace(HOST, f"127.0.0.1:{running.port}").replace("sk-xxxx", key)
    environ = {"PATH": os.environ["PATH"], "HOME": str(running.folder), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [python, "-c", program], env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fresh_records(running: Running, before: int) -> list[dict[str, JSON]]:
    return [r for r in running.records() if r["id"] > before]


def last_id(running: Running) -> int:
    return max((r["id"] for r in running.records()), default=0)


def check_local(record: Mapping[str, JSON], usage: Mapping[str, int]) -> None:
    """A record of Ollama's: what it counted, at no cost, by the rule of local channels."""
    assert (record["channel"], record["served_model"]) == ("ollama", MODEL)
    assert (record["status"], record["settlement"]) == (200, "complete")
    assert record["cost_nanousd"] == 0
    assert record["price_rule"].startswith("local@")
    assert record["usage_source"] == "upstream"
    assert record["input"] + record["cache_read"] == usage["prompt_tokens"]
    assert record["output"] + record["reasoning"] == usage["completion_tokens"]


@pytest.mark.parametrize("key", [KEY, "ollama"], ids=["key", "keyless"])
def test_the_old_program_prints_an_answer(
    openai_028: Path, started: Running, ollama_upstream: Upstream, key: str
) -> None:
    before = last_id(started)
    printed = run(openai_028, PROGRAM, started, key)
    answer = plain_answer()
    assert printed == answer["choices"][0]["message"]["content"] + "\n" != "\n"
    (record,) = fresh_records(started, before)
    check_local(record, answer["usage"])
    assert record["user"] == ("root" if key == KEY else "anonymous")
    asked = next(r for r in ollama_upstream.received[::-1] if r.method == "POST")
    assert asked.header("authorization") is None
    assert asked.json() == {
        "model": MODEL,
        "max_tokens": 100,
        "n": 1,
        "stop": None,
        "temperature": 0.5,
        "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "1+1=？"}],
    }


def test_the_old_library_streams_embeds_lists_and_raises(
    openai_028: Path, started: Running
) -> None:
    before = last_id(started)
    seen = json.loads(run(openai_028, HEAD + LOCAL + TAIL, started))
    values = values_of(streamed_answer())
    choices = [c for value in values for c in value["choices"]]
    assert seen["text"] == "".join(c["delta"].get("content") or "" for c in choices) != ""
    assert seen["finish"] == "stop"
    assert (seen["vector"], seen["model"]) == (VECTOR, MODEL)
    assert set(seen["models"]) == {MODEL, "demo"}
    assert seen["unknown"] == ["InvalidRequestError", 404, "model_not_found", "model"]
    assert seen["wrong"] == ["InvalidRequestError", 400, "invalid_type", "messages"]
    assert seen["key"][:2] == ["AuthenticationError", 401]
    stream, embedding, *others = fresh_records(started, before)
    counted = [value["usage"] for value in values if value.get("usage")]
    check_local(stream, counted[-1])
    check_local(embedding, {"prompt_tokens": 3, "completion_tokens": 0})
    assert [r["status"] for r in others] == [200, 200, 404, 400, 401]


def openai_side(request: Received) -> Reply:
    """A provider with everything that the old library can ask for."""
    path = request.path.removeprefix("/v1")
    if path == "/chat/completions":
        return _chat(request.json())
    if path in ("/completions", "/edits"):
        return json_reply({"model": "gpt-4o", "choices": [{"index": 0, "text": path}]})
    if path == "/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": VECTOR}]
        return json_reply({"object": "list", "data": data, "model": "gpt-4o"})
    if path == "/moderations":
        return json_reply({"id": "modr-1", "model": "m", "results": [{"flagged": True}]})
    if path.startswith("/images/"):
        return json_reply({"created": 1, "data": [{"url": f"https://x.example{path}"}]})
    return json_reply({"text": path})


def _chat(asks: Mapping[str, JSON]) -> Reply:
    match asks.get("user"):
        case "limit":
            return json_reply({"error": {"message": "slow down", "code": "limited"}}, 429)
        case "broken":
            return json_reply({"error": {"message": "out of order", "code": None}}, 503)
        case "cut":
            return sse_reply(sse("Once"), 0.05, cut=True)
    message = {"role": "assistant", "content": json.dumps(asks.get("functions"))}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json_reply({"model": "gpt-4o-2024", "choices": [choice]})


def test_the_old_library_reaches_every_endpoint(openai_028: Path, stage: Stage) -> None:
    stage.upstream.script = openai_side
    before = last_id(stage.running)
    seen = json.loads(run(openai_028, HEAD + REMOTE + TAIL, stage.running))
    assert seen == {
        "alias": "fast",
        "calls": '[{"name": "f", "parameters": {}}]',
        "completion": "/completions",
        "edit": "/edits",
        "moderation": True,
        "image": "https://x.example/images/generations",
        "edited": "https://x.example/images/edits",
        "variation": "https://x.example/images/variations",
        "heard": "/audio/transcriptions",
        "translated": "/audio/translations",
        "engine": VECTOR,
        "files": ["APIError", 501, None, None],
        "tuning": ["APIError", 501, None, None],
        "limit": ["RateLimitError", 429, None, None],
        "broken": ["ServiceUnavailableError", 503, None, None],
        "stream": ["APIError", 200, None, None],
    }
    records = fresh_records(stage.running, before)
    assert [r["endpoint"] for r in records[:11]] == [
        *["chat"] * 2,
        "completions",
        "edits",
        "moderations",
        *["images"] * 3,
        "transcriptions",
        "translations",
        "embeddings",
    ]
    assert [r["status"] for r in records] == [*[200] * 11, 501, 501, 429, 503, 200]
    assert records[-1]["settlement"] == "upstream_broke"
