"""The recorded exchanges with providers, read from beside the repository, and what they are.

They are of three groups: chats in a format that clients speak, chats in a provider's own, and what
is no chat. `left_out` says of a chat's recording why no whole answer is in it.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
DIALECT_OF = {
    "chat": "openai-chat",
    "completions": "openai-completions",
    "responses": "openai-responses",
    "messages": "anthropic",
    "generateContent": "gemini",
    "converse": "bedrock-converse",
    "invoke": "bedrock-invoke",
    "predict": "vertex-predict",
    "cohere_chat": "cohere",
    "cohere_generate": "cohere",
    "generation": "dashscope",
    "multimodal": "dashscope",
    "ollama_chat": "ollama",
    "ollama_generate": "ollama",
    "translate": "deepl",
    "predictions": "replicate",
    "predictions_stream": "replicate",
    "interactions": "interactions",
}
SPOKEN_AS = {
    "bedrock-invoke": "anthropic",
    "vertex-predict": "anthropic",
    "openai-completions": "openai-chat",
}
"""Dialects that are another one's in a transport of their own."""
CLIENT, OWN, OTHER = "a client's format", "a provider's own", "no chat"
_GROUPS = {
    CLIENT: "chat responses messages generateContent ollama_chat ollama_generate".split(),
    OWN: "cohere_chat cohere_generate converse invoke generation multimodal predict predictions "
    "predictions_stream translate".split(),
}
ELIDED = re.compile(r"__ELIDED_LEN_[^_]+_SHA256_[0-9a-f]+__")
"""What stands for base64 that was shortened by the recorder: no library would read it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recording. `raw` is the answer's body as bytes, `stream` whether it is one of events."""

    id: str
    provider: str
    api: str
    dialect: str
    request: Any
    status: int
    headers: tuple[tuple[str, str], ...]
    body: Any
    raw: bytes
    stream: bool
    method: str
    url: str = ""

    @property
    def group(self) -> str:
        return next((name for name, apis in _GROUPS.items() if self.api in apis), OTHER)

    @property
    def spoken(self) -> str:
        """The dialect whose parser reads it."""
        return SPOKEN_AS.get(self.dialect, self.dialect)


@cache
def exchanges() -> tuple[Exchange, ...]:
    return tuple(_read())


def _read() -> Iterator[Exchange]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(ELIDED.sub("", line))
            request, answer = record["request"], record["response"]
            yield Exchange(
                record["id"],
                record["provider"],
                record["api"],
                DIALECT_OF.get(record["api"], ""),
                _asked(request.get("body")),
                answer["status"],
                tuple((answer.get("headers") or {}).items()),
                answer.get("body"),
                _raw(answer),
                "sse" in answer or "body_b64" in answer,
                request["method"],
                request["url"],
            )


def _asked(body: Any) -> Any:
    """The request's body; some were recorded as the text of a Python object."""
    if isinstance(body, str) and body.startswith("{'"):
        return ast.literal_eval(body)
    return body


def _raw(answer: dict[str, Any]) -> bytes:
    if "sse" in answer:
        return str(answer["sse"]).encode()
    if "body_b64" in answer:
        return base64.b64decode(answer["body_b64"])
    body = answer.get("body")
    if isinstance(body, str):
        return body.encode()
    prefix = str(answer.get("raw_prefix", "")).encode()
    return b"" if body is None else prefix + json.dumps(body, ensure_ascii=False).encode()


def chats() -> list[Exchange]:
    """Recorded chats that were answered."""
    return [e for e in exchanges() if e.dialect and e.status < 300 and not left_out(e)]


def left_out(exchange: Exchange) -> str:
    """Why a recording at a chat's address is no chat that was answered, "" where it is one."""
    body = exchange.body if isinstance(exchange.body, dict) else {}
    if exchange.status >= 300:
        return "refused: among the errors"
    if exchange.method != "POST" and not exchange.stream:
        return "asks again for a picture" if exchange.dialect == "replicate" else "no chat"
    if exchange.dialect == "interactions":
        return "another API, not spoken here"
    if exchange.dialect == "replicate" and not exchange.stream:
        return _promise(body)
    if exchange.api == "predict" and "predictions" in body:
        return "embeddings"
    if exchange.api == "invoke" and not exchange.stream and "stop_reason" not in body:
        return "embeddings" if "embeddings" in body else "a model's own format, not the chat's"
    if exchange.api == "invoke" and "generation" in body:
        return "a model's own format, not the chat's"
    if exchange.dialect == "openai-chat" and _is_error(exchange):
        return "an error inside a success"
    return ""


def _is_error(exchange: Exchange) -> bool:
    for event in sse(exchange.raw) if exchange.stream else [exchange.body]:
        choices = event.get("choices") or [{}]
        if event.get("error") or choices[0].get("error"):
            return True
    return False


def _promise(body: Any) -> str:
    if body.get("status") in ("starting", "processing"):
        return "a promise of a picture"
    return "" if body.get("status") == "succeeded" else "a prediction that was ended"


def sse(raw: bytes) -> list[Any]:
    """The JSON events of a stream; lines that are no data are no events."""
    found = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(
            line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")
        )
        if data.strip() and data.strip() != "[DONE]":
            found.append(json.loads(data))
    return found


def frames(raw: bytes) -> list[tuple[str, Any]]:
    """(event type, payload) of an AWS event stream, read by its layout alone."""
    found, at = [], 0
    while at < len(raw):
        total, headers = struct.unpack(">II", raw[at : at + 8])
        head = raw[at + 12 : at + 12 + headers]
        names = {}
        place = 0
        while place < len(head):
            size = head[place]
            name = head[place + 1 : place + 1 + size].decode()
            place += size + 2
            (length,) = struct.unpack(">H", head[place : place + 2])
            names[name] = head[place + 2 : place + 2 + length].decode()
            place += 2 + length
        payload = raw[at + 12 + headers : at + total - 4]
        found.append((names.get(":event-type", ""), json.loads(payload)))
        at += total
    return found


def decoded(text: str) -> Any:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
