"""Warnings: who has used how much of a budget, told once, and sent in the background.

A request only leaves its budgets here (`touched`). Their accounts are looked at every two seconds,
in the ledger's own sums; what was crossed goes into the outbox, which `notify_send` empties.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from oneapi.config.schema import Settings
from oneapi.errors import StoreError
from oneapi.gateway import notify_text
from oneapi.gateway.notify_send import Sender
from oneapi.ledger import outbox
from oneapi.ledger.accounts import Account, Budget
from oneapi.ledger.outbox import Crossing, Notice, Standing, Way
from oneapi.ledger.store_sqlite import SqliteStore

log = logging.getLogger("oneapi.notify")

LOOK_S: Final = 2.0
"""Seconds between looks at the accounts that were used."""
LINGER_S: Final = 6.0
"""How long an account is looked at after its last request: sums are about a second late."""
MOST: Final = 500
"""Accounts of one look; the others wait for the next."""
MOST_TOLD: Final = 20_000
_SCOPES: Final = frozenset({"user", "token"})


@dataclass(frozen=True, slots=True)
class Used:
    """An account that was used: its bound, its user, and until when it is looked at."""

    budget: Budget
    user: str
    until_s: float


class Notifier:
    """Belongs to the event loop. `zone` is where calendar periods begin; `email_of` gives a
    registered user's verified address.
    """

    def __init__(
        self,
        store: SqliteStore,
        *,
        settings: Callable[[], Settings],
        zone: Callable[[], tzinfo],
        email_of: Callable[[str], str | None] = lambda user: None,
        sender: Sender | None = None,
    ) -> None:
        self.sender = sender or Sender(store, settings)
        self._store = store
        self._settings = settings
        self._zone = zone
        self._email_of = email_of
        self._used: dict[Account, Used] = {}
        self._told: dict[tuple[Account, int, int], int] = {}

    def touched(self, user: str, budgets: Iterable[Budget]) -> None:
        """A request of this user was counted against these budgets. Costs about a microsecond."""
        until = time.monotonic() + LINGER_S
        for budget in budgets:
            account = budget.account
            if account.scope in _SCOPES:
                self._used[account] = Used(budget, user, until)

    async def run(self) -> None:
        """Background work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sender.run())
            group.create_task(self._looking())

    async def _looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except StoreError as error:  # the next look tries again
                log.error("budgets are not looked at: %s", error)

    async def look(self) -> int:
        """Write notices of what the accounts that were used have crossed; how many accounts that
        nobody had told of. Raises `StoreError`.
        """
        used, settings = self._chosen(), self._settings()
        if not used or not settings.alerts.thresholds or not is_heard(settings):
            return 0
        now_ms, zone = time.time_ns() // 1_000_000, self._zone()
        ask = functools.partial(outbox.standings, zone=zone, now_ms=now_ms)
        budgets = [one.budget for one in used.values()]
        found = await asyncio.to_thread(ask, self._store.path, budgets)
        crossings = [
            crossing
            for standing in found
            if (crossing := self._crossing(standing, used, settings, now_ms)) is not None
        ]
        if not crossings:
            return 0
        work = functools.partial(outbox.tell, crossings=crossings, now_ms=now_ms)
        told = await asyncio.wrap_future(self._store.transact(work))
        self._remember(crossings)
        if told:
            self.sender.wake()
        return told

    def _chosen(self) -> Mapping[Account, Used]:
        """The accounts to look at now; those long unused are forgotten."""
        now_s = time.monotonic()
        chosen = {account: self._used.pop(account) for account in list(self._used)[:MOST]}
        # To the end of the line, behind those that had no turn.
        self._used |= {account: one for account, one in chosen.items() if one.until_s > now_s}
        return chosen

    def _crossing(
        self, standing: Standing, used: Mapping[Account, Used], settings: Settings, now_ms: int
    ) -> Crossing | None:
        account, bound, zone = standing.budget.account, standing.bound, self._zone()
        if bound <= 0:
            return None
        crossed = [t for t in settings.alerts.thresholds if standing.used * 100 >= t * bound]
        bucket = _bucket(account, now_ms, zone)
        if not crossed or self._told.get((account, bucket, bound), 0) >= max(crossed):
            return None
        user = used[account].user
        facts = {
            **notify_text.general(settings.site, now_ms, zone),
            **notify_text.spent(standing, settings.site, now_ms, zone),
            "threshold": max(crossed),
            "user": user,
        }
        kind = "quota" if account.period.kind == "total" else "budget"
        ways = list(ways_of(settings, self._address(settings, user)))
        notice = Notice(kind, notify_text.written(kind, facts, settings), ways)
        return Crossing(account, bucket, bound, crossed, notice)

    def _remember(self, crossings: Iterable[Crossing]) -> None:
        for crossing in crossings:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            key = (crossing.account, crossing.bucket, crossing.bound)
            self._told[key] = max(crossing.crossed)

    def _address(self, settings: Settings, user: str) -> str | None:
        """Where a user hears of his own budgets, None where he does not."""
        if not settings.alerts.mail_users:
            return None
        declared = settings.users.get(user)
        return declared.email if declared is not None else self._email_of(user)


def ways_of(settings: Settings, user_email: str | None = None) -> Iterator[tuple[Way, str]]:
    """Where notices go, each address once."""
    alerts = settings.alerts
    if alerts.webhook is not None:
        yield "webhook", ""
    if alerts.pusher is not None:
        yield "pusher", ""
    if settings.mail is not None:
        own = [user_email] if user_email else []
        for address in dict.fromkeys((*alerts.emails, *own)):
            yield "mail", address


def is_heard(settings: Settings) -> bool:
    """Whether anybody hears of anything."""
    alerts = settings.alerts
    by_mail = settings.mail is not None and (bool(alerts.emails) or alerts.mail_users)
    return by_mail or alerts.webhook is not None or alerts.pusher is not None


def _bucket(account: Account, now_ms: int, zone: tzinfo) -> int:
    """The beginning of the period in which a threshold is told once; of a rolling window it is
    told once in the window's own length.
    """
    period = account.period
    if period.kind != "rolling":
        return period.bucket(now_ms, zone)
    return now_ms - now_ms % (period.seconds * 1000)
