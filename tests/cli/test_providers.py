"""`oneapi providers`."""

from __future__ import annotations

import json

import pytest

from oneapi.cli.main import main
from oneapi.providers.catalog import load_catalog


def test_every_provider_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == list(load_catalog())
    deepseek = next(row for row in rows if row["name"] == "deepseek")
    assert deepseek["dialects"] == ["openai-chat", "anthropic", "openai-responses"]
    assert deepseek["needs"] == ["keys"]


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("NAME")
    assert any(line.startswith("bedrock ") and "vars.region" in line for line in lines)


def test_one_provider_is_shown_with_all_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "deepl", "--json"]) == 0
    details = json.loads(capsys.readouterr().out)
    assert details["sign_in"] == "Authorization: DeepL-Auth-Key KEY"
    assert details["paths"] == {"deepl.translate": "^/v2/translate"}
    assert "formality" in details["options"]["deepl"]
    assert main(["providers", "vertex"]) == 0
    shown = capsys.readouterr().out
    assert "a service account's JSON" in shown
    assert "vars.location, vars.project" in shown


def test_models_are_listed_with_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "--models", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    row = next(r for r in rows if r["models"] == "claude-sonnet-4-5*")
    assert (row["context"], row["max_output"]) == (200_000, 64_000)
    assert "tools" in row["abilities"]


def test_a_name_that_is_none_is_nearly_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["providers", "opanai"]) == 2
    assert "did you mean 'openai'?" in capsys.readouterr().err
