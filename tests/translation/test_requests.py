"""Recorded requests: in their own dialect again, and for providers of every other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneapi.ir import ChatRequest, Message, Text
from tests.translation import asked, foreign, judges
from tests.translation.answered import chat_addressed
from tests.translation.cases import LIBRARIES, cases, clients
from tests.translation.meant import lost
from tests.translation.recordings import Exchange


@pytest.mark.parametrize("exchange", cases(asked.asked()))
def test_a_request_returns_in_its_own_dialect(exchange: Exchange) -> None:
    assert not asked.differences(exchange)


@pytest.mark.parametrize("exchange", cases(foreign.requests()))
def test_a_request_means_the_same_elsewhere_or_is_refused(exchange: Exchange) -> None:
    for source, dialect in foreign.pairs([exchange]):
        found = foreign.rendered(source, dialect)
        assert not foreign.problems(source, dialect, found), dialect


@pytest.mark.parametrize("dialect", clients())
def test_the_librarys_types_take_what_was_rendered(dialect: str) -> None:
    assert dialect in LIBRARIES
    found = [e for e in foreign.requests() if e.spoken != dialect]
    if not found:
        pytest.skip("no recordings beside the tree")
    bodies = [(e.id, foreign.rendered(e, dialect)) for e in found]
    wrong = [(i, judges.judge(dialect, r.body)) for i, r in bodies if not r.refused]
    assert [pair for pair in wrong if pair[1]] == []


def test_what_a_provider_refused_for_want_of_messages_is_refused_here() -> None:
    found = [e for e in chat_addressed() if asked.no_request(e).startswith("refused by its")]
    if not found:
        pytest.skip("no recordings beside the tree")
    errors = [asked.refusal(exchange) for exchange in found]
    assert [error.param for error in errors if error is not None] == ["messages"] * len(found)


def test_a_lost_word_is_seen() -> None:
    chat = ChatRequest("m", [Message("user", [Text("one two")])], "openai-chat", seed=1)
    other = replace(chat, messages=[Message("user", [Text("one")])], seed=None)
    assert [line.split(":")[0] for line in lost(chat, other, [], 0)] == ["the user's text", "seed"]


def test_what_was_dropped_by_name_is_not_lost() -> None:
    chat = ChatRequest("m", [Message("user", [Text("one")])], "openai-chat", seed=1)
    assert lost(chat, replace(chat, seed=None), ["seed"], 0) == []
