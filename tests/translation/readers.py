"""What the official client libraries read of an answer: text, calls, how it ended, what it used.

Each reader asks the library for a chat over a real socket, plain or streamed, and tells what the
library's own objects hold. Nothing here parses JSON or events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol


@dataclass
class Seen:
    """`calls` are (name, arguments), arguments decoded where they are a JSON object. `used` are
    tokens in and out, None where the answer does not say.
    """

    text: str = ""
    thought: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    end: str | None = None
    used: tuple[int, int] | None = None


class Reader(Protocol):
    def __call__(self, base: str, *, stream: bool) -> Seen: ...


def arguments(text: str) -> Any:
    """A call's arguments: the object that they are, or the text that they are."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


@cache
def _openai(base: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=f"{base}/v1", api_key="sk-test", max_retries=0)


@cache
def _anthropic(base: str) -> Any:
    from anthropic import Anthropic

    return Anthropic(base_url=base, api_key="sk-test", max_retries=0)


@cache
def _gemini(base: str) -> Any:
    from google import genai
    from google.genai import types

    return genai.Client(api_key="sk-test", http_options=types.HttpOptions(base_url=base))


@cache
def _ollama(base: str) -> Any:
    from ollama import Client

    return Client(host=base)


def openai_chat(base: str, *, stream: bool) -> Seen:
    client = _openai(base)
    request: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    if not stream:
        return _chat(client.chat.completions.create(**request))
    events = client.chat.completions.create(
        **request, stream=True, stream_options={"include_usage": True}
    )
    return _chat_chunks(events)


def _chat(answer: Any) -> Seen:
    seen = Seen(used=_openai_used(answer.usage, "prompt_tokens", "completion_tokens"))
    if not answer.choices:
        return seen
    choice = answer.choices[0]
    message = choice.message
    seen.text = _plain(message.content) or message.refusal or ""
    seen.thought = _thought(message)
    seen.calls = [_openai_call(call) for call in message.tool_calls or ()]
    seen.end = choice.finish_reason
    return seen


def _plain(content: Any) -> str:
    """A content's text; one provider's own form of it is a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content or ""


def _thought(message: Any) -> str:
    """Under one of the names that providers give it, or among the parts of a content."""
    named = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    if named or not isinstance(message.content, list):
        return named or ""
    parts = [part["thinking"] for part in message.content if part.get("type") == "thinking"]
    return "".join(inner["text"] for part in parts for inner in part)


def _openai_call(call: Any) -> tuple[str, Any]:
    if call.type == "custom":
        return call.custom.name, call.custom.input
    return call.function.name, arguments(call.function.arguments)


def _chat_chunks(events: Iterable[Any]) -> Seen:
    seen = Seen()
    calls: dict[int, list[str]] = {}
    for event in events:
        if event.usage is not None:
            seen.used = _openai_used(event.usage, "prompt_tokens", "completion_tokens")
        for choice in event.choices:
            if choice.index:
                continue
            delta = choice.delta
            seen.text += _plain(delta.content) or delta.refusal or ""
            seen.thought += _thought(delta)
            for call in delta.tool_calls or ():
                held = calls.setdefault(call.index, ["", ""])
                custom = getattr(call, "custom", None)
                if call.function is not None:
                    held[0] += call.function.name or ""
                    held[1] += call.function.arguments or ""
                elif custom is not None:
                    held[0] += _of(custom, "name")
                    held[1] += _of(custom, "input")
            seen.end = choice.finish_reason or seen.end
    seen.calls = [(name, arguments(text)) for _, (name, text) in sorted(calls.items())]
    return seen


def _of(value: Any, name: str) -> str:
    found = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return found or ""


class FailedError(Exception):
    """A response that failed: the library hands such an end on as it does any other event."""


def openai_responses(base: str, *, stream: bool) -> Seen:
    client = _openai(base)
    if not stream:
        return _response(client.responses.create(model="m", input="hi"))
    last: Any = None
    text = ""
    for event in client.responses.create(model="m", input="hi", stream=True):
        if event.type in ("response.completed", "response.incomplete"):
            last = event.response
        elif event.type == "response.failed":
            raise FailedError(event.response.error.message)
        elif event.type in ("response.output_text.delta", "response.refusal.delta"):
            text += event.delta
    seen = _response(last)
    assert seen.text == text, "the deltas differ from the whole"
    return seen


def _response(answer: Any) -> Seen:
    seen = Seen(end=answer.status)
    if answer.incomplete_details is not None:
        seen.end = answer.incomplete_details.reason
    seen.used = _openai_used(answer.usage, "input_tokens", "output_tokens")
    for item in answer.output:
        if item.type == "message":
            for part in item.content:
                seen.text += part.text if part.type == "output_text" else part.refusal
        elif item.type == "function_call":
            seen.calls.append((item.name, arguments(item.arguments)))
        elif item.type == "custom_tool_call":
            seen.calls.append((item.name, item.input))
        elif item.type == "reasoning":
            paragraphs = [*item.summary, *(item.content or ())]
            seen.thought += "\n\n".join(part.text for part in paragraphs)
    return seen


def _openai_used(usage: Any, given: str, made: str) -> tuple[int, int] | None:
    return None if usage is None else (getattr(usage, given), getattr(usage, made))


def anthropic(base: str, *, stream: bool) -> Seen:
    client = _anthropic(base)
    request: dict[str, Any] = {
        "model": "m",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    }
    if not stream:
        return _message(client.messages.create(**request))
    with client.messages.stream(**request) as events:
        return _message(events.get_final_message())


def _message(answer: Any) -> Seen:
    seen = Seen(end=answer.stop_reason)
    for block in answer.content:
        if block.type == "text":
            seen.text += block.text
        elif block.type == "thinking":
            seen.thought += block.thinking
        elif block.type == "tool_use":
            seen.calls.append((block.name, block.input))
    usage = answer.usage
    given = usage.input_tokens
    given += (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    seen.used = (given, usage.output_tokens)
    return seen


def gemini(base: str, *, stream: bool) -> Seen:
    client = _gemini(base)
    if not stream:
        return _candidates([client.models.generate_content(model="m", contents="hi")])
    return _candidates(client.models.generate_content_stream(model="m", contents="hi"))


def _candidates(answers: Iterable[Any]) -> Seen:
    seen = Seen()
    for answer in answers:
        usage = answer.usage_metadata
        if usage is not None:
            given = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
            made = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
            seen.used = (given, made)
        if answer.prompt_feedback is not None and answer.prompt_feedback.block_reason:
            seen.end = "SAFETY"
        for candidate in answer.candidates or ():
            if candidate.index:
                continue
            if candidate.finish_reason is not None:
                seen.end = candidate.finish_reason.name
            for part in candidate.content.parts or () if candidate.content else ():
                if part.function_call is not None:
                    seen.calls.append((part.function_call.name, part.function_call.args or {}))
                elif part.text and part.thought:
                    seen.thought += part.text
                elif part.text:
                    seen.text += part.text
    return seen


def ollama(base: str, *, stream: bool) -> Seen:
    client = _ollama(base)
    messages = [{"role": "user", "content": "hi"}]
    if not stream:
        return _lines([client.chat(model="m", messages=messages)])
    return _lines(client.chat(model="m", messages=messages, stream=True))


def _lines(answers: Iterable[Any]) -> Seen:
    seen = Seen()
    for answer in answers:
        message = answer.message
        seen.text += message.content or ""
        seen.thought += message.thinking or ""
        for call in message.tool_calls or ():
            seen.calls.append((call.function.name, dict(call.function.arguments)))
        if answer.done:
            seen.end = answer.done_reason
            seen.used = (answer.prompt_eval_count or 0, answer.eval_count or 0)
    return seen


READERS: dict[str, Callable[..., Seen]] = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}
