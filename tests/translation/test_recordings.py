"""Recorded answers: read, rendered again, read by the official libraries; see `table`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.translation import answered, others, proof
from tests.translation.canned import Canned
from tests.translation.cases import cases, clients
from tests.translation.recordings import FOLDER, Exchange, chats, exchanges, left_out
from tests.translation.truths import truth

OUTCOMES = frozenset({"translated", "native", "relayed", "refusal", "pending", "outside"})


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no recordings beside the tree")
def test_no_recording_is_forgotten() -> None:
    groups = Counter(e.group for e in exchanges())
    assert groups == {"a client's format": 363, "a provider's own": 89, "no chat": 63}
    proofs = [answered.readable(), others.others()]
    seen = {e.id for found in proofs for e in found}
    assert {left_out(e) for e in exchanges() if e.id not in seen} <= {
        "a model's own format, not the chat's"
    }


@pytest.mark.parametrize("exchange", cases(answered.readable()))
def test_an_answer_becomes_events_and_an_error_an_error(exchange: Exchange) -> None:
    assert not answered.unread(exchange)


@pytest.mark.parametrize("exchange", cases(answered.answers()))
def test_an_answer_returns_in_its_own_dialect(exchange: Exchange) -> None:
    assert not answered.differences(exchange)


@pytest.mark.parametrize("exchange", cases(others.others()))
def test_what_is_no_chat_has_an_outcome(exchange: Exchange) -> None:
    assert others.outcome(exchange)[0] in OUTCOMES


@pytest.mark.parametrize("dialect", clients())
@pytest.mark.parametrize("exchange", cases(chats()))
def test_a_library_reads_what_was_recorded(
    exchange: Exchange, dialect: str, server: Canned
) -> None:
    assert not proof.problem(exchange, dialect, server, stream=False)
    assert not proof.problem(exchange, dialect, server, stream=True)


def test_a_changed_answer_is_seen() -> None:
    found = next(iter(chats()), None)
    if found is None:
        pytest.skip("no recordings beside the tree")
    whole = next(e for e in answered.answers() if e.dialect == "anthropic" and not e.stream)
    changed = {**whole.body, "stop_reason": "another"}
    assert answered.differences(replace(whole, body=changed))
    assert truth(replace(whole, body=changed)) != truth(whole)
