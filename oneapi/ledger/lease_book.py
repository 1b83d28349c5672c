"""The leases of this process, and the requests that wait for more. Belongs to one event loop.

What is free of a lease is held without asking. Whatever else is wanted goes into the next *turn*:
one transaction in the writer's thread for all who wait at that moment, one turn at a time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from oneapi.errors import StoreError
from oneapi.ledger.accounts import Account, Budget
from oneapi.ledger.base import Look, Store
from oneapi.ledger.lease import Lease
from oneapi.ledger.leases import Answer, Asked, Grant, Turn, Turned
from oneapi.ledger.permit import Permit, Shortage, Want
from oneapi.ledger.record import Record
from oneapi.ledger.spending import MOST

log = logging.getLogger("oneapi.ledger")

PATIENCE_S: Final = 1.5
"""How long a request waits for what other processes may give back."""
AGAIN_S: Final = 0.05
"""How often it asks meanwhile."""
LOOK_S: Final = 0.25
"""How often a process looks at what others did."""
SYNC_LOOKS: Final = 4
"""Every so many looks it writes down what it has spent,"""
REAP_LOOKS: Final = 12
"""looks for dead processes,"""
IDLE_LOOKS: Final = 240
"""and gives back a lease of which nothing was held so often."""


@dataclass(slots=True, eq=False)
class _Ask:
    """A request that waits."""

    permit: Permit
    wants: Sequence[Want]
    arrived_ms: int
    until_s: float
    done: asyncio.Future[Shortage | None]
    asked: Asked = field(init=False)

    def __post_init__(self) -> None:
        self.asked = Asked(self.wants, self.arrived_ms)


class LeaseBook:
    """See `door.Door`, whose calls arrive here."""

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone
        self._renamings = store.renamings
        self._leases: dict[str, Lease] = {}  # by the account's key
        self._by_id: dict[int, Lease] = {}
        self._asks: deque[_Ask] = deque()
        self._renew: dict[Account, tuple[Budget, int, int]] = {}  # budget, amount, arrived
        self._short: frozenset[int] = frozenset()
        self._overdrawn: set[int] = set()
        self._promise = False
        self._turning = False
        self._due = False
        self._sync = False
        self._reap = False
        self._waiting: list[asyncio.Future[None]] = []
        self._looks = 0

    @property
    def zone(self) -> tzinfo:
        return self._zone

    @zone.setter
    def zone(self, zone: tzinfo) -> None:
        if zone != self._zone:
            self._zone = zone
            self._leases.clear()  # an account's periods begin elsewhere: it is another one now

    def try_hold(
        self, permit: Permit, wants: Sequence[Want], now_ms: int, *, answered: bool = False
    ) -> bool:
        """See `Door.try_hold`. `answered`: the ledger has just found that the limits allow it."""
        leases, holds = self._leases, permit.holds
        if self._renamings != self._store.renamings:
            self._renamings = self._store.renamings
            leases.clear()
        before = len(holds)
        for budget, amount in wants:
            lease = leases.get(budget.account.key)
            if lease is None or (lease.limit > budget.limit and amount and not answered):
                break
            left = lease.amount - lease.held - lease.spent - amount
            if left < 0 and amount:
                break
            lease.held += amount
            lease.idle = 0
            holds.append((budget, amount, lease))
            if left < lease.low and budget.account not in self._renew:
                self._renew[budget.account] = (budget, amount, now_ms)
                self._soon()
        else:
            return True
        self._undo(holds, before)
        return False

    async def hold(self, permit: Permit, wants: Sequence[Want], now_ms: int) -> Shortage | None:
        """See `Door.hold`."""
        if self.try_hold(permit, wants, now_ms):
            return None
        loop = asyncio.get_running_loop()
        wants = [(budget, max(amount, 0)) for budget, amount in wants]
        ask = _Ask(permit, wants, now_ms, loop.time() + PATIENCE_S, loop.create_future())
        self._asks.append(ask)
        self._turn()
        try:
            return await ask.done
        except asyncio.CancelledError:
            if ask in self._asks:
                self._asks.remove(ask)
            elif ask.done.done() and not ask.done.cancelled() and ask.done.exception() is None:
                # It was held in the very moment in which the caller left.
                self.give_back(permit, [budget for budget, _ in wants])
            raise

    def give_back(self, permit: Permit, budgets: Sequence[Budget]) -> None:
        """See `Door.give_back`."""
        kept = [hold for hold in permit.holds if hold[0] not in budgets]
        given = [hold for hold in permit.holds if hold[0] in budgets]
        permit.holds[:] = kept
        self._end(given)

    def release(self, permit: Permit) -> None:
        """End all that a permit holds."""
        holds, permit.holds = permit.holds, []
        self._end(holds)

    def spend(self, record: Record) -> None:
        """A record is committed: what it used is no longer free."""
        for budget_id, amount in record.charges:
            lease = self._by_id.get(budget_id)
            if lease is not None:
                lease.spent += amount
                if lease.amount < lease.held + lease.spent:
                    # More than was held: others must hear of it.
                    self._overdrawn.add(budget_id)
                    self._sync = True
                    self._soon()

    def remaining(self, budget: Budget, now_ms: int) -> int | None:
        """See `Door.remaining`."""
        lease = self._leases.get(budget.account.key)
        if lease is None:
            return None
        credit = lease.credit if budget.credited else 0
        since = budget.account.period.since(now_ms, self._zone)
        begun = budget.account.period.kind != "rolling" and since > lease.since_ms
        elsewhere = 0 if begun else lease.elsewhere
        return budget.limit + credit - elsewhere - lease.held - lease.spent

    async def freed(self, timeout_s: float) -> None:
        """See `Door.freed`."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            await asyncio.wait([waiting], timeout=timeout_s)
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    async def run(self) -> None:
        """See `Door.run`."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.tick()

    async def tick(self) -> None:
        """One look at what others did, and what follows from it."""
        try:
            look = await asyncio.wrap_future(self._store.look(_now_ms()))
        except StoreError as error:
            log.debug("the ledger cannot be looked at: %s", error)
            return
        self._looks += 1
        self._saw(look)
        if self._looks % SYNC_LOOKS == 0:
            self._sync |= look.unwritten
            self._count_idle()
        self._reap |= look.others and self._looks % REAP_LOOKS == 0
        if self._sync or self._reap or self._promise:
            self._turn()

    def _saw(self, look: Look) -> None:
        self._promise = bool(look.short)
        self._short = look.short

    def _count_idle(self) -> None:
        for lease in list(self._by_id.values()):
            if lease.held:
                lease.idle = 0
                continue
            lease.idle += SYNC_LOOKS
            if lease.idle >= IDLE_LOOKS:
                self._sync = True

    def _end(self, holds: Sequence[tuple[Budget, int, Lease]]) -> None:
        if not holds:
            return
        for _, amount, lease in holds:
            lease.held -= amount
        short = self._short
        if self._asks or (short and any(lease.budget_id in short for _, _, lease in holds)):
            self._soon()
        if self._waiting:
            self._wake()

    def _undo(self, holds: list[tuple[Budget, int, Lease]], before: int) -> None:
        for _, amount, lease in holds[before:]:
            lease.held -= amount
        del holds[before:]

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()

    def _soon(self) -> None:
        """A turn with whatever else comes in this round of the loop."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Ask the ledger, unless it is being asked: then when it has answered."""
        self._due = False
        if self._turning:
            return
        asks = [ask for ask in self._asks if not ask.done.done()]
        turn = self._made(asks)
        if turn is None:
            return
        loop = asyncio.get_running_loop()
        self._turning = True
        try:
            asked = self._store.turn(turn)
        except StoreError as error:
            self._failed(turn, asks, error)
            return

        def done(turned: concurrent.futures.Future[Turned]) -> None:
            try:
                loop.call_soon_threadsafe(self._answered, turn, asks, turned)
            except RuntimeError:
                log.debug("the event loop ended before the ledger answered")

        asked.add_done_callback(done)

    def _made(self, asks: Sequence[_Ask]) -> Turn | None:
        accounts = {budget.account for ask in asks for budget, _ in ask.wants}
        renew = [Asked([(b, amount)], at) for b, amount, at in self._renew.values()]
        accounts.update(self._renew)
        back = self._given_back(accounts)
        tight = self._short if self._promise else frozenset()
        if not (asks or renew or back or tight or self._sync or self._reap):
            return None
        held = {a: lease.held for a in accounts if (lease := self._leases.get(a.key)) is not None}
        turn = Turn(
            self._zone, _now_ms(), [ask.asked for ask in asks], renew, held, back, tight,
            self._overdraft(), self._reap,
        )  # fmt: skip
        self._renew.clear()
        self._promise = self._sync = self._reap = False
        return turn

    def _given_back(self, wanted: set[Account]) -> dict[int, int]:
        """What nobody here needs: all that is free of short budgets, and what lay idle long."""
        back: dict[int, int] = {}
        for budget_id in self._short:
            lease = self._by_id.get(budget_id)
            if lease is not None and lease.account not in wanted:
                self._take_back(lease, back)
        if self._sync:
            for lease in list(self._by_id.values()):
                if lease.idle >= IDLE_LOOKS and lease.account not in wanted:
                    self._take_back(lease, back)
                    self._forget(lease)
        return back

    def _overdraft(self) -> dict[int, tuple[int, int]]:
        """What is held and spent of leases that are too small for it."""
        ids, self._overdrawn = self._overdrawn, set()
        leases = (lease for id_ in ids if (lease := self._by_id.get(id_)) is not None)
        return {lease.budget_id: (lease.held, lease.spent) for lease in leases if lease.free < 0}

    def _take_back(self, lease: Lease, back: dict[int, int]) -> None:
        free = lease.free
        if free > 0:
            lease.amount -= free
            back[lease.budget_id] = free

    def _forget(self, lease: Lease) -> None:
        self._by_id.pop(lease.budget_id, None)
        if self._leases.get(lease.account.key) is lease:
            del self._leases[lease.account.key]

    def _answered(
        self, turn: Turn, asks: Sequence[_Ask], done: concurrent.futures.Future[Turned]
    ) -> None:
        error = done.exception()
        if error is not None:
            self._failed(turn, asks, error)
            return
        turned = done.result()
        self._turning = False
        for budget_id, amount in turned.told.items():
            lease = self._by_id.get(budget_id)
            if lease is not None:
                lease.spent -= amount
                lease.elsewhere += amount
        for budget_id, amount in turned.amounts.items():
            lease = self._by_id.get(budget_id)
            if lease is not None:
                lease.amount = amount
                self._note_overdraft(lease)
        for budget_id in turn.overdrawn:
            if (lease := self._by_id.get(budget_id)) is not None:
                lease.limit = MOST  # it may exceed the limit now: what is released is asked for
        for grant in turned.grants:
            self._granted(grant)
        self._serve(asks, turned.answers)
        if turned.dead or turn.back:
            self._wake()

    def _granted(self, grant: Grant) -> None:
        lease = self._leases.get(grant.account.key) or self._by_id.get(grant.budget_id)
        if lease is None or lease.budget_id != grant.budget_id:
            # A name was merged: the account has another number, and holds of before stay held.
            held = lease.held if lease is not None else 0
            lease = self._by_id.get(grant.budget_id) or Lease(
                grant.account, grant.budget_id, held=held
            )
        self._leases[grant.account.key] = self._by_id[grant.budget_id] = lease
        lease.account = grant.account
        lease.amount, lease.limit = grant.amount, grant.limit
        lease.credit, lease.elsewhere = grant.credit, grant.elsewhere
        lease.since_ms, lease.low = grant.since_ms, grant.low
        if grant.short:
            self._short |= {grant.budget_id}
        self._note_overdraft(lease)

    def _note_overdraft(self, lease: Lease) -> None:
        """At the next look the ledger hears of what was held or spent while it was asked."""
        if lease.free < 0:
            self._overdrawn.add(lease.budget_id)
            self._sync = True

    def _serve(self, asks: Sequence[_Ask], answers: Sequence[Answer]) -> None:
        """Hand out what came, in the order of arrival; who gets nothing may ask again."""
        now_s = asyncio.get_running_loop().time()
        waits = False
        for ask, answer in zip(asks, answers, strict=True):
            if ask.done.done():
                self._drop(ask)
            elif self._serves(ask, answer):
                self._drop(ask)
                ask.done.set_result(None)
            elif answer.shortage is None and now_s < ask.until_s:
                self._soon()  # somebody else was quicker
            elif answer.shortage is None:
                self._drop(ask)
                ask.done.set_exception(StoreError("too many ask for the same budgets at once"))
            elif answer.worth_waiting and now_s < ask.until_s:
                waits = True
            else:
                self._drop(ask)
                ask.done.set_result(answer.shortage)
        if waits:
            self._reap = True
            asyncio.get_running_loop().call_later(AGAIN_S, self._turn)
        answered = set(map(id, asks))
        new = any(id(ask) not in answered for ask in self._asks)
        if new or self._renew or (self._short and self._idle()):
            self._soon()

    def _serves(self, ask: _Ask, answer: Answer) -> bool:
        allowed = answer.shortage is None
        return self.try_hold(ask.permit, ask.wants, ask.arrived_ms, answered=allowed)

    def _idle(self) -> bool:
        leases = (self._by_id.get(budget_id) for budget_id in self._short)
        return any(lease is not None and lease.free > 0 for lease in leases)

    def _drop(self, ask: _Ask) -> None:
        if ask in self._asks:
            self._asks.remove(ask)

    def _failed(self, turn: Turn, asks: Sequence[_Ask], error: BaseException) -> None:
        self._turning = False
        for budget_id, amount in turn.back.items():
            lease = self._by_id.get(budget_id)
            if lease is not None:
                lease.amount += amount
        if turn.overdrawn:
            self._overdrawn.update(turn.overdrawn)
            self._sync = True
        for ask in asks:
            self._drop(ask)
            if not ask.done.done():
                ask.done.set_exception(error)
        if not isinstance(error, StoreError):
            log.error("a turn failed", exc_info=error)
        if self._asks:
            self._soon()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
