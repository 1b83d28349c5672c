"""Chat in Gemini's dialect: the client's side and the provider's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oneapi.dialects import gemini_errors
from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_gather import gather
from oneapi.dialects.gemini_answers import failure, parse_answer, read
from oneapi.dialects.gemini_outgoing import outgoing
from oneapi.dialects.gemini_parse import parse_request
from oneapi.dialects.gemini_parts import NAME as DIALECT
from oneapi.dialects.gemini_parts import stays_file
from oneapi.dialects.gemini_render import render_request
from oneapi.dialects.gemini_replies import ArrayRenderer, EventRenderer, render_response
from oneapi.dialects.gemini_stream import StreamParser
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import ChatRequest, ChatResponse, Envelope, Media, Part, ToolResult
from oneapi.wire.json import JSON


@dataclass(frozen=True, slots=True)
class GeminiFace:
    """The client's side. `array`: streams as one JSON array, as clients get them that do not say
    `alt=sse`; `integers`: enumerations as numbers (`$alt=json;enum-encoding=int`).
    """

    array: bool = False
    integers: bool = False
    NAME: str = DIALECT

    @property
    def CONTENT_TYPE(self) -> bytes:
        return b"application/json; charset=UTF-8" if self.array else b"text/event-stream"

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        try:
            return parse_request(body, envelope)
        except RecursionError as error:
            raise _too_deep() from error

    def render_request(self, chat: ChatRequest) -> JSON:
        return render_request(chat)

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        return render_response(reply, stamp, integers=self.integers)

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> EventRenderer | ArrayRenderer:
        if self.array:
            return ArrayRenderer(stamp, integers=self.integers)
        return EventRenderer(stamp, integers=self.integers)

    def array_renderer(self, chat: ChatRequest, stamp: Stamp) -> ArrayRenderer:
        return ArrayRenderer(stamp, integers=self.integers)


class GeminiProvider:
    """The provider's side."""

    NAME: Final = DIALECT
    OPERATION: Final = "generate"

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """URLs of media, but for those that Google reads itself; this dialect's own clients send
        `fileData`, which is passed on.
        """
        if chat.source == DIALECT:
            return ()
        found = (url for m in chat.messages for part in m.parts for url in _urls(part))
        return list(dict.fromkeys(found))

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        try:
            return outgoing(chat, model, hints)
        except RecursionError as error:
            raise _too_deep() from error

    def follow_up(self, body: bytes) -> FollowUp | None:
        return None

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        value = read(body)
        if isinstance(value, list):  # a stream that came as one array
            return _gathered(body, hints, stamp)
        if not isinstance(value, dict):
            raise failure(value)
        try:
            return parse_answer(value, stamp)
        except RecursionError as error:
            raise failure(None) from error

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser:
        return StreamParser(hints, stamp)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return gemini_errors.parse_error(status, headers, body)


def _too_deep() -> ApiError:
    """JSON that can just be read may be too deep to be written again."""
    return ApiError(400, "the request is nested too deeply", code="invalid_value")


def _gathered(body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
    parser = StreamParser(hints, stamp)
    events = [*parser.feed(body), *parser.close()]
    try:
        return gather(events, DIALECT)
    except UpstreamError:
        raise
    except ApiError as error:
        raise UpstreamError(
            error.status, error.message, code=error.code, retryable=False
        ) from error


def _urls(part: Part) -> Sequence[str]:
    if isinstance(part, ToolResult):
        return [url for inner in part.parts for url in _urls(inner)]
    if isinstance(part, Media) and part.url.startswith(("http://", "https://")):
        return () if part.data or stays_file(part.url) else (part.url,)
    return ()


FACE: Final = GeminiFace()
PROVIDER: Final = GeminiProvider()
