"""Estimates of recorded inputs beside their providers' counts: `python -m tests.estimate.table`.

What requests, messages and tools add was read off these recordings, so the table says how well few
numbers fit them, not how well they foretell others. With an id as argument, or several, their
lines; with `-v` all lines.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from statistics import median

from oneapi import estimate
from oneapi.providers.catalog import load_catalog
from oneapi.providers.media import media_rule
from tests.estimate.recorded import Counted, counted, error

MESSAGES_OF_TEXTS = frozenset({"responses", "ollama_generate"})
"""APIs that make a message of a text."""
LONG = 200
PRESETS = load_catalog()


def estimated(found: Counted) -> int:
    """What the gateway would say, by the model's name alone."""
    preset = PRESETS.get(found.provider) or PRESETS["openai-compatible"]
    rule = media_rule(PRESETS, preset, found.model)
    counter = estimate.counter(estimate.family_of(found.model), rule)
    return counter.message_tokens(found.request, chat=found.api in MESSAGES_OF_TEXTS)


def errors() -> dict[str, list[tuple[Counted, int, float]]]:
    """By provider: the recording, its estimate and how far that is off."""
    by: dict[str, list[tuple[Counted, int, float]]] = defaultdict(list)
    for found in counted():
        if not found.left_out:
            value = estimated(found)
            by[found.provider].append((found, value, error(value, found.truth)))
    return by


def main(wanted: list[str]) -> None:
    left_out = Counter(found.left_out for found in counted() if found.left_out)
    by = errors()
    line = "{:22} {:>10} {:>8} {:>8} {:>8} {:>10} {:>8}"
    print(line.format("provider", "recordings", "median", "p90", "signed", f">= {LONG}", "median"))
    every = [row for rows in by.values() for row in rows]
    for name, rows in [*sorted(by.items()), ("all", every)]:
        off = sorted(abs(e) for _, _, e in rows)
        long = [abs(e) for found, _, e in rows if found.truth >= LONG]
        print(
            line.format(
                name,
                len(rows),
                f"{median(off):.1%}",
                f"{off[len(off) * 9 // 10]:.1%}",
                f"{median(e for _, _, e in rows):+.1%}",
                len(long),
                f"{median(long):.1%}" if long else "",
            )
        )
    for why, times in left_out.items():
        print(f"left out, {why}: {times}")
    for found, value, missed in every:
        if "-v" in wanted or found.id in wanted:
            kind = estimate.family_of(found.model)
            print(
                f"{found.id:34} {found.truth:>6} {value:>6} {missed:+.2f} {kind:10} {found.model}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
