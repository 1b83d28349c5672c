"""Keys that sign in by a header line."""

from __future__ import annotations

import pytest

from oneapi.providers.auth.static import key_line
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("auth", "key", "line"),
    [
        ("bearer", "k", ("authorization", "Bearer k")),
        ("plain", "k", ("authorization", "k")),
        ("scheme:DeepL-Auth-Key", "k:fx", ("authorization", "DeepL-Auth-Key k:fx")),
        ("header:x-api-key", "k", ("x-api-key", "k")),
        ("header:api-key", "Bearer entra", ("authorization", "Bearer entra")),
        ("bearer", "Bearer once", ("authorization", "Bearer once")),
        ("none", "k", None),
        ("bearer", "", None),
        ("aws:bedrock", "k", ("authorization", "Bearer k")),
        ("aws:bedrock", "a:b", None),
        ("google", "k", ("x-goog-api-key", "k")),
        ("google", "metadata", None),
    ],
)
def test_a_key_has_its_header_line(auth: str, key: str, line: tuple[str, str] | None) -> None:
    assert key_line(auth, key) == line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("anthropic", (b"x-api-key", b"k")),
        ("gemini", (b"x-goog-api-key", b"k")),
        ("deepl", (b"authorization", b"DeepL-Auth-Key k")),
        ("replicate", (b"authorization", b"Bearer k")),
        ("cohere", (b"authorization", b"Bearer k")),
    ],
)
def test_each_provider_is_told_the_key_in_its_way(name: str, line: tuple[bytes, bytes]) -> None:
    account = bind("c", preset=CATALOG[name], keys=["k"])
    assert account.signer is None
    assert line in account.headers("k")
