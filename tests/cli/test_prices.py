"""`oneapi prices`, and what `oneapi check` says of models without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneapi.cli.main import main

TEXT = """[channels.a]
type = "openai"
keys = ["k"]
models = ["gpt-4o", "m", "n"]
[models.fast]
routes = [{ channel = "a", model = "gpt-4o" }]
[groups.vip]
ratio = 0.5
[prices.m]
input = 1
output = 2
tiers = [{ above = 1000, input = 3 }]
image = { "hd" = 0.08, "*" = 0.04 }
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    return written(tmp_path, TEXT)


def written(folder: Path, text: str) -> str:
    file = folder / "oneapi.toml"
    file.write_text(text)
    return str(file)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["prices", *words]) == 0
    return capsys.readouterr().out


def objects(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(capsys, *words, "--json").splitlines()]


def test_every_model_of_the_file_has_its_line(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *lines = shown(capsys, "--config", config).splitlines()
    assert head.split() == ["MODEL", "CHANNEL", "INPUT", "OUTPUT", "CACHED", "OTHER", "LINE"]
    cells = {line.split()[0]: line.split() for line in lines[:4]}
    assert cells["fast"][1:5] == ["a", "$2.50", "$10.00", "$1.25"]
    assert cells["m"][-1] == "prices.m"
    assert "by image, by length of input" in " ".join(cells["m"])
    assert cells["n"][2:4] == ["?", "?"]
    assert 'recorded without a cost (site.unpriced = "free")' in " ".join(cells["n"])


def test_one_model_is_told_with_its_source_and_steps(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "fast", "--config", config)
    assert "fast at a, which it calls gpt-4o" in text
    assert "openai/gpt-4o, vendored: https://" in text
    assert "read 2026-" in text
    assert "[prices] for fast, gpt-4o: nothing" in text
    assert "the price book openai for gpt-4o: gpt-4o" in text
    assert "reasoning      as output" in text


def test_a_line_of_the_file_is_named_with_its_place_and_the_groups_ratio(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, "m", "--config", config, "--group", "vip")
    assert f"prices.m ({config}:9)" in text
    assert "0.5 of group vip" in text
    assert "input          $0.50 per million tokens" in text
    assert "with more than 1,000 tokens of input: input $1.50" in text
    assert "image hd: $0.04" in text


def test_json_has_every_digit_as_text(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    [m] = objects(capsys, "m", "--config", config, "--group", "vip")
    assert (m["line"], m["line_number"], m["ratio"]) == ("prices.m", 9, "0.5")
    assert (m["prices"]["input"], m["prices"]["reasoning"]) == ("0.5", "1")
    assert m["images"] == {"hd": "0.04"}
    assert m["tiers"][0]["above"] == 1000
    [n] = objects(capsys, "n", "--config", config)
    assert (n["priced"], n["unpriced"]) == (False, "free")
    rows = objects(capsys, "--config", config)
    assert [row["model"] for row in rows] == ["fast", "gpt-4o", "m", "n"]
    assert rows[1]["source"].startswith("https://")
    assert rows[1]["date"].startswith("2026-")


def test_prices_are_shown_in_points_where_the_site_counts_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(tmp_path, TEXT + '[site]\ncurrency = "points"\nunpriced = "reject"\n')
    text = shown(capsys, "m", "--config", config)
    assert "input          500,000 points per million tokens" in text
    assert 'refused (site.unpriced = "reject")' in shown(capsys, "n", "--config", config)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "no channel serves nobody"),
        (["gpt-4"], "did you mean 'gpt-4o'?"),
        (["m", "--channel", "b"], "there is no channel b in use"),
        (["m", "--group", "vipp"], "there is no group vipp; did you mean 'vip'?"),
    ],
)
def test_what_is_not_there_is_said(
    config: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["prices", *words, "--config", config]) == 2
    assert said in capsys.readouterr().err


def checked(capsys: pytest.CaptureFixture[str], config: str) -> list[str]:
    assert main(["check", "--config", config]) == 0
    return [line for line in capsys.readouterr().err.splitlines() if "no price" in line]


def test_check_names_models_without_a_price_and_what_will_happen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        TEXT
        + '[channels.s]\ntype = "spark"\nkeys = ["k"]\n'
        + '[channels.l]\ntype = "ollama"\nmodels = ["x"]\n'
    )
    [n, spark] = checked(capsys, written(tmp_path, text))
    assert ":4:26: channels.a.models[2]: n has no price: requests for it are answered" in n
    assert "channels.s: lite, generalv3" in spark
    assert "requests for them are answered and recorded without a cost" in spark
    [n, _] = checked(capsys, written(tmp_path, text + '[site]\nunpriced = "reject"\n'))
    assert "requests for it are refused (site.unpriced)" in n


def test_check_knows_aliases_default_prices_and_channels_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        TEXT.replace('model = "gpt-4o"', 'model = "dear"')
        + "[prices.fast]\ninput = 1\n[channels.a.prices.n]\ninput = 1\n"
    )
    assert checked(capsys, written(tmp_path, text)) == []
    default = TEXT + "[site]\ndefault_price = { input = 1 }\n"
    assert checked(capsys, written(tmp_path, default)) == []
