"""What InvokeModel puts around a vendor's own format, taken off.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
(read 2026-11-24) and recordings. A whole answer is the vendor's body as it stands. A stream is a
binary event stream whose `chunk` events hold the vendor's own events in base64: Anthropic's become
the server-sent events that they are elsewhere, byte for byte. The last one carries
`amazon-bedrock-invocationMetrics`, which stays: the vendor's own client libraries for Bedrock hand
it on, and others pass over members that they do not know.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from oneapi.dialects.bedrock_shapes import ERRORS
from oneapi.wire.eventstream import EventStream, Frame
from oneapi.wire.json import JSON, MalformedJSON, decode, encode

_TYPE: Final = re.compile(rb'\{\s*"type"\s*:\s*"([a-z_]+)"')
_KINDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "invalid_request_error",
        403: "permission_error",
        404: "not_found_error",
        408: "timeout_error",
        429: "rate_limit_error",
        503: "overloaded_error",
    }
)
"""Anthropic's words for errors of these statuses; `api_error` for all others."""


class InvokeUnwrapper:
    """One stream: `feed(chunk) -> bytes`, `close() -> bytes`, both server-sent events.

    Raises nothing: an exception in the stream, and bytes that are no event stream, become an
    `error` event, after which nothing follows.
    """

    def __init__(self) -> None:
        self.failed = False
        self._frames = EventStream()

    def feed(self, chunk: bytes) -> bytes:
        if self.failed:
            return b""
        out: list[bytes] = []
        try:
            out += map(self._event, self._frames.feed(chunk))
            out.append(self._fail(self._frames.fault) if self._frames.fault else b"")
        except ValueError as error:
            out.append(self._fail(str(error)))
        return b"".join(out)

    def close(self) -> bytes:
        """The error event of a stream that ended inside a frame, else nothing."""
        if self.failed:
            return b""
        try:
            self._frames.close()
        except ValueError as error:
            return self._fail(str(error))
        return b""

    def _event(self, frame: Frame) -> bytes:
        if self.failed:
            return b""
        headers, payload = frame
        kind = headers.get(":message-type", "event")
        if kind == "error":
            return self._fail(headers.get(":error-message", ""), headers.get(":error-code", ""))
        value = decode(payload) if payload else None
        if not isinstance(value, dict):
            raise MalformedJSON("an event of the stream is no object")
        name = headers.get(":exception-type" if kind == "exception" else ":event-type", "")
        if kind == "exception" or name.lower() in ERRORS:
            return self._fail(_message(value), name)
        data = value.get("bytes")
        return _server_sent(b64decode(data, validate=True)) if isinstance(data, str) else b""

    def _fail(self, message: str, name: str = "") -> bytes:
        if self.failed:
            return b""
        self.failed = True
        kind = _KINDS.get(ERRORS.get(name.lower(), 500), "api_error")
        told = {"type": kind, "message": message or name or "the provider's stream failed"}
        return b"event: error\ndata: " + encode({"type": "error", "error": told}) + b"\n\n"


def _server_sent(data: bytes) -> bytes:
    """The vendor's event as a server-sent one; its lines are one, whatever the vendor wrote."""
    if b"\n" in data or b"\r" in data:
        data = encode(decode(data))
    found = _TYPE.match(data)
    name = found[1] if found else _type_of(data)
    return b"".join((b"event: ", name, b"\n") if name else ()) + b"data: " + data + b"\n\n"


def _type_of(data: bytes) -> bytes:
    """The event's type where it does not stand first."""
    value = decode(data)
    name = value.get("type") if isinstance(value, dict) else None
    plain = isinstance(name, str) and re.fullmatch(r"[a-z_]+", name) is not None
    return str(name).encode() if plain else b""


def _message(value: JSON) -> str:
    names = ("message", "Message", "originalMessage")
    return next((value[n] for n in names if isinstance(value.get(n), str) and value[n]), "")
