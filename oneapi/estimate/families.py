"""Families of models that share a vocabulary, or nearly so: `families.toml`, read when first asked.

A model belongs to the first family one of whose patterns matches its name, in lower case and
without what providers put before it (`openai/`, `us.anthropic.`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

DEFAULT = "o200k"
"""The family of a model that no pattern knows: newer vocabularies resemble this one."""


@dataclass(frozen=True, slots=True)
class Family:
    """What texts and requests cost in one vocabulary, in tokens.

    `ascii` and `other` are weights in the orders of `text.ASCII` and `text.OTHER`; `base64` and
    `hex` are tokens a character of such text. A request has `request` tokens of its own and
    `message` for each message; with tools, `tools` once, and for each `tool` and `schema` times the
    tokens of its JSON. `exact` is the vocabulary's name for the exact tokenizer, "" where none is.
    """

    name: str
    models: tuple[str, ...]
    ascii: tuple[float, ...]
    other: tuple[float, ...]
    base64: float
    hex: float
    request: int
    message: int
    tools: int
    tool: int
    schema: float
    exact: str


def family(name: str) -> Family:
    """A family by its name. Raises ValueError for one that there is not."""
    found = families().get(name)
    if found is None:
        known = ", ".join(families())
        raise ValueError(f"there is no family of tokenizers {name}; there are {known}")
    return found


def family_of(model: str) -> str:
    """The name of a model's family, by the model's name at some provider."""
    name = bare(model)
    return next((kind for matches, kind in _patterns() if matches.match(name)), DEFAULT)


@cache
def families() -> Mapping[str, Family]:
    """All of them by name, in the file's order."""
    text = files("oneapi.estimate").joinpath("families.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return MappingProxyType({name: _family(name, row, table) for name, row in table.items()})


def _family(name: str, row: Mapping[str, Any], table: Mapping[str, Any]) -> Family:
    """A row as it stands, or `like` another one with every weight times `times`."""
    base = table[row["like"]] if "like" in row else row
    times = row.get("times", 1.0)
    return Family(
        name=name,
        models=tuple(row["models"]),
        ascii=tuple(weight * times for weight in base["ascii"]),
        other=tuple(weight * times for weight in base["other"]),
        base64=base["base64"] * times,
        hex=base["hex"] * times,
        request=row["request"],
        message=row["message"],
        tools=row["tools"],
        tool=row["tool"],
        schema=row["schema"],
        exact=row.get("exact", ""),
    )


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(translate(pattern)), found.name)
        for found in families().values()
        for pattern in found.models
    )


def bare(model: str) -> str:
    """A model's own name, in lower case, without what providers put before it."""
    name = model.lower().rpartition("/")[2]
    return re.sub(r"^(?:[a-z]+\.)+(?=[a-z])", "", name)
