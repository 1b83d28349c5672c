"""What a recorded answer costs, computed without any of our parsers and prices: from the
recording's own JSON and the rows of the vendored books, in fractions of a dollar.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote

from oneapi.providers import pricebooks
from oneapi.providers.catalog import load_catalog
from tests.translation.recordings import Exchange, frames, sse
from tests.translation.truths import EXCLUDES

Counts = dict[str, int]
"""What was used, by the key of a price line that it is paid at."""


class Line(NamedTuple):
    """A row of a book."""

    book: str
    row: pricebooks.Row


PRESET_OF = {"openai_compat_other": "openai", "openai_responses": "openai"}
"""Presets of recordings whose file is not called like one."""
FOLLOWS = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
}
PROMPT = ("input", "cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
BUCKET = {
    "cache_write": "cache_write_5m",
    "audio_input": "audio_in",
    "image_input": "image_in",
    "audio_output": "audio_out",
    "search": "searches",
    "character": "characters",
}
"""Our bucket of each key, where it is called otherwise."""
MADE_UP = {
    "input": Fraction(2),
    "output": Fraction(3),
    "cache_read": Fraction(5, 100),
    "cache_write": Fraction(7),
    "cache_write_1h": Fraction(11),
    "audio_input": Fraction(13),
    "image_input": Fraction(17),
    "reasoning": Fraction(19),
    "audio_output": Fraction(23),
    "search": Fraction(29, 1000),
    "character": Fraction(31),
}
"""Prices, all different, of what no book knows."""


def counts(exchange: Exchange) -> Counts | None:
    """What the recording says was used, None where it does not say."""
    reader = READERS[exchange.spoken]
    found = reader(exchange)
    return {key: n for key, n in found.items() if n} if found is not None else None


def line_of(exchange: Exchange) -> Line | None:
    """The row of the provider's books for the model that was recorded."""
    name, model = PRESET_OF.get(exchange.provider, exchange.provider), model_of(exchange)
    for book in _books().get(name, ()):
        rows = pricebooks.book(book)
        if model in rows:
            return Line(book, rows[model])
        fitting = [row for row in rows.values() if fnmatchcase(model, row.model)]
        if fitting:
            best = max(fitting, key=lambda row: len(row.model.replace("*", "").replace("?", "")))
            return Line(book, best)
    return None


@cache
def _books() -> dict[str, tuple[str, ...]]:
    return {name: preset.price_books for name, preset in load_catalog().items()}


def model_of(exchange: Exchange) -> str:
    asked = exchange.request.get("model") if isinstance(exchange.request, dict) else None
    if isinstance(asked, str):
        return asked
    found = re.search(r"/models?/(.+?)(?:[/?]|:[a-z]|$)", unquote(exchange.url))
    return found[1] if found else ""


def dollars(used: Counts, line: Line | None) -> dict[str, tuple[int, Fraction]]:
    """Count and dollars for one, by key."""
    rates = rates_of(line, sum(used.get(key, 0) for key in PROMPT))
    return {key: (n, rates.get(key, Fraction(0)) / _per(key)) for key, n in used.items()}


def rates_of(line: Line | None, prompt: int) -> Mapping[str, Fraction]:
    """Dollars by key, for a prompt of that length."""
    if line is None:
        return MADE_UP
    row = line.row
    given = dict(row.dollars)
    for above, other in sorted(row.tiers, key=lambda tier: tier[0]):
        if prompt > above:
            given = {**row.dollars, **other}
    rates = {key: Fraction(value) for key, value in given.items()}
    for key, other_key in FOLLOWS.items():
        rates.setdefault(key, rates.get(other_key, Fraction(0)))
    return rates


def nanousd(
    parts: Mapping[str, tuple[int, Fraction]], line: Line | None, ratio: Fraction = Fraction(1)
) -> int:
    """The whole, rounded up once."""
    request = Fraction(line.row.dollars.get("request", 0)) if line is not None else Fraction(0)
    return math.ceil((sum(n * each for n, each in parts.values()) + request) * ratio * 10**9)


def _per(key: str) -> int:
    return 1 if key == "search" else 10**6


def _split(whole: int, **parts: int | None) -> Counts:
    """Parts of a whole, each cut to what is left; the rest under ""."""
    found: Counts = {}
    for name, part in parts.items():
        found[name] = min(part or 0, whole)
        whole -= found[name]
    return {**found, "": whole}


def _named(found: Counts, rest: str) -> Counts:
    return {name or rest: n for name, n in found.items()}


def _last(events: Iterator[Any] | list[Any], *path: str) -> Any:
    """The last thing that stands at the path in any of the events."""
    found = None
    for event in events:
        value = event
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found = value or found
    return found


def _chat(exchange: Exchange) -> Counts | None:
    events = sse(exchange.raw) if exchange.stream else [exchange.body]
    usage = _last(events, "usage") or _last(events, "x_groq", "usage")
    if usage is None:
        choices = [choice for event in events for choice in event.get("choices") or ()]
        usage = _last(choices, "usage")
    if usage is None:
        return None
    given = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    prompt, answer = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    thought = made.get("reasoning_tokens") or usage.get("reasoning_tokens") or 0
    if exchange.provider in EXCLUDES:
        thought = thought or usage.get("total_tokens", 0) - prompt - answer
        answer += thought
    if exchange.provider == "mistral":  # its prompts leave their sound out
        prompt += given.get("audio_tokens") or 0
    cached = given.get("cached_tokens", usage.get("num_cached_tokens", usage.get("cached_tokens")))
    if cached is None:
        cached = usage.get("prompt_cache_hit_tokens")
    parts = _split(
        prompt,
        cache_read=cached,
        cache_write=given.get("cache_write_tokens"),
        audio_input=given.get("audio_tokens"),
        image_input=given.get("image_tokens"),
    )
    made_of = _split(answer, reasoning=thought, audio_output=made.get("audio_tokens"))
    tools = usage.get("server_tool_use_details") or usage.get("server_tool_use") or {}
    search = tools.get("web_search_requests") or usage.get("num_sources_used") or 0
    return {**_named(parts, "input"), **_named(made_of, "output"), "search": search}


def _responses(exchange: Exchange) -> Counts | None:
    events = sse(exchange.raw) if exchange.stream else [{"response": exchange.body}]
    whole = _last(events, "response") or {}
    usage = _last(events, "response", "usage")
    if usage is None:
        return None
    given = usage.get("input_tokens_details") or {}
    made = usage.get("output_tokens_details") or {}
    parts = _split(
        usage["input_tokens"],
        cache_read=given.get("cached_tokens"),
        cache_write=given.get("cache_write_tokens"),
    )
    made_of = _split(usage["output_tokens"], reasoning=made.get("reasoning_tokens"))
    calls = [i for i in whole.get("output") or () if i.get("type") == "web_search_call"]
    searched = [c for c in calls if (c.get("action") or {}).get("type", "search") == "search"]
    sources = usage.get("num_sources_used") or 0
    search = sources or len(searched)
    return {**_named(parts, "input"), **_named(made_of, "output"), "search": search}


def _anthropic(exchange: Exchange) -> Counts | None:
    if exchange.stream:
        usage: dict[str, Any] = {}
        for event in _anthropic_events(exchange):
            told = event.get("usage") or event.get("message", {}).get("usage") or {}
            usage |= {name: value for name, value in told.items() if value is not None}
    else:
        usage = exchange.body.get("usage") or {}
    if not usage:
        return None
    stored = usage.get("cache_creation_input_tokens") or 0
    hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    return {
        "input": usage.get("input_tokens", 0),
        "cache_read": usage.get("cache_read_input_tokens") or 0,
        "cache_write": stored - hour,
        "cache_write_1h": hour,
        "output": usage.get("output_tokens", 0) - thought,
        "reasoning": thought,
        "search": (usage.get("server_tool_use") or {}).get("web_search_requests") or 0,
    }


def _anthropic_events(exchange: Exchange) -> list[Any]:
    if exchange.dialect != "bedrock-invoke":
        return sse(exchange.raw)
    return [json.loads(base64.b64decode(body["bytes"])) for _, body in frames(exchange.raw)]


def _gemini(exchange: Exchange) -> Counts | None:
    events = _gemini_events(exchange)
    usage = _last(events, "usageMetadata")
    if usage is None:
        return None
    heard, seen = (_modality(usage, "promptTokensDetails", kind) for kind in ("AUDIO", "IMAGE"))
    cached = usage.get("cachedContentTokenCount") or 0
    for_cache = [_modality(usage, "cacheTokensDetails", kind) for kind in ("AUDIO", "IMAGE")]
    parts = _split(
        usage.get("promptTokenCount", 0),
        cache_read=cached,
        audio_input=heard - for_cache[0],
        image_input=seen - for_cache[1],
    )
    prompt = _named(parts, "input")
    tools = usage.get("toolUsePromptTokenCount") or 0
    thought = usage.get("thoughtsTokenCount") or 0
    answer = usage.get("candidatesTokenCount")
    if answer is None:
        total = usage.get("totalTokenCount") or 0
        answer = max(0, total - usage.get("promptTokenCount", 0) - tools - thought)
    spoken = _modality(usage, "candidatesTokensDetails", "AUDIO")
    made = _named(_split(answer, audio_output=spoken), "output")
    queries = [
        query
        for event in events
        for candidate in event.get("candidates") or ()
        for query in (candidate.get("groundingMetadata") or {}).get("webSearchQueries") or ()
        if query
    ]
    prompt["input"] += tools
    return {**prompt, **made, "reasoning": thought, "search": len(queries)}


def _gemini_events(exchange: Exchange) -> list[Any]:
    if not exchange.stream:
        return exchange.body if isinstance(exchange.body, list) else [exchange.body]
    return sse(exchange.raw)


def _modality(usage: Any, name: str, kind: str) -> int:
    found = (item for item in usage.get(name) or () if item.get("modality") == kind)
    return sum(item.get("tokenCount", 0) for item in found)


def _converse(exchange: Exchange) -> Counts | None:
    if exchange.stream:
        usage = _last([body for _, body in frames(exchange.raw)], "usage")
    else:
        usage = exchange.body.get("usage")
    if usage is None:
        return None
    return {
        "input": usage.get("inputTokens", 0),
        "cache_read": usage.get("cacheReadInputTokens") or 0,
        "cache_write": usage.get("cacheWriteInputTokens") or 0,
        "output": usage.get("outputTokens", 0),
    }


def _ollama(exchange: Exchange) -> Counts | None:
    lines = exchange.raw.decode().splitlines() if exchange.stream else [json.dumps(exchange.body)]
    last = json.loads([line for line in lines if line.strip()][-1])
    if "prompt_eval_count" not in last and "eval_count" not in last:
        return None
    return {"input": last.get("prompt_eval_count", 0), "output": last.get("eval_count", 0)}


def _cohere(exchange: Exchange) -> Counts | None:
    if exchange.stream:
        usage = _last(sse(exchange.raw), "delta", "usage")
    else:
        usage = exchange.body.get("usage") or exchange.body.get("meta")
    billed = (usage or {}).get("billed_units")
    if billed is None:
        return None
    thought = (usage.get("tokens") or {}).get("reasoning_tokens")
    made = _named(_split(billed.get("output_tokens", 0), reasoning=thought), "output")
    return {"input": billed.get("input_tokens", 0), **made}


def _dashscope(exchange: Exchange) -> Counts | None:
    usage = _last(sse(exchange.raw) if exchange.stream else [exchange.body], "usage")
    if usage is None:
        return None
    kinds, made = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    parts = _split(
        usage["input_tokens"],
        cache_read=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        image_input=kinds.get("image_tokens"),
    )
    made_of = _split(usage["output_tokens"], reasoning=made.get("reasoning_tokens"))
    return {**_named(parts, "input"), **_named(made_of, "output")}


def _deepl(exchange: Exchange) -> Counts | None:
    # Recorded without `show_billed_characters`, which we ask for: the text's length stands for it.
    texts = exchange.body["translations"]
    return {"character": sum(t.get("billed_characters", len(t["text"])) for t in texts)}


READERS = {
    "openai-chat": _chat,
    "openai-responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock-converse": _converse,
    "ollama": _ollama,
    "cohere": _cohere,
    "dashscope": _dashscope,
    "deepl": _deepl,
}
"""Dialects whose usage is read here."""
