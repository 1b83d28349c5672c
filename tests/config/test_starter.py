"""The first start's file loads as it stands, and its secrets are shown once."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from oneapi.config.fragments import password_lines, token_lines
from oneapi.config.jsonschema import schema
from oneapi.config.keys import key_hash
from oneapi.config.load import load
from oneapi.config.starter import Starter, write_starter
from oneapi.errors import ConfigError
from oneapi.providers.catalog import load_catalog, type_facts


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def start(folder: Path, root_token: str | None = None) -> Starter:
    return write_starter(folder, root_token=root_token, hash_password=lambda p: f"scrypt:{p[::-1]}")


def test_the_starter_loads_without_a_warning_or_a_variable(tmp_path: Path) -> None:
    starter = start(tmp_path)
    loaded = load(starter.path, types=type_facts(load_catalog()), environ={})
    assert loaded.problems == ()
    assert loaded.settings.server.anonymous == "local"
    assert loaded.settings.groups["default"].may_issue == ["default"]
    assert loaded.settings.tokens["first"].key == key_hash(starter.api_key)
    assert loaded.settings.users["root"].password == f"scrypt:{starter.root_password[::-1]}"


def test_the_starters_secrets_stand_in_no_file(tmp_path: Path) -> None:
    starter = start(tmp_path)
    assert re.fullmatch(r"sk-[0-9A-Za-z]{48}", starter.api_key)
    written = "".join(p.read_text() for p in tmp_path.iterdir())
    assert starter.api_key[3:] not in written
    assert starter.root_password not in written
    assert sorted(p.name for p in tmp_path.iterdir()) == [".gitignore", "oneapi.toml"]


def test_the_first_line_names_the_schema(tmp_path: Path) -> None:
    first = start(tmp_path).path.read_text().splitlines()[0]
    assert first == "#:schema ./oneapi.schema.json"


def test_a_terminal_is_shown_the_secrets_and_a_curl_line(tmp_path: Path) -> None:
    starter, out = start(tmp_path), Terminal()
    starter.announce("http://127.0.0.1:3000", out)
    assert starter.root_password in out.getvalue()
    assert "curl http://127.0.0.1:3000/v1/chat/completions -H " in out.getvalue()
    assert f"'Authorization: Bearer {starter.api_key}'" in out.getvalue()


def test_without_a_terminal_they_go_into_a_file_for_the_owner(tmp_path: Path) -> None:
    starter, out = start(tmp_path), io.StringIO()
    starter.announce("http://127.0.0.1:3000", out)
    place = tmp_path / "oneapi.secrets.txt"
    assert str(place) in out.getvalue()
    assert starter.api_key not in out.getvalue()
    assert starter.api_key in place.read_text()
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_chosen_key_is_taken_and_a_short_one_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 24 characters"):
        start(tmp_path, "sk-short")
    assert list(tmp_path.iterdir()) == []
    chosen = "sk-chosen-by-people-long-enough"
    assert start(tmp_path, chosen).api_key == chosen
    assert key_hash(chosen) == key_hash(chosen.removeprefix("sk-"))


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text("mine")
    with pytest.raises(ConfigError, match="cannot be written: File exists"):
        start(tmp_path)
    assert (tmp_path / "oneapi.toml").read_text() == "mine"


def test_a_gitignore_gets_the_lines_it_lacks(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.pyc\n.env")
    start(tmp_path)
    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines == "*.pyc .env oneapi.db* oneapi-bodies.db* logs/ oneapi.secrets.txt".split()


def test_lines_to_paste_load(tmp_path: Path) -> None:
    lines = password_lines("o.k", "scrypt:x") + "[policies.p]\n"
    lines += token_lines("t", user="o.k", policy="p", key_hash=key_hash("sk-1"))
    (tmp_path / "oneapi.toml").write_text(lines)
    settings = load(tmp_path / "oneapi.toml", types={}, environ={}).settings
    assert settings.tokens["t"].user == "o.k"


def test_the_schema_is_json_and_knows_every_table_and_references() -> None:
    found = json.loads(json.dumps(schema()))
    assert found["additionalProperties"] is False
    assert {"server", "channels", "tokens", "prices"} <= found["properties"].keys()
    port = found["$defs"]["Server"]["properties"]["port"]
    assert {"integer", "string"} == {option["type"] for option in port["anyOf"]}
    channel = found["$defs"]["Channel"]["properties"]
    assert channel["type"]["type"] == "string"
    assert channel["title"]["description"] == "A name for people."
    keys = found["$defs"]["Key"]
    assert keys["anyOf"][0] == {"type": "string"}
