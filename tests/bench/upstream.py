"""A scripted OpenAI-style upstream: canned bytes over asyncio and llhttp, cheaper than a gateway.

    python -m tests.bench.upstream [--port N]      prints its port, serves until killed

`POST …/v1/chat/completions` answers 600 bytes of JSON, or server-sent events where the body asks
for a stream: each event in an HTTP chunk of its own, as model servers send them, all in one burst.
As a real upstream it adds a usage chunk only where the body asks for one. What stands before `/v1`
changes the script:

    /events-50/v1/…    50 events instead of 200          /pace-5/v1/…      5 ms between events
    /cut/v1/…          half an answer, then closed       /fail-503/v1/…    that status and an error

Words combine (`/events-20/pace-5/v1/…`). Anything else is 404.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import httptools
import uvloop

MODEL = "bench-model"
EVENTS = 200
ANSWER_BYTES = 600
PROMPT_TOKENS, ANSWER_TOKENS = 12, 100
_SUFFIX = "/v1/chat/completions"
_USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": ANSWER_TOKENS,
    "total_tokens": PROMPT_TOKENS + ANSWER_TOKENS,
}


@dataclass(frozen=True, slots=True)
class Script:
    """What a path prefix asks for. `events` counts the finishing chunk, not usage nor [DONE]."""

    events: int = EVENTS
    pace_s: float = 0.0
    cut: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class Canned:
    """A script's answers as they go on the wire; `stream` begins with the head and one event."""

    plain: bytes
    stream: tuple[bytes, ...]
    usage_chunk: bytes
    end: bytes
    burst: bytes
    burst_usage: bytes


def parse_script(path: str) -> Script | None:
    """The script a request path names; None where no canned answer lives there."""
    if not path.endswith(_SUFFIX):
        return None
    script = Script()
    for word in filter(None, path.removesuffix(_SUFFIX).split("/")):
        name, _, number = word.partition("-")
        match name, number.isdecimal():
            case "events", True:
                script = Script(max(2, int(number)), script.pace_s, script.cut, script.status)
            case "pace", True:
                script = Script(script.events, int(number) / 1000, script.cut, script.status)
            case "cut", False:
                script = Script(script.events, script.pace_s, True, script.status)
            case "fail", True:
                script = Script(script.events, script.pace_s, script.cut, int(number))
            case _:
                return None
    return script


def render(script: Script) -> Canned:
    """Makes every byte a script will ever send."""
    head = _head(200, "text/event-stream", None)
    events = [_http_chunk(_event(n, script.events)) for n in range(script.events)]
    usage = _http_chunk(_sse({**_chunk(), "choices": [], "usage": _USAGE}))
    end = _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    if script.cut:
        events, usage, end = events[: script.events // 2], b"", b""
    stream = (head + events[0], *events[1:])
    burst = b"".join(stream)
    plain = _plain(script)
    return Canned(plain, stream, usage, end, burst + end, burst + usage + end)


@functools.lru_cache(maxsize=64)
def canned(path: bytes) -> tuple[Script, Canned] | None:
    """The answers for a request path, rendered at its first request."""
    script = parse_script(path.decode("latin-1").partition("?")[0])
    return None if script is None else (script, render(script))


class Upstream(asyncio.Protocol):
    """One connection. Pipelining is not for it: an answer would land inside a paced stream."""

    __slots__ = ("_body", "_parser", "_path", "_pending", "_transport", "on_body")

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._body: list[bytes] = []
        self.on_body = self._body.append
        self._path = b""
        self._pending: asyncio.TimerHandle | None = None
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not a check: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pending is not None:
            self._pending.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        found = canned(self._path)
        if found is None:
            self._transport.write(_json_answer(404, {"error": {"message": "no such path"}}))
            return
        script, answers = found
        if script.status != 200 or not _asks(body, b"stream"):
            self._transport.write(answers.plain)
        elif script.pace_s:
            usage = answers.usage_chunk if _asks(body, b"include_usage") else b""
            self._send_paced(script, answers.stream, usage + answers.end)
            return
        else:
            asked = _asks(body, b"include_usage")
            self._transport.write(answers.burst_usage if asked else answers.burst)
        if script.cut:
            self._transport.close()

    def _send_paced(
        self, script: Script, stream: tuple[bytes, ...], tail: bytes, at: int = 0
    ) -> None:
        self._pending = None
        if at < len(stream):
            self._transport.write(stream[at])
            loop = asyncio.get_running_loop()
            self._pending = loop.call_later(
                script.pace_s, self._send_paced, script, stream, tail, at + 1
            )
        elif script.cut:
            self._transport.close()
        else:
            self._transport.write(tail)


async def serve(port: int = 0) -> tuple[asyncio.Server, int]:
    """Listens on loopback; asyncio sets SO_REUSEADDR. Returns the server and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=1024)
    bound: int = server.sockets[0].getsockname()[1]
    return server, bound


def _asks(body: bytes, flag: bytes) -> bool:
    """Whether a flag is true in the body, by search: parsing JSON costs more than answering."""
    return b'"' + flag + b'":true' in body or b'"' + flag + b'": true' in body


def _chunk() -> dict[str, object]:
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": MODEL,
    }


def _event(number: int, events: int) -> bytes:
    delta: dict[str, str] = {"content": f" word{number}"}
    if number == 0:
        delta = {"role": "assistant", **delta}
    last = number == events - 1
    choice = {"index": 0, "delta": {} if last else delta, "finish_reason": "stop" if last else None}
    return _sse({**_chunk(), "choices": [choice]})


def _sse(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(status: int, content_type: str, length: int | None) -> bytes:
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    phrase = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\ncontent-type: {content_type}\r\n{size}\r\n\r\n".encode()


def _json_answer(status: int, value: object) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    return _head(status, "application/json", len(body)) + body


def _plain(script: Script) -> bytes:
    if script.status != 200:
        error = {"message": "scripted failure", "type": "server_error", "code": "scripted"}
        return _json_answer(script.status, {"error": {**error, "param": None}})
    empty = len(json.dumps(_completion(""), separators=(",", ":")))
    answer = _json_answer(200, _completion("x" * (ANSWER_BYTES - empty)))
    return answer[: -ANSWER_BYTES // 2] if script.cut else answer


def _completion(content: str) -> dict[str, object]:
    message = {"role": "assistant", "content": content}
    return {
        **_chunk(),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _USAGE,
    }


async def _main(port: int) -> None:
    server, bound = await serve(port)
    print(bound, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description="A scripted OpenAI-style upstream.")
    flags.add_argument("--port", type=int, default=0)
    uvloop.run(_main(flags.parse_args().port))
