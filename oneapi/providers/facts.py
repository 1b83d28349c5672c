"""What is known of public models, whoever serves them: `models.toml`, read when first asked for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files
from typing import Any

_FIELDS = frozenset({"context", "max_output", "inputs", "outputs", "abilities", "source", "date"})
_MEDIA = frozenset({"text", "image", "audio", "video", "file"})
_ABILITIES = frozenset({"tools", "vision", "reasoning", "json"})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`context` and `max_output` in tokens, 0 where unknown; `inputs` and `outputs` are kinds of
    media; `abilities` are of tools, vision, reasoning, json. `source` is the page that says so,
    read on `date`.
    """

    pattern: str
    context: int = 0
    max_output: int = 0
    inputs: tuple[str, ...] = ("text",)
    outputs: tuple[str, ...] = ("text",)
    abilities: tuple[str, ...] = ()
    source: str = ""
    date: str = ""


def facts_for(model: str) -> ModelFacts | None:
    """What is known of a model by its name at some provider: the first pattern that matches.

    Providers put names before and after the model's own (`us.anthropic.claude-…-v1:0`,
    `openai/gpt-…`): what comes before a `/` or a vendor's dot does not count.
    """
    name = _bare(model)
    return next((facts for matches, facts in _table() if matches.match(name)), None)


def all_facts() -> tuple[ModelFacts, ...]:
    """The whole table, in its order."""
    return tuple(facts for _, facts in _table())


def parse_facts(text: str) -> tuple[ModelFacts, ...]:
    """A table's text as facts. Raises `ValueError` naming the row and the field."""
    found = []
    for pattern, row in tomllib.loads(text).items():
        if not isinstance(row, dict) or not row.keys() <= _FIELDS:
            raise ValueError(f"models: {pattern}: there is no such field")
        found.append(_row(pattern, row))
    return tuple(found)


def _row(pattern: str, row: Mapping[str, Any]) -> ModelFacts:
    kinds = {"inputs": _MEDIA, "outputs": _MEDIA, "abilities": _ABILITIES}
    values = dict(row)
    for name, known in kinds.items():
        if not set(values.get(name, ())) <= known:
            raise ValueError(f"models: {pattern}.{name}: holds a word that is not known")
        if name in values:
            values[name] = tuple(values[name])
    for name in ("context", "max_output"):
        if not isinstance(values.get(name, 0), int):
            raise ValueError(f"models: {pattern}.{name}: must be a number of tokens")
    if not values.get("source") or not values.get("date"):
        raise ValueError(f"models: {pattern}: needs its source and date")
    return ModelFacts(pattern, **{**values, "date": str(values["date"])})


def _bare(model: str) -> str:
    name = model.lower().rpartition("/")[2]
    return re.sub(r"^(?:[a-z]+\.)+(?=[a-z])", "", name)


@cache
def _table() -> tuple[tuple[re.Pattern[str], ModelFacts], ...]:
    text = files("oneapi.providers").joinpath("models.toml").read_text("utf-8")
    return tuple((re.compile(translate(f.pattern)), f) for f in parse_facts(text))
