"""Requests of OpenAI's chat as the typed middle has them.

https://platform.openai.com/docs/api-reference/chat/create (read 2026-11-24). The members of vendors
that the middle knows are taken too: `thinking`, `reasoning`, `enable_thinking`, `random_seed` …;
what it does not know stays in `extra`. A member that is null counts as absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.openai_chat_messages import parse_messages
from oneapi.dialects.openai_chat_shapes import NAME, Asked, array, bad, obj, string
from oneapi.dialects.openai_chat_tools import parse_tool_choice, parse_tools
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Envelope, Extra, OutputFormat, Thinking
from oneapi.wire.json import JSON

_ALWAYS: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "functions", "tool_choice"}
    | {"function_call", "parallel_tool_calls", "max_tokens", "max_completion_tokens"}
    | {"temperature", "top_p", "top_k", "stop", "seed", "random_seed", "presence_penalty"}
    | {"frequency_penalty", "n", "logprobs", "top_logprobs", "verbosity", "service_tier"}
    | {"prompt_cache_key", "modalities"}
)
"""Members that the middle takes whatever their values."""
_AS_USUAL: Final = frozenset({"default", "auto"})
"""Some vendors' words for an effort that is not said."""


def parse_request(body: JSON, envelope: Envelope) -> ChatRequest:
    """Raises `ApiError` 400 naming the member. `envelope` says the model and whether to stream."""
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_type")
    if body.get("messages") is None:
        what = "you must provide a `messages` parameter"
        raise ApiError(400, what, code="missing_required_parameter", param="messages")
    taken = set(_ALWAYS)
    chat = Asked(model=envelope.model, messages=parse_messages(body["messages"]), source=NAME)
    sampling(chat, body, envelope)
    chat.tools = parse_tools(body)
    chat.tool_choice = parse_tool_choice(body)
    chat.parallel_tools = flag(body, "parallel_tool_calls")
    chat.max_output = _limit(body)
    chat.format = _format(body, taken)
    chat.thinking = _thinking(body, taken)
    chat.user = _user(body, taken)
    chat.verbosity = string(body.get("verbosity"), "verbosity")
    chat.cache_key = string(body.get("prompt_cache_key"), "prompt_cache_key")
    chat.modalities = _strings(body, "modalities")
    chat.logprobs = flag(body, "logprobs")
    chat.top_logprobs = integer(body, "top_logprobs")
    chat.extra = {k: v for k, v in body.items() if k not in taken and v is not None}
    chat.wire = {k: v for k, v in body.items() if k != "messages"}
    return chat


def sampling(chat: ChatRequest, body: Extra, envelope: Envelope) -> None:
    """Fill in what chats and completions have alike."""
    options = body.get("stream_options")
    options = {} if options is None else obj(options, "stream_options")
    chat.stream = envelope.stream or flag(body, "stream") is True
    chat.wants_usage = envelope.wants_usage or options.get("include_usage") is True
    chat.temperature = number(body, "temperature")
    chat.top_p = number(body, "top_p")
    chat.top_k = integer(body, "top_k")
    chat.stop = _strings(body, "stop")
    seed = integer(body, "seed")
    chat.seed = integer(body, "random_seed") if seed is None else seed
    chat.presence_penalty = number(body, "presence_penalty")
    chat.frequency_penalty = number(body, "frequency_penalty")
    chat.n = integer(body, "n")
    chat.service_tier = string(body.get("service_tier"), "service_tier")


def number(body: Extra, name: str) -> float | None:
    """A number, None where it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise bad(name, "must be a number")
    return value


def integer(body: Extra, name: str) -> int | None:
    """An integer, None where it is absent or null; 1.0 is one too."""
    value = number(body, name)
    if isinstance(value, float):
        if not value.is_integer():
            raise bad(name, "must be an integer")
        return int(value)
    return value


def flag(body: Extra, name: str) -> bool | None:
    """A boolean, None where it is absent or null."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise bad(name, "must be a boolean")
    return value


def _strings(body: Extra, name: str) -> list[str]:
    """Strings, or one alone."""
    value = body.get(name)
    if isinstance(value, str):
        return [value]
    return [string(v, f"{name}[{i}]") for i, v in enumerate(array(value, name))]


def _limit(body: Extra) -> int | None:
    """The most tokens of the answer. -1 is how local clients say: no limit."""
    newer = integer(body, "max_completion_tokens")
    older = integer(body, "max_tokens")
    limit = older if newer is None else newer
    return limit if limit is not None and limit >= 0 else None


def _user(body: Extra, taken: set[str]) -> str:
    """Who is served: the first of the members that say so, the others are left."""
    for name in ("user", "safety_identifier", "user_id"):
        if body.get(name) is not None:
            taken.add(name)
            return string(body[name], name)
    return ""


def _format(body: Extra, taken: set[str]) -> OutputFormat | None:
    value = body.get("response_format")
    if value is None:
        return None
    value = obj(value, "response_format")
    kind = string(value.get("type"), "response_format.type")
    taken.add("response_format")
    if kind == "text":
        return OutputFormat("text", extra=_others(value, ("type",)))
    if kind == "json_object":
        return OutputFormat("json", value.get("schema"), extra=_others(value, ("type", "schema")))
    if kind == "json_schema" or (not kind and "json_schema" in value):
        inner = obj(value.get("json_schema"), "response_format.json_schema")
        strict = flag(inner, "strict")
        return OutputFormat(
            "json",
            inner.get("schema"),
            string(inner.get("name"), "response_format.json_schema.name"),
            string(inner.get("description"), "response_format.json_schema.description"),
            strict,
            _others(value, ("type", "json_schema"))
            | _nested("json_schema", _others(inner, ("schema", "name", "description", "strict"))),
        )
    taken.discard("response_format")  # a grammar of some vendor's: not the middle's
    return None


def _others(value: Extra, taken: Sequence[str]) -> Extra:
    return {k: v for k, v in value.items() if k not in taken and v is not None}


def _nested(name: str, value: Extra) -> Extra:
    return {name: value} if value else {}


def _thinking(body: Extra, taken: set[str]) -> Thinking | None:
    """How much to think, in whichever vendor's words; members of another shape are left."""
    thinking = Thinking()
    effort = string(body.get("reasoning_effort"), "reasoning_effort")
    if effort not in _AS_USUAL:
        thinking.effort = effort
        taken.add("reasoning_effort")
    for name, read in (
        ("thinking", _typed),
        ("reasoning", _openrouter),
        ("enable_thinking", _enabled),
        ("include_reasoning", _shown),
        ("thinking_budget", _budgeted),
    ):
        if body.get(name) is not None and read(body[name], thinking):
            taken.add(name)
    return None if thinking == Thinking() else thinking


def _typed(value: JSON, thinking: Thinking) -> bool:
    """`{"type": "enabled"|"disabled"|"adaptive"|"auto", "budget_tokens": 1024}`."""
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    if kind in ("enabled", "disabled"):
        thinking.enabled = kind == "enabled"
    thinking.adaptive = kind in ("adaptive", "auto")
    thinking.budget = _count(value.get("budget_tokens"))
    thinking.extra.update(_others(value, ("type", "budget_tokens")))
    return True


def _openrouter(value: JSON, thinking: Thinking) -> bool:
    """`{"effort", "max_tokens", "exclude", "enabled"}`."""
    if not isinstance(value, dict):
        return False
    effort = value.get("effort")
    thinking.effort = thinking.effort or (effort if isinstance(effort, str) else "")
    budget = _count(value.get("max_tokens"))
    thinking.budget = thinking.budget if budget is None else budget
    if isinstance(value.get("enabled"), bool):
        thinking.enabled = value["enabled"]
    if isinstance(value.get("exclude"), bool):
        thinking.show = not value["exclude"]
    summary = value.get("summary")
    thinking.summary = summary if isinstance(summary, str) else ""
    known = ("effort", "max_tokens", "exclude", "enabled", "summary")
    thinking.extra.update(_others(value, known))
    return True


def _enabled(value: JSON, thinking: Thinking) -> bool:
    if isinstance(value, bool):
        thinking.enabled = value
    return isinstance(value, bool)


def _shown(value: JSON, thinking: Thinking) -> bool:
    if isinstance(value, bool):
        thinking.show = value
    return isinstance(value, bool)


def _budgeted(value: JSON, thinking: Thinking) -> bool:
    budget = _count(value)
    if budget is not None:
        thinking.budget = budget
    return budget is not None


def _count(value: JSON) -> int | None:
    counts = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if counts else None
