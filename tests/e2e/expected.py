"""What a client must receive and the ledger must hold, worked out without the gateway's code.

Allowed differences are those of D17 alone. Where the counts stand and what they include follows
the providers' pages and the recordings themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.e2e.recordings import Exchange

JSON = Any
BUCKETS = (
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
    "output",
    "reasoning",
    "audio_out",
    "images",
    "audio_ms",
    "characters",
    "searches",
)
_EVENTS = re.compile(rb".+?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)
_ORGANISATION = re.compile(rb"\borg-[0-9A-Za-z]{16,}")
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Traits:
    """What sets a provider apart here: the statuses that speak of the channel's account, 400s that
    do by how their message begins, whether the usage chunk is asked for, whether answers are
    counted without reasoning.
    """

    auth_statuses: frozenset[int] = frozenset({401, 402, 403})
    auth_words: str = ""
    asks_usage: bool = True
    excludes_reasoning: bool = False


TRAITS: Mapping[str, Traits] = {
    "mistral": Traits(asks_usage=False),
    "xai": Traits(auth_words="Incorrect API key provided", excludes_reasoning=True),
    "openrouter": Traits(auth_statuses=frozenset({401, 402})),
}


def is_auth(exchange: Exchange, traits: Traits) -> bool:
    if exchange.status in traits.auth_statuses:
        return True
    words = traits.auth_words.encode()
    return bool(words) and exchange.status == 400 and words in exchange.body


def answer(exchange: Exchange, traits: Traits, asked: str | None) -> bytes:
    """The body that must reach the client; `asked` is the model's name to put back."""
    if exchange.status >= 400:
        return _ORGANISATION.sub(b"org-***", exchange.body)
    if not exchange.is_stream:
        return _renamed(exchange.body, asked) if exchange.body[:1] != b"\xff" else exchange.body
    asked_usage = (exchange.asks().get("stream_options") or {}).get("include_usage") is True
    withhold = traits.asks_usage and not asked_usage
    return b"".join(_events(exchange.body, asked, withhold=withhold))


def _events(stream: bytes, asked: str | None, *, withhold: bool) -> Iterator[bytes]:
    for event in _EVENTS.findall(stream):
        start, value, end = data_in(event)
        if withhold and _only_usage(value):
            continue
        if isinstance(value, dict):
            yield event[:start] + _renamed(event[start:end], asked) + event[end:]
        else:
            yield event


def data_in(event: bytes) -> tuple[int, JSON, int]:
    """Where the event's (one) data stands, and its value, None where it is no JSON."""
    found = re.search(rb"(?:^|\xef\xbb\xbf|[\r\n])data: ?([^\r\n]*)", event)
    if found is None:
        return 0, None, 0
    try:
        return found.start(1), json.loads(found[1]), found.end(1)
    except ValueError:
        return found.start(1), None, found.end(1)


def _only_usage(value: JSON) -> bool:
    if not isinstance(value, dict) or value.get("error"):
        return False
    return value.get("choices") == [] and isinstance(value.get("usage"), dict)


def _renamed(body: bytes, asked: str | None) -> bytes:
    """The JSON text with the top level's `model` replaced, by walking its members."""
    if asked is None:
        return body
    text = body.decode()
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return body
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        value, end = _DECODER.raw_decode(text, start)
        if name == "model" and isinstance(value, str) and value:
            return (text[:start] + json.dumps(asked, ensure_ascii=False) + text[end:]).encode()
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return body


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def usage(exchange: Exchange, traits: Traits) -> tuple[dict[str, int] | None, str]:
    """The buckets and the source; None for the buckets where the provider gave none."""
    if exchange.status >= 400:
        return dict.fromkeys(BUCKETS, 0), "none"
    counted = [c for value in _values(exchange) for c in _counts(value)]
    counted = [c for c in counted if _is_count(c)]
    buckets = _buckets(counted[-1], traits) if counted else None
    if exchange.api in _MEDIA:
        buckets = _MEDIA[exchange.api](exchange, buckets)
    return (buckets, "upstream") if buckets is not None else (None, "estimated")


def _images(exchange: Exchange, buckets: dict[str, int] | None) -> dict[str, int]:
    """Pictures are counted, whether their tokens are or not."""
    made = [
        1 if str(value.get("type", "")).endswith(".completed") else len(value.get("data") or ())
        for value in _values(exchange)
    ]
    return {**(buckets or dict.fromkeys(BUCKETS, 0)), "images": sum(made)}


def _speech(exchange: Exchange, buckets: dict[str, int] | None) -> dict[str, int]:
    """Tokens of an answer are tokens of sound; without them the request's characters count."""
    zero = dict.fromkeys(BUCKETS, 0)
    if buckets is None:
        return {**zero, "characters": len(exchange.asks()["input"])}
    return {**buckets, "audio_out": buckets["output"], "output": 0}


def _transcription(exchange: Exchange, buckets: dict[str, int] | None) -> dict[str, int] | None:
    if buckets is not None:
        return buckets
    for value in _values(exchange):
        heard = (value.get("usage") or {}).get("seconds") or value.get("duration")
        if heard:
            return {**dict.fromkeys(BUCKETS, 0), "audio_ms": round(float(heard) * 1000)}
    return None


_Media = Callable[[Exchange, dict[str, int] | None], dict[str, int] | None]
_MEDIA: Mapping[str, _Media] = {
    "images": _images,
    "speech": _speech,
    "transcription": _transcription,
}


def _values(exchange: Exchange) -> Iterator[JSON]:
    if exchange.is_stream:
        for event in _EVENTS.findall(exchange.body):
            value = data_in(event)[1]
            if isinstance(value, dict):
                yield value
    elif exchange.body.lstrip()[:1] == b"{":
        yield json.loads(exchange.body)


def _counts(value: JSON) -> Iterator[JSON]:
    inner = value.get("x_groq")
    if isinstance(inner, dict) and isinstance(inner.get("usage"), dict):
        yield inner["usage"]
    if isinstance(value.get("usage"), dict):
        yield value["usage"]


def _is_count(found: JSON) -> bool:
    return any(name in found for name in ("prompt_tokens", "input_tokens", "total_tokens"))


def _buckets(found: JSON, traits: Traits) -> dict[str, int]:
    """One usage object, taken apart so that every token is in one bucket."""
    inside = _details(found, "prompt", "input")
    outside = _details(found, "completion", "output")
    prompt = _number(found, "prompt_tokens", "input_tokens")
    answered = _number(found, "completion_tokens", "output_tokens")
    thought = _number(outside, "reasoning_tokens") or _number(found, "reasoning_tokens")
    if traits.excludes_reasoning:
        answered += thought
    cached = _number(inside, "cached_tokens") or _number(
        found, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"
    )
    wanted = {
        "cache_read": cached,
        "cache_write_5m": _number(inside, "cache_write_tokens"),
        "audio_in": _number(inside, "audio_tokens"),
        "image_in": _number(inside, "image_tokens"),
    }
    buckets = dict.fromkeys(BUCKETS, 0)
    for name, size in wanted.items():
        buckets[name] = min(size, prompt)
        prompt -= buckets[name]
    buckets["input"] = prompt
    for name, size in (("reasoning", thought), ("audio_out", _number(outside, "audio_tokens"))):
        buckets[name] = min(size, answered)
        answered -= buckets[name]
    buckets["output"] = answered
    tools = found.get("server_tool_use_details") or {}
    buckets["searches"] = _number(tools, "web_search_requests") or _number(
        found, "num_sources_used"
    )
    return buckets


def _details(found: JSON, *sides: str) -> JSON:
    names = [f"{side}_{word}_details" for side in sides for word in ("tokens", "token")]
    return next((found[name] for name in names if isinstance(found.get(name), dict)), {})


def _number(found: JSON, *names: str) -> int:
    pick: Callable[[str], JSON] = found.get
    return next((int(value) for value in map(pick, names) if value), 0)
