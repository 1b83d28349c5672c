"""Streams of OpenAI's chat as events, from whichever server.

https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11-24), and what recordings
of twenty providers show: usage in the finish chunk, in one of its own or in both; a finish that
comes twice; a first chunk without id or choices; tool calls whole or in fragments, without index,
with the same index for all; content as parts; errors as events. Finishes are told at the end.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Hints
from oneapi.dialects.base_errors import refused
from oneapi.dialects.base_gather import replay
from oneapi.dialects.openai_chat_answers import (
    answer_of,
    count_of,
    no_answer,
    status_of,
    text_of,
    usage_object,
    usage_of,
)
from oneapi.dialects.openai_chat_blocks import ChoiceBlocks, Numbers
from oneapi.dialects.openai_chat_shapes import NAME
from oneapi.dialects.openai_text import error_of
from oneapi.errors import ApiError, UpstreamError
from oneapi.ir import Aside, Event, Extra, Failed, Spent, Start
from oneapi.wire.json import JSON, MalformedJSON, decode, decode_mended
from oneapi.wire.sse import LIMIT, EventBlocks, data_of, split

_KNOWN: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})
_PADDING: Final = frozenset({"obfuscation", "p"})
"""Random text that hides the lengths of chunks from eavesdroppers: nobody reads it."""
_MISSING: Final = object()


class ChatStreamParser:
    """One stream: `feed(chunk) -> events`, `close() -> events`. Never raises."""

    def __init__(self, hints: Hints) -> None:
        self.done = False
        self._hints = hints
        self._blocks = EventBlocks(LIMIT)
        self._started = False
        self._failed = False
        self._steady: Extra = {}  # members beyond the known ones, as they were last told
        self._late: Extra = {}  # those of them that were told after the first chunk
        self._raw_usage: JSON = None
        self._choices: dict[int, ChoiceBlocks] = {}
        self._numbers = Numbers()
        self._plain: list[bytes] = []  # what is no event, as long as none has come
        self._events = 0

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        out: list[Event] = []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            self._fail(no_answer(str(error)), out)
            return out
        if block:
            for event in split(block):
                if not self._event(event, out):
                    break
        return out

    def close(self) -> list[Event]:
        out: list[Event] = []
        if self.done:
            return out
        rest = self._blocks.close()
        if rest.strip() and not self._event(rest, out, last=True):
            return out
        if not self._events and self._plain:
            self._whole(out)
        else:
            self._end(out, complete=False)
        self.done = True
        return out

    def _event(self, event: bytes, out: list[Event], *, last: bool = False) -> bool:
        """Whether more may follow."""
        data = data_of(event)
        if data is None:
            if not self._events and event.lstrip()[:1] not in (b":", b""):
                self._plain.append(event)
            return True
        self._events += 1
        if data[:1] != b"{":
            data = data.strip()
            if data == b"[DONE]":
                self._end(out, complete=True)
                self.done = True
            if data[:1] != b"{":
                return not self.done
        try:
            value = decode_mended(data)
        except MalformedJSON:
            if not last:  # the last one may be cut off: that the stream is not complete is enough
                self._fail(no_answer("the provider sent an event that is not JSON"), out)
            return last
        self._chunk(value, out)
        return not self._failed

    def _chunk(self, value: Extra, out: list[Event]) -> None:
        choices = value.get("choices")
        if not self._started:
            self._start(value, out)
        elif not value.keys() <= _KNOWN:
            self._top(value, out)
        if self._failed:
            return
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                if not self._choice(choice, value, out):
                    return
        usage = value.get("usage")
        if not usage and "x_groq" in value:
            usage = usage_object(value)
        if usage:
            self._spend(usage, out)

    def _start(self, value: Extra, out: list[Event]) -> None:
        """Note what the chunk says of the answer, and begin it with the first that is part of it:
        Azure sends one before it that has no id and no choices.
        """
        error = error_of(value)
        if error is not None:
            self._refuse(error, value, out)
            return
        self._steady |= {k: v for k, v in value.items() if k not in _KNOWN | _PADDING}
        if not value.get("id") and not value.get("choices"):
            return
        self._started = True
        extra = {k: v for k, v in self._steady.items() if v is not None}
        tier = text_of(extra.get("service_tier"))
        if tier:
            del extra["service_tier"]
        out.append(
            Start(
                text_of(value.get("id")),
                text_of(value.get("model")),
                count_of(value.get("created")),
                tier,
                extra,
                NAME,
            )
        )

    def _top(self, value: Extra, out: list[Event]) -> None:
        """Members of a later chunk that are not of the format's core."""
        news: Extra = {}
        for name in value.keys() - _KNOWN:
            told = value[name]
            if told is not None and name not in _PADDING:
                if self._steady.get(name, _MISSING) != told:
                    news[name] = told
        if not news:
            return
        inner = news.get("x_groq")
        error = error_of(value) or (inner.get("error") if isinstance(inner, dict) else None)
        if error is not None:
            self._refuse(error, value, out)
            return
        self._steady |= news
        self._late |= news

    def _choice(self, choice: Extra, value: Extra, out: list[Event]) -> bool:
        """One choice of a chunk. Whether more may follow."""
        number = choice.get("index")
        number = number if type(number) is int else 0
        blocks = self._choices.get(number)
        if blocks is None:
            if not self._started:
                self._started = True
                out.append(Start("", "", source=NAME))
            blocks = self._choices[number] = ChoiceBlocks(number, self._numbers)
        error = blocks.feed(choice, out)
        if error is not None:
            self._refuse(error, value, out)
        elif blocks.usage:
            self._spend(blocks.usage, out)
            blocks.usage = None
        return not self._failed

    def _spend(self, usage: JSON, out: list[Event]) -> None:
        spent = None if usage == self._raw_usage else usage_of(usage, self._hints)
        if spent is None:
            return
        if self._raw_usage is not None and not (spent.input_tokens or spent.output_tokens):
            return  # counts are cumulative: an empty one says nothing new
        self._raw_usage = usage
        out.append(Spent(spent, usage))

    def _end(self, out: list[Event], *, complete: bool) -> None:
        """Stop what is open and tell the finishes. `complete` says that the terminal event came:
        a choice without a reason of its own is finished then too.
        """
        for blocks in self._choices.values():
            blocks.stop(out)
        if self._late:
            out.append(Aside(NAME, self._late))
        for blocks in self._choices.values():
            blocks.end(out, complete=complete)

    def _whole(self, out: list[Event]) -> None:
        """A body that was no stream: the server answered whole."""
        body = b"".join(self._plain)
        try:
            out += replay(answer_of(decode(body), self._hints))
        except MalformedJSON:
            self._fail(no_answer("the provider's answer is neither a stream nor JSON"), out)
        except UpstreamError as error:
            self._fail(error, out)

    def _refuse(self, error: JSON, value: Extra, out: list[Event]) -> None:
        """The provider's error, and what the answer cost all the same."""
        usage = usage_object(value)
        if usage:
            self._spend(usage, out)
        self._fail(refused(error, status_of(error)), out)

    def _fail(self, error: ApiError, out: list[Event]) -> None:
        if not self._failed:
            out.append(Failed(error))
        self._failed = True
        self.done = True
