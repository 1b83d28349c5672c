"""Predictions as answers: whole, still to come, and streamed.

https://replicate.com/docs/reference/http and …/topics/predictions/streaming (read 2026-11-24) and
recordings. A prediction is asked for until its status is final. Its output is text, a list of
pieces of text, addresses of files, or an object. A stream has events `output` (a piece of text; its
line feeds are `data:` lines of their own), `logs`, `error` and `done`; a comment `:408:` says that
the connection was closed for its age, and that the stream goes on after `Last-Event-ID`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from oneapi.dialects.base import FollowUp, Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_errors import refused
from oneapi.dialects.replicate_shapes import LIMITS, NAME, count, parse_usage
from oneapi.errors import UpstreamError
from oneapi.ir import (
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Part,
    Spent,
    Start,
    Stop,
    Text,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

POLL_S: Final = 0.5
_PENDING: Final = frozenset({"starting", "processing"})
_FAILED: Final = frozenset({"failed", "canceled", "aborted"})
_BESIDE: Final = ("version", "logs", "created_at", "started_at", "completed_at", "status")
_FILE: Final = re.compile(r"https://\S+\.([a-z0-9]{2,5})")
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "image": frozenset({"png", "jpg", "jpeg", "webp", "gif", "svg"}),
    "video": frozenset({"mp4", "webm", "mov"}),
    "audio": frozenset({"mp3", "wav", "ogg", "flac", "m4a"}),
}
_LINE: Final = re.compile(rb"^(event|id):[ ]?([^\n]*)", re.MULTILINE)
_TIMEOUT: Final = re.compile(rb"(?:^|[\r\n]):408:")


def follow_up(body: bytes) -> FollowUp | None:
    """Where an answer that is not ready is asked for again: its stream, if one was asked for."""
    try:
        value = decode(body)
    except MalformedJSON:
        return None
    if not isinstance(value, dict) or not _is_one_of(value.get("status"), _PENDING):
        return None
    urls = value.get("urls")
    if not isinstance(urls, dict):
        return None
    stream, get = urls.get("stream"), urls.get("get")
    if value.get("stream") is True and isinstance(stream, str) and stream:
        headers = ((b"accept", b"text/event-stream"), (b"cache-control", b"no-store"))
        return FollowUp(stream, streams=True, headers=headers)
    if isinstance(get, str) and get:
        return FollowUp(get, wait_s=POLL_S)
    return None


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError`: 502 for what is no answer, the provider's own for a prediction that
    failed.
    """
    try:
        value = decode(body)
    except MalformedJSON:
        raise _no_answer("is no JSON") from None
    if not isinstance(value, dict):
        raise _no_answer("is no object")
    status = value.get("status")
    if _is_one_of(status, _FAILED):
        raise _failure(value.get("error"), status)
    if _is_one_of(status, _PENDING):
        raise _no_answer("did not come in time")
    if "output" not in value:
        if value.get("detail") or value.get("title") or value.get("error"):
            raise refused(value, count(value, "status") or 0)
        raise _no_answer("has no output")
    metrics = value.get("metrics")
    parts = _parts(value["output"], tokens=count(metrics, "output_token_count") is not None)
    extra = {name: value[name] for name in _BESIDE if value.get(name) is not None}
    return ChatResponse(
        _string(value.get("id")),
        stamp.model or _string(value.get("model")),
        [Choice(parts, _stop(value), native_stop=_string(status))],
        parse_usage(metrics),
        NAME,
        raw_usage=metrics,
        extra=extra,
    )


def _parts(output: JSON, *, tokens: bool) -> list[Part]:
    """`tokens` says that a language model counted them: then even an address is text."""
    match output:
        case None | "" | []:
            return []
        case str():
            items = [output]
        case list() if all(isinstance(item, str) for item in output):
            items = output
        case _:
            return [Text(encode_text(output))]
    if not tokens and all(_FILE.fullmatch(item) for item in items):
        return [_file(item) for item in items]
    return [Text("".join(items))]


def _file(url: str) -> Media:
    ending = url.rpartition(".")[2].lower()
    kind = next((kind for kind, endings in _KINDS.items() if ending in endings), "file")
    # `kind` is one of the middle's own words, the type checker cannot know which
    return Media(cast(Any, kind), url=url)


def _stop(value: JSON) -> Stop:
    """A prediction does not say why it ended; that it wrote as much as it might is telling."""
    given = value.get("input")
    made = count(value.get("metrics"), "output_token_count")
    limits = [count(given, name) for name in LIMITS]
    full = made is not None and any(limit and made >= limit for limit in limits)
    return "length" if full else "stop"


def _failure(error: JSON, status: JSON) -> UpstreamError:
    words = error if isinstance(error, str) and error else f"the prediction ended as {status}"
    return refused({"message": words, "code": f"prediction_{status}"})


def _is_one_of(value: JSON, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words


def _string(value: JSON) -> str:
    return value if isinstance(value, str) else ""


class StreamParser:
    """Events of one stream. `last_id` names the event to go on after where `timed_out`."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self.last_id = ""
        self.timed_out = False
        self._stamp = stamp
        self._blocks = EventBlocks()
        self._begun = False
        self._out: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            self.done = True
            return [Failed(refused({"message": str(error)}))]
        return self._read(block) if block else []

    def close(self) -> list[Event]:
        """An event that was never ended is no event here: a piece of text may have been cut."""
        if self.done:
            return []
        if _TIMEOUT.search(self._blocks.close()):
            self.timed_out = True
        return [BlockStop(0)] if self._begun else []

    def _read(self, block: bytes) -> list[Event]:
        for event in split(block):
            data = data_of(event)
            if data is None:
                if _TIMEOUT.search(event):
                    self.timed_out = True
                continue
            self._take(event, data)
            if self.done:
                break
        out, self._out = self._out, []
        return out

    def _take(self, event: bytes, data: bytes) -> None:
        if b"\r" in event:
            event = event.replace(b"\r", b"\n")
        fields = dict(_LINE.findall(event))
        if fields.get(b"id"):
            self.last_id = fields[b"id"].decode("utf-8", "replace")
        text = data.decode("utf-8", "replace")
        match fields.get(b"event", b""):
            case b"output":
                self._begin()
                if text:  # an empty piece is a piece, but says nothing
                    self._out.append(Delta(0, text))
            case b"error":
                self._fail(_value(text))
            case b"done":
                self._end(_value(text))
            case other:
                self._out.append(Aside(NAME, {other.decode("utf-8", "replace"): text}))

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(Start("", self._stamp.model, source=NAME))
            self._out.append(BlockStart(0, Text("")))

    def _fail(self, value: JSON) -> None:
        self.done = True
        self._out.append(Failed(refused(value if isinstance(value, dict) else {"message": value})))

    def _end(self, value: JSON) -> None:
        self.done = True
        reason = value.get("reason") if isinstance(value, dict) else None
        if reason:
            word = "failed" if reason == "error" else reason
            self._out.append(Failed(_failure(None, word)))
            return
        self._begin()
        self._out += [BlockStop(0), Finish("stop")]
        metrics = value.get("metrics") if isinstance(value, dict) else None
        usage = parse_usage(metrics)
        if usage is not None:
            self._out.append(Spent(usage, metrics))


def _value(text: str) -> JSON:
    """The JSON of an event's data, the text where it is none."""
    try:
        return decode(text.encode())
    except MalformedJSON:
        return text


def _no_answer(words: str) -> UpstreamError:
    return UpstreamError(
        502,
        f"the provider's answer {words}",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )
