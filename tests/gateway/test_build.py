"""What loads and still cannot be bound is named with its place, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from oneapi.errors import ConfigError
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.snapshot import Snapshot
from oneapi.providers.catalog import load_catalog
from tests.gateway.making import load_text, snapshot

TEXT = """[channels.a]
type = "openai"
keys = ["sk-x"]
models = ["m"]
api_version = "2024"
[channels.b]
type = "openai-compatible"
base_url = "http://u:p@h/v1"
keys = ["k"]
models = ["n"]
[prices.m]
input = 0.0000000000001
"""


def test_every_channel_and_price_that_cannot_be_bound_is_named_with_its_place(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        snapshot(tmp_path, TEXT)
    file = tmp_path / "oneapi.toml"
    assert [str(p) for p in caught.value.problems] == [
        f"{file}:12:9: prices.m.input: 1E-13 is finer than a nano-dollar (nine decimals)",
        f"{file}:5:15: channels.a.api_version: this provider's address has no place for a version",
        f"{file}:8:12: channels.b.base_url: "
        "must not hold a name or a password: keys belong into `keys`",
    ]


def test_a_file_that_is_refused_renames_nothing(tmp_path: Path) -> None:
    asked: list[str] = []

    def declare(kind: str, names: Mapping[str, str | None]) -> dict[str, int]:
        asked.append(kind)
        return dict.fromkeys(names, 7)

    def built(text: str) -> Snapshot:
        return build(load_text(tmp_path, text), load_catalog(), declare, Carriers())

    with pytest.raises(ConfigError):
        built('[users.alicia]\nwas = "alice"\n' + TEXT)
    assert asked == []
    assert built('[channels.a]\ntype = "mock"\n').channels["a"].id == 7
    assert "user" in asked


def test_a_channels_formats_and_a_policys_allowances_are_bound(tmp_path: Path) -> None:
    found = snapshot(
        tmp_path,
        """[channels.o]
type = "ollama"
num_ctx = 8192
think_tags = true
[channels.g]
type = "gemini"
keys = ["secret-key"]
[channels.g.safety]
HARM_CATEGORY_HARASSMENT = "OFF"
[policies.p]
in_path = true
store_responses = true
store_responses_ttl = "1h"
""",
    )
    ollama, gemini = found.channels["o"], found.channels["g"]
    assert ollama.think_tags
    assert ollama.account.dialects("m") == ("ollama",)
    assert ollama.account.hints_for("m", "ollama").options["num_ctx"] == 8192
    assert gemini.account.translates("gemini")
    assert gemini.account.hints_for("m", "gemini").safety


def test_parts_of_a_key_are_hidden_like_the_key(tmp_path: Path) -> None:
    found = snapshot(
        tmp_path,
        '[channels.b]\ntype = "bedrock"\nkeys = ["AKID:the-secret"]\nmodels = ["m"]\n'
        'vars = { region = "eu-west-1" }\n',
    )
    channel = found.channels["b"]
    assert {"AKID", "the-secret"} <= set(channel.secrets(channel.keys[0]))
