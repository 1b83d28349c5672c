"""Workers AI's answers, whole and streamed.

https://developers.cloudflare.com/workers-ai/ (read 2026-11-24) and the vendor's own client library:
an envelope `{result, success, errors, messages}` whose result is `{response, tool_calls, usage}`,
or, of newer models, a chat completion as OpenAI has it. Streams are `data:` events of the same two
kinds, padded with `p`, ended by `[DONE]`. A response may be an object (JSON mode) or a number (a
token that looks like one); arguments are objects or text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_errors import refused
from oneapi.dialects.cloudflare_shapes import NAME, parse_usage, stop_of
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
    Part,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
)
from oneapi.wire.json import JSON, MalformedJSON, decode
from oneapi.wire.sse import EventBlocks, data_of, split

_DONE: Final = b"[DONE]"
_KNOWN: Final = frozenset(
    {
        "response",
        "tool_calls",
        "usage",
        "finish_reason",
        "choices",
        "p",
        "id",
        "object",
        "created",
        "model",
    }
)


def parse_response(body: bytes, stamp: Stamp) -> ChatResponse:
    """Raises `UpstreamError`: 502 for what is no answer, the provider's own for an error."""
    try:
        value = decode(body)
    except MalformedJSON:
        raise _no_answer("is no JSON") from None
    if not isinstance(value, dict):
        raise _no_answer("is no object")
    if _failed(value):
        raise refused(value)
    result = value.get("result", value)
    if isinstance(result, str):
        result = {"response": result}
    if not isinstance(result, dict) or not ("response" in result or _choice(result)):
        if not (isinstance(result, dict) and result.get("tool_calls")):
            raise _no_answer("has no text")
    choice = _choice(result)
    said = choice.get("message") if choice else result
    parts = list(_parts(said if isinstance(said, dict) else {}))
    reason = (choice or result).get("finish_reason")
    usage = result.get("usage")
    called = any(isinstance(part, ToolCall) for part in parts)
    return ChatResponse(
        _string(result.get("id")),
        stamp.model or _string(result.get("model")),
        [
            Choice(
                parts,
                stop_of(reason, called=called),
                native_stop=_string(reason),
                logprobs=choice.get("logprobs") if choice else None,
            )
        ],
        parse_usage(usage),
        NAME,
        created=_whole(result.get("created")),
        raw_usage=usage,
        extra={k: v for k, v in result.items() if k not in _KNOWN and v is not None},
    )


def _failed(value: JSON) -> bool:
    return value.get("success") is False or bool(value.get("error") or value.get("errors"))


def _choice(result: JSON) -> JSON:
    """The one answer of a chat completion, {} where the result is none."""
    choices = result.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _parts(said: JSON) -> Iterator[Part]:
    """Of a native result or a completion's message: their members have different names."""
    for name in ("reasoning_content", "reasoning"):
        thought = said.get(name)
        if isinstance(thought, str) and thought:
            yield Reasoning(thought)
            break
    text = _text(said.get("response")) or _text(said.get("content"))
    if text:
        yield Text(text)
    calls = said.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            id_, name, arguments = _call(call)
            if id_ or name or arguments:
                yield ToolCall(id_, name, arguments)


def _text(value: JSON) -> str:
    """Text of whatever kind the answer is: JSON mode gives a value where text was due."""
    match value:
        case str():
            return value
        case None | []:
            return ""
        case list() if all(isinstance(i, dict) and "text" in i for i in value):
            return "".join(_string(item["text"]) for item in value)
    return encode_text(value)


def _call(value: JSON) -> tuple[str, str, str]:
    """Id, name and arguments of a call, flat or as a `function`; "" what it does not say."""
    function = value.get("function")
    held = function if isinstance(function, dict) else value
    arguments = held.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        arguments = encode_text(arguments)
    return _string(value.get("id")), _string(held.get("name")), arguments or ""


def _string(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: JSON) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


@dataclass(slots=True)
class _Tool:
    """A call that is being written. It is held until its name is known."""

    block: int = -1
    id: str = ""
    name: str = ""
    held: list[str] = field(default_factory=list)


class StreamParser:
    """Events of one stream."""

    def __init__(self, stamp: Stamp) -> None:
        self.done = False
        self._stamp = stamp
        self._blocks = EventBlocks()
        self._begun = False
        self._index = 0
        self._open = -1
        self._thinks = False
        self._tools: dict[int, _Tool] = {}
        self._last = 0
        self._reason: JSON = None
        self._usage: JSON = None
        self._out: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            block = self._blocks.feed(chunk)
        except ValueError as error:
            return [self._fail({"message": str(error)})]
        return self._read(block) if block else []

    def close(self) -> list[Event]:
        if self.done:
            return []
        rest = self._blocks.close()
        out = self._read(rest, cut=True) if rest else []
        if out and isinstance(out[-1], Failed):
            return out
        if not self._ended():
            self._end(complete=bool(self._reason))
        out, self._out = out + self._out, []
        return out

    def _ended(self) -> bool:
        return self.done

    def _read(self, block: bytes, *, cut: bool = False) -> list[Event]:
        """Events of whole blocks; `cut` says that the last one may be cut short."""
        for event in split(block):
            data = data_of(event)
            if data is None or not data.strip():
                continue
            if data.strip() == _DONE:
                self._end(complete=True)
                break
            try:
                value = decode(data)
            except MalformedJSON:
                if cut:
                    break
                value = None
            if not isinstance(value, dict):
                self._out.append(self._fail({"message": "an event of the stream is no object"}))
                break
            if _failed(value):
                self._out.append(self._fail(value))
                break
            self._take(value)
        out, self._out = self._out, []
        return out

    def _fail(self, value: JSON) -> Failed:
        self.done = True
        return Failed(refused(value))

    def _take(self, value: JSON) -> None:
        if not self._begun:
            self._begun = True
            name = self._stamp.model or _string(value.get("model"))
            id_, created = _string(value.get("id")), _whole(value.get("created"))
            self._out.append(Start(id_, name, created, source=NAME))
        choice = _choice(value)
        said = choice.get("delta") if choice else value
        if isinstance(said, dict):
            self._of(said, choice.get("logprobs"))
        reason = (choice or value).get("finish_reason")
        if reason:
            self._reason = reason
        if value.get("usage"):
            self._usage = value["usage"]
        if not _KNOWN.issuperset(value):
            self._out.append(Aside(NAME, {k: v for k, v in value.items() if k not in _KNOWN}))

    def _of(self, said: JSON, logprobs: JSON) -> None:
        for name in ("reasoning_content", "reasoning"):
            thought = said.get(name)
            if isinstance(thought, str) and thought:
                self._write(thought, None, thinks=True)
                break
        text = said.get("response")
        if text is None:
            text = said.get("content")
        if text is not None and text != "":
            text = text if isinstance(text, str) else _text(text)
            self._write(text, logprobs, thinks=False)
        calls = said.get("tool_calls")
        if isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    self._call(call)

    def _write(self, text: str, logprobs: JSON, *, thinks: bool) -> None:
        if self._open < 0 or self._thinks != thinks:
            self._stop()
            self._thinks = thinks
            self._open = self._start(Reasoning() if thinks else Text(""))
        self._out.append(Delta(self._open, text, logprobs))

    def _call(self, value: JSON) -> None:
        """A call, whole or a piece of one; an empty one that only says "no more" is passed over."""
        id_, name, arguments = _call(value)
        if not (id_ or name or arguments):
            return
        number = value.get("index")
        if not isinstance(number, int) or isinstance(number, bool):
            number = len(self._tools) if name else self._last
        tool = self._tools.get(number)
        if tool is None:
            tool = self._tools[number] = _Tool()
            self._last = number
            self._stop()
        tool.id = tool.id or id_
        tool.name = tool.name or name
        if tool.block >= 0:
            if arguments:
                self._out.append(Delta(tool.block, arguments))
            return
        tool.held.append(arguments)
        if tool.name:
            self._begin(tool)

    def _begin(self, tool: _Tool) -> None:
        tool.block = self._start(ToolCall(tool.id, tool.name))
        arguments = "".join(tool.held)
        if arguments:
            self._out.append(Delta(tool.block, arguments))

    def _start(self, part: Part) -> int:
        index = self._index
        self._index += 1
        self._out.append(BlockStart(index, part))
        return index

    def _stop(self) -> None:
        if self._open >= 0:
            self._out.append(BlockStop(self._open))
            self._open = -1

    def _end(self, *, complete: bool) -> None:
        """What ends a stream; of one that broke off, blocks and counts alone."""
        self._stop()
        for tool in self._tools.values():
            if tool.block < 0 and complete:
                self._begin(tool)  # a name never came
            if tool.block >= 0:
                self._out.append(BlockStop(tool.block))
        usage = parse_usage(self._usage)
        if complete and self._begun:
            stop = stop_of(self._reason, called=bool(self._tools))
            self._out.append(Finish(stop, native_stop=_string(self._reason)))
        if usage is not None:
            self._out.append(Spent(usage, self._usage))
        self.done = complete


def _no_answer(words: str) -> UpstreamError:
    return UpstreamError(
        502,
        f"the provider's answer {words}",
        code="bad_upstream_answer",
        retryable=True,
        original_status=200,
    )
