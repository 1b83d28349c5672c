"""Addresses from what users write."""

from __future__ import annotations

import pytest

from oneapi.errors import ConfigError
from oneapi.net.base import Origin
from oneapi.providers.address import split
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog
from oneapi.providers.discover import ollama_base

OLLAMA = load_catalog()["ollama"]


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("", "http://127.0.0.1:11434/v1"),
        ("  ", "http://127.0.0.1:11434/v1"),
        ("box", "http://box:11434/v1"),
        ("box:9000", "http://box:9000/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000/v1"),
        (":9000", "http://127.0.0.1:9000/v1"),
        ("[::]:9000", "http://[::1]:9000/v1"),
        ("::1", "http://[::1]:11434/v1"),
        ("http://box:9000", "http://box:9000/v1"),
        ("http://box:9000/", "http://box:9000/v1"),
        ("http://box", "http://box:80/v1"),
        ("https://box.test", "https://box.test:443/v1"),
        ("https://box.test/ollama", "https://box.test:443/ollama/v1"),
        ("http://box:9000/v1", "http://box:9000/v1"),
        ('"box:9000"', "http://box:9000/v1"),
    ],
)
def test_ollama_host_is_read_in_all_its_forms(value: str, address: str) -> None:
    assert ollama_base({"OLLAMA_HOST": value}) == address


@pytest.mark.parametrize("value", ["ftp://box", "box:port", "box:99999", "[::1"])
def test_a_host_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        ollama_base({"OLLAMA_HOST": value})


def test_the_environments_host_stands_in_for_the_presets() -> None:
    account = bind("c", preset=OLLAMA, environ={"OLLAMA_HOST": "0.0.0.0:9000"})
    assert account.origin == Origin("http", "127.0.0.1", 9000)
    assert account.target("chat", "m") == b"/v1/chat/completions"


def test_the_channels_own_address_wins_over_the_environment() -> None:
    account = bind(
        "c", preset=OLLAMA, base_url="http://box:1", environ={"OLLAMA_HOST": "other:9000"}
    )
    assert account.origin.host == "box"


def test_a_wrong_host_in_the_environment_is_named() -> None:
    with pytest.raises(ConfigError, match=r"channels\.c\.OLLAMA_HOST: "):
        bind("c", preset=OLLAMA, environ={"OLLAMA_HOST": "ftp://box"})


@pytest.mark.parametrize(
    ("address", "origin", "path"),
    [
        ("https://h.test", Origin("https", "h.test", 443), ""),
        ("HTTP://H.TEST:80/V1/", Origin("http", "h.test", 80), "/V1"),
        ("http://[::1]:8080/v1", Origin("http", "::1", 8080), "/v1"),
        ("https://bücher.test/ä b", Origin("https", "xn--bcher-kva.test", 443), "/%C3%A4%20b"),
    ],
)
def test_an_address_is_an_origin_and_a_path(address: str, origin: Origin, path: str) -> None:
    assert split(address) == (origin, path)


@pytest.mark.parametrize(
    ("base_url", "target"),
    [
        ("http://box:1", b"/api/tags"),
        ("http://box:1/v1", b"/api/tags"),
        ("https://box/ollama/v1", b"/ollama/api/tags"),
    ],
)
def test_ollamas_list_stands_beside_its_v1(base_url: str, target: bytes) -> None:
    assert bind("c", preset=OLLAMA, base_url=base_url).models_target() == target
