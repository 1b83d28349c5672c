"""What Gemini's answers say they used, and how it is said to its clients.

https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-11-24) and recordings:
`promptTokenCount` includes `cachedContentTokenCount`, `candidatesTokenCount` leaves
`thoughtsTokenCount` out, `toolUsePromptTokenCount` stands beside the prompt's.
"""

from __future__ import annotations

from typing import Final

from oneapi.ir import Usage
from oneapi.wire.json import JSON

_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""
_AUDIO: Final = ("AUDIO", 4)
_IMAGE: Final = ("IMAGE", 2)
COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
)


def parse_usage(value: JSON) -> Usage | None:
    """A `usageMetadata` in disjoint buckets, None for what counts nothing. Raises nothing."""
    if not isinstance(value, dict):
        return None
    prompt, answer = _count(value, "promptTokenCount"), _count(value, "candidatesTokenCount")
    total, thoughts = _count(value, "totalTokenCount"), _count(value, "thoughtsTokenCount")
    if prompt is answer is total is thoughts is None:
        return None
    prompt, thoughts = prompt or 0, thoughts or 0
    tools = _count(value, "toolUsePromptTokenCount") or 0
    if answer is None:
        answer = max(0, (total or 0) - prompt - tools - thoughts)
    usage = Usage(reasoning=thoughts)
    _fill_input(usage, value, prompt)
    usage.input += tools
    if _has_media(value.get("candidatesTokensDetails")):
        spoken = _detail(value, "candidatesTokensDetails", _AUDIO)
        usage.audio_out, answer = _take(answer, spoken)
    usage.output = answer
    return usage


def searches(grounding: JSON) -> int:
    """Searches that a candidate's `groundingMetadata` speaks of."""
    if not isinstance(grounding, dict) or not isinstance(grounding.get("webSearchQueries"), list):
        return 0
    return sum(1 for query in grounding["webSearchQueries"] if query)


def is_usage(value: JSON) -> bool:
    """Whether an object is a usage in this format."""
    return isinstance(value, dict) and any(name in value for name in COUNTS)


def render_usage(usage: Usage) -> dict[str, JSON]:
    """A `usageMetadata` that counts the same."""
    prompt, answer = usage.input_tokens, usage.output + usage.audio_out
    found: dict[str, JSON] = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "totalTokenCount": prompt + answer + usage.reasoning,
    }
    if usage.cache_read:
        found["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        found["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_in or usage.image_in:
        media = (("AUDIO", usage.audio_in), ("IMAGE", usage.image_in))
        text = prompt - usage.audio_in - usage.image_in
        found["promptTokensDetails"] = _details((("TEXT", text), *media))
    if usage.audio_out:
        found["candidatesTokensDetails"] = _details(
            (("TEXT", usage.output), ("AUDIO", usage.audio_out))
        )
    return found


def _details(counts: tuple[tuple[str, int], ...]) -> list[JSON]:
    return [{"modality": kind, "tokenCount": count} for kind, count in counts if count]


def _fill_input(usage: Usage, value: dict[str, JSON], prompt: int) -> None:
    """Prompt tokens by kind; what a cache served is no fresh sound or image."""
    usage.cache_read, rest = _take(prompt, _count(value, "cachedContentTokenCount") or 0)
    if not _has_media(value.get("promptTokensDetails")):  # the usual case, on every chunk
        usage.input = rest
        return
    for kind, field in ((_AUDIO, "audio_in"), (_IMAGE, "image_in")):
        fresh = _detail(value, "promptTokensDetails", kind)
        fresh = max(0, fresh - _detail(value, "cacheTokensDetails", kind)) if fresh else 0
        taken, rest = _take(rest, fresh)
        setattr(usage, field, taken)
    usage.input = rest


def _has_media(entries: JSON) -> bool:
    """Whether a breakdown speaks of more than text."""
    if not isinstance(entries, list):
        return False
    return len(entries) > 1 or (
        len(entries) == 1 and isinstance(entries[0], dict) and entries[0].get("modality") != "TEXT"
    )


def _detail(value: dict[str, JSON], name: str, kind: tuple[str, int]) -> int:
    entries = value.get(name)
    if not isinstance(entries, list):
        return 0
    found = 0
    for entry in entries:
        if isinstance(entry, dict) and entry.get("modality") in kind:
            found += _count(entry, "tokenCount") or 0
    return found


def _take(whole: int, part: int) -> tuple[int, int]:
    part = min(whole, part)
    return part, whole - part


def _count(value: dict[str, JSON], name: str) -> int | None:
    number = value.get(name)
    if type(number) is int and 0 <= number <= _MOST:
        return number
    if isinstance(number, float) and 0 <= number <= _MOST:
        return int(number)
    return None
