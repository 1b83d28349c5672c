"""A provider's counts before they become a bill: no negative ones, none beyond all reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from oneapi.ir import USAGE_BUCKETS, Usage

MOST: Final = 1_000_000_000
"""Tokens, characters or milliseconds (eleven days) that no single request can use."""


def cleaned(usage: Usage) -> Usage:
    """The usage with negative counts as 0 and absurd ones cut; itself where there are none."""
    counts = usage.as_tuple()
    if min(counts) >= 0 and max(counts) <= MOST:
        return usage
    within = {n: min(max(c, 0), MOST) for n, c in zip(USAGE_BUCKETS, counts, strict=True)}
    return replace(usage, **within)
