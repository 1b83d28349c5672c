"""Recorded exchanges with real providers, read for a replay: bytes, not values, wherever possible.

The recordings are other people's data: they stay beside the repository, and tests that need them
are skipped where they are absent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.e2e.harness import REPO

JSON = Any
FOLDER = REPO.parent / "shared" / "fixtures"
PROVIDERS = (
    "ollama",
    "openai",
    "openai_compat_other",
    "azure",
    "cloudflare",
    "groq",
    "deepseek",
    "mistral",
    "together",
    "xai",
    "novita",
    "openrouter",
    "zhipu",
    "dashscope",
)
APIS = frozenset(
    "chat completions embeddings images models moderation speech transcription".split()
)
OPERATIONS = (
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/moderations",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
)
"""Where the gateway relays, below /v1."""

_TOKENS = re.compile(rb'("(?:[^"\\]|\\.)*")|\s+')
_BLOB = re.compile(rb"[0-9A-Za-z+/=_-]*__ELIDED_LEN_(\d+)(?:_SHA256_[0-9a-f]+)?__")
_NUMBERS = re.compile(rb"\[(-?\d[-+.eE\d, ]*)\]")
_ORIGINAL_SIZE = re.compile(r"binary (\d+) bytes")
BOUNDARY = b"e2e-boundary-7f3a"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. `synthetic`: blobs that the recording elided were made up."""

    id: str
    api: str
    model: str
    method: str
    url: str
    request_type: str
    request: bytes
    spaced_request: bytes
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_stream: bool
    synthetic: bool

    @property
    def target(self) -> str:
        """Path and query of the recorded address."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def operation(self) -> str | None:
        """The operation's path, None for what is no relayed endpoint (or asks without a model)."""
        path = urlsplit(self.url).path
        found = max((o for o in OPERATIONS if path.endswith(o)), key=len, default=None)
        known = self.method == "POST" and "/organization/" not in path and self.model
        return found if known and not path.endswith("/api/embeddings") else None

    @property
    def base(self) -> str:
        """What stands before the operation in the recorded path."""
        return urlsplit(self.url).path.removesuffix(self.operation or "")

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name), None)

    def asks(self) -> Mapping[str, JSON]:
        """The request's members, {} where it is no JSON object."""
        if not self.request.startswith(b"{"):
            return {}
        value: dict[str, JSON] = json.loads(self.request)
        return value


def read(provider: str) -> Iterator[Exchange]:
    """The exchanges of a provider that step 1 relays."""
    for line in (FOLDER / f"{provider}.jsonl").read_bytes().splitlines():
        row = json.loads(line)
        if row["api"] in APIS:
            yield _exchange(row, msgspec.json.decode(line, type=dict[str, msgspec.Raw]))


def _exchange(row: JSON, raw: Mapping[str, msgspec.Raw]) -> Exchange:
    asked, answered = row["request"], row["response"]
    spaced, request_type = _request(row, _member(raw["request"], "body"))
    body, made_up = _body(answered, _member(raw["response"], "body"))
    request = spaced if request_type.startswith("multipart/") else compact(spaced)
    return Exchange(
        id=row["id"],
        api=row["api"],
        model=_model(row),
        method=asked["method"],
        url=asked["url"],
        request_type=request_type,
        request=request,
        spaced_request=spaced,
        status=answered["status"],
        headers=_headers(answered.get("headers")),
        body=body,
        is_stream="sse" in answered,
        synthetic=made_up or bool(asked.get("elided")) or "multipart_fields" in asked,
    )


def _member(raw: msgspec.Raw, name: str) -> bytes:
    return bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get(name, b"null"))


def compact(text: bytes) -> bytes:
    """JSON without the white space between its tokens; every token as it stands."""
    return _TOKENS.sub(lambda found: found[1] or b"", text)


def _headers(headers: Mapping[str, JSON] | None) -> tuple[tuple[str, str], ...]:
    """The recorded headers but for framing, which is the scripted upstream's own."""
    framing = ("transfer-encoding", "content-length", "content-encoding", "connection")
    return tuple(
        (name, value)
        for name, values in (headers or {}).items()
        for value in (values if isinstance(values, list) else [values])
        if name.lower() not in framing
    )


def _model(row: JSON) -> str:
    """The model asked for; for forms, whose values were not recorded, a plausible one."""
    body = row["request"].get("body")
    if isinstance(body, dict):
        return str(body.get("model") or "")
    if row["request"]["method"] != "POST":
        return ""
    return row["model"] or ("gpt-image-1" if row["api"] == "images" else "whisper-1")


def _request(row: JSON, raw: bytes) -> tuple[bytes, str]:
    """The request's body with the recording's own white space, and its content type."""
    asked = row["request"]
    kind = str((asked.get("headers") or {}).get("content-type") or "application/json")
    if "multipart_fields" in asked or kind.startswith("multipart/"):
        fields = asked.get("multipart_fields") or [["model", ""], ["file", "sound.wav"]]
        return _form(row, fields), f"multipart/form-data; boundary={BOUNDARY.decode()}"
    if raw == b"null":
        return b"", kind
    return _fill(raw), kind


def _form(row: JSON, fields: Sequence[Sequence[str]]) -> bytes:
    """A form of the recorded fields: names were kept, values and files were not."""
    parts: list[bytes] = []
    for name, file in fields:
        disposition = f'form-data; name="{name}"'
        value = _field(row, name)
        kind = ""
        if file and "." in file:
            disposition += f'; filename="{file}"'
            kind = "content-type: application/octet-stream\r\n"
            value = bytes(range(256)) * 40
        head = f"content-disposition: {disposition}\r\n{kind}\r\n".encode()
        parts.append(b"--" + BOUNDARY + b"\r\n" + head + value + b"\r\n")
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def _field(row: JSON, name: str) -> bytes:
    streams = b"true" if "sse" in row["response"] else b"false"
    known = {"model": _model(row).encode(), "stream": streams, "response_format": b"json"}
    return known.get(name, b"some words")


def _body(answered: JSON, raw: bytes) -> tuple[bytes, bool]:
    """The answer's bytes, and whether some of them were made up."""
    if "sse" in answered:
        return answered["sse"].encode(), False
    if "body_note" in answered:
        size = _ORIGINAL_SIZE.search(answered["body_note"])
        return _noise(int(size[1]) if size else 1000), True
    value = answered.get("body")
    if value is None:
        return b"", False
    if isinstance(value, str):
        return value.encode(), False
    text = _extend(_fill(compact(raw)), answered.get("elided") or {})
    prefix = str(answered.get("raw_prefix") or "").encode()
    return prefix + text, bool(answered.get("elided"))


def _fill(text: bytes) -> bytes:
    """The text with elided blobs replaced by as many letters."""
    return _BLOB.sub(lambda found: b"QUJD" * (int(found[1]) // 4), text)


def _extend(text: bytes, elided: Mapping[str, JSON]) -> bytes:
    """Shortened vectors, repeated up to their length."""
    lengths = list(elided.get("vector_lengths", []))

    def longer(found: re.Match[bytes]) -> bytes:
        numbers = found[1].split(b",")
        if not lengths or len(numbers) < 8:
            return found[0]
        length = lengths.pop(0)
        return b"[" + b",".join((numbers * (length // len(numbers) + 1))[:length]) + b"]"

    return _NUMBERS.sub(longer, text)


def _noise(size: int) -> bytes:
    """Bytes of sound, or of what else is no text."""
    return (b"\xff\xf3\x84\xc4\x00" + bytes(range(256))) * (size // 261) + b"\xff" * (size % 261)
