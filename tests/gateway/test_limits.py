"""Who is bound by what, what it costs to look, and what the refused are told."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from oneapi.config.schema import Site
from oneapi.config.values import Amount
from oneapi.dialects import registry
from oneapi.errors import ApiError
from oneapi.gateway.bodies import JsonBody
from oneapi.gateway.budgets import Limits, nanousd
from oneapi.gateway.callers import Callers, TokenFacts, UserFacts
from oneapi.gateway.identify import key_hash
from oneapi.gateway.job import Job
from oneapi.gateway.limits import Gate, check_input
from oneapi.gateway.meter import Meter
from oneapi.gateway.queueing import Full
from oneapi.gateway.rates import NEVER
from oneapi.gateway.refusals import amount, told_s, too_fast, used_up
from oneapi.gateway.snapshot import Caller, Discovered, Snapshot, Target
from oneapi.ir import Envelope
from oneapi.ledger.accounts import Account, Budget, Period
from oneapi.ledger.door import Door, Shortage
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.wire.json import members
from tests.gateway.making import BASE, KEY, snapshot, wanted

NOTHING = cast(Any, None)
PRICED = "[prices.m1]\ninput = 1\noutput = 2\n"


def text(policy: str = "", user: str = "", group: str = "", channel: str = "") -> str:
    found = BASE.replace("[policies.all]", f"[policies.all]\n{policy}")
    found = found.replace("[users.alice]", f"[users.alice]\n{user}")
    found = found.replace('models = ["m1", "shared"]', f'models = ["m1", "shared"]\n{channel}')
    return f"{found}{PRICED}{group}"


def alice(found: Snapshot) -> Caller:
    return found.grants[key_hash(KEY)].caller


def bounds(caller: Caller) -> dict[str, int]:
    """Limits of the caller's budgets by what they bound."""
    accounts = [(b.account, b.limit) for b in caller.budgets]
    return {f"{a.scope} {a.name} {a.unit} {a.period.key}": limit for a, limit in accounts}


def test_a_caller_without_limits_has_none(tmp_path: Path) -> None:
    caller = alice(snapshot(tmp_path, BASE))
    assert (caller.limits, caller.budgets, caller.queue_s) == ((), (), 0)
    assert not snapshot(tmp_path, BASE).channels["one"].bounded


def test_budgets_of_everyone_concerned_are_bound_at_build_time(tmp_path: Path) -> None:
    found = snapshot(
        tmp_path,
        text(
            policy='budget = ["$5/month", "2M tokens/24h"]\nrpd = 9\ntokens_count = "fresh"',
            user='quota = "1_000_000 points"\nbudget = "$1/week"',
            group='[groups.default]\nbudget = "$7/day"\n',
            channel='budget = "$3/hour"\nrpm = 4',
        ),
    )
    caller = alice(found)
    assert bounds(caller) == {
        "user alice nanousd week": 10**9,
        "user alice nanousd total": 2 * 10**9,
        "token alice nanousd month": 5 * 10**9,
        "token alice tokens rolling:86400": 2_000_000,
        "token alice requests day": 9,
        "group default nanousd day": 7 * 10**9,
    }
    credited = [b.account.name for b in caller.budgets if b.credited]
    assert credited == ["alice"]
    counting = {b.account.counting for b in caller.budgets if b.account.unit == "tokens"}
    assert counting == {"fresh"}
    channel = found.channels["one"]
    assert channel.limits == Limits("channel", "one", rpm=4)
    assert [b.limit for b in channel.budgets] == [3 * 10**9]


def test_a_group_bounds_each_of_its_users_where_they_say_nothing(tmp_path: Path) -> None:
    each = "[groups.default.each]\nrpm = 10\nconcurrency = 3\nqueue_s = 4\nbudget = '$2/day'\n"
    caller = alice(snapshot(tmp_path, text(user="rpm = 50", group=each)))
    assert caller.limits == (Limits("user", "alice", rpm=50, concurrency=3, queue_s=4.0),)
    assert bounds(caller) == {"user alice nanousd day": 2 * 10**9}
    assert caller.queue_s == 4.0
    free = alice(snapshot(tmp_path, text(user="rpm = 0", group=each)))
    assert free.limits[0].rpm == 0


def test_keyless_callers_are_bound_by_their_policy(tmp_path: Path) -> None:
    more = '[server]\nanonymous = "all"\n'
    caller = snapshot(tmp_path, text(policy="rpm = 2\nbudget = '$1/day'") + more).anonymous
    assert caller is not None
    assert caller.limits == (Limits("token", "", rpm=2),)
    assert bounds(caller) == {"user anonymous nanousd day": 10**9}


def test_people_of_the_store_become_callers_the_same_way(tmp_path: Path) -> None:
    found = snapshot(tmp_path, text(policy="budget = '$4/day'"))
    policy = alice(found).policy
    caller = Callers(found.settings).caller(
        UserFacts("zoe", limit_nanousd=0), TokenFacts("zoe/ci", 5), policy
    )
    assert bounds(caller) == {
        "user zoe nanousd total": 0,
        "token zoe/ci nanousd day": 4 * 10**9,
        "token zoe/ci nanousd total": 5,
    }


def test_money_is_read_as_nano_dollars_rounded_down() -> None:
    site = Site(points_per_usd=3)
    assert nanousd(Amount("usd", Decimal("0.0000000019")), site) == 1
    assert nanousd(Amount("points", Decimal(1)), site) == 333_333_333


class Asking:
    """A gate over a real ledger, and requests for `m1` of a policy."""

    def __init__(self, folder: Path, file: str) -> None:
        self.snapshot = snapshot(folder, file)
        self.store = SqliteStore(folder / "oneapi.db")
        self.store.open()
        self.caller = alice(self.snapshot)
        self.targets: tuple[Target, ...] = self.snapshot.resolve(
            "m1", self.caller, wanted(), Discovered()
        )
        self.raw = b'{"messages":[{"role":"user","content":"%b"}]}' % (b"hello world " * 40)

    def job(self) -> Job:
        dialect = registry.client("openai-chat")
        meter = Meter(self.snapshot, "chat", "r", "127.0.0.1", dialect=dialect)
        meter.caller = self.caller
        meter.operation = dialect.OPERATIONS["chat"]
        meter.request = self.raw
        return Job(
            dialect=dialect,
            operation=meter.operation,
            envelope=Envelope("m1", size=len(self.raw), max_output=256),
            headers={},
            body=JsonBody(self.raw, members(self.raw), True),
            client=NOTHING,
            meter=meter,
            flight=NOTHING,
            stamp=NOTHING,
        )


class Shut:
    """As much of the books as a meter's end needs."""

    def __init__(self, door: Door) -> None:
        self.door = door


async def admission_us(asking: Asking, rounds: int = 5) -> float:
    """Microseconds of an admission and its end: the best of the medians."""
    door = Door(asking.store)
    gate, books = Gate(door), cast(Any, Shut(door))
    background = asyncio.create_task(door.run())
    medians = []
    for _ in range(rounds):
        times = []
        for number in range(300):
            job = asking.job()
            began = time.perf_counter_ns()
            targets = await gate.admit(job, asking.targets)
            if targets[0].channel.bounded:
                assert await gate.board(job, targets[0]) is None
                gate.alight(job, targets[0])
            job.meter.close(books)
            times.append(time.perf_counter_ns() - began)
            if number % 50 == 0:
                await asyncio.sleep(0.002)
        medians.append(sorted(times)[150])
    background.cancel()
    assert (door.open_permits, gate.running) == (0, 0)
    return min(medians) / 1000


def test_admission_costs_microseconds(tmp_path: Path) -> None:
    rates = "rpm = 1000000\ntpm = 1000000000\nconcurrency = 9\nrpd = 1000000\n"
    asking = Asking(
        tmp_path,
        text(
            policy=rates + 'budget = ["$5000/month", "2000M tokens/day"]',
            user='quota = "$9000"\nrpm = 100000',
            channel='budget = "$1000/day"\nrpm = 100000',
        ),
    )
    gc.disable()
    try:
        spent = asyncio.run(admission_us(asking))
    finally:
        gc.enable()
        asking.store.close()
    print(f"admission with every limit: {spent:.1f} µs")
    assert spent < 3 * 45


def test_a_request_that_is_refused_for_money_uses_up_no_rate(tmp_path: Path) -> None:
    asking = Asking(tmp_path, text(policy="rpm = 1\nbudget = '$0.0000001/day'"))

    async def work() -> None:
        door = Door(asking.store)
        gate, books = Gate(door), cast(Any, Shut(door))
        for _ in range(3):
            job = asking.job()
            with pytest.raises(ApiError) as caught:
                await gate.admit(job, asking.targets)
            assert caught.value.code == "insufficient_quota"
            assert dict(job.head)[b"x-ratelimit-remaining-requests"] == b"1"
            job.meter.close(books)
        assert (door.open_permits, gate.running) == (0, 0)

    asyncio.run(work())
    asking.store.close()


def test_a_long_input_is_counted_only_where_it_may_be_too_long(tmp_path: Path) -> None:
    asking = Asking(tmp_path, BASE)

    async def work() -> None:
        fits = asking.job()
        await check_input(fits, [Limits("user", "u", max_input=len(asking.raw))])
        assert fits.input_tokens < 0
        await check_input(fits, [Limits("user", "u", max_input=200)])
        assert 80 < fits.input_tokens < 200
        with pytest.raises(ApiError, match="20 tokens of input"):
            await check_input(fits, [Limits("user", "u", max_input=20)])

    asyncio.run(work())
    asking.store.close()


def test_pictures_by_address_are_longer_than_their_names(tmp_path: Path) -> None:
    asking = Asking(tmp_path, BASE)
    part = b'{"type":"image_url","image_url":{"url":"https://x/y.png"}}'
    asking.raw = b'{"messages":[{"role":"user","content":[%b]}]}' % b",".join([part] * 20)

    async def work() -> None:
        with pytest.raises(ApiError, match="2000 tokens of input"):
            await check_input(asking.job(), [Limits("user", "u", max_input=2000)])

    asyncio.run(work())
    asking.store.close()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0001, "1ms"),
        (0.12, "120ms"),
        (1.16, "1.2s"),
        (59.99, "1m0s"),
        (360, "6m0s"),
        (3630, "1h0m30s"),
    ],
)
def test_times_are_told_as_openai_writes_them(seconds: float, told: str) -> None:
    assert told_s(seconds) == told


def test_amounts_are_told_as_the_operator_counts() -> None:
    assert amount(4_990_000_000, "nanousd", Site()) == "$4.99"
    assert amount(1_234, "nanousd", Site()) == "$0.000001234"
    assert amount(1, "nanousd", Site(currency="points")) == "0.0005 points"
    assert amount(2_000_000_000, "nanousd", Site(currency="points")) == "1,000,000 points"
    assert amount(7, "tokens", Site()) == "7 tokens"


def short(frees_ms: int, *, held: int = 0, used: int = 90) -> Shortage:
    account = Account("group", "vip", "nanousd", Period("month"))
    return Shortage(Budget(account, 100), 100, used, held, frees_ms)


def test_a_refusal_says_when_a_budget_frees_in_the_operators_zone() -> None:
    error = used_up(short(1_764_547_200_000), 20, 1_764_540_000_000, UTC, Site())
    assert "group `vip`" in error.message
    assert "It frees at 2025-12-01T00:00:00+00:00" in error.message
    assert error.headers["retry-after"] == "7200"
    assert error.headers["x-should-retry"] == "false"
    there = used_up(short(1_764_547_200_000), 20, 0, ZoneInfo("Asia/Shanghai"), Site())
    assert "2025-12-01T08:00:00+08:00" in there.message


def test_what_others_hold_is_worth_another_try() -> None:
    error = used_up(short(0, held=80, used=10), 20, 0, UTC, Site())
    assert (error.code, error.headers["x-should-retry"]) == ("insufficient_quota", "true")
    assert "as those end" in error.message


def test_what_can_never_fit_is_not_worth_another_try() -> None:
    error = too_fast(Full(Limits("channel", "c", tpm=5), "tokens", NEVER))
    assert error.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic", "gemini", "ollama"])
def test_every_dialect_tells_its_clients_of_a_limit(dialect: str) -> None:
    error = too_fast(Full(Limits("user", "u", rpm=5), "requests", 12.3))
    assert error.headers["retry-after"] == "13"
    speaker = registry.client(dialect)
    assert speaker.error_status(error) == 429
    assert b"5 requests a minute" in speaker.render_error(error, "r")
