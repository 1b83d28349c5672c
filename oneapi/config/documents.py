"""The file and its includes: read, parsed, joined. Which file a key comes from stays known."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from oneapi.config.findings import Finding
from oneapi.config.locate import KeyPath, Span, dotted, find, position, scan, syntax_error
from oneapi.errors import Problem


@dataclass(frozen=True)
class Document:
    """One file. `data` is what tomllib made of `text`."""

    path: Path
    text: str = field(repr=False)
    data: Mapping[str, Any] = field(repr=False)

    @cached_property
    def spans(self) -> Mapping[KeyPath, Span]:
        return scan(self.text)

    def problem(self, finding: Finding) -> Problem:
        """The finding with its place in this file: its key's, or its nearest parent's."""
        found = find(self.spans, finding.path)
        line, column = 0, 0
        if found is not None:
            path, span = found
            exact = path == finding.path and finding.at == "value"
            line, column = position(self.text, span.value if exact else span.key)
        return Problem(
            finding.message,
            file=str(self.path),
            line=line,
            column=column,
            key=dotted(finding.path),
            hint=finding.hint,
            severity=finding.severity,
        )


@dataclass(frozen=True)
class Documents:
    """All files. `problems` are those of reading and joining; `patterns` the includes, absolute."""

    main: Path
    parts: tuple[Document, ...]
    patterns: tuple[str, ...]
    problems: tuple[Problem, ...]
    complete: bool  # every file could be read and parsed

    def home(self, path: KeyPath) -> Document | None:
        """The file with the longest beginning of `path`, the main one if none has any."""
        best: Document | None = self.parts[0] if self.parts else None
        depth = 0
        for part in self.parts:
            reach = _depth(part.data, path)
            if reach > depth:
                best, depth = part, reach
        return best

    def problem(self, finding: Finding) -> Problem:
        home = self.home(finding.path)
        if home is None:
            return Problem(finding.message, file=str(self.main), key=dotted(finding.path))
        return home.problem(finding)

    def joined(self) -> dict[str, Any]:
        """One tree. Tables are joined key by key; the first of two equal keys stays."""
        tree: dict[str, Any] = {}
        for part in self.parts:
            for name, value in part.data.items():
                if isinstance(value, dict):
                    table = tree.setdefault(name, {})
                    if isinstance(table, dict):
                        tree[name] = table | {k: v for k, v in value.items() if k not in table}
                else:
                    tree.setdefault(name, value)
        return tree


def read_documents(path: Path) -> Documents:
    """The file at `path` and what it includes. Raises nothing: what is wrong is in `problems`."""
    main = _read(path)
    if isinstance(main, Problem):
        return Documents(path, (), (), (main,), complete=False)
    problems: list[Problem] = []
    patterns = tuple(_patterns(main, problems))
    parts = [main]
    complete = True
    for file in included(patterns):
        if file.resolve() == path.resolve():
            continue
        part = _read(file)
        if isinstance(part, Problem):
            problems.append(part)
            complete = False
            continue
        if "include" in part.data:
            problems.append(
                part.problem(
                    Finding(
                        ("include",),
                        "an included file cannot include others",
                        f"add the pattern to {path.name}",
                        at="key",
                    )
                )
            )
        parts.append(part)
    problems += _clashes(parts)
    return Documents(path, tuple(parts), patterns, tuple(problems), complete)


def included(patterns: Iterable[str]) -> list[Path]:
    """The files that the patterns name now, each once, sorted within a pattern."""
    files: dict[Path, None] = {}
    for pattern in patterns:
        for name in sorted(glob(pattern)):
            files[Path(name)] = None
    return list(files)


def _read(path: Path) -> Document | Problem:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        line, column = position(before, len(before))
        return Problem("is not UTF-8", file=str(path), line=line, column=column)
    except OSError as error:
        return Problem(f"cannot be read: {error.strerror}", file=str(path))
    try:
        return Document(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        words, line, column = syntax_error(text, error)
        return Problem(f"not TOML: {words}", file=str(path), line=line, column=column)
    except ValueError as error:  # a number of more digits than Python reads
        return Problem(f"not TOML: {error}", file=str(path))
    except RecursionError:
        return Problem("is nested too deeply", file=str(path))


def _patterns(main: Document, problems: list[Problem]) -> Iterator[str]:
    """The includes, absolute; one without wildcards must exist."""
    include = main.data.get("include", [])
    if not isinstance(include, list):
        return
    for index, pattern in enumerate(include):
        if not isinstance(pattern, str):
            continue
        absolute = str(main.path.parent / pattern)
        if has_magic(pattern) or Path(absolute).is_file():
            yield absolute
            continue
        finding = Finding(("include", index), f"there is no file {pattern}")
        problems.append(main.problem(finding))
        yield absolute


def _clashes(parts: list[Document]) -> Iterator[Problem]:
    """Keys that two files give."""
    owners: dict[KeyPath, Document] = {}
    tables: dict[str, tuple[bool, Document]] = {}
    for part in parts:
        for name, value in part.data.items():
            kind, first = tables.setdefault(name, (isinstance(value, dict), part))
            if kind != isinstance(value, dict):
                words = f"is {'a table' if kind else 'no table'} in {first.path}"
                yield part.problem(Finding((name,), words, "make it the same here", at="key"))
        for path in _owned(part.data):
            first = owners.setdefault(path, part)
            if first is part:
                continue
            place = first.problem(Finding(path, "", at="key"))
            where = f"{place.file}:{place.line}:{place.column}"
            yield part.problem(
                Finding(path, f"is already in {where}", "keep one of them", at="key")
            )


def _owned(data: Mapping[str, Any]) -> Iterator[KeyPath]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from ((name, key) for key in value)
        elif name != "include":
            yield (name,)


def _depth(tree: Any, path: KeyPath) -> int:
    depth = 0
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            break
        depth += 1
    return depth
