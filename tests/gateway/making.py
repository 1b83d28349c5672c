"""Small snapshots for tests: a configuration's text in, the built snapshot out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oneapi.config.load import Loaded, load
from oneapi.dialects import registry
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.identify import key_hash
from oneapi.gateway.lanes import Wanted
from oneapi.gateway.snapshot import Snapshot
from oneapi.providers.catalog import load_catalog, type_facts

KEY = "sk-" + "k" * 48
ADMIN_KEY = "sk-" + "a" * 48

BASE = f"""
[channels.one]
type = "mock"
models = ["m1", "shared"]
[channels.two]
type = "mock"
models = ["m2", "shared", "glob-*"]
priority = 5
[channels.vip]
type = "mock"
models = ["m3"]
groups = ["vip"]

[models.fast]
routes = [
  {{ channel = "one", model = "m1", weight = 3 }},
  {{ channel = "two", model = "m2", weight = 1, priority = 0 }},
]

[groups.vip]
ratio = 0.5
[users.alice]
[users.boss]
role = "admin"
group = "vip"
[policies.all]
[policies.operator]
endpoints = ["chat", "models", "pin", "proxy"]
[tokens.alice]
user = "alice"
policy = "all"
key = "sha256:{key_hash(KEY)}"
[tokens.boss]
user = "boss"
policy = "operator"
key = "sha256:{key_hash(ADMIN_KEY)}"
"""


def load_text(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Loaded:
    path = folder / "oneapi.toml"
    path.write_text(text)
    return load(path, types=type_facts(load_catalog()), environ=environ or {})


def snapshot(folder: Path, text: str = BASE) -> Snapshot:
    return build(load_text(folder, text), load_catalog(), numbers, Carriers())


def numbers(kind: str, names: Mapping[str, str | None]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names, 1)}


def wanted(name: str = "chat", dialect: str = "openai-chat") -> Wanted:
    """What an endpoint asks of targets."""
    return Wanted(dialect, registry.client(dialect).OPERATIONS[name])
