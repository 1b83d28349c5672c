"""What a translated event costs, gated at three times the aim: test machines are noisy."""

from __future__ import annotations

import pytest

from tests.bench.translate import GATE_US, PAIRS, translated_us


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_a_translated_event_is_cheap(provider: str, client: str) -> None:
    assert translated_us(provider, client) < 3 * GATE_US
