"""Where each key of a TOML text stands: key path → offsets of the key and of its value.

Run only when there is an error to place, a secret to mask or an edit to make, over text that
tomllib accepted: it never has to reject anything, and regular expressions do the work (FACTS 5).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Names of tables and keys, and indexes in arrays: `("models", "fast", "routes", 0, "weight")`."""

_KEY = re.compile(r"""[ \t]*(?:"((?:[^"\\\n]|\\.)*)"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*""")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_ATOM = re.compile(r"[^,\]}\n#]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets into the text. At an array's item and a table's header `key` is `value`."""

    key: int
    value: int
    end: int


def scan(text: str) -> dict[KeyPath, Span]:
    """Every key path of `text`, which tomllib must have accepted. Implied parents are left out."""
    return _Scanner(text).run()


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def find(spans: Mapping[KeyPath, Span], path: KeyPath) -> tuple[KeyPath, Span] | None:
    """The span of `path`, or of its nearest parent that stands in the text.

    A parent that is only implied (`channels`, where the text says `[channels.a]`) stands at its
    first child.
    """
    for length in range(len(path), 0, -1):
        part = path[:length]
        if part in spans:
            return part, spans[part]
        for candidate, span in spans.items():
            if candidate[:length] == part:
                return part, span
    return None


def syntax_error(text: str, error: tomllib.TOMLDecodeError) -> tuple[str, int, int]:
    """Words, line and column of what tomllib did not accept."""
    words = str(error)
    found = _TOML_PLACE.search(words)
    if found is None:
        return words, 0, 0
    words = words[: found.start()]
    if found[1] is not None:
        return words, int(found[1]), int(found[2])
    return words, *position(text, len(text.rstrip()))


def dotted(path: KeyPath) -> str:
    """The path as an operator would write it: `models."gpt 5".routes[0]`."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts.append(f"[{part}]")
            continue
        name = (
            part
            if _BARE.fullmatch(part)
            else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        )
        parts.append(f".{name}" if parts else name)
    return "".join(parts)


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: dict[KeyPath, Span] = {}
        self.last: dict[KeyPath, int] = {}  # arrays of tables: the index of the newest

    def run(self) -> dict[KeyPath, Span]:
        text, base, at = self.text, KeyPath(), self._space(0)
        while at < len(text):
            if text[at] == "[":
                base, at = self._header(at)
            else:
                at = self._pair(at, base)
            at = self._space(at)
        return self.spans

    def _space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _header(self, start: int) -> tuple[KeyPath, int]:
        brackets = 2 if self.text.startswith("[[", start) else 1
        names, at = self._key(start + brackets)
        path = KeyPath()
        for name in names[:-1]:
            path = self._newest((*path, name))
        path = (*path, names[-1])
        end = at + brackets
        if brackets == 2:
            self.last[path] = self.last.get(path, -1) + 1
            self.spans.setdefault(path, Span(start, start, end))
        path = self._newest(path)
        self.spans[path] = Span(start, start, end)
        return path, end

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self.last[path]) if path in self.last else path

    def _pair(self, start: int, base: KeyPath) -> int:
        """`key = value`; returns where it ends."""
        names, at = self._key(start)
        blank = _BLANK.match(self.text, at + 1)
        value = blank.end() if blank else at + 1
        path = base + names
        end = self._value(value, path)
        self.spans[path] = Span(start, value, end)
        return end

    def _key(self, at: int) -> tuple[tuple[str, ...], int]:
        names: list[str] = []
        while found := _KEY.match(self.text, at):
            basic, literal, bare = found.groups()
            if basic is not None and "\\" in basic:
                basic = tomllib.loads(f'k="{basic}"')["k"]
            names.append(next(n for n in (basic, literal, bare) if n is not None))
            at = found.end()
            if not self.text.startswith(".", at):
                break
            at += 1
        return tuple(names), at

    def _value(self, at: int, path: KeyPath) -> int:
        first = self.text[at]
        if first == "[":
            return self._array(at, path)
        if first == "{":
            return self._inline(at, path)
        found = (_STRING if first in "\"'" else _ATOM).match(self.text, at)
        end = found.end() if found else at
        return end if first in "\"'" else at + len(self.text[at:end].rstrip(" \t\r"))

    def _array(self, start: int, path: KeyPath) -> int:
        at, index = self._space(start + 1), 0
        while self.text[at] != "]":
            item = (*path, index)
            end = self._value(at, item)
            self.spans[item] = Span(at, at, end)
            at, index = self._separator(end), index + 1
        return at + 1

    def _inline(self, start: int, path: KeyPath) -> int:
        at = self._space(start + 1)
        while self.text[at] != "}":
            at = self._separator(self._pair(at, path))
        return at + 1

    def _separator(self, at: int) -> int:
        at = self._space(at)
        return self._space(at + 1) if self.text[at] == "," else at
