"""Arguments of a call that comes in pieces, each with the path of the value that it belongs to.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling (read 2026-11-24),
`streamFunctionCallArguments`: `partialArgs: [{jsonPath: "$.a.b[0]", stringValue, willContinue}]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from oneapi.wire.json import JSON

_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d{1,5})\]|\[(?:'([^']*)'|"([^"]*)")\]""")
_VALUES: Final = ("stringValue", "numberValue", "boolValue", "nullValue")
_MOST: Final = 10_000
"""Items of the longest list, and steps of the longest path, that are believed."""


class Arguments:
    """The arguments so far. `add` raises nothing: a piece that fits nowhere is left out."""

    def __init__(self) -> None:
        self.value: dict[str, JSON] = {}
        self._open: set[str] = set()

    def add(self, pieces: JSON) -> None:
        """Take the `partialArgs` of one chunk."""
        for piece in pieces if isinstance(pieces, list) else ():
            if isinstance(piece, dict) and isinstance(piece.get("jsonPath"), str):
                self._piece(piece["jsonPath"], piece)

    def _piece(self, path: str, piece: Mapping[str, JSON]) -> None:
        steps = _steps(path)
        name = next((n for n in _VALUES if n in piece), "")
        if not steps or not name:
            return
        value = None if name == "nullValue" else piece[name]
        joined = path in self._open and isinstance(value, str)
        _put(self.value, steps, value, joined)
        if piece.get("willContinue") is True:
            self._open.add(path)
        else:
            self._open.discard(path)


def _steps(path: str) -> list[str | int]:
    """`$.a[0]` → ["a", 0]; [] for what is no path."""
    if not path.startswith("$") or len(path) > _MOST:
        return []
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return []
        steps.append(
            int(found[2]) if found[2] else next(g for g in found.groups() if g is not None)
        )
        at = found.end()
    return steps if steps and isinstance(steps[0], str) else []


def _put(holder: JSON, steps: list[str | int], value: JSON, joined: bool) -> None:
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, int):
            if not isinstance(holder, list) or step > min(len(holder), _MOST):
                return
            if step == len(holder):
                holder.append(None)
        elif not isinstance(holder, dict):
            return
        held = holder.get(step) if isinstance(holder, dict) else holder[step]
        if following is None:
            holder[step] = held + value if joined and isinstance(held, str) else value
            return
        if not isinstance(held, (dict, list)):
            held = [] if isinstance(following, int) else {}
            holder[step] = held
        holder = held
