"""Which dialects an account speaks, for which model, at which address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from oneapi.dialects import registry
from oneapi.errors import ApiError, ConfigError
from oneapi.ir import ChatRequest, Message, Text
from oneapi.providers.account import Account
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog, parse_catalog
from oneapi.providers.operations import ALL, DIALECTS, OPTIONS

CATALOG = load_catalog()
ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT.parent / "shared" / "fixtures"


def made(name: str, base_url: str | None = None, **given: Any) -> Account:
    return bind("c", preset=CATALOG[name], base_url=base_url, **given)


VERTEX = {"project": "p", "location": "us-east5"}
BEDROCK = {"region": "us-east-1"}


@pytest.mark.parametrize(
    ("name", "given", "operation", "model", "target"),
    [
        ("anthropic", {}, "messages", "claude", "/v1/messages"),
        ("anthropic", {}, "messages.count_tokens", "claude", "/v1/messages/count_tokens"),
        ("anthropic", {"base_url": "https://h.test"}, "messages", "c", "/v1/messages"),
        ("openai", {}, "responses", "gpt-5", "/v1/responses"),
        ("openai", {}, "responses.compact", "gpt-5", "/v1/responses/compact"),
        ("deepseek", {}, "messages", "d", "/anthropic/v1/messages"),
        ("deepseek", {"base_url": "https://h.test/v1"}, "messages", "d", "/anthropic/v1/messages"),
        ("deepseek", {}, "responses", "d", "/responses"),
        ("zhipu", {}, "messages", "glm", "/api/anthropic/v1/messages"),
        ("moonshot", {}, "messages", "kimi", "/anthropic/v1/messages"),
        ("openrouter", {}, "messages", "x/y", "/api/v1/messages"),
        ("openrouter", {}, "rerank", "x/y", "/api/v1/rerank"),
        ("stepfun", {}, "messages", "s", "/v1/messages"),
        ("ollama", {}, "ollama.chat", "m", "/api/chat"),
        ("ollama", {"base_url": "http://h.test/x/v1"}, "ollama.embed", "m", "/x/api/embed"),
        ("ollama", {}, "messages", "m", "/v1/messages"),
        ("ollama", {}, "responses", "m", "/v1/responses"),
        ("cohere", {}, "cohere.chat", "command-a", "/v2/chat"),
        ("cohere", {}, "cohere.rerank", "rerank-v4", "/v2/rerank"),
        ("cohere", {}, "chat", "command-a", "/compatibility/v1/chat/completions"),
        (
            "dashscope",
            {"base_url": "https://dashscope-intl.aliyuncs.com"},
            "dashscope.chat",
            "qwen",
            "/api/v1/services/aigc/text-generation/generation",
        ),
        (
            "dashscope-native",
            {},
            "dashscope.multimodal",
            "qwen-vl",
            "/api/v1/services/aigc/multimodal-generation/generation",
        ),
        (
            "cloudflare",
            {"variables": {"account": "acc"}},
            "cloudflare.run",
            "@cf/meta/llama 3",
            "/client/v4/accounts/acc/ai/run/@cf/meta/llama%203",
        ),
        (
            "cloudflare",
            {"base_url": "https://gateway.ai.cloudflare.com/v1/a/g/workers-ai/v1"},
            "chat",
            "@cf/x",
            "/v1/a/g/workers-ai/v1/chat/completions",
        ),
        ("deepl", {}, "deepl.translate", "deepl-de", "/v2/translate"),
        (
            "replicate",
            {},
            "replicate.predict",
            "meta/meta-llama-3",
            "/v1/models/meta/meta-llama-3/predictions",
        ),
        ("replicate", {}, "replicate.version", "v", "/v1/predictions"),
        ("gemini", {}, "gemini.count_tokens", "g", "/v1beta/models/g:countTokens"),
        ("gemini", {"api_version": "v1"}, "gemini.embed", "g", "/v1/models/g:embedContent"),
        (
            "gemini",
            {"base_url": "https://h.test", "api_version": "v1alpha"},
            "generate",
            "g",
            "/v1alpha/models/g:generateContent",
        ),
        (
            "bedrock",
            {"variables": BEDROCK},
            "converse",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        ),
        (
            "bedrock",
            {"variables": BEDROCK},
            "converse",
            "arn:aws:bedrock:us-east-1:1:inference-profile/x",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fx/converse",
        ),
        ("bedrock", {"variables": BEDROCK}, "messages", "c", "/model/c/invoke"),
        ("bedrock", {"variables": BEDROCK}, "chat", "c", "/openai/v1/chat/completions"),
        (
            "vertex",
            {"variables": VERTEX},
            "messages.count_tokens",
            "claude",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/count-tokens:rawPredict",
        ),
        (
            "vertex",
            {"variables": VERTEX, "api_version": "v1beta1"},
            "generate",
            "gemini-3",
            "/v1beta1/projects/p/locations/us-east5/publishers/google/models/gemini-3"
            ":generateContent",
        ),
        (
            "vertex",
            {"variables": VERTEX},
            "chat",
            "meta/llama",
            "/v1/projects/p/locations/us-east5/endpoints/openapi/chat/completions",
        ),
        ("vertex", {}, "generate", "g", "/v1/publishers/google/models/g:generateContent"),
    ],
)
def test_an_operation_has_its_address(
    name: str, given: dict[str, Any], operation: str, model: str, target: str
) -> None:
    assert made(name, **given).target(operation, model) == target.encode()


@pytest.mark.parametrize(
    ("name", "given", "operation", "target"),
    [
        ("gemini", {}, "generate", "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("bedrock", {"variables": BEDROCK}, "converse", "/model/m/converse-stream"),
        ("bedrock", {"variables": BEDROCK}, "converse.stream", "/model/m/converse-stream"),
        ("bedrock", {"variables": BEDROCK}, "messages", "/model/m/invoke-with-response-stream"),
        (
            "vertex",
            {"variables": VERTEX},
            "messages",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/m:streamRawPredict",
        ),
        ("openai", {}, "chat", "/v1/chat/completions"),
    ],
)
def test_streams_may_have_an_address_of_their_own(
    name: str, given: dict[str, Any], operation: str, target: str
) -> None:
    assert made(name, **given).target(operation, "m", stream=True) == target.encode()


@pytest.mark.parametrize(
    ("base_url", "version", "target"),
    [
        ("https://r.test", None, "/openai/v1/responses"),
        ("https://r.test/openai", None, "/openai/v1/responses"),
        ("https://r.test/openai/v1", None, "/openai/v1/responses"),
        ("https://r.test/openai/deployments/d", None, "/openai/v1/responses"),
        ("https://r.test/models", None, "/openai/v1/responses"),
        (
            "https://r.test",
            "2025-03-01-preview",
            "/openai/responses?api-version=2025-03-01-preview",
        ),
        (
            "https://r.test/openai",
            "2025-04-01-preview",
            "/openai/responses?api-version=2025-04-01-preview",
        ),
    ],
)
def test_azure_has_two_addresses_for_responses(
    base_url: str, version: str | None, target: str
) -> None:
    account = made("azure", base_url, api_version=version)
    assert account.target("responses", "m") == target.encode()


@pytest.mark.parametrize(
    ("location", "host"),
    [
        (None, "aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
    ],
)
def test_vertexs_host_follows_from_the_location(location: str | None, host: str) -> None:
    given = {"project": "p"} | ({"location": location} if location else {})
    account = made("vertex", variables=given)
    assert account.origin.host == host
    assert f"/locations/{location or 'global'}".encode() in account.target("generate", "g")


def test_a_bare_host_gets_the_usual_path_with_its_placeholders() -> None:
    account = made("vertex", "https://h.test", variables=VERTEX)
    assert account.base == "/v1/projects/p/locations/us-east5"
    with pytest.raises(ConfigError, match="the address needs a value for project"):
        made("vertex", "https://h.test", variables={"location": "eu"})


def test_an_address_with_a_path_of_its_own_has_no_place_for_a_version() -> None:
    with pytest.raises(ConfigError, match="no place for a version"):
        made("gemini", "https://h.test/gemini/v1beta", api_version="v1")


@pytest.mark.parametrize(
    ("name", "model", "dialects"),
    [
        ("openai", "gpt-4.1", ("openai-chat", "openai-responses")),
        ("openai", "gpt-5.1-codex-max", ("openai-responses",)),
        ("vertex", "claude-opus-4-5@20251101", ("anthropic",)),
        ("vertex", "gemini-2.5-flash", ("gemini",)),
        ("vertex", "text-embedding-005", ("gemini",)),
        ("vertex", "meta/llama-4", ("openai-chat",)),
        ("bedrock", "eu.Anthropic.claude-3-7", ("anthropic", "bedrock-converse")),
        ("bedrock", "amazon.nova-lite-v1:0", ("bedrock-converse",)),
        ("bedrock", "openai.gpt-oss-20b-1:0", ("openai-chat", "bedrock-converse")),
        ("deepseek", "deepseek-v4-pro", ("openai-chat", "anthropic", "openai-responses")),
        ("groq", "x", ("openai-chat",)),
    ],
)
def test_a_model_is_served_in_the_dialects_it_is_known_for(
    name: str, model: str, dialects: tuple[str, ...]
) -> None:
    variables = BEDROCK if name == "bedrock" else {}
    assert made(name, variables=variables).dialects(model) == dialects


def test_a_channels_own_list_counts_in_its_order_and_is_narrowed_by_the_model() -> None:
    own = ["anthropic", "openai-chat"]
    account = made("openai-compatible", "https://h.test/v1", dialects=own)
    assert account.dialects("m") == ("anthropic", "openai-chat")
    assert account.target("messages", "m") == b"/v1/messages"
    assert not account.supports("responses")
    account = made("vertex", variables=VERTEX, dialects=own)
    assert account.dialects("claude-4") == ("anthropic",)
    assert account.dialects("gemini-3") == ("anthropic", "openai-chat")  # the operator's word


def test_a_channel_offers_the_operations_of_its_dialects_alone() -> None:
    account = made("ollama", dialects=["ollama"])
    assert account.supports("ollama.chat")
    assert not account.supports("chat")
    assert not made("anthropic").supports("chat")
    assert not made("deepseek").supports("messages.count_tokens")


def test_how_claude_is_packed_is_told_for_its_messages_alone() -> None:
    bedrock, vertex = made("bedrock", variables=BEDROCK), made("vertex", variables=VERTEX)
    assert (bedrock.wrap("messages"), bedrock.wrap("converse")) == ("bedrock-invoke", "")
    assert (vertex.wrap("messages"), vertex.wrap("messages.count_tokens")) == ("vertex", "")
    assert made("anthropic").wrap("messages") == ""


@pytest.mark.parametrize("model", ["..", "a/../b", "a//b", "/a", "a/", "."])
def test_a_model_with_slashes_cannot_climb(model: str) -> None:
    with pytest.raises(ApiError):
        made("replicate").target("replicate.predict", model)


def test_keys_of_a_kind_choose_the_host() -> None:
    assert made("deepl", keys=["k:fx"]).origin.host == "api-free.deepl.com"
    assert made("deepl", keys=["k"]).origin.host == "api.deepl.com"
    assert made("deepl", "https://h.test", keys=["k:fx"]).origin.host == "h.test"
    with pytest.raises(ConfigError, match="make two channels of it"):
        made("deepl", keys=["k:fx", "k"])


def test_hints_hold_what_the_catalog_and_the_channel_know() -> None:
    hints = made("openai").hints_for("gpt-4.1", "openai-chat")
    assert hints.limit_field == "max_completion_tokens"
    assert (hints.context, hints.max_output) == (1_047_576, 32_768)
    assert hints.options["thoughts"] == "none"
    assert made("openai").hints_for("my-own", "openai-chat").context == 0
    hints = made("gemini", safety={"HARM_CATEGORY_HARASSMENT": "OFF"}).hints_for("g", "gemini")
    assert hints.safety == ({"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},)
    assert hints.options["api_version"] == "v1beta"


def test_what_is_known_of_a_model_depends_on_the_dialect() -> None:
    account = made("bedrock", variables=BEDROCK)
    old, new = "us.anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-opus-4-6"
    assert account.hints_for(old, "anthropic").options["thinking"] == "budget"
    assert "thinking" not in account.hints_for(new, "anthropic").options
    assert "thinking" not in account.hints_for(old, "bedrock-converse").options


@pytest.mark.parametrize(
    ("model", "operation"),
    [
        ("qwen-plus", "dashscope.chat"),
        ("qwen3-max", "dashscope.chat"),
        ("qwen-vl-max", "dashscope.multimodal"),
        ("qwen3-vl-plus", "dashscope.multimodal"),
        ("qwen3.5-plus", "dashscope.multimodal"),
    ],
)
def test_models_with_eyes_are_asked_at_their_own_address_without_a_picture_too(
    model: str, operation: str
) -> None:
    chat = ChatRequest(model, [Message("user", [Text("hi")])], "openai-chat")
    provider = registry.chat_provider("dashscope")
    assert provider is not None
    for name in ("dashscope", "dashscope-native"):
        hints = made(name).hints_for(model, "dashscope")
        assert provider.render_request(chat, model, hints).operation == operation


def test_public_facts_are_not_told_of_models_on_the_users_own_machine() -> None:
    assert made("ollama").hints_for("gpt-4.1", "ollama").context == 0
    assert made("ollama").facts("gpt-4.1") is None


def test_a_channel_with_options_speaks_the_dialect_that_has_them() -> None:
    account = made("ollama", options={"num_ctx": 8192})
    assert account.dialects("m") == ("ollama",)
    assert account.translates("ollama")
    assert account.hints_for("m", "ollama").options["num_ctx"] == 8192
    assert not made("ollama").translates("ollama")
    with pytest.raises(ConfigError, match=r"channels\.c\.options: no dialect of this channel"):
        made("ollama", options={"formality": "more"})


def test_safety_settings_are_no_reason_to_render_what_has_none() -> None:
    safety = {"HARM_CATEGORY_HARASSMENT": "OFF"}
    account = made("vertex", variables=VERTEX, safety=safety)
    assert [d for d in account.spoken if account.translates(d)] == ["gemini"]
    with pytest.raises(
        ConfigError, match=r"channels\.c\.safety: acts in the dialect 'gemini' alone"
    ):
        made("vertex", variables=VERTEX, safety=safety, options={"fetch_urls": True})


def test_the_dialects_of_the_catalog_are_those_that_are_built() -> None:
    assert set(DIALECTS) == set(OPTIONS) == set(registry.NAMES)


def test_every_option_that_a_dialect_reads_may_be_given() -> None:
    known = {name for names in OPTIONS.values() for name in names}
    read: set[str] = set()
    for file in (ROOT / "oneapi" / "dialects").glob("*.py"):
        read |= set(re.findall(r'hints\.options\.get\(\s*"(\w+)"', file.read_text("utf-8")))
    assert read
    assert read - known == set()


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("anthropic", "bedrock", "gemini", "vertex", "cohere", "replicate", "azure"):
        for line in (FIXTURES / f"{name}.jsonl").read_text("utf-8").splitlines():
            yield name, json.loads(line)["request"]


SKIPPED = ("/v1/chat", "/v1/generate", "/v1/embed", "/interactions", "/operations/", "/openai/")


def test_native_presets_reach_the_addresses_that_were_recorded() -> None:
    """By pattern: each recorded path is that of some operation."""
    if not FIXTURES.is_dir():
        pytest.skip("the recorded exchanges are not beside this repository")
    missed = set()
    for name, request in recorded():
        path = unquote(re.sub(r"^https://[^/]+", "", request["url"]).partition("?")[0])
        if request["method"] != "POST" or any(word in path for word in SKIPPED):
            continue
        preset = CATALOG[name]
        patterns = [
            "*" + re.sub(r"^\^|^(\.\./)+", "", p).partition("?")[0].replace("{model}", "*")
            for p in (*preset.paths.values(), *ALL.values())
        ]
        if not any(fnmatchcase(path, pattern) for pattern in patterns):
            missed.add(path)
    assert {path for path in missed if "cancel" not in path} == set()


def test_a_catalogs_mistakes_about_dialects_are_named() -> None:
    bad = {
        "dialects = ['klingon']": "catalog: a.dialects: there is no dialect klingon",
        "wrap = 'paper'": "catalog: a.wrap: there is no wrapping paper",
        "lacks = ['teleport']": "catalog: a.lacks: there is no operation teleport",
        "paths = { 'chat' = '/{region}' }": "catalog: a.paths: there is no {region}",
        "quirks = [{ options = { x = 1 } }]": "catalog: a.quirks: openai-chat has no option x",
        "quirks = [{ clamp = { n = [2, 1] } }]": (
            "catalog: a.quirks: must be the least and the most"
        ),
        "system_role = 'boss'": "catalog: a.system_role: there is no role boss",
    }
    for line, words in bad.items():
        with pytest.raises(ValueError, match="catalog") as caught:
            parse_catalog(f"[a]\ntitle = 'A'\n{line}")
        assert str(caught.value) == words
