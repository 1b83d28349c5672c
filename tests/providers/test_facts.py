"""What is known of public models."""

from __future__ import annotations

import re

import pytest

from oneapi.providers.facts import all_facts, facts_for, parse_facts


@pytest.mark.parametrize(
    ("model", "pattern"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5*"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5*"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5*"),
        ("anthropic/claude-sonnet-4-5", "claude-sonnet-4-5*"),
        ("OpenAI/GPT-4.1-mini", "gpt-4.1*"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash*"),
    ],
)
def test_a_model_is_known_whatever_a_provider_puts_around_its_name(
    model: str, pattern: str
) -> None:
    facts = facts_for(model)
    assert facts is not None
    assert facts.pattern == pattern


def test_a_name_that_is_not_public_is_not_guessed_at() -> None:
    assert facts_for("my-fine-tune") is None
    assert facts_for("llama3.2:3b") is None


def test_every_row_is_sane_and_says_where_it_is_from() -> None:
    for facts in all_facts():
        assert 0 <= facts.max_output <= facts.context, facts.pattern
        assert facts.source.startswith("https://"), facts.pattern
        assert facts.date >= "2026-01-01", facts.pattern
        assert ("image" in facts.inputs) == ("vision" in facts.abilities), facts.pattern


def test_no_row_hides_a_later_one() -> None:
    for facts in all_facts():
        name = re.sub(r"\[(.)[^]]*\]", r"\1", facts.pattern).replace("*", "")
        found = facts_for(name)
        assert found is not None
        assert found.pattern == facts.pattern


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("['x']\ncontext = 1", "needs its source and date"),
        ("['x']\nwidth = 1", "there is no such field"),
        ("['x']\ninputs = ['smell']", "holds a word that is not known"),
        ("['x']\ncontext = 'big'", "must be a number of tokens"),
    ],
)
def test_a_mistake_in_the_table_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_facts(text)
