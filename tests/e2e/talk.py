"""HTTP by hand: requests that no client library would send, streams read as they come."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.e2e.harness import KEY, Answer

JSON = Any
CHAT = "/v1/chat/completions"
ASK: Mapping[str, JSON] = {"model": "m", "messages": [{"role": "user", "content": "1+1?"}]}
STREAM: Mapping[str, JSON] = {**ASK, "stream": True}

REPLY: Mapping[str, JSON] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "2"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
}
DONE = b"data: [DONE]\n\n"


def sse(text: str | None = None, **members: JSON) -> bytes:
    """One event of a streamed chat with this text, or with these members alone."""
    value: dict[str, JSON] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m"}
    if text is not None:
        value["choices"] = [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    return b"data: " + json.dumps({**value, **members}).encode() + b"\n\n"


def head(
    path: str = CHAT, *lines: str, method: str = "POST", key: str | None = KEY, host: str = "x"
) -> bytes:
    """A request's head as bytes, its blank line included."""
    fields = [f"Host: {host}", *([f"Authorization: Bearer {key}"] if key else []), *lines]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode("latin-1")


def read_answer(sock: socket.socket) -> Answer:
    """The answer that comes over a socket. Raises `HTTPException` or `OSError` where none does."""
    with http.client.HTTPResponse(sock) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


def raw(port: int, *parts: bytes, timeout_s: float = 20.0) -> Answer:
    """Send these bytes as they are and read one answer; a peer that closes early is no error."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                sock.sendall(part)
        return read_answer(sock)


class Live:
    """A streamed answer while it comes: the socket, its head, its lines."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self.sock = sock
        self.response = response
        self.started = time.monotonic()

    def header(self, name: str) -> str | None:
        return self.response.getheader(name)

    def event(self) -> bytes:
        """The next event with its blank line; b"" at the end."""
        lines: list[bytes] = []
        while line := self.response.readline():
            lines.append(line)
            if line in (b"\n", b"\r\n"):
                break
        return b"".join(lines)

    def rest(self) -> bytes:
        return self.response.read()


@contextlib.contextmanager
def streaming(
    port: int,
    value: JSON,
    *,
    path: str = CHAT,
    key: str | None = KEY,
    timeout_s: float = 20.0,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Live]:
    """POST and give the answer as soon as its head is here; leaving the block leaves the call."""
    lines = [f"{name}: {text}" for name, text in (headers or {}).items()]
    body = json.dumps(value).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as sock:
        sock.sendall(head(path, *lines, f"Content-Length: {len(body)}", key=key) + body)
        with http.client.HTTPResponse(sock) as response:
            response.begin()
            yield Live(sock, response)


def error_of(answer: Answer) -> dict[str, JSON]:
    """The error object of an answer in OpenAI's shape; an `AssertionError` for any other."""
    assert answer.headers.get("content-type") == "application/json", answer
    body = answer.json()
    assert set(body) == {"error"}, body
    error: dict[str, JSON] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}, error
    assert error["message"]
    assert error["type"]
    return error


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
