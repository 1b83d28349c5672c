"""A thing that is wrong, by its key path; a `Problem` once it is known where that stands."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from oneapi.config.locate import KeyPath

_FEW = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """`at` says whether the place of the key or of its value is the one to show."""

    path: KeyPath
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    at: Literal["key", "value"] = "value"


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint: the nearest of `known`, else `otherwise` and what there is, if that is short."""
    names = sorted(known)
    if (
        len(names) > _FEW
    ):  # comparing with thousands of names, thousands of times, would take minutes
        names = [n for n in names if n[:1] == word[:1] and abs(len(n) - len(word)) < 3][:_FEW]
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if not otherwise or not names or len(names) > 12:
        return ""
    return f"{otherwise}: {', '.join(names)}"
