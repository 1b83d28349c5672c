"""Chats as predictions: one prompt, a system prompt, pictures.

https://replicate.com/docs/reference/http (read 2026-11-24) and the input schemas of its language
models. Each model names its inputs itself; `INPUTS` are the commonest names.

Channel options: `inputs` (names for a model that calls its inputs otherwise, "" for one that it
lacks: `{max_tokens = "max_new_tokens", system = "", image = "image_input"}`), `messages` (the model
takes OpenAI's messages as an input of that name), `image_list` (the input of pictures is a list),
`wait` (seconds that the first request waits for a whole answer, 60 at most), `defaults` (more
inputs, sent as they are).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_turns import as_url, linked
from oneapi.dialects.replicate_shapes import PREDICT, VERSION
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from oneapi.wire.json import JSON

INPUTS: Final[Mapping[str, str]] = {
    "prompt": "prompt",
    "system": "system_prompt",
    "image": "image",
    "stop": "stop_sequences",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
}
_NUMBERS: Final = ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "seed")
_LISTS: Final = frozenset({"images", "image_input", "image_inputs"})
_VERSION: Final = re.compile(r"(?:[^:]+:)?([0-9a-f]{64})")
_UNSAID: Final = (
    ("tools", "tools"),
    ("parallel_tools", "parallel_tool_calls"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("service_tier", "service_tier"),
    ("cache_key", "prompt_cache_key"),
)


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 for what a prediction cannot give: forced calls, JSON, sound, files."""
    _refuse_impossible(chat)
    work = _Work(hints)
    messages = linked(chat.messages)
    given: dict[str, JSON] = {}
    _put_texts(work, messages, given)
    _put_numbers(work, chat, given)
    work.put_images(given)
    defaults = hints.options.get("defaults")
    if isinstance(defaults, Mapping):
        given = {**defaults, **given}
    _name_unsaid(chat, work.dropped)
    body: dict[str, JSON] = {"input": given}
    version = _VERSION.fullmatch(model)
    if version is not None:
        body["version"] = version[1]
    headers: list[tuple[bytes, bytes]] = []
    if chat.stream:
        body["stream"] = True
    else:
        headers.append((b"prefer", _wait(hints)))
    return Outgoing(
        PREDICT if version is None else VERSION,
        body_of(body),
        streams=False,  # what answers is the prediction, which says where its stream is
        headers=headers,
        dropped=work.dropped,
    )


def _wait(hints: Hints) -> bytes:
    wanted = hints.options.get("wait")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        return b"wait=%d" % min(60, max(1, wanted))
    return b"wait"


@dataclass(slots=True)
class _Work:
    """One request on its way to the wire."""

    hints: Hints
    dropped: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)  # place in the request, address

    def name_of(self, what: str) -> str:
        """The model's name of an input, "" for one that it lacks."""
        names = self.hints.options.get("inputs")
        given = names.get(what) if isinstance(names, Mapping) else None
        if isinstance(given, str):
            return given
        return self.hints.limit_field if what == "max_tokens" else INPUTS[what]

    def text(self, message: Message, at: str) -> str:
        """A message as text: calls and results of tools are told in words."""
        self.dropped += [f"{at}.{name}" for name in message.extra]
        if message.name:
            self.dropped.append(f"{at}.name")
        said = [self._part(part, f"{at}.content[{i}]") for i, part in enumerate(message.parts)]
        return "\n".join(text for text in said if text)

    def _part(self, part: Part, at: str) -> str:
        match part:
            case Text() | Refusal():
                if isinstance(part, Text) and part.cache:
                    self.dropped.append(f"{at}.cache_control")
                self.dropped += [f"{at}.{name}" for name in part.extra]
                return part.text
            case Media():
                return self._media(part, at)
            case ToolCall():
                return f"[called {part.name} with {part.arguments or '{}'}]"
            case ToolResult():
                inner = [
                    self._part(item, f"{at}.content[{i}]") for i, item in enumerate(part.parts)
                ]
                return f"[{part.name or 'the tool'} answered: {' '.join(inner)}]"
            case Reasoning():
                return ""
            case Opaque():
                self.dropped.append(at)
                return ""

    def _media(self, part: Media, at: str) -> str:
        if part.kind == "file" and part.text:
            return part.text
        url = as_url(part)
        if part.kind != "image" or not url or not self.name_of("image"):
            raise _wrong(at, f"cannot be given to this model: it takes no such {part.kind}")
        if part.detail not in ("", "auto"):
            self.dropped.append(f"{at}.detail")
        self.images.append((at, url))
        return ""

    def put_images(self, given: dict[str, JSON]) -> None:
        """All of them where the input is a list, else the last one."""
        if not self.images:
            return
        name = self.name_of("image")
        urls = [url for _, url in self.images]
        if name in _LISTS or self.hints.options.get("image_list") is True:
            given[name] = urls
            return
        given[name] = urls[-1]
        self.dropped += [at for at, _ in self.images[:-1]]


def _put_texts(work: _Work, messages: Sequence[Message], given: dict[str, JSON]) -> None:
    system: list[str] = []
    turns: list[tuple[str, str]] = []
    for i, message in enumerate(messages):
        text = work.text(message, f"messages[{i}]")
        if message.role in ("system", "developer"):
            system.append(text)
        elif turns and turns[-1][0] == _speaker(message):
            turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n{text}")
        else:
            turns.append((_speaker(message), text))
    if not turns:
        raise _wrong("messages", "must hold a message that is no system prompt")
    name = work.name_of("system")
    prompt = "\n\n".join(system)
    if work.hints.options.get("messages") is True:
        said = [{"role": "system", "content": prompt}] if prompt else []
        given["messages"] = said + [{"role": role, "content": text} for role, text in turns]
        return
    if prompt and name:
        given[name] = prompt
    elif prompt:
        turns[0] = (turns[0][0], f"{prompt}\n\n{turns[0][1]}")
    given[work.name_of("prompt")] = _prompt(turns)


def _speaker(message: Message) -> str:
    return "assistant" if message.role == "assistant" else "user"


def _prompt(turns: Sequence[tuple[str, str]]) -> str:
    """A single message as it is, several as a conversation that the model goes on with."""
    if len(turns) == 1 and turns[0][0] == "user":
        return turns[0][1]
    lines = [f"{role.capitalize()}: {text}" for role, text in turns]
    if turns[-1][0] == "user":
        lines.append("Assistant:")
    return "\n\n".join(lines)


def _put_numbers(work: _Work, chat: ChatRequest, given: dict[str, JSON]) -> None:
    wanted: list[tuple[str, JSON]] = [("max_tokens", chat.max_output)]
    wanted += [(name, getattr(chat, name)) for name in _NUMBERS]
    if chat.stop:
        wanted.append(("stop", ",".join(chat.stop)))  # their own form: one text, commas between
    for what, value in wanted:
        if value is None:
            continue
        name = work.name_of(what)
        if name:
            given[name] = value
        else:
            work.dropped.append(what)
    if chat.thinking is None:
        return
    effort = chat.thinking.effort
    names = work.hints.options.get("inputs")
    called = names.get("effort") if isinstance(names, Mapping) else None
    if effort and isinstance(called, str) and called:
        given[called] = effort
    else:
        work.dropped.append("reasoning_effort")


def _refuse_impossible(chat: ChatRequest) -> None:
    if chat.format is not None and chat.format.kind == "json":
        raise _wrong("response_format", "cannot be JSON: a prediction cannot be held to it")
    if chat.tool_choice is not None and chat.tool_choice.mode == "required":
        raise _wrong("tool_choice", "cannot be required: a prediction calls no tools")


def _name_unsaid(chat: ChatRequest, dropped: list[str]) -> None:
    dropped += [
        name for attribute, name in _UNSAID if getattr(chat, attribute) not in (None, "", [])
    ]
    if chat.n is not None and chat.n > 1:
        dropped.append("n")
    if any(word != "text" for word in chat.modalities):
        dropped.append("modalities")
    dropped += chat.extra


def _wrong(param: str, words: str) -> ApiError:
    return ApiError(400, f"`{param}` {words}", code="unsupported_value", param=param)
