"""From the file's prices and the vendored books to what a request costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneapi.errors import ConfigError
from oneapi.gateway.quotes import all_quotes, quotes
from oneapi.gateway.snapshot import Snapshot
from oneapi.ir import Usage
from tests.gateway.making import snapshot

CHANNEL = '[channels.a]\ntype = "openai"\nkeys = ["k"]\nmodels = ["gpt-4o", "m", "gpt-5*"]\n'
LOCAL = '[channels.l]\ntype = "ollama"\nmodels = ["qwen3", "gpt-4o"]\n'


def rule_at(found: Snapshot, channel: str, asked: str, served: str = "") -> str | None:
    price = found.price(found.channels[channel], asked, served or asked, 1_000_000)
    return price.rule.name if price is not None else None


def test_the_vendored_book_prices_what_the_file_does_not(tmp_path: Path) -> None:
    found = snapshot(tmp_path, CHANNEL + "[prices.m]\ninput = 1\n")
    assert rule_at(found, "a", "gpt-4o") == "openai/gpt-4o"
    assert rule_at(found, "a", "fast", "gpt-4o") == "openai/gpt-4o"
    assert rule_at(found, "a", "m") == "prices.m"
    assert rule_at(found, "a", "unheard-of") is None


def test_the_file_goes_before_the_book_and_a_channels_lines_before_the_files(
    tmp_path: Path,
) -> None:
    text = (
        CHANNEL.replace("channels.a", "channels.b")
        + CHANNEL
        + '[channels.a.prices."gpt-*"]\ninput = 3\n[prices."gpt-4o"]\ninput = 2\n'
    )
    found = snapshot(tmp_path, text)
    assert rule_at(found, "a", "gpt-4o") == "channels.a.prices.gpt-*"
    assert rule_at(found, "b", "gpt-4o") == "prices.gpt-4o"


def test_a_local_channel_is_free_unless_the_file_prices_it(tmp_path: Path) -> None:
    text = LOCAL + "[site]\ndefault_price = { input = 5 }\n[prices.qwen3]\ninput = 1\n"
    found = snapshot(tmp_path, text)
    assert rule_at(found, "l", "gpt-4o") == "local"
    assert rule_at(found, "l", "qwen3") == "prices.qwen3"


def test_the_default_price_is_for_whatever_has_none(tmp_path: Path) -> None:
    found = snapshot(tmp_path, CHANNEL + "[site]\ndefault_price = { ratio = 30 }\n")
    assert rule_at(found, "a", "m") == "site.default_price"
    price = found.price(found.channels["a"], "m", "m", 1_000_000)
    assert price is not None
    assert price.cost(Usage(input=100, output=100)) == 6000 * 2000  # points of the original


def test_a_deployment_is_priced_by_the_name_that_was_asked(tmp_path: Path) -> None:
    text = (
        '[channels.z]\ntype = "azure"\nbase_url = "https://x.openai.azure.com"\nkeys = ["k"]\n'
        'models = ["gpt-4o"]\nmodel_map = { "gpt-4o" = "prod-1" }\n'
    )
    assert rule_at(snapshot(tmp_path, text), "z", "gpt-4o", "prod-1") == "openai/gpt-4o"


def test_vertex_has_the_books_of_its_publishers(tmp_path: Path) -> None:
    text = '[channels.v]\ntype = "vertex"\nkeys = ["k"]\nvars = { project = "p" }\n'
    found = snapshot(tmp_path, text)
    assert rule_at(found, "v", "gemini-2.5-flash") == "gemini/gemini-2.5-flash"
    assert (rule_at(found, "v", "claude-opus-4-5@20251101") or "").startswith("anthropic/")


def test_a_groups_ratio_is_in_the_price(tmp_path: Path) -> None:
    found = snapshot(tmp_path, CHANNEL + "[prices.m]\ninput = 1\n")
    price = found.price(found.channels["a"], "m", "m", 500_000)
    assert price is not None
    assert price.cost(Usage(input=2)) == 1000
    assert price is found.price(found.channels["a"], "m", "m", 500_000)  # made once


def test_the_originals_ratios_are_prices(tmp_path: Path) -> None:
    lines = (
        "[prices.m]\nratio = 20\ncompletion_ratio = 3\ncache_read = 4\n"
        'image = { "1024x1792 hd" = 0.12, "*" = 0.04 }\n'
    )
    found = snapshot(tmp_path, CHANNEL + lines)
    price = found.price(found.channels["a"], "m", "m", 1_000_000)
    assert price is not None
    assert price.cost(Usage(input=1000, output=500)) == 20 * (1000 + 1500) * 2000
    assert price.cost(Usage(cache_read=1_000_000)) == 4 * 10**9
    hd = price.for_image("1024x1792", "HD")
    assert hd.cost(Usage(images=1)) == 60_000 * 2000


def test_tiers_and_units_are_read_from_the_file(tmp_path: Path) -> None:
    lines = (
        "[prices.m]\ninput = 1\noutput = 2\ncache_read = 0.1\nrequest = 0.5\nsecond = 0.001\n"
        "character = 15\nsearch = 0.01\nimage = 0.04\n"
        "tiers = [{ above = 200, input = 4 }, { above = 100, input = 2, output = 3 }]\n"
    )
    found = snapshot(tmp_path, CHANNEL + lines)
    price = found.price(found.channels["a"], "m", "m", 1_000_000)
    assert price is not None
    assert price.cost(Usage()) == 5 * 10**8
    request = 5 * 10**8
    assert price.cost(Usage(input=100, output=1)) - request == 100_000 + 2000
    assert price.cost(Usage(input=101, output=1)) - request == 202_000 + 3000
    assert price.cost(Usage(input=201, output=1)) - request == 804_000 + 2000
    units = Usage(images=1, audio_ms=500, characters=10, searches=1)
    assert price.cost(units) - request == 40_000_000 + 500_000 + 150_000 + 10_000_000


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("ratio = 1\ninput = 2", "7:9: prices.m.input", "stands beside ratio, which says the same"),
        ("output = 2\nratio = 1", "6:10: prices.m.output", "stands beside ratio"),
        ("completion_ratio = 2", "6:20: prices.m.completion_ratio", "needs ratio beside it"),
        ("input = 0.0000000001", "6:9: prices.m.input", "finer than a nano-dollar"),
        ('image = { "1024x1024" = 1 }', "6:9: prices.m.image", 'needs "*"'),
        (
            'image = { "*" = 1, "a b c" = 1 }',
            '6:30: prices.m.image."a b c"',
            "fits no image",
        ),
        ("tiers = [{ above = 5 }]", "6:10: prices.m.tiers[0]", "changes nothing"),
        (
            "tiers = [{ above = 5, input = 1 }, { above = 5, input = 2 }]",
            "6:46: prices.m.tiers[1].above",
            "two tiers begin above 5",
        ),
        ("", "5:1: prices.m", "has no price in it"),
    ],
)
def test_prices_that_contradict_themselves_are_named_with_their_place(
    tmp_path: Path, line: str, place: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        snapshot(tmp_path, CHANNEL + f"[prices.m]\n{line}\n")
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{tmp_path / 'oneapi.toml'}:{place}: ")
    assert words in problem.message


def test_prices_of_channels_and_the_default_have_their_places_too(tmp_path: Path) -> None:
    text = (
        CHANNEL
        + "[channels.a.prices.m]\ncompletion_ratio = 1\n"
        + "[site]\ndefault_price = { ratio = 1, input = 1 }\n"
    )
    with pytest.raises(ConfigError) as caught:
        snapshot(tmp_path, text)
    assert [(p.key, p.line) for p in caught.value.problems] == [
        ("channels.a.prices.m.completion_ratio", 6),
        ("site.default_price.input", 8),
    ]


def test_a_quote_tells_where_the_price_was_looked_for(tmp_path: Path) -> None:
    text = CHANNEL + LOCAL + '[models.fast]\nroutes = [{ channel = "a", model = "gpt-4o" }]\n'
    found = snapshot(tmp_path, text)
    [quote] = quotes(found, "fast")
    assert (quote.channel, quote.served_model) == ("a", "gpt-4o")
    assert [(p.kind, p.name, p.asked) for p in quote.places] == [
        ("file", "prices", ("fast", "gpt-4o")),
        ("book", "openai", ("gpt-4o",)),
    ]
    assert quote.found is quote.places[-1]
    assert [(q.channel, q.rule and q.rule.name) for q in quotes(found, "gpt-4o")] == [
        ("a", "openai/gpt-4o"),
        ("l", "local"),
    ]


def test_all_quotes_are_of_what_the_file_names_and_what_its_globs_reach(tmp_path: Path) -> None:
    found = snapshot(tmp_path, CHANNEL + LOCAL + '[prices."gpt-5-own"]\ninput = 1\n')
    rows = {(q.channel, q.model): q for q in all_quotes(found)}
    assert rows["a", "m"].rule is None
    assert rows["a", "m"].listed
    assert not rows["a", "gpt-5-mini"].listed
    assert ("a", "gpt-4o-mini") not in rows
    own = rows["a", "gpt-5-own"].rule
    assert own is not None
    assert own.name == "prices.gpt-5-own"
    assert {model for channel, model in rows if channel == "l"} == {"qwen3", "gpt-4o"}
