"""`kill -9` under load with streams, four client processes, budgets and limits on: what clients saw
completed is in the ledger once, every lease of the dead is resolved, and the sums are the records'.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.money.commands import audit
from tests.e2e.money.killing import kill_money


@pytest.mark.slow
def test_five_kills_lose_double_and_overspend_nothing(tmp_path: Path) -> None:
    storm = kill_money(tmp_path, kills=5)
    print(storm.told())
    assert storm.faults() == []
    assert storm.statuses[200] > 500
    assert storm.cut > 20  # the kills met requests under way
    assert audit(tmp_path) == 0
