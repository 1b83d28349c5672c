"""Keys of channels and policies that concern wire formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oneapi.config.load import Loaded, LoadError, load
from oneapi.providers.catalog import load_catalog, type_facts

TYPES = type_facts(load_catalog())
Load = Callable[[str], Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    def _read(text: str) -> Loaded:
        path = tmp_path / "oneapi.toml"
        path.write_text(text)
        return load(path, types=TYPES, environ={})

    return _read


def errors(read: Load, text: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        read(text)
    return [
        f"{p.key}: {p.message}" + (f" ({p.hint})" if p.hint else "") for p in caught.value.problems
    ]


def channel(kind: str, lines: str) -> str:
    return f'[channels.c]\ntype = "{kind}"\nkeys = ["k"]\nmodels = ["m"]\n{lines}\n'


def test_a_channels_formats_and_settings_are_read(read: Load) -> None:
    found = read(
        channel("openai-compatible", 'base_url = "http://h"\ndialects = ["anthropic"]')
        + '[channels.o]\ntype = "ollama"\nnum_ctx = 8192\nkeep_alive = -1\nthink_tags = true\n'
        + "[channels.o.options]\nnum_gpu = 1\n"
        + '[channels.g]\ntype = "gemini"\nkeys = ["k"]\napi_version = "v1"\n'
        + '[channels.g.safety]\nHARM_CATEGORY_HARASSMENT = "OFF"\n'
    ).settings.channels
    assert found["c"].dialects == ["anthropic"]
    assert (found["o"].num_ctx, found["o"].keep_alive) == (8192, -1)
    assert found["o"].think_tags
    assert found["o"].options == {"num_gpu": 1}
    assert found["g"].safety == {"HARM_CATEGORY_HARASSMENT": "OFF"}


@pytest.mark.parametrize(
    ("kind", "lines", "words"),
    [
        (
            "openai",
            'dialects = ["openai-chats"]',
            "channels.c.dialects[0]: there is no dialect 'openai-chats' "
            "(did you mean 'openai-chat'?)",
        ),
        (
            "openai",
            'dialects = ["openai-chat", "openai-chat"]',
            "channels.c.dialects[1]: the dialect 'openai-chat' stands twice",
        ),
        ("openai", "dialects = []", "channels.c.dialects: must not be empty"),
        (
            "openai",
            "num_ctx = 1",
            "channels.c.num_ctx: acts in the dialect 'ollama' alone, which this channel does not "
            "speak",
        ),
        (
            "ollama",
            '[channels.c.safety]\nHARM_CATEGORY_HARASSMENT = "OFF"',
            "channels.c.safety: acts in the dialect 'gemini' alone, which this channel does not "
            "speak",
        ),
        (
            "gemini",
            '[channels.c.safety]\nharassment = "OFF"',
            "channels.c.safety.harassment: must be one of Gemini's categories, such as "
            "HARM_CATEGORY_HARASSMENT",
        ),
        (
            "deepl",
            "[channels.c.options]\nformalty = 'more'",
            "channels.c.options.formalty: no dialect of this channel has such an option "
            "(did you mean 'formality'?)",
        ),
        (
            "ollama",
            'keep_alive = "long"',
            "channels.c.keep_alive: must be a number of seconds, -1 for ever, or text such as "
            '"10m" or "24h"',
        ),
        (
            "bedrock",
            "",
            "channels.c.vars.region: is missing: the address of type 'bedrock' needs it",
        ),
    ],
)
def test_what_has_no_effect_is_refused(read: Load, kind: str, lines: str, words: str) -> None:
    assert errors(read, channel(kind, lines)) == [words]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("vertex", ""),
        ("vertex", 'vars = { location = "eu", project = "p" }'),
        ("vertex", 'base_url = "https://h"\nvars = { project = "p" }'),
        ("bedrock", 'base_url = "https://h"\nvars = { region = "r" }'),
        ("gemini", 'base_url = "https://h/{api_version}"'),
        ("ollama", 'keep_alive = "1h30m"'),
    ],
)
def test_variables_that_have_a_default_may_be_given(read: Load, kind: str, lines: str) -> None:
    assert read(channel(kind, lines)).problems == ()


def test_a_policy_may_let_keys_stand_in_the_path_and_keep_responses(read: Load) -> None:
    text = "[policies.p]\nin_path = true\nstore_responses = true\nstore_responses_ttl = '12h'\n"
    policy = read(text + "[policies.q]\n").settings.policies["p"]
    assert (policy.in_path, policy.store_responses) == (True, True)
    assert policy.store_responses_ttl == 12 * 3600
    other = read("[policies.q]\n").settings.policies["q"]
    assert (other.in_path, other.store_responses) == (False, False)
    assert other.store_responses_ttl == 30 * 86400


@pytest.mark.parametrize("value", ["0", "true", "'soon'", "'-1d'", "1.5"])
def test_a_time_that_is_none_is_refused(read: Load, value: str) -> None:
    (words,) = errors(read, f"[policies.p]\nstore_responses_ttl = {value}\n")
    assert words.startswith("policies.p.store_responses_ttl: must be a time")
