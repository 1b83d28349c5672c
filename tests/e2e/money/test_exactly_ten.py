"""200 requests at once against a budget for 10: exactly 10 go through, whatever bounds them, with
one gateway and with four over one store.

The provider takes a while, so that all are under way before the first has been settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.harness import Upstream, scripted_upstream
from tests.e2e.money import shop
from tests.e2e.money.fleet import Fleet, fleet
from tests.e2e.money.salvo import Heard, salvo, shot

JSON = Any
TEN: Final = 10
SALVO: Final = 200


@dataclass(frozen=True, slots=True)
class Case:
    """Who is bounded and how: the lines of a buyer's tables, and further tables."""

    user: str = ""
    policy: str = ""
    token: str = ""
    tables: str = ""
    model: str = shop.MODEL
    models: tuple[str, ...] = ()
    stream: bool = False


CASES: Final[Mapping[str, Case]] = {
    "quota": Case(user='quota = "$1"'),
    "points": Case(user='quota = "500000 points"', stream=True),
    "tokenquota": Case(token='quota = "$1"'),
    "userday": Case(user='budget = "$1/day"'),
    "tokenmonth": Case(policy='budget = "$1/month"', stream=True),
    "rolling": Case(policy='budget = "$1/24h"'),
    "bothends": Case(user='quota = "$1.05"', policy='budget = ["$1/week", "$2/total"]'),
    "rpdtoken": Case(policy="rpd = 10"),
    "rpduser": Case(user="rpd = 10", stream=True),
    "grouped": Case(user='group = "ten"', tables='[groups.ten]\nbudget = "$1/day"\n'),
    "each": Case(user='group = "each"', tables='[groups.each]\neach = { budget = "$1/day" }\n'),
    "modelled": Case(
        model="alias",
        tables='[models.alias]\nroutes = [{ channel = "up", model = "sold" }]\n'
        'budget = "$1/month"\n',
    ),
}


def toml(url: str) -> str:
    """Everybody of `CASES` and a channel of its own that is bounded itself."""
    buyers = "".join(
        shop.buyer(name, user=case.user, policy=case.policy, token=case.token) + case.tables
        for name, case in CASES.items()
    )
    return (
        shop.channel(url)
        + shop.channel(url, "bounded", ("scarce",), 'budget = "$1/day"')
        + shop.price()
        + shop.price("scarce")
        + shop.price("alias")
        + buyers
        + shop.buyer("channelled")
        + shop.buyer("hundred", user='quota = "$10"', policy='budget = "10000 requests/day"')
        + '[logs]\ndir = ""\naccess = false\n'
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(shop.answer) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("one"), toml(upstream.url), 1) as found:
        yield found


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("four"), toml(upstream.url), 4) as found:
        yield found


def storm(found: Fleet, name: str, case: Case, count: int = SALVO) -> list[Heard]:
    """`count` requests at once, spread over the processes."""
    ask = {**(shop.STREAM if case.stream else shop.ASK), "model": case.model}
    ports = found.ports
    return salvo(
        [
            shot(ports[n % len(ports)], shop.secret(name), ask, request_id=f"{name}-{n}")
            for n in range(count)
        ]
    )


def judge(found: Fleet, name: str, heard: list[Heard]) -> None:
    """Exactly ten were let through, ten records cost anything, and all others say why not."""
    statuses = Counter(one.status for one in heard)
    codes = Counter(one.code for one in heard)
    print(f"{name}, {len(found.ports)} processes: {dict(statuses)} {dict(codes)}")
    costs = Counter(row["cost_nanousd"] for row in found.records(user=name) if row["cost_nanousd"])
    assert statuses == {200: TEN, 429: len(heard) - TEN}
    assert costs == {shop.PRICE_NANOUSD: TEN}
    assert all(one.whole for one in heard)


@pytest.mark.parametrize("name", CASES)
def test_of_200_at_once_a_budget_for_ten_lets_exactly_ten_through(alone: Fleet, name: str) -> None:
    judge(alone, name, storm(alone, name, CASES[name]))


def test_of_200_at_once_a_channels_budget_lets_exactly_ten_through(alone: Fleet) -> None:
    judge(alone, "channelled", storm(alone, "channelled", Case(model="scarce")))


@pytest.mark.parametrize("name", CASES)
def test_with_four_processes_on_one_store_it_is_ten_as_well(four: Fleet, name: str) -> None:
    judge(four, name, storm(four, name, CASES[name]))


def test_with_four_processes_a_channels_budget_lets_exactly_ten_through(four: Fleet) -> None:
    judge(four, "channelled", storm(four, "channelled", Case(model="scarce", stream=True)))


def test_every_refusal_says_which_limit_and_that_asking_again_is_no_help(alone: Fleet) -> None:
    storm(alone, "quota", CASES["quota"], 11)
    (refused,) = storm(alone, "quota", CASES["quota"], 1)
    message = refused.json()["error"]["message"]
    assert "quota" in message
    assert refused.headers["x-should-retry"] == "false"


def test_a_hundred_more_after_the_end_are_all_refused(four: Fleet) -> None:
    heard = storm(four, "tokenquota", CASES["tokenquota"], 100)
    more = storm(four, "tokenquota", CASES["tokenquota"], 100)
    assert sum(h.status == 200 for h in heard) <= TEN
    assert {h.status for h in more} == {429}


def test_slices_that_others_have_leased_come_back_when_money_gets_short(
    four: Fleet, upstream: Upstream
) -> None:
    """90 of a hundred in turns, so that every process has leased some; then 200 at once."""
    upstream.script = lambda request: shop.answer_after(request, 0)
    try:
        first = [h for _ in range(9) for h in storm(four, "hundred", Case(), 10)]
    finally:
        upstream.script = shop.answer
    rest = storm(four, "hundred", Case())
    print("slices come back:", Counter(h.status for h in rest))
    assert Counter(h.status for h in first) == {200: 90}
    assert Counter(h.status for h in rest) == {200: TEN, 429: SALVO - TEN}


def test_what_is_given_back_lets_exactly_as_many_more_through(
    tmp_path: Path, upstream: Upstream
) -> None:
    """Half of the first wave fail at the provider; their holds let as many others pass."""
    calls = iter(range(1000))

    def half(request: Any) -> Any:
        failed = next(calls) % 2
        return shop.failing() if failed else shop.answer(request)

    upstream.script = half
    try:
        with fleet(tmp_path, toml(upstream.url), 2) as found:
            heard = [h for _ in range(8) for h in storm(found, "quota", CASES["quota"], 20)]
            costly = [row for row in found.records(user="quota") if row["cost_nanousd"]]
    finally:
        upstream.script = shop.answer
    print("with failures:", Counter(h.status for h in heard))
    assert len(costly) == TEN == sum(h.status == 200 for h in heard)
