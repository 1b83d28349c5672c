"""The catalog is complete, strict, and every preset in it can be bound."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog, parse_catalog, type_facts, variables
from oneapi.providers.operations import ALL
from oneapi.providers.targets import offered

CATALOG = load_catalog()
FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"

DEMANDED = """
openai azure deepseek moonshot groq mistral xai openrouter together novita siliconflow stepfun
lingyiwanwu baichuan minimax doubao zhipu baidu-v2 dashscope hunyuan spark 360 cloudflare-gateway
cloudflare gemini-openai lmstudio vllm llamacpp openai-compatible ollama huggingface mock
""".split()
MIRRORS = (2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 22)
OPERATIONS = {"chat": "chat", "completions": "completions", "embeddings": "embeddings"}


@pytest.mark.parametrize("name", DEMANDED)
def test_every_provider_that_was_asked_for_is_there(name: str) -> None:
    assert name in CATALOG


def test_the_originals_mirrors_are_there_by_their_numbers() -> None:
    assert set(MIRRORS) <= {preset.number for preset in CATALOG.values()}


@pytest.mark.parametrize("name", CATALOG)
def test_every_preset_binds(name: str) -> None:
    preset = CATALOG[name]
    given = dict.fromkeys(variables(preset.base_url), "v")
    base_url = None if preset.base_url else "https://example.test/v1"
    account = bind("c", preset=preset, base_url=base_url, variables=given, keys=["k"])
    for operation in offered(preset, preset.dialects):
        for stream in (False, True):
            assert account.target(operation, "m", stream=stream).startswith(b"/")
    assert account.models_target().startswith(b"/")


@pytest.mark.parametrize("name", [n for n, p in CATALOG.items() if p.base_url and not p.local])
def test_no_key_goes_out_without_tls(name: str) -> None:
    assert urlsplit(CATALOG[name].base_url).scheme == "https"


def test_local_presets_stay_on_this_machine() -> None:
    hosts = {urlsplit(p.base_url).hostname for p in CATALOG.values() if p.local}
    assert hosts == {"127.0.0.1", "mock.invalid"}


def recorded() -> Iterator[dict[str, Any]]:
    for file in sorted(FIXTURES.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record.get("api") in OPERATIONS and record["request"]["method"] == "POST":
                yield record


def test_presets_reach_the_addresses_that_were_recorded() -> None:
    if not FIXTURES.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    reached: Counter[str] = Counter()
    places = {
        (preset.base_url + path): name
        for name, preset in CATALOG.items()
        for operation in preset.operations
        for path in [preset.paths.get(operation, ALL[operation])]
        if preset.base_url
    }
    for record in recorded():
        url = record["request"]["url"].replace("ACCOUNT_ID", "{account}")
        reached[places.get(url, "")] += 1
    named = """openai deepseek groq mistral novita openrouter together xai dashscope cloudflare
        huggingface cerebras sambanova perplexity avian hyperbolic zai"""
    assert not [name for name in named.split() if not reached[name]]


def test_facts_tell_the_configuration_what_a_channel_must_give() -> None:
    facts = type_facts(CATALOG)
    assert facts["cloudflare-gateway"].variables == ("account", "gateway")
    assert facts["azure"].needs_base_url
    assert not facts["openai"].needs_base_url
    assert facts["openai"].needs_key
    assert facts["ollama"].local
    assert not facts["ollama"].needs_key
    assert facts["mock"].scripted
    assert facts["mock"].has_models


BAD = {
    "[a]\ntitle = 'A'\nbogus = 1": "catalog: a.bogus: there is no such field",
    "[a]\nnumber = 1": "catalog: a.title: is missing",
    "[A]\ntitle = 'A'": "catalog: A: a provider is a table with a lower-case name",
    "a = 1": "catalog: a: a provider is a table with a lower-case name",
    "[a]\ntitle = 'A'\nneeds_key = 'no'": "catalog: a.needs_key: must be true or false",
    "[a]\ntitle = 'A'\nbase_url = 'example.test'": (
        "catalog: a.base_url: must be an http or https address without a query"
    ),
    "[a]\ntitle = 'A'\nbase_url = 'https://a.test/'": (
        "catalog: a.base_url: must not end in a slash"
    ),
    "[a]\ntitle = 'A'\nauth = 'basic'": (
        "catalog: a.auth: must be bearer, plain, none, google, scheme:name, header:name or "
        "aws:service"
    ),
    "[a]\ntitle = 'A'\noperations = ['chats']": (
        "catalog: a.operations: there is no operation chats"
    ),
    "[a]\ntitle = 'A'\npaths = { chat = 'x' }": "catalog: a.paths: must begin with /",
    "[a]\ntitle = 'A'\nauth_statuses = [200]": (
        "catalog: a.auth_statuses: a status of an error is between 400 and 599"
    ),
    "[a]\ntitle = 'A'\nlayouts = [{ base = '*/v1' }]": (
        'catalog: a.layouts: the last one must be for every other address: base = "*"'
    ),
    "[a]\ntitle = 'A'\nlayouts = [{ base = '*', path = '/{x}' }]": (
        "catalog: a.layouts: there is no {x}"
    ),
    "[a]\ntitle = 'A'\nauth_errors = [{ status = 400 }]": (
        "catalog: a.auth_errors: a code or a message must tell it from other errors"
    ),
    "[a]\ntitle = 'A'\nnumber = 1\n[b]\ntitle = 'B'\nnumber = 1": (
        "catalog: b.number: 1 is a's already"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_a_mistake_in_the_catalog_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="catalog") as caught:
        parse_catalog(text)
    assert str(caught.value) == BAD[text]


def test_an_address_of_a_preset_is_where_its_bare_hosts_go() -> None:
    preset = parse_catalog("[a]\ntitle = 'A'\nbase_url = 'https://a.test/api/v3'")["a"]
    assert preset.bare == "/api/v3"
