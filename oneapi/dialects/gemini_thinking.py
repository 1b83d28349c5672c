"""How much to think, in the terms of each family of models; and what else differs between them.

https://ai.google.dev/gemini-api/docs/thinking, …/thought-signatures and …/openai (read 2026-11-24).
Families are data, matched against a model's name; a channel's options may say otherwise:
`thinking` = "level", "budget" or "none", `signatures`, `nested_media`, `schema` = "openapi".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oneapi.ir import Thinking
from oneapi.wire.json import JSON


@dataclass(frozen=True, slots=True)
class Family:
    """`levels` in rising order, or budgets in tokens from `least` to `most` (`off`: 0 is taken).

    `signatures`: calls in the history need one. `nested_media`: results of tools hold media.
    """

    levels: Sequence[str] = ()
    least: int = 0
    most: int = 0
    off: bool = False
    signatures: bool = False
    nested_media: bool = False
    openapi: bool = False


_THIRD: Final = Family(
    ("MINIMAL", "LOW", "MEDIUM", "HIGH"), signatures=True, nested_media=True, most=32768
)
FAMILIES: Final[Sequence[tuple[re.Pattern[str], Family]]] = (
    (re.compile(r"gemini-3-pro"), replace(_THIRD, levels=("LOW", "HIGH"))),
    (re.compile(r"gemini-(?:[3-9]|\d\d).*pro"), replace(_THIRD, levels=("LOW", "MEDIUM", "HIGH"))),
    (re.compile(r"gemini-(?:[3-9]|\d\d)"), _THIRD),
    (re.compile(r"gemini-(?:pro|flash|flash-lite)-latest"), _THIRD),
    (re.compile(r"gemini-2\.5-pro"), Family(least=128, most=32768)),
    (re.compile(r"gemini-2\.5-flash-lite"), Family(least=512, most=24576, off=True)),
    (re.compile(r"gemini-2\.5-flash-image"), Family()),
    (re.compile(r"gemini-2\.5-flash"), Family(least=1, most=24576, off=True)),
    (re.compile(r"gemini-robotics"), Family(least=1, most=24576, off=True)),
)
_NO_THOUGHT: Final = Family()
_BUDGETS: Final = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 32768,
}
_LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_ORDER: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


def family_of(model: str, options: Mapping[str, JSON]) -> Family:
    """The model's family, with what the channel says of it."""
    name = model.lower()
    family = next((f for pattern, f in FAMILIES if pattern.search(name)), _NO_THOUGHT)
    way = options.get("thinking")
    if way == "none":
        family = replace(family, levels=(), most=0)
    elif way == "level" and not family.levels:
        family = replace(family, levels=_ORDER)
    elif way == "budget":
        family = replace(family, levels=(), most=family.most or 24576, off=family.off)
    for name in ("signatures", "nested_media"):
        if isinstance(options.get(name), bool):
            family = replace(family, **{name: options[name]})
    return replace(family, openapi=options.get("schema") == "openapi")


def thinking_config(thinking: Thinking, family: Family) -> dict[str, JSON] | None:
    """The thinkingConfig, {} where the model's default is what is wanted, None where thinking was
    asked for and the family has none.
    """
    wanted = thinking.enabled is not False and (thinking.effort or "none") != "none"
    wanted = wanted or bool(thinking.budget) or thinking.enabled is True or thinking.adaptive
    if not family.levels and not family.most:
        return None if wanted else {}
    found = _level(thinking, family) if family.levels else _budget(thinking, family)
    show = thinking.show if thinking.show is not None else (True if wanted else None)
    if show is not None:
        found["includeThoughts"] = show
    return found


def _level(thinking: Thinking, family: Family) -> dict[str, JSON]:
    """The nearest level that the family has."""
    effort = thinking.effort
    if not effort and (thinking.enabled is False or thinking.budget == 0):
        effort = "none"
    if not effort and thinking.budget:
        effort = "low" if thinking.budget <= 2048 else "medium" if thinking.budget <= 16384 else ""
        effort = effort or "high"
    wanted = _LEVELS.get(effort)
    if wanted is None:
        return {}
    place = _ORDER.index(wanted)
    return {"thinkingLevel": min(family.levels, key=lambda one: _distance(one, place))}


def _distance(level: str, place: int) -> tuple[int, int]:
    """How far a level is from a place; of two, the one above counts as nearer."""
    gap = _ORDER.index(level) - place
    return abs(gap), -gap


def _budget(thinking: Thinking, family: Family) -> dict[str, JSON]:
    budget = thinking.budget
    if budget is None and thinking.effort:
        budget = _BUDGETS.get(thinking.effort, 0 if thinking.effort == "none" else None)
    if budget is None and thinking.enabled is False:
        budget = 0
    if budget is None:
        return {"thinkingBudget": -1} if thinking.adaptive or thinking.enabled else {}
    if budget <= 0:
        return {"thinkingBudget": 0 if family.off else family.least}
    return {"thinkingBudget": max(family.least, min(budget, family.most))}
