"""`kill -9` under load with streams, four client processes, budgets and limits on: what clients saw
completed is in the ledger once, every lease of the dead is resolved, and the sums are the records'.
"""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.harness import scripted_upstream, until
from tests.e2e.money import shop
from tests.e2e.money.books import read_books
from tests.e2e.money.commands import audit
from tests.e2e.money.fleet import fleet
from tests.e2e.money.killing import kill_money
from tests.e2e.money.salvo import salvo, shot


@pytest.mark.slow
def test_five_kills_lose_double_and_overspend_nothing(tmp_path: Path) -> None:
    storm = kill_money(tmp_path, kills=5)
    print(storm.told())
    assert storm.faults() == []
    assert storm.statuses[200] > 500
    assert storm.cut > 20  # the kills met requests under way
    assert audit(tmp_path) == 0


def test_what_a_dead_process_held_is_free_at_once_and_what_it_spent_is_not(tmp_path: Path) -> None:
    """$10 are 100 requests: 20 are made by two processes, 30 die under way with one of them, and
    the other one sells exactly the 80 that are left.
    """
    toml = (
        '[logs]\ndir = ""\naccess = false\n'
        + shop.price()
        + shop.buyer("buyer", user='quota = "$10"', policy='budget = "$10/day"')
    )
    with (
        scripted_upstream(lambda request: shop.answer_after(request, 0)) as upstream,
        fleet(tmp_path, toml + shop.channel(upstream.url), 2) as found,
    ):

        def ask(count: int, *ports: int) -> Counter[int]:
            key = shop.secret("buyer")
            return Counter(
                heard.status
                for heard in salvo(
                    [shot(ports[n % len(ports)], key, shop.ASK) for n in range(count)]
                )
            )

        assert ask(20, *found.ports) == {200: 20}
        upstream.received.clear()
        upstream.script = lambda request: shop.answer_after(request, 20)
        dying = threading.Thread(target=ask, args=(30, found.ports[0]))
        dying.start()
        assert until(lambda: len(upstream.received) == 30)
        found.members[0].kill()
        dying.join()
        upstream.script = lambda request: shop.answer_after(request, 0)
        assert ask(200, found.ports[1]) == {200: 80, 429: 120}
        found.members[1].stop()
    assert read_books(found.database).faults() == []
    assert audit(tmp_path / "member1") == 0
