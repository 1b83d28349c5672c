"""A folder with a configuration in it, and providers to name there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from oneapi.config.facts import TypeFacts
from oneapi.config.load import Loaded, LoadError, load

TYPES: Mapping[str, TypeFacts] = {
    facts.name: facts
    for facts in (
        TypeFacts("cloud", has_models=True),
        TypeFacts("local", needs_key=False, local=True, has_models=True),
        TypeFacts("custom", needs_base_url=True),
        TypeFacts("placed", variables=("account", "gateway")),
        TypeFacts("scripted", needs_key=False, local=True, has_models=True, scripted=True),
    )
}

Load = Callable[..., Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """`read(text, environ={…}, files={name: text}, …)` loads `text` as `oneapi.toml`."""

    def _read(
        text: str,
        *,
        environ: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Loaded:
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
            (tmp_path / name).chmod(0o600)
        path = tmp_path / "oneapi.toml"
        path.write_text(text)
        return load(path, types=TYPES, environ=environ or {}, **options)

    return _read


@pytest.fixture
def refused(read: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The messages of a configuration that must not load, without the folder's name."""

    def _refused(text: str, **options: Any) -> list[str]:
        with pytest.raises(LoadError) as caught:
            read(text, **options)
        return [str(p).replace(f"{tmp_path}/", "") for p in caught.value.problems]

    return _refused
