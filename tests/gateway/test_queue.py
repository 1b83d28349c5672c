"""Requests that do not fit wait in line, and leave it however they end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from oneapi.gateway.budgets import Limits
from oneapi.gateway.queueing import Full, Limiter, Seat, enter, wait
from oneapi.gateway.rates import SPAN_S
from oneapi.ir import Usage

T = TypeVar("T")
ONE = Limits("token", "t", concurrency=1, queue_s=5)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def seat(limiter: Limiter, limits: Limits = ONE, queue_s: float = 0) -> Seat:
    found = await enter([(limiter, limits, 0)], queue_s)
    assert not isinstance(found, Full)
    return found[0]


def test_a_full_limiter_refuses_at_once_where_nobody_may_wait() -> None:
    async def work() -> None:
        limiter = Limiter()
        await seat(limiter)
        full = await enter([(limiter, ONE, 0)], 0)
        assert isinstance(full, Full)
        assert (full.what, full.limit) == ("concurrency", 1)

    run(work())


def test_those_who_wait_come_in_the_order_they_came() -> None:
    async def work() -> list[int]:
        limiter, order = Limiter(), list[int]()
        first = await seat(limiter)

        async def one(number: int) -> None:
            held = await seat(limiter, queue_s=5)
            order.append(number)
            await asyncio.sleep(0)
            held.leave()

        tasks = [asyncio.create_task(one(number)) for number in range(20)]
        await asyncio.sleep(0.01)
        assert limiter.waiting == 20
        first.leave()
        await asyncio.gather(*tasks)
        assert (limiter.running, limiter.waiting) == (0, 0)
        return order

    assert run(work()) == list(range(20))


def test_nobody_overtakes_those_who_wait() -> None:
    async def work() -> None:
        limiter = Limiter()
        first = await seat(limiter)
        waiter = asyncio.create_task(seat(limiter, queue_s=5))
        await asyncio.sleep(0.01)
        first.leave()
        assert isinstance(await enter([(limiter, ONE, 0)], 0), Full)
        (await waiter).leave()

    run(work())


def test_a_client_that_leaves_leaves_the_line() -> None:
    async def work() -> None:
        limiter = Limiter()
        first = await seat(limiter)
        gone = asyncio.create_task(seat(limiter, queue_s=5))
        waiter = asyncio.create_task(seat(limiter, queue_s=5))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.wait([gone])
        assert limiter.waiting == 1
        first.leave()
        (await waiter).leave()
        assert limiter.running == 0

    run(work())


def test_whoever_waited_long_enough_is_refused() -> None:
    async def work() -> None:
        limiter = Limiter()
        await seat(limiter)
        began = time.monotonic()
        assert isinstance(await enter([(limiter, ONE, 0)], 0.05), Full)
        assert 0.04 < time.monotonic() - began < 1
        assert limiter.waiting == 0

    run(work())


def test_a_rate_that_cannot_free_in_time_refuses_at_once() -> None:
    async def work() -> float:
        limiter, limits = Limiter(), Limits("token", "t", rpm=1)
        await seat(limiter, limits)
        began = time.monotonic()
        full = await enter([(limiter, limits, 0)], 10)
        assert isinstance(full, Full)
        assert 59 < full.frees_s <= SPAN_S
        return time.monotonic() - began

    assert run(work()) < 1


def test_a_rate_lets_the_next_one_in_when_its_minute_is_over() -> None:
    async def work() -> float:
        limiter, limits = Limiter(), Limits("token", "t", rpm=1)
        limiter.requests.add(time.monotonic() - SPAN_S + 0.1, 1)
        began = time.monotonic()
        await seat(limiter, limits, queue_s=5)
        return time.monotonic() - began

    assert 0.05 < run(work()) < 1


def test_a_token_at_its_limit_does_not_hold_up_its_users_others() -> None:
    async def work() -> None:
        user, full, free = Limiter(), Limiter(), Limiter()
        many = Limits("user", "u", concurrency=10)
        await seat(full)
        waiter = asyncio.create_task(enter([(user, many, 0), (full, ONE, 0)], 5))
        await asyncio.sleep(0.01)
        other = await enter([(user, many, 0), (free, ONE, 0)], 0)
        assert not isinstance(other, Full)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert (user.running, user.waiting, full.waiting) == (1, 0, 0)

    run(work())


def test_fewer_tokens_than_expected_make_room() -> None:
    async def work() -> None:
        limiter, limits = Limiter(), Limits("token", "t", tpm=100)
        found = await enter([(limiter, limits, 90)], 0)
        assert not isinstance(found, Full)
        assert isinstance(await enter([(limiter, limits, 50)], 0), Full)
        found[0].spent(Usage(input=10, output=5))
        assert limiter.tokens.total(time.monotonic()) == 15
        assert not isinstance(await enter([(limiter, limits, 50)], 0), Full)

    run(work())


def test_cached_tokens_count_as_the_file_says() -> None:
    usage = Usage(input=10, cache_read=100, output=5)
    for counting, counted in (("all", 115), ("fresh", 15), ("billable", 25)):
        limiter = Limiter()
        limits = Limits("token", "t", tpm=1000, counting=counting)  # type: ignore[arg-type]
        limiter.take(limits, 500, 0.0).spent(usage)
        assert limiter.tokens.total(0.0) == counted


def test_one_of_several_lines_is_enough() -> None:
    async def work() -> None:
        first, second = Limiter(), Limiter()
        await seat(first)
        held = await seat(second)
        waiting = [(first, ONE, 0), (second, ONE, 0)]
        waiter = asyncio.create_task(wait(waiting, time.monotonic() + 5))
        await asyncio.sleep(0.01)
        held.leave()
        assert await waiter is second
        assert (first.waiting, second.waiting) == (0, 0)

    run(work())


def test_seats_that_are_undone_count_for_nothing() -> None:
    limiter, limits = Limiter(), Limits("token", "t", rpm=1, tpm=10, concurrency=1)
    taken = limiter.take(limits, 10, 0.0)
    taken.undo()
    taken.leave()
    assert limiter.full(limits, 10, 0.0) is None
    assert limiter.running == 0


def test_a_storm_of_cancellations_leaks_no_seat() -> None:
    async def work() -> None:
        limiter = Limiter()
        three = Limits("token", "t", concurrency=3)

        async def one(number: int) -> None:
            held = await seat(limiter, three, queue_s=1)
            try:
                await asyncio.sleep(number % 3 / 1000)
            finally:
                held.leave()

        tasks = [asyncio.create_task(one(number)) for number in range(120)]
        for number, task in enumerate(tasks):
            if number % 2:
                task.cancel()
            if number % 9 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (limiter.running, limiter.waiting) == (0, 0)
        assert limiter.is_idle(time.monotonic())

    run(work())


def test_tokens_that_share_their_users_line_do_not_wait_for_each_other() -> None:
    user = Limits("user", "u", concurrency=3)
    pair = Limits("token", "t", concurrency=2)

    async def work(seed: int) -> int:
        chance = random.Random(seed)
        all_tokens, one_users = (Limiter(), Limiter()), Limiter()
        refused = 0

        async def one(token: Limiter, after_s: float) -> None:
            nonlocal refused
            await asyncio.sleep(after_s)
            found = await enter([(one_users, user, 0), (token, pair, 0)], 3)
            if isinstance(found, Full):
                refused += 1
                return
            await asyncio.sleep(0.001)
            for held in reversed(found):
                held.leave()

        asked = [(chance.choice(all_tokens), chance.random() * 0.1) for _ in range(300)]
        await asyncio.gather(*(one(*each) for each in asked))
        assert (one_users.running, one_users.waiting) == (0, 0)
        return refused

    assert [run(work(seed)) for seed in range(4)] == [0, 0, 0, 0]
