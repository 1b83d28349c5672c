"""Slips that once leaked a secret, were ignored, or stopped the watching for good."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oneapi.config.load import LoadError, load
from oneapi.config.starter import write_starter
from oneapi.config.watch import changes
from oneapi.errors import ConfigError
from oneapi.providers.catalog import load_catalog, type_facts

SECRET = "sk-SECRETSECRETSECRET"


def problems(folder: Path, text: str, **environ: str) -> str:
    path = folder / "oneapi.toml"
    path.write_text(text)
    with pytest.raises(LoadError) as caught:
        load(path, types=type_facts(load_catalog()), environ=environ)
    return str(caught.value)


@pytest.mark.parametrize(
    "line",
    [f'keys = "{SECRET}"', f'headers = "{SECRET}"', 'keys = "${SEC}"', 'weight = "${SEC}"'],
)
def test_a_secret_in_the_wrong_shape_or_place_is_not_shown(tmp_path: Path, line: str) -> None:
    text = f'[channels.a]\ntype = "openai"\nmodels = ["m"]\n{line}\n'
    assert SECRET not in problems(tmp_path, text, SEC=SECRET)


@pytest.mark.parametrize("line", ["[[policies]]", "policies = 5", 'policies = ["a"]'])
def test_an_include_whose_table_is_none_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / "part.toml").write_text(line + "\n")
    text = 'include = ["part.toml"]\n[policies.p]\n'
    assert "part.toml:1:1: policies: is a table in" in problems(tmp_path, text)


def test_a_starter_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    with pytest.raises(ConfigError):
        write_starter(tmp_path, root_token=None, hash_password=lambda _: "scrypt:1:1:1:a:b")
    assert not (tmp_path / "oneapi.toml").exists()


def test_a_gitignore_of_any_bytes_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_bytes(b"caf\xe9\n")
    write_starter(tmp_path, root_token=None, hash_password=lambda _: "scrypt:1:1:1:a:b")
    assert (tmp_path / ".gitignore").read_bytes().startswith(b"caf\xe9\n.env\n")


def test_watching_outlives_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.toml"
    path.write_text("a = 1\n")

    async def watch() -> None:
        stop = asyncio.Event()
        told = aiter(changes(lambda: [path], stop=stop))
        first = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0.3)
        path.unlink()
        path.symlink_to(path.name)
        await asyncio.wait_for(first, 5)
        second = asyncio.ensure_future(anext(told))
        await asyncio.sleep(0.3)
        path.unlink()
        path.write_text("a = 2\n")
        await asyncio.wait_for(second, 5)
        stop.set()

    asyncio.run(watch())


def test_another_address_of_ollama_is_another_revision(tmp_path: Path) -> None:
    path = tmp_path / "oneapi.toml"
    path.write_text('[channels.o]\ntype = "ollama"\n')
    types = type_facts(load_catalog())
    first = load(path, types=types, environ={})
    (tmp_path / ".env").write_text("OLLAMA_HOST=127.0.0.1:43434\n")
    (tmp_path / ".env").chmod(0o600)
    assert load(path, types=types, environ={}).revision != first.revision
