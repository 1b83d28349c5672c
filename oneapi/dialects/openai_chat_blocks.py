"""The deltas of one choice as blocks: texts, thoughts, calls and media.

Texts and thoughts follow each other: where the kind changes, the one before is complete. A call is
complete when another thing begins and its arguments are whole; fragments of calls may interleave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.openai_chat_answers import images_of, part_of, text_of
from oneapi.dialects.openai_chat_messages import arguments_of, signature_of
from oneapi.dialects.openai_chat_shapes import NAME, Thought, rest, stop_of
from oneapi.dialects.openai_chat_thoughts import parse_details
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Extra,
    Finish,
    Media,
    Part,
    Refusal,
    Signature,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode

_KNOWN: Final = frozenset({"index", "delta", "finish_reason", "logprobs"})
_QUIET: Final = frozenset({"role"})
_THOUGHTS: Final = ("reasoning_content", "reasoning")
_DETAILS: Final = "reasoning_details"
_MOST_OPEN: Final = 64
"""Calls that may interleave; no server is known that lets even two."""


@dataclass(slots=True)
class Numbers:
    """The next block's number, over all choices of an answer."""

    next: int = 0

    def take(self) -> int:
        self.next += 1
        return self.next - 1


@dataclass(slots=True)
class _Call:
    id: str
    custom: bool = False
    index: int = -1  # the block's, -1 until the name is known
    pieces: list[str] = field(default_factory=list)
    judged: int = 0  # pieces when it was last asked whether they are whole
    stopped: bool = False


@dataclass(slots=True)
class _Sound:
    index: int
    transcript: list[str] = field(default_factory=list)
    extra: Extra = field(default_factory=dict)


class ChoiceBlocks:
    """One choice: `feed(choice, out)` appends events and returns the error that stood in it."""

    def __init__(self, number: int, numbers: Numbers) -> None:
        self.usage: JSON = None
        self._number = number
        self._numbers = numbers
        self._kind: JSON = None  # what the open text is: a key that tells one kind from another
        self._index = -1
        self._calls: dict[object, _Call] = {}
        self._open_calls: list[_Call] = []
        self._called = False
        self._blocks = 0
        self._sound: _Sound | None = None
        self._word = ""
        self._left: Extra = {}
        self._ended = False

    def feed(self, choice: Extra, out: list[Event]) -> JSON:
        first = len(out)
        delta = choice.get("delta")
        left: Extra = {}
        if isinstance(delta, dict):
            said = [n for n, v in delta.items() if v is not None and v != "" and n not in _QUIET]
            if len(said) > 1:
                said = self._thoughts(said, delta, left, out)
            for name in said:
                self._member(name, delta[name], left, out)
        else:
            self._instead(choice, out)
        if left:
            left = {"delta": left}
        if not choice.keys() <= _KNOWN:
            if choice.get("error"):
                return choice["error"]
            self._others(choice, left)
        logprobs = choice.get("logprobs")
        word = choice.get("finish_reason")
        if word and isinstance(word, str) and word != "null":
            self._finish(word, left, out)
            left = {}
        if left or logprobs is not None:
            self._beside(first, logprobs, left, out)
        return None

    def end(self, out: list[Event], *, complete: bool) -> None:
        """Tell the finish. Without a reason of its own a choice is finished only if the stream is
        complete.
        """
        if self._ended or not (self._word or (complete and self._blocks)):
            return
        self._ended = True
        stop = stop_of(self._word or "stop", calls=self._called)
        met = self._left.get("stop_reason")
        sequence = met if self._word == "stop" and isinstance(met, str) else None
        out.append(Finish(stop, self._number, self._word, sequence, self._left))

    def _member(self, name: str, value: JSON, left: Extra, out: list[Event]) -> None:
        """One member of a delta that says something."""
        match name:
            case "content":
                self._content(value, out)
            case "reasoning_content" | "reasoning" if isinstance(value, str):
                self._say(name, value, Thought(member=name), out)
            case "tool_calls" if isinstance(value, (list, dict)):
                for item in value if isinstance(value, list) else [value]:
                    self._call(item, out)
            case _ if not self._rare(name, value, out):
                left[name] = value

    def _rare(self, name: str, value: JSON, out: list[Event]) -> bool:
        """Members that few answers have. Whether this is one, of the shape that is known."""
        match name:
            case "reasoning_details" if isinstance(value, list):
                self._details(parse_details(value), "", out)
            case "refusal" if isinstance(value, str):
                self._say("refusal", value, Refusal(""), out)
            case "function_call" if isinstance(value, dict):
                self._call({"function": value, "index": "function_call"}, out)
            case "annotations" if isinstance(value, list):
                self._annotate(value, out)
            case "images":
                for image in images_of(value):
                    self._block(image, out)
            case "audio" if isinstance(value, dict):
                self._hear(value, out)
            case _:
                return False
        return True

    def _instead(self, choice: Extra, out: list[Event]) -> None:
        """A chunk without a delta: the text of a legacy completion, or the whole message, which
        says nothing new after deltas.
        """
        message = choice.get("message")
        if isinstance(message, dict) and not self._blocks:
            for name, value in message.items():
                if value and name not in _QUIET:
                    self._member(name, value, {}, out)
        elif isinstance(choice.get("text"), str) and choice["text"]:
            self._say("content", choice["text"], Text(""), out)

    def _others(self, choice: Extra, left: Extra) -> None:
        """Members of the choice that are not of the format's core."""
        said = isinstance(choice.get("delta"), dict)
        for name in choice.keys() - _KNOWN:
            value = choice[name]
            if name == "usage":
                self.usage = value
            elif value is None or value == {} or name in ("obfuscation", "message"):
                continue
            elif name != "text" or said:  # together's servers write the text twice
                left[name] = value

    def _finish(self, word: str, left: Extra, out: list[Event]) -> None:
        """Some servers finish twice: the first reason counts, and all that is said beside it."""
        self._word = self._word or word
        self._left |= left
        self.stop(out)

    def _beside(self, first: int, logprobs: JSON, left: Extra, out: list[Event]) -> None:
        """What stands beside a chunk's text goes with its last delta."""
        for at in range(len(out) - 1, first - 1, -1):
            event = out[at]
            if isinstance(event, Delta):
                event.logprobs = logprobs
                event.extra = left or None
                return
        if logprobs is not None:
            if self._index < 0:
                self._open("content", Text(""), out)
            out.append(Delta(self._index, "", logprobs, left or None))
        elif left:
            out.append(Aside(NAME, {"choices": [{"index": self._number, **left}]}))

    def _content(self, value: JSON, out: list[Event]) -> None:
        if isinstance(value, str):
            self._say("content", value, Text(""), out)
            return
        for part in value if isinstance(value, list) else [encode_text(value)]:
            self._part(part_of(part), out)

    def _part(self, part: Part, out: list[Event]) -> None:
        match part:
            case Text() if part.extra:
                self._block(part, out)
            case Text():
                self._say("content", part.text, Text(""), out)
            case Thought():
                extra = {k: v for k, v in part.extra.items() if k != "thinking"}
                empty = Thought(member="thinking", extra=extra)
                self._say("thinking", part.text, empty, out)
                if part.signature:
                    out.append(Signature(self._index, part.signature))
            case Refusal():
                self._say("refusal", part.text, Refusal(""), out)
            case _:
                self._block(part, out)

    def _say(self, kind: JSON, text: str, empty: Part, out: list[Event]) -> None:
        """More of a text of this kind, in the open block if that is one."""
        if self._kind != kind:
            self._open(kind, empty, out)
        if text:
            out.append(Delta(self._index, text))

    def _open(self, kind: JSON, empty: Part, out: list[Event]) -> None:
        self._stop_text(out)
        self._stop_calls(out, whole=True)
        self._kind, self._index = kind, self._begin(empty, out)

    def _begin(self, part: Part, out: list[Event]) -> int:
        index = self._numbers.take()
        self._blocks += 1
        out.append(BlockStart(index, part, self._number))
        return index

    def _block(self, part: Part, out: list[Event]) -> None:
        """A block that is whole as it comes."""
        self._stop_text(out)
        if isinstance(part, Text):
            index = self._begin(Text("", extra=part.extra), out)
            out.append(Delta(index, part.text))
        else:
            index = self._begin(part, out)
        out.append(BlockStop(index))

    def _thoughts(self, said: list[str], delta: Extra, left: Extra, out: list[Event]) -> list[str]:
        """Thoughts come before what they led to, each once: most servers say them twice, as text
        and in details, or under two names. What is left to be said.
        """
        found = [name for name in _THOUGHTS if name in said and isinstance(delta[name], str)]
        details = delta["reasoning_details"] if _DETAILS in said else None
        if isinstance(details, list):
            thoughts = parse_details(details)
            text = "".join(thought.text for thought in thoughts)
            member = next((name for name in found if delta[name] == text), "")
            self._details(thoughts, member, out)
            left |= {name: delta[name] for name in found if name != member}
            return [name for name in said if name != _DETAILS and name not in found]
        for name in found[:1]:
            self._say(name, delta[name], Thought(member=name), out)
        left |= {name: delta[name] for name in found[1:]}
        return [name for name in said if name not in found]

    def _details(self, thoughts: list[Thought], member: str, out: list[Event]) -> None:
        """Entries of `reasoning_details`. `member` is the one that repeats their text."""
        for thought in thoughts:
            detail = thought.detail or {}
            kind = ("detail", detail.get("type"), detail.get("index"), thought.id)
            if kind != self._kind:
                thought_member = member if thought.text else ""
                empty = Thought(
                    summary=thought.summary, id=thought.id, member=thought_member, detail=detail
                )
                self._open(kind, empty, out)
            if thought.text:
                out.append(Delta(self._index, thought.text))
            if thought.signature or thought.data:
                out.append(Signature(self._index, thought.signature, thought.data))

    def _annotate(self, annotations: list[JSON], out: list[Event]) -> None:
        if not annotations:
            return
        if self._kind != "content":
            self._open("content", Text(""), out)
        out += (Annotation(self._index, annotation) for annotation in annotations)

    def _hear(self, value: Extra, out: list[Event]) -> None:
        """Sound: `{"id"}`, `{"transcript"}`, `{"data"}`, `{"expires_at"}`, in fragments."""
        sound = self._sound
        if sound is None:
            self._stop_text(out)
            index = self._begin(Media("audio", file_id=text_of(value.get("id"))), out)
            sound = self._sound = _Sound(index)
        said = text_of(value.get("transcript"))
        sound.transcript.append(said)
        sound.extra |= rest(value, "id", "data", "transcript")
        data = text_of(value.get("data"))
        if data or said:
            out.append(Delta(sound.index, data, extra={"transcript": said} if said else None))

    def _call(self, item: JSON, out: list[Event]) -> None:
        """A call, or a fragment of one."""
        if not isinstance(item, dict):
            return
        custom = item.get("custom")
        inner = custom if isinstance(custom, dict) else item.get("function")
        inner = inner if isinstance(inner, dict) else {}
        call = self._find(item, text_of(inner.get("name")))
        call.custom = call.custom or isinstance(custom, dict)
        call.id = call.id or text_of(item.get("id"))
        text = arguments_of(inner.get("input" if call.custom else "arguments"))
        signature, others = signature_of(item.get("extra_content"))
        if call.index < 0 and inner.get("name"):
            extra = rest(item, "id", "type", "index", "function", "custom", "extra_content")
            if others:
                extra["extra_content"] = others
            self._begin_call(call, text_of(inner["name"]), extra, out)
            text = "".join((*call.pieces, text))
            call.pieces.clear()
        if text:
            call.pieces.append(text)
            if call.index >= 0 and not call.stopped:
                out.append(Delta(call.index, text))
        if signature and call.index >= 0 and not call.stopped:
            out.append(Signature(call.index, signature))

    def _find(self, item: Extra, name: str) -> _Call:
        """The call that a fragment belongs to. Its index says so; without one, its id, or that it
        names no tool. Some servers give all calls the same index: another id with a name is
        another call.
        """
        key: object = item.get("index")
        id = text_of(item.get("id"))
        call = None
        if isinstance(key, (int, str)):
            call = self._calls.get(key)
        else:
            key = id or ("call", len(self._calls))
            call = self._calls.get(key)
            if call is None and not name and self._calls:
                return next(reversed(self._calls.values()))
        if call is None or (name and id and call.id and id != call.id):
            if call is not None:
                self._calls[("was", len(self._calls))] = call
            call = self._calls[key] = _Call(id)
        return call

    def _begin_call(self, call: _Call, name: str, extra: Extra, out: list[Event]) -> None:
        self._stop_text(out)
        self._stop_calls(out, whole=True)
        self._called = True
        part = ToolCall(call.id, name, custom=call.custom, extra=extra)
        call.index = self._begin(part, out)
        self._open_calls.append(call)

    def _stop_text(self, out: list[Event]) -> None:
        if self._index >= 0:
            out.append(BlockStop(self._index))
        self._kind, self._index = None, -1

    def _stop_calls(self, out: list[Event], *, whole: bool) -> None:
        """Stop open calls; with `whole`, those alone whose arguments are complete."""
        left: list[_Call] = []
        for call in self._open_calls:
            if whole and len(left) < _MOST_OPEN and not _is_whole(call):
                left.append(call)
                continue
            call.stopped = True
            out.append(BlockStop(call.index))
        self._open_calls = left

    def stop(self, out: list[Event]) -> None:
        """Everything stops that is open."""
        self._stop_text(out)
        for call in self._calls.values():
            if call.index < 0:  # a call that never said its name
                self._begin_call(call, "", {}, out)
                if call.pieces:
                    out.append(Delta(call.index, "".join(call.pieces)))
        self._stop_calls(out, whole=False)
        sound, self._sound = self._sound, None
        if sound is not None:
            transcript = "".join(sound.transcript)
            extra = {"transcript": transcript} if transcript else {}
            out.append(BlockStop(sound.index, {**extra, **sound.extra} or None))


def _is_whole(call: _Call) -> bool:
    if call.custom:
        return True
    if call.judged == len(call.pieces):
        return False
    call.judged = len(call.pieces)
    text = "".join(call.pieces)
    try:
        decode(text.encode("utf-8", "replace"))
    except MalformedJSON:
        return False
    return True
