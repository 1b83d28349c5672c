"""Paths of an account's operations, made once: what stands before and after the model's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from urllib.parse import quote

from oneapi.errors import ApiError
from oneapi.net.base import Origin
from oneapi.providers.operations import ALL, CHAT, DIALECTS, EXTRA
from oneapi.providers.preset import Layout, Preset

STREAM = ".stream"


@dataclass(frozen=True, slots=True)
class Place:
    """Path and query of one operation. `after` is None where no model's name stands in it."""

    before: bytes
    after: bytes | None = None
    slashes: bool = False

    def of(self, model: str) -> bytes:
        """The target for a model. Raises `ApiError` 400 for a name that would climb the path."""
        if self.after is None:
            return self.before
        steps = model.split("/") if self.slashes else [model]
        if not {"", ".", ".."}.isdisjoint(steps):
            raise ApiError(400, "that is no model's name", code="invalid_value", param="model")
        name = quote(model, safe="/@" if self.slashes else "")
        return self.before + name.encode() + self.after


def offered(preset: Preset, dialects: Sequence[str]) -> frozenset[str]:
    """The operations of an account that speaks `dialects`: OpenAI's as the preset lists them, all
    of every other dialect but what it lacks.
    """
    found: set[str] = set()
    for dialect in dialects:
        if dialect == CHAT:
            found |= preset.operations & DIALECTS[CHAT].keys()
            continue
        found |= {name for name in DIALECTS[dialect] if not name.endswith(STREAM)}
    extras = preset.operations & EXTRA.keys()
    return frozenset(found | extras) - preset.lacks


def layout_of(layouts: Iterable[Layout], origin: Origin, base: str, version: str) -> Layout:
    """The first that matches; the last one of a preset matches everything."""
    place = origin.host + base
    return next(
        layout
        for layout in layouts
        if fnmatchcase(place, layout.base) and fnmatchcase(version, layout.version)
    )


def places(
    preset: Preset, layout: Layout, *, base: str, version: str, operations: Iterable[str]
) -> Mapping[str, Place]:
    """Operation → its place; `x.stream` beside `x` where streams have another path."""
    found: dict[str, Place] = {}
    for operation in sorted(operations):
        for name in (operation, operation + STREAM):
            path = layout.paths.get(name) or preset.paths.get(name) or ALL.get(name)
            if path is not None:
                found[name] = _place(preset, layout, base=base, version=version, name=name)
    return MappingProxyType(found)


def streamed(found: Mapping[str, Place]) -> Mapping[str, Place]:
    """Operation → the place of its streams."""
    return MappingProxyType({name: found.get(name + STREAM, found[name]) for name in found})


def resolve(base: str, path: str) -> str:
    """`path` from the base address's path: below it, above it (`../`), or from the root (`^/`)."""
    if path.startswith("^"):
        return path[1:]
    while path.startswith("../"):
        path, base = path[3:], base.rpartition("/")[0]
    return f"{base}/{path.lstrip('/')}"


def _place(preset: Preset, layout: Layout, *, base: str, version: str, name: str) -> Place:
    whole = layout.paths.get(name)
    path = whole or preset.paths.get(name) or ALL[name]
    if whole is None and path.startswith("/"):
        path = layout.path + path
    target = resolve(base, path)
    if whole is None and layout.query:
        target += ("&" if "?" in target else "?") + layout.query
    before, model, after = target.replace("{api_version}", version).partition("{model}")
    return Place(before.encode(), after.encode() if model else None, preset.model_slashes)
