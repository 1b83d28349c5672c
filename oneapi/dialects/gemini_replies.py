"""Answers for clients of Gemini's dialect: whole, as server-sent events, as one JSON array.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse (read 2026-11-24). Calls
go out whole, with their signature on the part. The last chunk has the finish reasons and the usage;
an empty text in it keeps clients alive that ask for its parts. Ids that were made for a provider
without any are left out again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.gemini_answers import call_prefix
from oneapi.dialects.gemini_enums import to_integers
from oneapi.dialects.gemini_errors import array_error, stream_error
from oneapi.dialects.gemini_parts import NAME, render_call, render_part
from oneapi.dialects.gemini_seal import seal
from oneapi.dialects.gemini_usage import is_usage, render_usage
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Extra,
    Failed,
    Finish,
    Media,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, encode

_REASONS: Final[Mapping[str, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "STOP",
    "error": "OTHER",
}
_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/_\-]{4})*(?:[A-Za-z0-9+/_\-]{2}(?:==|[A-Za-z0-9+/_\-]=))?"
)
_BLOCKED: Final = "content_filter"


def render_response(reply: ChatResponse, stamp: Stamp, *, integers: bool = False) -> bytes:
    """The body of a whole answer."""
    own = reply.source == NAME
    answer: dict[str, JSON] = {}
    if not _refused(reply):
        answer["candidates"] = [_candidate(choice, own, stamp) for choice in reply.choices]
    elif not own:
        answer["promptFeedback"] = {"blockReason": "SAFETY"}
    if own and isinstance(reply.raw_usage, dict):
        answer["usageMetadata"] = reply.raw_usage
    elif reply.usage is not None:
        answer["usageMetadata"] = render_usage(reply.usage)
    answer.update(_names(reply.id, reply.model, own, stamp))
    if own:
        answer.update(reply.extra)
    return _encoded(answer, integers)


def _names(id: str, model: str, own: bool, stamp: Stamp) -> dict[str, JSON]:
    """The answer's own names; a provider of this format may have given none."""
    names: dict[str, JSON] = {"modelVersion": stamp.model or model, "responseId": id or stamp.id}
    if own and not names["modelVersion"]:
        del names["modelVersion"]
    if own and names["responseId"] == stamp.id:
        del names["responseId"]
    return names


def _refused(reply: ChatResponse) -> bool:
    """Whether nothing came but that the prompt was refused."""
    if len(reply.choices) != 1:
        return not reply.choices
    (choice,) = reply.choices
    if choice.parts:
        return False
    return choice.stop == _BLOCKED and (reply.source != NAME or "promptFeedback" in reply.extra)


def _candidate(choice: Choice, own: bool, stamp: Stamp) -> dict[str, JSON]:
    parts = [_part(part, own, stamp) for part in choice.parts]
    content: dict[str, JSON] = {"role": "model"}
    found = [part for part in parts if part is not None]
    if found:
        content["parts"] = found
    told: dict[str, JSON] = {"content": content, "index": choice.index}
    reason = _reason(choice.stop or "stop", choice.native_stop if own else "")
    if reason and (choice.native_stop or not own):
        told["finishReason"] = reason
    if own:
        told.update(choice.extra)
        if told["content"] is None:
            del told["content"]
    elif choice.logprobs is not None:
        told.update(gemini_logprobs(choice.logprobs))
    return told


def _part(part: Part, own: bool, stamp: Stamp) -> dict[str, JSON] | None:
    if isinstance(part, ToolCall):
        if part.id.startswith(call_prefix(stamp)):
            part = replace(part, id="")
        return render_call(replace(part, signature=_signature(part.signature, own)), own=own)
    if isinstance(part, Reasoning) and not own:
        signature = seal(part, len(part.text))
        if not part.text and not signature:
            return None
        return {"text": part.text, "thought": True, **_signed(signature)}
    return render_part(part, own=own)


def gemini_logprobs(logprobs: JSON) -> dict[str, JSON]:
    """The middle's log probabilities (OpenAI's form) as members of a candidate."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return {}
    chosen = [_probable(entry) for entry in content]
    top = []
    for entry in content:
        others = entry.get("top_logprobs") if isinstance(entry, dict) else None
        others = others if isinstance(others, list) else []
        top.append({"candidates": [_probable(other) for other in others]})
    mean = sum(entry["logProbability"] for entry in chosen) / len(chosen)
    return {
        "avgLogprobs": mean,
        "logprobsResult": {"chosenCandidates": chosen, "topCandidates": top},
    }


def _probable(entry: JSON) -> dict[str, JSON]:
    told = entry if isinstance(entry, dict) else {}
    value = told.get("logprob")
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {"token": told.get("token", ""), "logProbability": value if known else 0.0}


def _reason(stop: str, native: str) -> str:
    return native or _REASONS[stop]


def _signature(signature: str, own: bool) -> str:
    """A call's signature as this format can carry it: base64."""
    return signature if own or _BASE64.fullmatch(signature) else ""


def _signed(signature: str) -> dict[str, JSON]:
    return {"thoughtSignature": signature} if signature else {}


def _encoded(answer: dict[str, JSON], integers: bool) -> bytes:
    if integers:
        to_integers(answer)
    try:
        return encode(answer)
    except UnicodeEncodeError:  # half of a pair of surrogates: a provider cut a text in two
        return encode_text(answer).encode()


@dataclass(slots=True)
class _Block:
    """A block that is open: its part as it began, and what came for a call or a medium."""

    part: Part
    choice: int
    texts: list[str] = field(default_factory=list)
    signature: str = ""
    data: str = ""
    length: int = 0

    def sealed(self, thought: Reasoning) -> str:
        """The signature of a thought of another provider's."""
        signature, data = thought.signature + self.signature, self.data or thought.data
        return seal(replace(thought, signature=signature, data=data), self.length)


class _Renderer:
    """Events as chunks, each an answer object; subclasses frame them."""

    def __init__(self, stamp: Stamp, *, integers: bool = False) -> None:
        self._stamp = stamp
        self._integers = integers
        self._prefix = call_prefix(stamp)
        self._own = False
        self._head: dict[str, JSON] = {"modelVersion": stamp.model, "responseId": stamp.id}
        self._once: dict[str, JSON] = {}
        self._blocks: dict[int, _Block] = {}
        self._parts: dict[int, list[dict[str, JSON]]] = {}
        self._last = -1  # the block whose text is the last part, which may grow
        self._open: dict[str, JSON] = {}
        self._run: list[str] = []
        self._seen: set[int] = set()
        self._usage: JSON = None
        self._logprobs: dict[int, JSON] = {}
        self._finishes: dict[int, Finish] = {}

    def render(self, events: Iterable[Event]) -> bytes:
        """The chunks of these events. What ends the answer waits for `close`."""
        for event in events:
            if type(event) is Delta:
                self._delta(event)
            elif isinstance(event, Failed):
                return self._flush() + self.fail(event.error)
            else:
                self._event(event)
        return self._flush() if self._parts else b""

    def fail(self, error: ApiError) -> bytes:
        """The error, which ends the stream."""
        raise NotImplementedError

    def close(self) -> bytes:
        """The last chunk: finish reasons and usage."""
        for index in list(self._blocks):
            self._stop(index, None)
        out = self._flush() if self._parts else b""
        return out + self._frame(self._encode(self._final())) + self._tail()

    def _frame(self, chunk: bytes) -> bytes:
        raise NotImplementedError

    def _tail(self) -> bytes:
        return b""

    def _event(self, event: Event) -> None:
        match event:
            case BlockStart():
                self._begin(event)
            case BlockStop():
                self._stop(event.index, event.extra)
            case Signature():
                self._sign(event)
            case Start():
                self._start(event)
            case Spent():
                own = self._own and is_usage(event.raw)
                self._usage = event.raw if own else render_usage(event.usage)
            case Finish():
                self._finishes[event.choice] = event
            case Aside():
                if event.dialect == NAME and isinstance(event.data, dict):
                    self._once.update(event.data)
            case Delta() | Annotation() | Failed():
                pass  # handled by `render`; citations of others have no form here

    def _start(self, event: Start) -> None:
        self._own = event.source == NAME
        self._head = _names(event.id, event.model, self._own, self._stamp)
        if self._own:
            for name, value in event.extra.items():
                (self._once if name == "promptFeedback" else self._head)[name] = value

    def _begin(self, event: BlockStart) -> None:
        part = event.part
        self._seen.add(event.choice)
        self._blocks[event.index] = _Block(part, event.choice)
        if isinstance(part, Text | Refusal | Reasoning) and part.text:
            self._delta(Delta(event.index, part.text))

    def _delta(self, event: Delta) -> None:
        block = self._blocks.get(event.index)
        if block is None:
            return
        if event.logprobs is not None and not self._own:
            self._logprobs[block.choice] = event.logprobs
        part = block.part
        if not isinstance(part, Text | Refusal | Reasoning):
            block.texts.append(event.text)
            return
        if not event.text:
            return
        block.length += len(event.text)
        if self._last == event.index:
            self._run.append(event.text)
            return
        told: dict[str, JSON] = {"text": event.text}
        if isinstance(part, Reasoning):
            told["thought"] = True
        self._add(block.choice, told, event.index)

    def _sign(self, event: Signature) -> None:
        block = self._blocks.get(event.index)
        if block is None:
            return
        if isinstance(block.part, Reasoning):
            block.signature += event.signature
            block.data = event.data or block.data
        else:
            block.signature += _signature(event.signature, self._own)

    def _stop(self, index: int, extra: Extra | None) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        part = block.part
        match part:
            case Text() | Refusal() | Reasoning():
                more = {**part.extra, **(extra or {})} if self._own else {}
                if isinstance(part, Reasoning) and not self._own:
                    more.update(_signed(block.sealed(part)))
                else:
                    more.update(_signed(block.signature))
                if more:
                    self._complete(block, index, more)
            case ToolCall():
                self._call(block, part)
            case Media():
                filled = replace(part, data=part.data + "".join(block.texts))
                self._whole(block.choice, filled)
            case _:
                self._whole(block.choice, part)

    def _complete(self, block: _Block, index: int, more: Extra) -> None:
        """What became known at a text's end: on its last piece, or on an empty one."""
        if self._last == index:
            self._settle()
            self._parts[block.choice][-1].update(more)
            self._last = -1
            return
        told: dict[str, JSON] = {"text": "", **more}
        if isinstance(block.part, Reasoning):
            told["thought"] = True
        self._add(block.choice, told, -1)

    def _call(self, block: _Block, part: ToolCall) -> None:
        call = replace(
            part,
            id="" if part.id.startswith(self._prefix) else part.id,
            arguments=part.arguments + "".join(block.texts),
            signature=_signature(part.signature, self._own) + block.signature,
        )
        self._add(block.choice, render_call(call, own=self._own), -1)

    def _whole(self, choice: int, part: Part) -> None:
        told = render_part(part, own=self._own)
        if told is not None:
            self._add(choice, told, -1)

    def _add(self, choice: int, part: dict[str, JSON], index: int) -> None:
        self._settle()
        self._parts.setdefault(choice, []).append(part)
        self._last = index
        self._open = part

    def _settle(self) -> None:
        """Joins what came for the text that is open."""
        if self._run:
            self._open["text"] = "".join((self._open["text"], *self._run))
            self._run.clear()

    def _flush(self) -> bytes:
        if not self._parts:
            return b""
        self._settle()
        candidates = []
        for choice, parts in sorted(self._parts.items()):
            told: dict[str, JSON] = {"content": {"parts": parts, "role": "model"}, "index": choice}
            if self._logprobs:
                told.update(gemini_logprobs(self._logprobs.pop(choice, None)))
            candidates.append(told)
        self._parts = {}
        self._last = -1
        chunk: dict[str, JSON] = {"candidates": candidates}
        if self._usage is not None:
            chunk["usageMetadata"] = self._usage
        return self._frame(self._encode(chunk))

    def _final(self) -> dict[str, JSON]:
        chunk: dict[str, JSON] = {}
        blocked = len(self._finishes) == 1 and not self._seen
        finish = next(iter(self._finishes.values()), None)
        refused = not self._own or "promptFeedback" in self._once
        if blocked and refused and finish is not None and finish.stop == _BLOCKED:
            self._once.setdefault("promptFeedback", {"blockReason": "SAFETY"})
        elif self._finishes:
            chunk["candidates"] = [self._finished(f) for _, f in sorted(self._finishes.items())]
        if self._usage is not None:
            chunk["usageMetadata"] = self._usage
        return chunk

    def _finished(self, finish: Finish) -> JSON:
        told: dict[str, JSON] = {
            "content": {"parts": [{"text": ""}], "role": "model"},
            "finishReason": _reason(finish.stop, finish.native_stop if self._own else ""),
            "index": finish.choice,
        }
        if self._own:
            told.update((k, v) for k, v in finish.extra.items() if k != "content")
        return told

    def _encode(self, chunk: dict[str, JSON]) -> bytes:
        chunk.update(self._head)
        if self._once:
            chunk.update(self._once)
            self._once = {}
        return _encoded(chunk, self._integers)


class EventRenderer(_Renderer):
    """A stream of server-sent events, `alt=sse`."""

    def fail(self, error: ApiError) -> bytes:
        return stream_error(error)

    def _frame(self, chunk: bytes) -> bytes:
        return b"data: " + chunk + b"\r\n\r\n"


class ArrayRenderer(_Renderer):
    """A stream that is one JSON array."""

    def __init__(self, stamp: Stamp, *, integers: bool = False) -> None:
        super().__init__(stamp, integers=integers)
        self._begun = False

    def fail(self, error: ApiError) -> bytes:
        return array_error(error, begun=self._begun)

    def _frame(self, chunk: bytes) -> bytes:
        start = b",\r\n" if self._begun else b"["
        self._begun = True
        return start + chunk

    def _tail(self) -> bytes:
        return b"]"
