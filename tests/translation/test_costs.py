"""What every recorded answer costs, against a calculation that shares no code with ours."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest

from oneapi.gateway.pricing import vendored
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price, Rule
from tests.translation.billed import (
    BUCKET,
    MADE_UP,
    READERS,
    Line,
    counts,
    dollars,
    line_of,
    nanousd,
)
from tests.translation.cases import cases
from tests.translation.proof import parse
from tests.translation.recordings import FOLDER, Exchange, chats

READ = [e for e in chats() if e.spoken in READERS]
OTHERS = {"replicate"}
"""Dialects that count nothing: those models are billed by the second of their run."""


def rule_for(line: Line | None) -> Rule:
    """The row as the gateway has it; made-up prices, all different, where no book has one."""
    if line is not None:
        return vendored(line.book).rules[line.row.model]
    made_up = {key: Decimal(v.numerator) / v.denominator for key, v in MADE_UP.items()}
    return rule_of("made-up", made_up)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no recordings beside the tree")
def test_nearly_all_recordings_say_what_they_used_and_most_have_a_price() -> None:
    told = Counter(e.spoken for e in READ if counts(e) is not None)
    assert {e.spoken for e in chats()} - OTHERS == set(READERS) == set(told)
    assert (len(READ), sum(told.values())) == (380, 370)
    assert sum(line_of(e) is not None for e in READ) > 200


@pytest.mark.parametrize("exchange", cases(READ))
def test_a_recorded_answer_costs_what_it_does_by_hand(exchange: Exchange) -> None:
    used, line = counts(exchange), line_of(exchange)
    usage = parse(exchange).whole.usage
    if used is None:
        assert usage is None
        return
    assert usage is not None
    price, parts = Price(rule_for(line)), dollars(used, line)
    ours = {bucket: (count, Fraction(rate, 10**15)) for bucket, count, rate in price.steps(usage)}
    request = ours.pop("requests", (0, Fraction(0)))
    assert ours == {BUCKET.get(key, key): part for key, part in parts.items()}
    assert price.cost(usage) == nanousd(parts, line)
    dearer = Price(price.rule, 1_234_567).cost(usage)
    assert dearer == nanousd(parts, line, ratio=Fraction(1_234_567, 10**6))
    assert request[1] == (Fraction(line.row.dollars.get("request", 0)) if line else 0)
