"""Imports point down the layers, and each third-party library has its homes (see the README)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "oneapi"

# Lowest first. A room imports from itself and from layers below its own, never from its neighbours.
LAYERS = (
    {"errors"},
    {"wire"},
    {"ir", "estimate"},
    {"tasks"},
    {"config", "dialects", "net"},
    {"providers", "people", "ledger"},
    {"gateway"},
    {"web"},
    {"server"},
    {"cli"},
    {"__main__"},
)
LAYER_OF = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}

HOMES = {
    "cryptography": {"providers"},
    "dotenv": {"config"},
    "h2": {"net"},  # hypercorn's
    "httptools": {"net"},
    "httpx": {"net", "providers", "people", "gateway"},
    "hypercorn": {"net", "server"},
    "msgspec": {"wire", "dialects", "ledger", "gateway"},
    "pydantic": {"config", "web"},
    "pydantic_core": {"config"},
    "pydantic_settings": {"config", "cli"},
    "socksio": {"net"},
    "sqlite_utils": {"ledger"},
    "starlette": {"web"},
    "tomli_w": {"config"},
    "uvloop": {"server"},
    "watchfiles": {"config"},
}


class Import(NamedTuple):
    """`module` imported at `line` of a file: `oneapi.wire.json`, `httpx`, or `.x` if relative."""

    file: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"oneapi/{self.file.relative_to(PACKAGE)}:{self.line}: imports {self.module}"


def module_of(file: Path) -> str:
    """Dotted name of a file: `oneapi.wire.json`, `oneapi.wire` for its `__init__.py`."""
    parts = ["oneapi", *file.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imports_of(file: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(file, node.lineno, name.name)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for name in node.names:
                inner = f"{base}.{name.name}"
                yield Import(file, node.lineno, inner if inner in FILES else base)


ALL = [found for file in FILES.values() for found in imports_of(file)]


def room_of(module: str) -> str:
    """`oneapi.wire.json` → `wire`; empty for `oneapi` itself, which holds only the version."""
    return module.partition(".")[2].partition(".")[0]


def inner() -> Iterator[tuple[str, str, Import]]:
    """(importing room, imported room, import) for imports of our own modules, `oneapi` excepted."""
    for found in ALL:
        here, there = room_of(module_of(found.file)), room_of(found.module)
        if found.module.split(".")[0] == "oneapi" and there:
            yield here, there, found


def test_every_room_has_a_layer() -> None:
    assert {room_of(module) for module in FILES} - {""} <= set(LAYER_OF)


def test_imports_point_down() -> None:
    wrong = [
        f"{found}: {here} may only import what lies below it"
        for here, there, found in inner()
        if here != there and (here == "" or LAYER_OF[there] >= LAYER_OF[here])
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_are_absolute() -> None:
    wrong = [str(found) for found in ALL if found.module.startswith(".")]
    assert not wrong, "\n".join(wrong)


def test_each_library_stays_in_its_homes() -> None:
    wrong = []
    for found in ALL:
        library, here = found.module.split(".")[0], room_of(module_of(found.file))
        if library in sys.stdlib_module_names or library in ("oneapi", ""):
            continue
        if here not in HOMES.get(library, set()):
            wrong.append(f"{found}, whose homes are {sorted(HOMES.get(library, set()))}")
    assert not wrong, "\n".join(wrong)


def test_no_module_is_in_an_import_cycle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in ALL:
        if found.module in FILES:
            graph[module_of(found.file)].add(found.module)
    while leaves := {module for module, below in graph.items() if not below & graph.keys()}:
        for module in leaves:
            del graph[module]
    assert not graph, f"in or above a cycle: {sorted(graph)}"


def dialect_of(module: str) -> str:
    """`oneapi.dialects.openai_usage` → `openai`: the first word of the file."""
    return module.removeprefix("oneapi.dialects").removeprefix(".").partition("_")[0]


def test_dialects_do_not_import_their_siblings() -> None:
    wrong = [
        str(found)
        for here, there, found in inner()
        if here == there == "dialects"
        and dialect_of(module_of(found.file))  # the package itself lists them all
        and dialect_of(found.module) not in {"", "base", dialect_of(module_of(found.file))}
    ]
    assert not wrong, "\n".join(wrong)
