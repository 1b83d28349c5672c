"""Events of the typed middle as a stream that clients of OpenAI's chat read.

https://platform.openai.com/docs/api-reference/chat-streaming (read 2026-11-24): the role comes
first, a call's id and name in its first chunk alone, one finish for each choice, the usage in a
chunk without choices where it was asked for, `[DONE]` at the end.

A stream that came in this dialect folds to what it folded to. Its chunks differ: a chunk with the
role begins it, usage has a chunk of its own, a finish that came twice comes once and last, members
that were told late stand in the finish chunk; the first id counts, padding (`obfuscation`, `p`) is
left out, and of an error in mid-stream message, type and code remain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from oneapi.dialects.base import Stamp
from oneapi.dialects.openai_chat_replies import (
    ID,
    call_id,
    citation,
    finish_word,
    is_legacy,
    media_member,
    render_usage,
)
from oneapi.dialects.openai_chat_shapes import NAME, WORDS, Thought
from oneapi.dialects.openai_chat_thoughts import render_detail, render_thinking_part
from oneapi.dialects.openai_chat_turns import signed_content
from oneapi.dialects.openai_errors import stream_error
from oneapi.dialects.openai_json import dump
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Event,
    Extra,
    Failed,
    Finish,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Spent,
    Start,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

DONE = b"data: [DONE]\n\n"
_PLAIN_END = b'},"logprobs":null,"finish_reason":null}]}\n\n'
_CALL_END = b'}}]},"logprobs":null,"finish_reason":null}]}\n\n'
_LEGACY_END = b'}},"logprobs":null,"finish_reason":null}]}\n\n'


@dataclass(slots=True)
class _Block:
    """An open block. Deltas are written between `head` and `tail` where `head` is set, twice if
    `middle` is.
    """

    part: Part
    choice: int
    head: bytes = b""
    middle: bytes = b""
    tail: bytes = _PLAIN_END
    texts: list[str] = field(default_factory=list)
    number: int = 0  # of a call among the choice's, of a thought among its
    length: int = 0  # characters of its text
    signature: str = ""
    data: str = ""


@dataclass(slots=True)
class _Choice:
    """What has been written of a choice."""

    calls: int = 0
    thoughts: int = 0
    length: int = 0  # characters of its texts that are complete
    called: bool = False
    finished: bool = False


class ChatStreamRenderer:
    """One stream: `render(events)`, then `close()`, or `fail(error)`."""

    def __init__(self, chat: ChatRequest, stamp: Stamp) -> None:
        self._chat = chat
        self._stamp = stamp
        self._legacy = is_legacy(chat)
        self._same = False
        self._head = b""
        self._pending: Extra = {}  # members for the next chunk
        self._blocks: dict[int, _Block] = {}
        self._choices: dict[int, _Choice] = {}
        self._spent: Spent | None = None
        self._out: list[bytes] = []

    def render(self, events: Iterable[Event]) -> bytes:
        out = self._out
        for event in events:
            if type(event) is Delta:  # what nearly all events are
                block = self._blocks[event.index]
                if block.head and event.logprobs is None and not event.extra:
                    block.length += len(event.text)
                    text = dump(event.text)
                    if block.middle:
                        out += (block.head, text, block.middle, text, block.tail)
                    else:
                        out += (block.head, text, block.tail)
                    continue
            self._event(event)
        rendered = b"".join(out)
        out.clear()
        return rendered

    def fail(self, error: ApiError) -> bytes:
        return stream_error(error)

    def close(self) -> bytes:
        for number, choice in self._choices.items():
            if not choice.finished:
                self._finish(Finish("tool_calls" if choice.called else "stop", number))
        out = [*self._out]
        self._out.clear()
        if self._spent is not None and self._chat.wants_usage:
            spent = self._spent
            raw = spent.raw if self._same and spent.raw is not None else None
            self._pending["usage"] = render_usage(spent.usage) if raw is None else raw
        if "usage" in self._pending and self._head:
            tops, self._pending = self._pending, {}
            out += (self._head, b"],", dump(tops)[1:], b"\n\n")
        return b"".join((*out, DONE))

    def _event(self, event: Event) -> None:
        match event:
            case Delta():
                self._delta(event)
            case BlockStart():
                self._start_block(event)
            case BlockStop():
                self._stop_block(event)
            case Signature():
                self._sign(event)
            case Annotation():
                self._annotate(event)
            case Finish():
                self._finish(event)
            case Start():
                self._start(event)
            case Spent():
                self._spent = event
            case Aside():
                self._aside(event)
            case Failed():
                self._out.append(self.fail(event.error))
            case _:
                assert_never(event)

    def _start(self, event: Start) -> None:
        self._same = event.source == NAME
        extra = event.extra if self._same else {}
        head: Extra = {
            "id": event.id or ID + self._stamp.id,
            "object": "chat.completion.chunk",
            "created": event.created or self._stamp.created,
            "model": self._stamp.model or event.model or self._chat.model,
        }
        if event.service_tier:
            head["service_tier"] = event.service_tier
        for name, value in extra.items():
            if isinstance(value, (str, int)):  # clients keep these of the last chunk
                head.setdefault(name, value)
            else:
                self._pending[name] = value
        self._head = b"data: " + dump(head)[:-1] + b',"choices":['
        self._choice(0)

    def _choice(self, number: int) -> _Choice:
        """The choice, whose first chunk says the role."""
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice()
            if not self._head:
                self._start(Start("", ""))
            self._chunk(number, {"role": "assistant", "content": ""})
        return choice

    def _chunk(
        self,
        number: int,
        delta: Extra,
        *,
        word: str | None = None,
        logprobs: JSON = None,
        beside: Extra | None = None,
    ) -> None:
        """One chunk. `beside` are members of the choice, those of its delta among them."""
        if beside:
            more = beside.get("delta")
            if isinstance(more, dict):
                delta = {**delta, **more}
        choice: Extra = {
            "index": number,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": word,
        }
        if beside:
            choice |= {k: v for k, v in beside.items() if k not in ("delta", "message")}
        tail = b"]}\n\n"
        if self._pending:
            tail = b"]," + dump(self._pending)[1:] + b"\n\n"
            self._pending = {}
        self._out += (self._head, dump(choice), tail)

    def _start_block(self, event: BlockStart) -> None:
        choice = self._choice(event.choice)
        part = event.part
        block = self._blocks[event.index] = _Block(part, event.choice)
        match part:
            case Text():
                self._stream_in(block, '"content":')
                if part.extra and self._same:
                    block.head = b""
                self._say(block, part.text)
            case Refusal():
                self._stream_in(block, '"refusal":')
                self._say(block, part.text)
            case Reasoning():
                self._start_thought(block, part, choice)
            case ToolCall():
                self._start_call(block, part, choice)
            case Opaque():
                if part.dialect == NAME:
                    self._chunk(event.choice, {"content": [part.data]})
            case Media() | ToolResult():
                pass  # media are shown when they are whole
            case _:
                assert_never(part)

    def _stream_in(self, block: _Block, member: str, tail: bytes = _PLAIN_END) -> None:
        start = f'{{"index":{block.choice},"delta":{{{member}'
        block.head, block.tail = self._head + start.encode(), tail

    def _say(self, block: _Block, text: str) -> None:
        if text:
            self._delta_of(block, Delta(0, text))

    def _start_thought(self, block: _Block, part: Reasoning, choice: _Choice) -> None:
        block.number = choice.thoughts
        choice.thoughts += 1
        if not (self._same and isinstance(part, Thought)):
            block.signature, block.data = part.signature, part.data
        elif part.member in ("reasoning_content", "reasoning"):
            self._stream_in(block, f'"{part.member}":')
            if part.detail is not None:
                self._stream_detail(block, part, part.detail)
        self._say(block, part.text)

    def _stream_detail(self, block: _Block, part: Thought, detail: Extra) -> None:
        """The text of a thought goes out in its member, and again in its entry of the details."""
        entry = render_detail(Thought(id=part.id, detail=detail), block.number)
        name = "summary" if detail.get("type") == "reasoning.summary" else "text"
        start = dump(entry)[:-1] + (b"," if entry else b"")
        block.middle = b',"reasoning_details":[' + start + dump(name) + b":"
        block.tail = b"}]" + _PLAIN_END

    def _start_call(self, block: _Block, part: ToolCall, choice: _Choice) -> None:
        number = block.number = choice.calls
        choice.calls += 1
        choice.called = True
        if self._legacy and not part.custom:
            self._chunk(block.choice, {"function_call": {"name": part.name, "arguments": ""}})
            self._stream_in(block, '"function_call":{"arguments":', _LEGACY_END)
        else:
            kind, written = ("custom", "input") if part.custom else ("function", "arguments")
            extra = part.extra if self._same else {}
            entry: Extra = {
                "index": number,
                "id": part.id or call_id(self._stamp, number),
                "type": kind,
                kind: {"name": part.name, written: ""},
            }
            self._chunk(block.choice, {"tool_calls": [{**extra, **entry}]})
            member = f'"tool_calls":[{{"index":{number},"{kind}":{{"{written}":'
            self._stream_in(block, member, _CALL_END)
        self._say(block, part.arguments)
        if part.signature:
            self._sign_call(block, part.signature)

    def _delta(self, event: Delta) -> None:
        self._delta_of(self._blocks[event.index], event)

    def _delta_of(self, block: _Block, event: Delta) -> None:
        """A delta that has more than text, or whose block has no plain form."""
        part, text = block.part, event.text
        beside = event.extra if self._same and event.extra else None
        delta: Extra = {}
        match part:
            case Text():
                delta = self._text_delta(part, text)
                block.length += len(text)
            case Refusal():
                delta = {"refusal": text}
            case Reasoning():
                delta = self._thought_delta(block, part, text)
            case ToolCall():
                if text:
                    self._out += (block.head, dump(text), block.tail)
                if not beside and event.logprobs is None:
                    return
            case Media():
                if not self._sound_delta(block, part, event):
                    block.texts.append(text)
                return
            case Opaque() | ToolResult():
                return
            case _:
                assert_never(part)
        if delta or beside or event.logprobs is not None:
            self._chunk(block.choice, delta, logprobs=event.logprobs, beside=beside)

    def _text_delta(self, part: Text, text: str) -> Extra:
        if part.extra and self._same:
            return {"content": [{"type": "text", "text": text, **part.extra}]}
        return {"content": text}

    def _thought_delta(self, block: _Block, part: Reasoning, text: str) -> Extra:
        if not (self._same and isinstance(part, Thought)):
            block.texts.append(text)
            return {"reasoning_content": text} if text else {}
        if part.member == "thinking":
            thought = Thought(text, extra=part.extra)
            return {"content": [render_thinking_part(thought)]} if text else {}
        delta: Extra = {part.member: text} if part.member else {}
        if part.detail is not None:
            entry = Thought(text, summary=part.summary, id=part.id, detail=part.detail)
            delta["reasoning_details"] = [render_detail(entry, block.number)]
        return delta

    def _sound_delta(self, block: _Block, part: Media, event: Delta) -> bool:
        """Sound is streamed as it comes; its first chunk says its id. Images are not."""
        if part.kind != "audio":
            return False
        told: Extra = {} if block.texts else {"id": part.file_id or "audio_0"}
        block.texts.append("")
        if event.text:
            told["data"] = event.text
        if self._same and event.extra:
            told |= event.extra
        self._chunk(block.choice, {"audio": told})
        return True

    def _sign(self, event: Signature) -> None:
        block = self._blocks[event.index]
        part = block.part
        if isinstance(part, ToolCall):
            self._sign_call(block, event.signature)
        elif not isinstance(part, Reasoning):
            pass
        elif self._same and isinstance(part, Thought):
            self._sign_thought(block, part, event)
        else:
            block.signature += event.signature
            block.data = event.data or block.data

    def _sign_thought(self, block: _Block, part: Thought, event: Signature) -> None:
        if part.member == "thinking":
            signed = {"type": "thinking", "thinking": [], "signature": event.signature}
            self._chunk(block.choice, {"content": [signed]})
            return
        entry = Thought("", event.signature, event.data, id=part.id, detail=part.detail)
        self._chunk(block.choice, {"reasoning_details": [render_detail(entry, block.number)]})

    def _sign_call(self, block: _Block, signature: str) -> None:
        assert isinstance(block.part, ToolCall)
        if self._legacy and not block.part.custom:
            return  # its clients know no `tool_calls`
        # OpenAI's library asserts that every delta of a call holds its function.
        empty: Extra = (
            {"custom": {"input": ""}} if block.part.custom else {"function": {"arguments": ""}}
        )
        content = signed_content(signature, {})
        self._chunk(
            block.choice,
            {"tool_calls": [{"index": block.number, **empty, "extra_content": content}]},
        )

    def _annotate(self, event: Annotation) -> None:
        block = self._blocks[event.index]
        cited = event.annotation
        if not self._same:
            start = self._choices[block.choice].length
            cited = citation(cited, start, start + block.length)
        if cited is not None:
            self._chunk(block.choice, {"annotations": [cited]})

    def _stop_block(self, event: BlockStop) -> None:
        block = self._blocks[event.index]
        part = block.part
        if isinstance(part, Reasoning) and (block.signature or block.data):
            text = "".join(block.texts)
            sealed = Reasoning(text, block.signature, block.data, part.summary, part.id)
            self._chunk(block.choice, {"reasoning_details": [render_detail(sealed, block.number)]})
        elif isinstance(part, Media):
            self._show(block, part, event)
        elif isinstance(part, Text):
            self._choices[block.choice].length += block.length

    def _show(self, block: _Block, part: Media, event: BlockStop) -> None:
        streamed = part.kind == "audio" and bool(block.texts)
        if streamed:
            extra = event.extra if self._same and event.extra else {}
            told = {k: v for k, v in extra.items() if k != "transcript"}
            if told:
                self._chunk(block.choice, {"audio": told})
            return
        whole = Media(
            part.kind,
            part.url,
            part.data + "".join(block.texts),
            part.file_id,
            part.media_type,
            text=part.text,
            extra={**part.extra, **(event.extra or {})},
        )
        entry = media_member(whole, same=self._same)
        if entry is not None:
            name, value = entry
            self._chunk(block.choice, {name: [value] if name == "images" else value})

    def _finish(self, event: Finish) -> None:
        choice = self._choice(event.choice)
        if choice.finished:
            return
        choice.finished = True
        native = event.native_stop if self._same else ""
        word = finish_word(native, WORDS[event.stop], legacy=self._legacy)
        beside = event.extra if self._same else None
        self._chunk(event.choice, {}, word=word, beside=beside)

    def _aside(self, event: Aside) -> None:
        """Members of chunks that the middle does not know."""
        if event.dialect != NAME or not isinstance(event.data, dict):
            return
        choices = event.data.get("choices")
        self._pending |= {k: v for k, v in event.data.items() if k != "choices"}
        for entry in choices if isinstance(choices, list) else ():
            if isinstance(entry, dict):
                number = entry.get("index", 0)
                self._choice(number)
                beside = {k: v for k, v in entry.items() if k != "index"}
                self._chunk(number, {}, beside=beside)
