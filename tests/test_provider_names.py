"""A provider's name appears in one place, the catalog: no other code decides by it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi.dialects.registry import NAMES

PACKAGE = Path(__file__).resolve().parents[1] / "oneapi"
CATALOG = PACKAGE / "providers" / "catalog.toml"
LOOK_UPS = {"get", "pop", "setdefault", "startswith", "endswith", "removeprefix", "index", "count"}


DIALECTS = {"dialects/registry.py", "providers/operations.py"}
"""Tables of the wire formats, some of which are called like the provider that made them."""


def provider_names() -> set[str]:
    if not CATALOG.exists():
        pytest.skip("there is no providers/catalog.toml yet")
    return set(tomllib.loads(CATALOG.read_text("utf-8")))


def deciding_strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, string) for string constants that are compared, matched, looked up, or keys.

    A set counts like a comparison: it is written for `in`.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                yield from constants(left, *others)
            case ast.MatchValue(value=value):
                yield from constants(value)
            case ast.MatchMapping(keys=keys):
                yield from constants(*keys)
            case ast.Dict(keys=keys):
                yield from constants(*(key for key in keys if key))
            case ast.Set(elts=elements):
                yield from constants(*elements)
            case ast.Subscript(slice=key):
                yield from constants(key)
            case ast.Call(func=ast.Attribute(attr=name), args=args) if name in LOOK_UPS:
                yield from constants(*args[:1])


def constants(*nodes: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings in these expressions, those in tuples and lists too, but not in calls."""
    for node in nodes:
        match node:
            case ast.Constant(value=str() as text):
                yield node.lineno, text
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                yield from constants(*elements)


def test_no_code_decides_by_a_providers_name() -> None:
    names = provider_names()
    wrong = [
        f"oneapi/{file.relative_to(PACKAGE)}:{line}: decides by the provider name {text!r}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in deciding_strings(ast.parse(file.read_text("utf-8")))
        if text in names and not (text in NAMES and str(file.relative_to(PACKAGE)) in DIALECTS)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "if kind == 'acme': pass",
        "if 'acme' != kind: pass",
        "if kind in ('other', 'acme'): pass",
        "KINDS = frozenset({'acme'})",
        "URLS = {'acme': 1}",
        "url = URLS['acme']",
        "url = URLS.get('acme')",
        "if kind.startswith('acme'): pass",
        "match kind:\n    case 'other' | 'acme': pass",
        "match kind:\n    case {'acme': url}: pass",
    ],
)
def test_a_decision_by_name_is_found(code: str) -> None:
    assert "acme" in [text for _, text in deciding_strings(ast.parse(code))]


def test_a_name_in_words_is_no_decision() -> None:
    code = "'''Like acme does.'''\nlog.info('acme', kind)\nname = 'acme'\n"
    assert list(deciding_strings(ast.parse(code))) == []
