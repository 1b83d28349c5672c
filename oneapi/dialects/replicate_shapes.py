"""Replicate's format: its names, and what its answers say they used.

https://replicate.com/docs/reference/http (read 2026-11-24), schemas of its language models, and
recordings.
"""

from __future__ import annotations

from typing import Final

from oneapi.ir import Usage
from oneapi.wire.json import JSON

NAME: Final = "replicate"
PREDICT: Final = "replicate.predict"
VERSION: Final = "replicate.version"
"""For official models, whose name `owner/name` stands in the path with its slash, and for a version
of any model, which the body names."""

LIMITS: Final = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_length")
"""What models call the most tokens they may write."""

_MOST: Final = 10**12


def parse_usage(metrics: JSON) -> Usage | None:
    """Tokens of language models, images of others; None where neither is counted: those models are
    billed by the second.
    """
    if not isinstance(metrics, dict):
        return None
    given = count(metrics, "input_token_count")
    made = count(metrics, "output_token_count")
    images = count(metrics, "image_count")
    if given is None and made is None and images is None:
        return None
    return Usage(input=given or 0, output=made or 0, images=images or 0)


def count(value: JSON, name: str) -> int | None:
    number = value.get(name) if isinstance(value, dict) else None
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return None
