"""Admission: who may begin now, and what is held of whose budgets, before anything is sent.

A caller's rates, its concurrency and its budgets are looked at once a request, a channel's at each
attempt. What a request was given stands on its meter (`seats`, `permit`), which gives it back
whatever becomes of the request.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from oneapi.errors import ApiError, StoreError
from oneapi.gateway import demand as demands
from oneapi.gateway.aside import Aside
from oneapi.gateway.bodies import JsonBody
from oneapi.gateway.books import unavailable
from oneapi.gateway.budgets import Limits
from oneapi.gateway.demand import LEAST_OUTPUT, Demand
from oneapi.gateway.holding import UNKNOWN, bound, longest_input, output_limit, prices_of
from oneapi.gateway.job import Job
from oneapi.gateway.queueing import Full, Limiter, Wanted, enter, wait
from oneapi.gateway.refusals import (
    Head,
    admitted_head,
    dearer,
    largest,
    no_room,
    rate_head,
    too_fast,
    too_long,
    unpriced,
    used_up,
)
from oneapi.gateway.snapshot import Target
from oneapi.ledger.accounts import Budget
from oneapi.ledger.door import Door, Shortage, Want
from oneapi.ledger.prices import Price, Rates

GUESSED_OUTPUT = 1_024
"""Tokens of an answer without a limit of its own, as a rate counts it until it is known."""
BYTES_A_TOKEN = 4
ANTHROPIC = "anthropic"
"""The dialect whose libraries look for other headers."""
DEARER = (("service_tier", b'"priority"'), ("service_tier", b'"fast"'), ("speed", b'"fast"'))
"""Members by which requests ask for a tier at a multiple of the list's price.
https://platform.openai.com/docs/guides/priority-processing,
https://platform.claude.com/docs/en/build-with-claude/fast-mode (read 2026-11-24).
"""
TIERS = frozenset(name for name, _ in DEARER)
FREE = Rates()
LONG = 64 * 1024
"""Bytes of a body from which its tokens are estimated for rates: it may hold pictures."""

Targets = tuple[Target, ...]


class Gate:
    """One for the process; limiters outlive reloads, what they limit comes with each request."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._limiters: dict[tuple[str, str], Limiter] = {}

    async def admit(self, job: Job, targets: Targets) -> Targets:
        """Let a request of a caller in, and say who of the targets may answer it.

        Raises `ApiError` 400 for an input that is too long, 403 where nothing prices the model and
        something must, 429 where a limit or a budget stops it.
        """
        meter = job.meter
        caller, snapshot = meter.caller, meter.snapshot
        assert caller is not None
        if snapshot.settings.site.unpriced == "reject" and job.operation.name != UNKNOWN:
            targets = _priced(job, targets)
        targets = _at_list_price(job, targets)
        meter.permit = self._door.permit()
        told = len(job.head)
        if caller.limits:
            await self._pace(job)
        budgets: Sequence[Budget] = caller.budgets
        if meter.model in snapshot.model_budgets:
            budgets = [*budgets, *snapshot.model_budgets[meter.model]]
        if budgets:
            try:
                await self._hold(job, targets, budgets)
            except ApiError:  # a request that never went on its way uses up no rate
                del job.head[told:]
                for seat in reversed(meter.seats):
                    seat.undo()
                pairs = [(seat.limiter, seat.limits) for seat in meter.seats]
                job.head += _rate_head(job, pairs)
                raise
        return targets

    async def _pace(self, job: Job) -> None:
        """Seats at the caller's limiters, waited for as long as the file says."""
        meter = job.meter
        caller = meter.caller
        assert caller is not None
        if caller.max_input:
            await check_input(job, caller.limits)
        if not caller.paced:
            return
        tokens = 0
        if caller.counts_tokens:
            tokens = _glanced(job) or await _expected(job)
        wanted = [self._wanted(job, limits, tokens) for limits in caller.paced]
        found = await enter(wanted, caller.queue_s)
        if isinstance(found, Full):
            job.head += _rate_head(job, [(limiter, limits) for limiter, limits, _ in wanted])
            raise too_fast(found)
        now_ms = time.time_ns() // 1_000_000
        job.head += admitted_head(wanted, now_ms, anthropic=job.dialect.NAME == ANTHROPIC)
        meter.seats = found

    async def _hold(self, job: Job, targets: Targets, budgets: Sequence[Budget]) -> None:
        meter, now_ms = job.meter, job.meter.time_ms
        assert meter.permit is not None
        prices = prices_of(job, targets)
        need = job.demand = bound(job, targets)
        only = targets[0].channel if len(targets) == 1 else None
        if only is not None and only.budgets:  # both in one step
            all_wants = demands.wants((*budgets, *only.budgets), need, prices)
            if self._door.try_hold(meter.permit, all_wants, now_ms):
                job.held_for = only
                return
        if self._door.try_hold(meter.permit, demands.wants(budgets, need, prices), now_ms):
            return
        need = job.demand = await _counted(job, need)
        short = await self._held(job, demands.wants(budgets, need, prices))
        if short is None or await self._lowered(job, targets, budgets, prices):
            return
        assert job.demand is not None
        wanted = demands.wants(budgets, job.demand, prices)
        short = await self._waited(job, wanted, short)
        if short is not None:
            snapshot = meter.snapshot
            raise used_up(
                short, largest(wanted, short), now_ms, snapshot.zone, snapshot.settings.site
            )

    async def _held(self, job: Job, wanted: Sequence[Want]) -> Shortage | None:
        assert job.meter.permit is not None
        try:
            return await self._door.hold(job.meter.permit, wanted, job.meter.time_ms)
        except StoreError as error:
            raise unavailable() from error

    async def _lowered(
        self,
        job: Job,
        targets: Targets,
        budgets: Sequence[Budget],
        prices: Sequence[Price | None],
    ) -> bool:
        """Shorten the answer to what is left, if that is enough for one, and hold that (D27)."""
        need = job.demand
        if need is None or not job.operation.limits:
            return False
        left: list[tuple[Budget, int]] = []
        for budget in budgets:
            rest = self._door.remaining(budget, job.meter.time_ms)
            if rest is None:
                return False
            left.append((budget, rest))
        most = demands.affordable(need, left, prices)
        if not LEAST_OUTPUT <= most < output_limit(job, targets):
            return False
        lower = replace(need, output=most * need.answers)
        if await self._held(job, demands.wants(budgets, lower, prices)) is not None:
            return False
        job.demand, job.max_output = lower, most
        job.head.append((b"x-oneapi-max-tokens-lowered", str(most).encode()))
        return True

    async def _waited(self, job: Job, wanted: Sequence[Want], short: Shortage) -> Shortage | None:
        """Wait for what others hold, as long as the file says. A window that moves on does not
        help: a request belongs to the moment in which it arrived.
        """
        caller = job.meter.caller
        assert caller is not None
        ends = time.monotonic() + caller.queue_s
        found: Shortage | None = short
        while found is not None:
            left = ends - time.monotonic()
            if left <= 0 or not found.held:
                break
            await self._door.freed(left)
            found = await self._held(job, wanted)
        return found

    async def board(self, job: Job, target: Target) -> ApiError | Full | Shortage | None:
        """A place at the target's channel for the next attempt; or why there is none now, an
        `ApiError` where there will never be one.
        """
        channel, meter = target.channel, job.meter
        limits = channel.limits
        if limits is not None:
            try:
                await check_input(job, (limits,))
            except ApiError as error:
                return error
            if limits.paced:
                tokens = await _expected(job) if limits.tpm else 0
                wanted = self._wanted(job, limits, tokens)
                found = await enter([wanted], 0, job.turn if job.turn is wanted[0] else None)
                if isinstance(found, Full):
                    return found
                meter.channel_seat, job.turn = found[0], None
        if not channel.budgets:
            return None
        if job.held_for is channel:
            job.held_for = None
            return None
        short = await self._hold_channel(job, target)
        if short is not None and meter.channel_seat is not None:
            meter.channel_seat.undo()
            meter.channel_seat = None
        return short

    async def _hold_channel(self, job: Job, target: Target) -> Shortage | None:
        meter = job.meter
        assert meter.permit is not None
        prices = prices_of(job, (target,))
        budgets = target.channel.budgets
        need = job.demand or bound(job, (target,))
        if self._door.try_hold(meter.permit, demands.wants(budgets, need, prices), meter.time_ms):
            return None
        if job.demand is None:
            need = job.demand = await _counted(job, need)
        return await self._held(job, demands.wants(budgets, need, prices))

    def alight(self, job: Job, target: Target) -> None:
        """The attempt is over. What the channel was to charge is held no more, unless the request
        is settled: then the hold ends with the commit.
        """
        meter = job.meter
        if meter.channel_seat is not None:
            meter.channel_seat.leave()
        if target.channel.budgets and meter.permit is not None and not meter.settled:
            self._door.give_back(meter.permit, target.channel.budgets)

    async def await_channel(self, job: Job, full: Sequence[tuple[Target, Full | Shortage]]) -> bool:
        """Wait until one of the channels has room, as long as theirs say; whether one has."""
        waits = [f.limits for _, f in full if isinstance(f, Full) and f.limits.queue_s]
        if not waits:
            return False
        if not job.waits_until:
            job.waits_until = time.monotonic() + max(limits.queue_s for limits in waits)
        tokens = await _expected(job)
        job.turn = await wait([self._wanted(job, lim, tokens) for lim in waits], job.waits_until)
        return job.turn is not None

    def sweep(self) -> None:
        """Forget limiters of whoever has not come for a while: the background's part."""
        now = time.monotonic()
        for key in [key for key, limiter in self._limiters.items() if limiter.is_idle(now)]:
            del self._limiters[key]

    @property
    def running(self) -> int:
        """Requests that are counted somewhere as under way."""
        return sum(limiter.running for limiter in self._limiters.values())

    def _wanted(self, job: Job, limits: Limits, tokens: int) -> Wanted:
        key = (limits.scope, limits.name)
        limiter = self._limiters.get(key)
        if limiter is None:
            limiter = self._limiters[key] = Limiter()
        if limits.tpm and tokens > limits.tpm:  # what is asked, but no answer is held against it
            tokens = max(limits.tpm, tokens - _output(job))
        return limiter, limits, tokens


def _rate_head(job: Job, paced: Sequence[tuple[Limiter, Limits]]) -> Head:
    """What a client that is refused is told of its rates."""
    now_ms = time.time_ns() // 1_000_000
    return rate_head(paced, time.monotonic(), now_ms, anthropic=job.dialect.NAME == ANTHROPIC)


async def check_input(job: Job, bounds: Sequence[Limits]) -> None:
    """Raises `ApiError` 400 where the input is longer than one of the limits allows."""
    most = min((limits.max_input for limits in bounds if limits.max_input), default=0)
    if not most or longest_input(job.body.text()) <= most:
        return
    counted = await estimate(job)
    for limits in bounds:
        if limits.max_input and counted > limits.max_input:
            raise too_long(limits.scope, limits.name, limits.max_input, counted)


async def estimate(job: Job) -> int:
    """About how many tokens the input is, counted once."""
    if job.input_tokens < 0:
        raw = job.body.text()
        job.input_tokens = await Aside(len(raw))(job.meter.input_estimate) if raw else 0
    return job.input_tokens


async def _counted(job: Job, need: Demand) -> Demand:
    """The demand with the input that is estimated, where that can be read."""
    tokens = await estimate(job)
    return demands.estimated(need, tokens) if tokens else need


async def _expected(job: Job) -> int:
    """Tokens that a rate counts until it is known better: a glance for short bodies."""
    return _glanced(job) or await estimate(job) + _output(job)


def _glanced(job: Job) -> int:
    """The same without waiting, 0 where it has to be estimated or is nothing."""
    size = len(job.body.text())
    return size // BYTES_A_TOKEN + _output(job) if size < LONG else 0


def _output(job: Job) -> int:
    if job.operation.task != "chat":
        return 0
    return (job.envelope.max_output or GUESSED_OUTPUT) * max(job.envelope.n, 1)


def _priced(job: Job, targets: Targets) -> Targets:
    found = tuple(target for target in targets if target.price is not None)
    if targets and not found:
        raise unpriced(job.envelope.model)
    return found


def _at_list_price(job: Job, targets: Targets) -> Targets:
    """Those of the targets that charge a request at the prices of the lists: a dearer tier that it
    asks for is priced nowhere, and is never free (D24).
    """
    body = job.body
    if not isinstance(body, JsonBody) or TIERS.isdisjoint(body.members):
        return targets
    asked = [n for n, word in DEARER if n in body.members and bytes(body.members[n]) == word]
    if not asked:
        return targets
    found = tuple(t for t in targets if not (t.price is not None and _passes_on(t, asked[0])))
    if targets and not found:
        raise dearer(asked[0])
    return found


def _passes_on(target: Target, name: str) -> bool:
    """Whether a channel that costs something would be asked for a dearer tier."""
    if name in target.channel.drop or name in target.channel.set:
        return False
    if target.price is None or target.price.rule.rates == FREE:
        return False
    return target.lane.native or name in target.lane.hints.options.get("accepts", ())


def earliest(job: Job, found: Sequence[tuple[Target, Full | Shortage]]) -> ApiError:
    """What to tell a client where every channel is full: when the first of them frees, without a
    word on whose account it is.
    """
    now = time.time()
    waits = [_frees_s(full, now) for _, full in found]
    known = [seconds for seconds in waits if seconds]
    return no_room(job.envelope.model, min(known, default=0.0))


def _frees_s(full: Full | Shortage, now: float) -> float:
    """Seconds until it frees; 0 where time alone does not help."""
    if isinstance(full, Full):
        return full.frees_s if full.frees_s != float("inf") else 0.0
    if full.held and full.used < full.limit:
        return 1.0
    return max(full.frees_ms / 1000 - now, 0.001) if full.frees_ms else 0.0
