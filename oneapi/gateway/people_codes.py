"""Redemption codes: made in batches, listed, switched off, redeemed by users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from oneapi.errors import ApiError
from oneapi.gateway.attempts import Attempts
from oneapi.gateway.desk import Desk
from oneapi.ledger import codes, trail
from oneapi.ledger.book import Entry
from oneapi.ledger.codes import Batch, Code, NewBatch
from oneapi.ledger.users import Actor, Db

WRONG_CODES, WRONG_CODES_S = 10, 600.0
"""Wrong codes that a user or an address may try in so many seconds."""


@dataclass(frozen=True, slots=True)
class FreshBatch:
    """A batch and its codes, which are shown this once."""

    batch: Batch
    codes: Sequence[str] = field(repr=False)


class Codes(Desk):
    """The part of `People` that is about codes."""

    attempts: Attempts

    async def make_codes(self, actor: Actor, wanted: NewBatch) -> FreshBatch:
        """A batch of new codes. Raises `ApiError` 400, 409 for a taken name."""
        count = min(max(wanted.count, 0), codes.MOST_CODES)
        made, now = codes.new_codes(count), self._now_ms()

        def work(db: Db) -> Batch:
            batch = codes.new_batch(db, wanted, made, actor, now_ms=now)
            facts = {
                "count": batch.count,
                "value_nanousd": batch.value_nanousd,
                "uses": batch.uses,
                "expires_ms": batch.expires_ms,
            }
            trail.note(db, actor, "code.new", now_ms=now, subject=batch.name, after=facts)
            return batch

        return FreshBatch(await self._write(work), made)

    async def code_batches(self) -> Sequence[Batch]:
        """Every batch, newest first."""
        return await self._read(codes.batches)

    async def codes(self, batch: str) -> Sequence[Code]:
        """The codes of a batch, and who used them. Raises `ApiError` 404."""
        now = self._now_ms()
        return await self._read(lambda db: codes.codes_of(db, batch, now_ms=now))

    async def switch_codes(
        self, actor: Actor, batch: str, *, enabled: bool, hints: Sequence[str] = ()
    ) -> int:
        """Switch a batch, or those codes of it that end so, off or on; how many. Raises 404."""
        now, ends = self._now_ms(), _endings(hints)

        def work(db: Db) -> int:
            count = codes.switch(db, batch, enabled=enabled, hints=ends)
            action = "code.enable" if enabled else "code.disable"
            facts = {"codes": count, "hints": ends}
            trail.note(db, actor, action, now_ms=now, subject=batch, after=facts)
            return count

        return await self._write(work)

    async def delete_codes(self, actor: Actor, batch: str, *, hints: Sequence[str] = ()) -> int:
        """Delete codes that nobody used; how many. Raises `ApiError` 404."""
        now, ends = self._now_ms(), _endings(hints)

        def work(db: Db) -> int:
            count = codes.delete(db, batch, hints=ends)
            facts = {"codes": count, "hints": ends}
            trail.note(db, actor, "code.delete", now_ms=now, subject=batch, before=facts)
            return count

        return await self._write(work)

    async def redeem(self, actor: Actor, code: str, user: str, *, address: str = "") -> Entry:
        """Give a code's value to a user. `address` is whence it was sent, where by a client: who
        guesses is stopped by it and by the user's name.

        Raises `ApiError` 404, 409 for a used code, 403 for one that is off or over, 429.
        """
        now = self._now_ms()
        keys = (f"user {user}", f"address {address}") if address else ()
        self.attempts.begin(*keys)

        def work(db: Db) -> Entry:
            if not self._member(db, user).enabled:
                raise ApiError(403, f"the user {user!r} is switched off", code="user_disabled")
            entry = codes.redeem(db, code, user, actor, now_ms=now)
            facts = {"amount_nanousd": entry.amount_nanousd, "entry": entry.id}
            trail.note(db, actor, "code.redeem", now_ms=now, user=user, after=facts)
            return entry

        entry = await self._write(work)
        self.attempts.forgive(*keys)
        return entry


def _endings(hints: Sequence[str]) -> tuple[str, ...]:
    """The last letters of codes, of which somebody may have given the whole: that is a secret, and
    the trail must not keep it.
    """
    return tuple(hint.strip().upper()[-codes.HINT :] for hint in hints)
