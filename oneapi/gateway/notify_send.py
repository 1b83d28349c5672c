"""Empties the outbox: each notice on its way, with growing delays where that fails (D32)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from oneapi.config.schema import Settings
from oneapi.errors import OneApiError, StoreError
from oneapi.ledger import outbox
from oneapi.ledger.outbox import Waiting
from oneapi.ledger.store_sqlite import SqliteStore

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("oneapi.notify")

POLL_S: Final = 5.0
"""Seconds between looks for what is due, or was left there by others."""
DELAYS_S: Final = (10, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
"""How long after each failed attempt the next one is made; after the last, none: half a day."""
PRUNE_S: Final = 3_600.0
DEADLINE_S: Final = 90.0
"""How long one attempt may take in all, however slowly it is answered: less than a claim lasts."""
MAILERS: Final = 4
"""Mails that are handed over at once."""


class Sender:
    """Belongs to the event loop. Any number of processes may send from one outbox."""

    def __init__(
        self,
        store: SqliteStore,
        settings: Callable[[], Settings],
        *,
        delays_s: Sequence[float] = DELAYS_S,
        poll_s: float = POLL_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._store = store
        self._settings = settings
        self._delays_s = delays_s
        self._poll_s = poll_s
        self._deadline_s = deadline_s
        self._mailers = asyncio.Semaphore(MAILERS)
        self._who = secrets.token_hex(8)
        self._woken = asyncio.Event()
        self._tls: ssl.SSLContext | None = None
        self._http: httpx.AsyncClient | None = None

    def wake(self) -> None:
        """Something was written into the outbox."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        pruned_s = time.monotonic()
        try:
            while True:
                try:
                    await self.send_due()
                    if time.monotonic() - pruned_s > PRUNE_S:
                        pruned_s = time.monotonic()
                        await self._prune()
                except StoreError as error:  # the next turn tries again
                    log.error("the outbox is not looked at: %s", error)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_s):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def send_due(self) -> int:
        """Send what is due, each once; how many attempts that were. Raises `StoreError`."""
        attempts = 0
        while await asyncio.to_thread(outbox.due, self._store.path, _now_ms()):
            take = functools.partial(outbox.claim, who=self._who, now_ms=_now_ms())
            batch = await asyncio.wrap_future(self._store.transact(take))
            if not batch:
                break  # somebody else was faster
            await asyncio.gather(*map(self._attempt, batch))
            attempts += len(batch)
        return attempts

    async def _prune(self) -> None:
        work = functools.partial(outbox.prune, now_ms=_now_ms())
        await asyncio.wrap_future(self._store.transact(work))

    async def _attempt(self, waiting: Waiting) -> None:
        error = await self._deliver(waiting)
        now_ms = _now_ms()
        if error is None:
            done = functools.partial(outbox.sent, notice_id=waiting.id, now_ms=now_ms)
            return await asyncio.wrap_future(self._store.transact(done))
        again_ms = self._again_ms(waiting, now_ms)
        ends = "the last" if again_ms is None else "another follows"
        log.warning(
            "notice %d by %s was not sent (attempt %d, %s): %s",
            waiting.id, waiting.way, waiting.attempts, ends, error,
        )  # fmt: skip
        work = functools.partial(
            outbox.failed, notice_id=waiting.id, error=error, now_ms=now_ms, again_ms=again_ms
        )
        return await asyncio.wrap_future(self._store.transact(work))

    def _again_ms(self, waiting: Waiting, now_ms: int) -> int | None:
        """When it is tried again, None for never: attempts are used up, or the way is gone."""
        if waiting.attempts > len(self._delays_s) or not self._has(waiting):
            return None
        return now_ms + int(self._delays_s[waiting.attempts - 1] * 1000)

    def _has(self, waiting: Waiting) -> bool:
        settings = self._settings()
        alerts = settings.alerts
        ways = {"webhook": alerts.webhook, "pusher": alerts.pusher, "mail": settings.mail}
        return ways[waiting.way] is not None

    async def _deliver(self, waiting: Waiting) -> str | None:
        """None where the notice was taken, else why not."""
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._on_its_way(waiting)
        except TimeoutError:
            return f"it was not taken within {self._deadline_s:g} s"
        except OneApiError as error:
            return str(error)
        except Exception as error:  # the border of one notice: it must not end the others' sender
            log.exception("notice %d", waiting.id)
            return f"unexpected: {type(error).__name__}"
        return None

    async def _on_its_way(self, waiting: Waiting) -> None:
        settings, facts = self._settings(), waiting.facts
        webhook, pusher, mail = settings.alerts.webhook, settings.alerts.pusher, settings.mail
        match waiting.way:
            case "webhook" if webhook is not None:
                from oneapi.gateway import notify_http  # on use: httpx takes 50 ms of a start

                payload = {"id": waiting.id, "kind": waiting.kind, **facts}
                await notify_http.to_webhook(self._client(), webhook, payload, int(time.time()))
            case "pusher" if pusher is not None:
                from oneapi.gateway import notify_http

                await notify_http.to_pusher(self._client(), pusher, facts)
            case "mail" if mail is not None:
                from oneapi.gateway import notify_mail  # on use: the email package likewise

                send = functools.partial(notify_mail.send, mail, waiting.address, tls=self._trust())
                await self._mail(functools.partial(send, str(facts["subject"]), str(facts["text"])))
            case "webhook" | "pusher" | "mail":
                raise OneApiError(f"the configuration has no {waiting.way} any more")

    async def _mail(self, send: Callable[[], None]) -> None:
        """Run what blocks in a thread of its own: a mail server that says nothing must hold
        neither the threads that others need nor the end of the process.
        """
        await self._mailers.acquire()
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            self._mailers.release()
            if sent.done():  # nobody waits any more
                return
            if error is None:
                sent.set_result(None)
            else:
                sent.set_exception(error)

        def work() -> None:
            problem: BaseException | None = None
            try:
                send()
            except Exception as error:  # noqa: BLE001  raised where it is waited for
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, problem)

        threading.Thread(target=work, name="mail", daemon=True).start()
        await sent

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            from oneapi.gateway import notify_http

            self._http = notify_http.client(self._trust())
        return self._http

    def _trust(self) -> ssl.SSLContext:
        """What the system trusts; one context for all of them (D47)."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
