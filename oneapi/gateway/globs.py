"""Matching of names against lists of names and globs, compiled once when the configuration is
built.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable


def is_glob(pattern: str) -> bool:
    """Whether a pattern has a wildcard: `*`, `?` or `[`."""
    return any(c in pattern for c in "*?[")


class Globs:
    """A list of names and globs. Case counts. `names` are the literal ones, in their order."""

    __slots__ = ("_everything", "_exact", "_regex", "names")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = tuple(patterns)
        self.names = tuple(p for p in patterns if not is_glob(p))
        self._exact = frozenset(self.names)
        globs = [p for p in patterns if is_glob(p)]
        self._everything = "*" in globs
        joined = "|".join(f"(?:{fnmatch.translate(p)})" for p in globs)
        self._regex: re.Pattern[str] | None = re.compile(joined) if globs else None

    def __contains__(self, name: str) -> bool:
        if self._everything or name in self._exact:
            return True
        return self._regex is not None and self._regex.match(name) is not None
