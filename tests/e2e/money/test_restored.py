"""A copy of the ledger that is taken while a gateway works: whoever starts on it has exactly the
money that is left, though the other goes on elsewhere, and neither a slice nor a record is lost.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.e2e.harness import Running, gateway, scripted_upstream
from tests.e2e.money import shop
from tests.e2e.money.books import read_books
from tests.e2e.money.commands import audit, command
from tests.e2e.money.salvo import salvo, shot


def ask(running: Running, count: int) -> Counter[int]:
    key = shop.secret("buyer")
    heard = salvo([shot(running.port, key, shop.ASK) for _ in range(count)])
    return Counter(one.status for one in heard)


def test_a_copy_taken_at_work_holds_what_was_spent_and_nothing_that_is_held(tmp_path: Path) -> None:
    rest = shop.price() + shop.buyer("buyer", user='quota = "$20"', policy='budget = "$20/day"')
    with scripted_upstream(lambda request: shop.answer_after(request, 0)) as upstream:
        toml = shop.channel(upstream.url) + rest + '[logs]\ndir = ""\naccess = false\n'
        with gateway(tmp_path / "first", toml) as first:
            assert ask(first, 10) == {200: 10}
            done = command(tmp_path / "first", "backup", str(tmp_path / "oneapi.db"))
            assert done.returncode == 0, done.stderr
            copy = read_books(tmp_path / "oneapi.db")
            assert copy.faults() == []
            with gateway(tmp_path, toml) as second:
                assert ask(second, 200) == {200: 190, 429: 10}
            assert ask(first, 200) == {200: 190, 429: 10}
    assert read_books(second.database).faults() == []
    assert audit(tmp_path) == 0
