"""A channel bound to its preset: addresses, headers, the proxy route, and what refusals mean."""

from __future__ import annotations

import pytest

from oneapi.errors import ApiError, ConfigError
from oneapi.net.base import Origin
from oneapi.providers.account import Account, classify, key_fingerprint
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog, parse_catalog

CATALOG = load_catalog()


def made(name: str, base_url: str | None = None, **given: object) -> Account:
    return bind("c", preset=CATALOG[name], base_url=base_url, **given)  # type: ignore[arg-type]


def test_the_presets_address_is_the_default() -> None:
    account = made("openai")
    assert account.origin == Origin("https", "api.openai.com", 443)
    assert account.target("chat", "gpt-5") == b"/v1/chat/completions"
    assert account.target("images.edits", "x") == b"/v1/images/edits"
    assert account.target("speech", "x") == b"/v1/audio/speech"


@pytest.mark.parametrize(
    ("name", "base_url", "target"),
    [
        ("openai-compatible", "https://h.test", b"/chat/completions"),
        ("openai-compatible", "https://h.test/api/openai/", b"/api/openai/chat/completions"),
        ("openai", "https://h.test/proxy/v1", b"/proxy/v1/chat/completions"),
        ("openai", "https://h.test", b"/v1/chat/completions"),
        ("openai", "https://h.test:8443/", b"/v1/chat/completions"),
        ("openai-custom", "https://h.test", b"/v1/chat/completions"),
        ("groq", "https://h.test", b"/openai/v1/chat/completions"),
        ("ollama", "http://h.test:11434", b"/v1/chat/completions"),
        ("ollama", "http://h.test/v1", b"/v1/chat/completions"),
        ("deepseek", "https://h.test", b"/chat/completions"),
        (
            "openai",
            "https://gateway.ai.cloudflare.com/v1/acc/gw/openai",
            b"/v1/acc/gw/openai/chat/completions",
        ),
        ("minimax", None, b"/v1/chat/completions"),
        ("doubao", None, b"/api/v3/chat/completions"),
        ("zhipu", None, b"/api/paas/v4/chat/completions"),
        ("baidu-v2", None, b"/v2/chat/completions"),
        ("novita", None, b"/v3/openai/chat/completions"),
        ("dashscope", None, b"/compatible-mode/v1/chat/completions"),
        ("gemini-openai", None, b"/v1beta/openai/chat/completions"),
        ("fastgpt", None, b"/api/openapi/v1/chat/completions"),
    ],
)
def test_an_operations_path_follows_the_address(
    name: str, base_url: str | None, target: bytes
) -> None:
    assert made(name, base_url).target("chat", "m") == target


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        (
            "https://r.openai.azure.com",
            b"/openai/deployments/gpt-4.1%2Fx%3F/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://r.openai.azure.com/openai",
            b"/openai/deployments/gpt-4.1%2Fx%3F/chat/completions?api-version=2024-10-21",
        ),
        ("https://r.openai.azure.com/openai/v1/", b"/openai/v1/chat/completions"),
        (
            "https://r.openai.azure.com/openai/deployments/mine",
            b"/openai/deployments/mine/chat/completions?api-version=2024-10-21",
        ),
        (
            "https://r.services.ai.azure.com/models",
            b"/models/chat/completions?api-version=2024-05-01-preview",
        ),
        (
            "https://gateway.ai.cloudflare.com/v1/acc/gw/azure-openai/r",
            b"/v1/acc/gw/azure-openai/r/gpt-4.1%2Fx%3F/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_azure_has_an_address_for_each_kind_of_base(base_url: str, target: bytes) -> None:
    assert made("azure", base_url).target("chat", "gpt-4.1/x?") == target


def test_a_channels_api_version_replaces_the_presets() -> None:
    account = made("azure", "https://r.openai.azure.com", api_version="2025-01-01-preview")
    assert account.target("embeddings", "e").endswith(b"/embeddings?api-version=2025-01-01-preview")


def test_a_preset_can_move_single_operations() -> None:
    text = "[m]\ntitle = 'M'\nbase_url = 'https://m.test/v1'\npaths = { chat = '/text/chat_v2' }"
    account = bind("c", preset=parse_catalog(text)["m"])
    assert account.target("chat", "m") == b"/v1/text/chat_v2"
    assert account.target("embeddings", "m") == b"/v1/embeddings"


def test_placeholders_are_filled_from_vars() -> None:
    account = made("cloudflare", variables={"account": "abc-1"})
    assert account.target("chat", "@cf/x") == b"/client/v4/accounts/abc-1/ai/v1/chat/completions"


@pytest.mark.parametrize("value", ["", "a/b", "a@b", "..", "a?b", "%2e", "a b", "ü"])
def test_a_variable_cannot_change_the_addresss_shape(value: str) -> None:
    with pytest.raises(ConfigError, match=r"channels\.c\.base_url: .*account"):
        made("cloudflare", variables={"account": value})


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("https://user:secret@h.test/v1", "must not hold a name or a password"),
        ("ftp://h.test", "must be an address such as"),
        ("https://h.test/v1?x=1", "must not have a query"),
        ("https://h.test/a/../b", "the path holds . or .. as a step"),
        ("https://h.test:99999/v1", "is not an address"),
    ],
)
def test_an_address_that_will_not_do_is_refused_in_words(base_url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        made("openai", base_url)
    assert "secret" not in str(caught.value)


def test_a_preset_without_an_address_wants_one() -> None:
    with pytest.raises(ConfigError, match=r"Azure OpenAI has no address of its own: give one"):
        made("azure")


def test_an_operation_that_is_not_offered_is_not_supported() -> None:
    account = made("deepseek")
    assert account.supports("chat")
    assert not account.supports("speech")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("openai", (b"authorization", b"Bearer k-1")),
        ("azure", (b"api-key", b"k-1")),
        ("any-api", (b"authorization", b"k-1")),
    ],
)
def test_the_key_goes_out_as_the_provider_wants_it(name: str, header: tuple[bytes, bytes]) -> None:
    account = made(name, "https://h.test", keys=["k-1"])
    assert header in account.headers("k-1")


def test_without_a_key_nothing_is_signed() -> None:
    assert b"authorization" not in dict(made("ollama").headers(""))
    assert b"authorization" not in dict(made("mock").headers("k"))


def test_each_key_has_its_own_headers() -> None:
    account = made("openai", keys=["a", "b"])
    assert [dict(account.headers(k))[b"authorization"] for k in ("a", "b", "c")] == [
        b"Bearer a",
        b"Bearer b",
        b"Bearer c",
    ]


def test_a_channels_headers_win_over_the_key() -> None:
    account = made("azure", "https://h.test", keys=["k"], headers={"API-Key": "mine", "X-Y": "z"})
    assert dict(account.headers("k"))[b"api-key"] == b"mine"
    assert dict(account.headers("k"))[b"x-y"] == b"z"
    assert len(account.headers("k")) == len(dict(account.headers("k")))


def test_the_provider_is_asked_for_plain_bytes() -> None:
    assert (b"accept-encoding", b"identity") in made("openai").headers("k")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-A": "b\r\nX-Evil: 1"}, r"channels\.c\.headers\.X-A: the value holds"),
        ({"X-A": "b\x00"}, r"channels\.c\.headers\.X-A: the value holds"),
        ({"X-A: b\r\nX-Evil": "1"}, "is not a header's name"),
        ({"Host": "other.test"}, r"headers\.Host: the connection sets this header itself"),
        ({"Content-Length": "5"}, "the connection sets this header itself"),
        ({"Accept-Encoding": "gzip"}, "the connection sets this header itself"),
    ],
)
def test_a_header_cannot_smuggle(headers: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made("openai", headers=headers)


def test_a_key_with_a_line_end_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match=r"channels\.c\.keys: a key holds a character") as caught:
        made("openai", keys=["sk-secret\nx: y"])
    assert "sk-secret" not in str(caught.value)


def test_an_account_does_not_show_its_keys() -> None:
    account = made("openai", keys=["sk-secret"], headers={"X-Token": "also-secret"})
    assert "secret" not in repr(account)


def test_a_fingerprint_tells_keys_apart_and_not_what_they_are() -> None:
    assert key_fingerprint("a") == key_fingerprint("a") != key_fingerprint("b")
    assert "sk-secret" not in key_fingerprint("sk-secret")


@pytest.mark.parametrize(
    ("rest", "query", "target"),
    [
        (b"/files", b"", b"/v1/files"),
        (b"/files", b"limit=2", b"/v1/files?limit=2"),
        (b"/v1/files", b"", b"/v1/files"),
        (b"/v1", b"", b"/v1"),
        (b"/v10/files", b"", b"/v1/v10/files"),
        (b"", b"", b"/v1"),
        (b"/run/@cf/meta/llama", b"", b"/v1/run/@cf/meta/llama"),
        (b"/models/a%2Fb%20c", b"", b"/v1/models/a%2Fb%20c"),
        (b"/files/a..b", b"", b"/v1/files/a..b"),
    ],
)
def test_a_raw_path_stays_below_the_address(rest: bytes, query: bytes, target: bytes) -> None:
    assert made("openai").join(rest, query) == target


@pytest.mark.parametrize(
    "rest",
    [
        b"@evil.test/x",
        b"/@evil.test/x",
        b"/%40evil.test/x",
        b"/user@evil.test",
        b".evil.test/x",
        b":80/x",
        b"//evil.test/x",
        b"/%2Fevil.test/x",
        b"/a//b",
        b"/../admin",
        b"/a/../../admin",
        b"/a/%2e%2e/admin",
        b"/a/%252e%252e/admin",
        b"/a/%25252e%25252e/admin",
        b"/a/.%2E/admin",
        b"/a%2f..%2fadmin",
        b"/a/..",
        b"/./a",
        b"/a\\..\\b",
        b"/a%5c..%5cb",
        b"/a b",
        b"/a\r\nx: y",
        b"/a%0d%0ax:y",
        b"/a?b",
        b"/a#b",
        "/ü".encode(),
        b"/%2525252525252e",
    ],
)
def test_a_raw_path_cannot_change_the_authority_or_climb(rest: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        made("openai").join(rest)
    assert (caught.value.status, caught.value.code) == (400, "invalid_path")


@pytest.mark.parametrize("query", [b"a=b c", b"a\r\nx: y", b"a#b", b"\xff"])
def test_a_raw_query_cannot_smuggle(query: bytes) -> None:
    with pytest.raises(ApiError):
        made("openai").join(b"/files", query)


@pytest.mark.parametrize(
    ("status", "auth", "retryable", "counts"),
    [
        (400, False, False, False),
        (401, True, True, True),
        (402, True, True, True),
        (403, True, True, True),
        (404, False, False, False),
        (408, False, True, False),
        (409, False, False, False),
        (413, False, False, False),
        (422, False, False, False),
        (429, False, True, True),
        (500, False, True, False),
        (502, False, True, False),
        (529, False, True, False),
        (302, False, True, False),
    ],
)
def test_a_status_says_whose_fault_it_is(
    status: int, auth: bool, retryable: bool, counts: bool
) -> None:
    verdict = classify(status, None, CATALOG["openai"])
    assert (verdict.auth, verdict.retryable, verdict.counts) == (auth, retryable, counts)


def test_a_bad_key_may_be_a_400() -> None:
    text = "Incorrect API key provided. You can obtain an API key from https://console.x.ai."
    assert classify(400, "invalid-argument", CATALOG["xai"], text).auth
    assert not classify(400, "invalid-argument", CATALOG["xai"], "Unknown field").auth
    assert not classify(400, "invalid-argument", CATALOG["openai"], text).auth


def test_an_account_in_debt_may_be_a_400() -> None:
    assert classify(400, "Arrearage", CATALOG["dashscope"]).auth
    assert not classify(400, "InvalidParameter", CATALOG["dashscope"]).auth


def test_a_403_may_be_about_the_input() -> None:
    assert not classify(403, None, CATALOG["openrouter"]).auth


def test_a_preset_may_name_a_status_for_no_capacity() -> None:
    assert classify(498, None, CATALOG["groq"]).retryable
    assert not classify(498, None, CATALOG["openai"]).retryable
