"""The position scanner, against tomllib: what it cuts out parses back to what stands there."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneapi.config.locate import KeyPath, dotted, find, position, scan, syntax_error

BARE = st.text("abcXYZ019_-", min_size=1, max_size=6)
SPACE = st.sampled_from(["", " ", "\t", "  "])
COMMENT = st.sampled_from(["", " # a ] } , = \" ' comment", "\t#", " # ü 漢"])
GAP = st.sampled_from(["", " ", "\n", " # in between ]},\n", "\r\n\t", "\n\n  "])


def basic(text: str) -> str:
    """A basic string that tomllib reads as `text`."""
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text)
    return f'"{escaped}"'


NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
KEY = st.one_of(
    BARE,
    NAME.map(basic),
    st.text("ab.# =]'\"\\"[:-3] + '"\\', max_size=5).map(lambda t: f"'{t}'"),
)
STRINGS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(basic),
    st.text('ab "#\\]},=', max_size=8).map(lambda t: f"'{t}'"),
    st.sampled_from(
        [
            '""',
            "''",
            '""""""',
            "''''''",
            '"""a "quoted" ""word"" \\" \\\\"""',
            '"""ends in two""\\"""""',
            '"""\n[not] a = "header"\n# no comment\n"""',
            "'''\n[[neither]]\nit''s 'fine' \\ '''",
            "'''ends in two'''''",
            '"""a\\\n   b"""',
        ]
    ),
)
NUMBERS = ["0", "-12", "1_000", "0xff", "1e3", "-0.5", "inf", "nan", "true", "false"]
TIMES = ["2027-01-01", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5", "07:32:00"]
ATOMS = st.sampled_from(NUMBERS + TIMES)


@st.composite
def arrays(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(values, max_size=3))
    text = "[" + draw(GAP)
    for index, item in enumerate(items):
        last = index == len(items) - 1
        text += item + draw(GAP) + ("," if not last or draw(st.booleans()) else "") + draw(GAP)
    return text + "]"


@st.composite
def inline_tables(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    pairs = []
    for index in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from([f"k{index}", f'"k {index}"', f"d{index} . 'x.y'"]))
        pairs.append(f"{key}{draw(SPACE)}={draw(SPACE)}{draw(values)}")
    return "{" + draw(SPACE) + ", ".join(pairs) + draw(SPACE) + "}"


VALUES = st.recursive(
    st.one_of(STRINGS, ATOMS), lambda v: st.one_of(arrays(v), inline_tables(v)), max_leaves=6
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Text that is mostly TOML; where two keys happen to clash it is not, and is thrown away."""
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        lines.append(draw(pair()))
    for _ in range(draw(st.integers(0, 4))):
        names = f"{draw(SPACE)}.{draw(SPACE)}".join(draw(st.lists(KEY, min_size=1, max_size=3)))
        left, right = draw(st.sampled_from([("[", "]"), ("[[", "]]")]))
        lines.append(f"{draw(SPACE)}{left}{draw(SPACE)}{names}{draw(SPACE)}{right}{draw(COMMENT)}")
        lines += [draw(pair()) for _ in range(draw(st.integers(0, 3)))]
    return draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(lines)


@st.composite
def pair(draw: st.DrawFn) -> str:
    names = ".".join(draw(st.lists(KEY, min_size=1, max_size=2)))
    value = draw(VALUES)
    return f"{draw(SPACE)}{names}{draw(SPACE)}={draw(SPACE)}{value}{draw(COMMENT)}"


def at(tree: Any, path: KeyPath) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def leaves(tree: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(tree, dict) and tree:
        return [p for k, v in tree.items() for p in leaves(v, (*path, k))]
    if isinstance(tree, list) and tree:
        return [p for k, v in enumerate(tree) for p in leaves(v, (*path, k))]
    return [path] if path else []


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents())
def test_every_span_parses_back_to_the_value_at_its_path(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    spans = scan(text)
    for path, span in spans.items():
        cut = text[span.value : span.end]
        if cut.startswith("[") and not is_value(tree, path, cut):
            assert text[span.key : span.end] == cut  # a header stands for itself
            continue
        assert repr(tomllib.loads(f"v = {cut}")["v"]) == repr(at(tree, path))
    for path in leaves(tree):
        assert path in spans


def is_value(tree: Any, path: KeyPath, cut: str) -> bool:
    """Whether `cut` is an array, and not the header of the table at `path`."""
    try:
        return repr(tomllib.loads(f"v = {cut}")["v"]) == repr(at(tree, path))
    except tomllib.TOMLDecodeError:
        return False


def test_most_of_the_generated_documents_are_toml() -> None:
    counts = {True: 0, False: 0}

    @settings(
        max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(documents())
    def count(text: str) -> None:
        try:
            counts[bool(tomllib.loads(text))] += 1
        except tomllib.TOMLDecodeError:
            counts[False] += 1

    count()
    assert counts[True] > 25


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("server", "port"), (3, 1)),
        (("server", "tls", "cert"), (4, 9)),
        (("models", "a b", "routes", 1, "weight"), (7, 46)),
        (("x", 1, "y"), (11, 1)),
        (("x", 1), (10, 1)),
    ],
)
def test_places_are_lines_and_columns_from_one(path: KeyPath, place: tuple[int, int]) -> None:
    text = (
        "# first\n[server]\nport = 3000\ntls = { cert = 'a' }\n\n"
        '[models."a b"]\n'
        "routes = [{ channel = 'a' }, { channel = '', weight = 1 }]\n"
        "[[x]]\ny = 1\n[[x]]\ny = 2\n"
    )
    span = scan(text)[path]
    assert position(text, span.key) == place


def test_a_path_that_is_not_there_is_placed_at_its_nearest_parent() -> None:
    text = "[a.b]\nc = 1\n"
    spans = scan(text)
    for path, parent in (
        (("a", "b", "zz"), ("a", "b")),
        (("a", "b", "c", 0), ("a", "b", "c")),
        (("a", "nope"), ("a", "b")),
    ):
        found = find(spans, path)
        assert found is not None
        assert found[1] == spans[parent]
    assert find(spans, ("elsewhere",)) is None


def test_a_path_is_shown_as_one_writes_it() -> None:
    path: KeyPath = ("models", 'gpt "5"/x', "routes", 0, "weight")
    assert dotted(path) == 'models."gpt \\"5\\"/x".routes[0].weight'


@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb == 2\n", (2, 4)), ("a = [1,\n2", (2, 2)), ("a = 1\na = 2", (2, 6))],
)
def test_what_tomllib_refuses_has_a_place(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    words, line, column = syntax_error(text, caught.value)
    assert (line, column) == place
    assert "at line" not in words
    assert "end of document" not in words
