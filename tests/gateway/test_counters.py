"""Every target counts as its own model's vocabulary and its provider's rules for media do."""

from __future__ import annotations

import importlib.util

import pytest

from oneapi import estimate
from oneapi.errors import ConfigError
from oneapi.gateway.counters import Counters
from oneapi.providers.catalog import load_catalog

CATALOG = load_catalog()


def test_a_model_is_counted_by_its_own_family_wherever_it_is_served() -> None:
    counters = Counters(CATALOG)
    for provider, model in (
        ("anthropic", "claude-opus-4-1"),
        ("bedrock", "us.anthropic.claude-opus-4-1-v1:0"),
    ):
        found = counters.of(CATALOG[provider], model)
        assert found.family.name == estimate.family_of("claude-opus-4-1") != estimate.DEFAULT
    assert counters.of(CATALOG["openai"], "gpt-5-mini").family.name == estimate.DEFAULT


def test_pictures_are_counted_by_the_rule_of_who_reads_them() -> None:
    counters = Counters(CATALOG)
    picture = estimate.Medium("image", "", "image/png", "low")
    openai = counters.of(CATALOG["openai"], "gpt-4o").medium_tokens(picture)
    gemini = counters.of(CATALOG["gemini"], "gemini-2.5-flash").medium_tokens(picture)
    assert openai != gemini


def test_a_counter_is_made_once() -> None:
    counters = Counters(CATALOG)
    assert counters.of(CATALOG["openai"], "gpt-5") is counters.of(CATALOG["openai"], "gpt-5")


@pytest.mark.skipif(importlib.util.find_spec("bpe_openai") is not None, reason="it is installed")
def test_exact_counting_without_its_package_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"exact_tokens.*oneapi\[exact\]"):
        Counters(CATALOG, exact=True)
