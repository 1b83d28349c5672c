"""The manual loads, and no key is missing from it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from oneapi.config.load import load
from oneapi.config.locate import KeyPath, dotted, scan
from oneapi.config.schema import Settings
from oneapi.providers.catalog import load_catalog, type_facts

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "oneapi.toml"


def keys_of_the_schema(annotation: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every key, with * for names and indexes (`channels.*.keys.*.until`), and whose it is: a
    shape that stands in several tables has its keys once (`Bounds.rpm`).
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            shape = next(
                c for c in annotation.__mro__[::-1] if name in vars(c).get("__annotations__", {})
            )
            shown = info.alias or name
            yield f"{path}.{shown}".lstrip("."), f"{shape.__name__}.{shown}"
            yield from keys_of_the_schema(info.annotation, f"{path}.{shown}")
        return
    parts = get_args(annotation)
    if get_origin(annotation) in (dict, list):
        yield from keys_of_the_schema(parts[-1], f"{path}.*")
        return
    for part in parts:
        yield from keys_of_the_schema(part, path)


def keys_of_the_file(value: Any, path: str = "") -> Iterator[str]:
    """Every key in the file, each name also as *."""
    yield path.lstrip(".")
    if isinstance(value, dict):
        for name, item in value.items():
            yield from keys_of_the_file(item, f"{path}.{name}")
            yield from keys_of_the_file(item, f"{path}.*")
    if isinstance(value, list):
        for item in value:
            yield from keys_of_the_file(item, f"{path}.*")


def test_the_manual_has_every_key() -> None:
    present = set(keys_of_the_file(tomllib.loads(EXAMPLE.read_text())))
    known = list(keys_of_the_schema(Settings))
    shown = {key for path, key in known if path in present}
    assert {key for _, key in known} - shown == set()


def test_the_manual_loads_without_a_warning() -> None:
    loaded = load(EXAMPLE, types=type_facts(load_catalog()), environ={}, secrets=False)
    assert [str(p) for p in loaded.problems] == []


def stated_defaults() -> Iterator[KeyPath]:
    """The keys whose comment begins `# Default.`: their value is said to be the default."""
    text = EXAMPLE.read_text()
    for path, span in scan(text).items():
        line_end = text.find("\n", span.end)
        if text[span.end : line_end].strip().startswith("# Default. "):
            yield path


def default_of(path: KeyPath) -> Any:
    annotation: Any = Settings
    for part in path[:-1]:
        annotation = step(annotation, part)
    return model_of(annotation).model_fields[str(path[-1])].default


def step(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields[str(part)].annotation
    if get_origin(annotation) in (dict, list):
        return get_args(annotation)[-1]
    return step(get_args(annotation)[0], part)


def model_of(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return model_of(get_args(annotation)[0])


def test_the_defaults_that_the_manual_states_are_the_defaults() -> None:
    loaded = load(EXAMPLE, types=type_facts(load_catalog()), environ={}, secrets=False)
    paths = list(stated_defaults())
    assert len(paths) > 25
    for path in paths:
        value: Any = loaded.settings
        for part in path:
            value = value[part] if isinstance(value, dict) else getattr(value, str(part))
        assert value == default_of(path), dotted(path)
