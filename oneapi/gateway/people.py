"""People at run time: the one surface that the command line, the API and the page work by.

Methods check what the file and the store allow, not who may ask for it: that is the caller's part.
Each is one transaction; each that changes something takes an `Actor` and leaves a line in the
trail. Refusals are `ApiError`s, whose words are for people; `StoreError` where the ledger fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oneapi.config.schema import Settings
from oneapi.errors import ApiError
from oneapi.gateway.attempts import Attempts
from oneapi.gateway.budgets import nanousd
from oneapi.gateway.desk import clock_ms
from oneapi.gateway.people_codes import WRONG_CODES, WRONG_CODES_S, Codes
from oneapi.gateway.people_tokens import Tokens
from oneapi.gateway.roster import Roster
from oneapi.ledger import book, changes, invitations, registered, trail
from oneapi.ledger.book import Entry, Posting
from oneapi.ledger.invitations import Rewards
from oneapi.ledger.registered import NewPerson, Person, PersonChange
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor, Db, ids_of

TIDY_MS = 3_600_000
"""Milliseconds after a deletion in which requests under way may still end."""
UNSEEN = ("password", "email", "display_name")
"""Facts of a person that the trail names without their values."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A user's money in nano-dollars. `quota_nanousd` is the file's, None for no limit."""

    user: str
    quota_nanousd: int | None
    entries_nanousd: int
    spent_nanousd: int

    @property
    def left_nanousd(self) -> int | None:
        """What may still be spent, None for no limit."""
        if self.quota_nanousd is None:
            return None
        return self.quota_nanousd + self.entries_nanousd - self.spent_nanousd


class People(Tokens, Codes):
    """One for a process. `roster` is the running gateway's, None where there is none."""

    def __init__(
        self,
        store: SqliteStore,
        settings: Callable[[], Settings],
        *,
        roster: Roster | None = None,
        now_ms: Callable[[], int] = clock_ms,
    ) -> None:
        super().__init__(store, settings, roster=roster, now_ms=now_ms)
        self.attempts = Attempts(WRONG_CODES, WRONG_CODES_S)

    async def add_user(
        self,
        actor: Actor,
        wanted: NewPerson,
        *,
        grant_nanousd: int | None = None,
        invitation: str = "",
        with_history: bool = False,
    ) -> Person:
        """Register somebody, with a starting grant: their group's where none is named.

        `invitation` is the code by which they came. Raises `ApiError` 400, 404 for a code that is
        nobody's, 409 for a taken name or address.
        """
        now = self._now_ms()

        def work(db: Db) -> Person:
            self._check_new(wanted)
            registered.add(db, wanted, now_ms=now, with_history=with_history)
            grant = self._grant(wanted.group) if grant_nanousd is None else grant_nanousd
            if grant:
                book.post(db, Posting(wanted.name, "grant", grant), actor, now_ms=now)
            if invitation:
                self._invited(db, wanted, invitation, now)
            facts = {"group": wanted.group, "role": wanted.role, "grant_nanousd": grant}
            trail.note(db, actor, "user.add", now_ms=now, user=wanted.name, after=facts)
            return registered.person(db, wanted.name)

        return await self._write(work)

    async def users(self, *, deleted: bool = False) -> Sequence[Person]:
        """Registered users by name."""
        return await self._read(lambda db: registered.people(db, deleted=deleted))

    async def user(self, name: str) -> Person:
        """A registered user. Raises `ApiError` 404."""
        return await self._read(lambda db: registered.person(db, name))

    async def update_user(self, actor: Actor, name: str, change: PersonChange) -> Person:
        """Change what is named. Raises `ApiError` 400, 404, 409 for a taken address."""
        now = self._now_ms()

        def work(db: Db) -> Person:
            if "group" in change:
                self._check_group(change["group"])
            before = registered.person(db, name)
            after = registered.update(db, name, change)
            was, new = _told(before, change), _told(after, change)
            trail.note(db, actor, "user.change", now_ms=now, user=name, before=was, after=new)
            return after

        return await self._write(work)

    async def delete_user(self, actor: Actor, name: str) -> str:
        """Delete a registered user for good; the name that the records have from now on.

        Tokens end, personal facts go, the book stays. Raises `ApiError` 404.
        """
        now = self._now_ms()

        def work(db: Db) -> str:
            pseudonym = registered.delete(db, name, now_ms=now)
            trail.note(db, actor, "user.delete", now_ms=now, user=pseudonym)
            return pseudonym

        pseudonym = await self._write(work)
        self._store.forget_names()
        return pseudonym

    async def adopt_user(self, actor: Actor, name: str) -> Person:
        """Let the file's user of that name have the registered one's book and tokens.

        Raises `ApiError` 404, 409 where the file has no such user.
        """
        now = self._now_ms()

        def work(db: Db) -> Person:
            if name not in self._settings().users:
                words = f"the configuration has no user {name!r}: add [users.{name}] first"
                raise ApiError(409, words, code="not_declared")
            person = registered.adopt(db, name, now_ms=now)
            trail.note(db, actor, "user.adopt", now_ms=now, user=name)
            return person

        return await self._write(work)

    async def top_up(
        self,
        actor: Actor,
        user: str,
        amount_nanousd: int,
        *,
        reason: str = "",
        transaction_id: str = "",
    ) -> Entry:
        """Add money to a user of the file or of the store. The same transaction counts once.

        Raises `ApiError` 400, 404, 409.
        """
        return await self._post(
            actor, Posting(user, "topup", amount_nanousd, reason, transaction_id)
        )

    async def correct(
        self, actor: Actor, user: str, amount_nanousd: int, *, reason: str, transaction_id: str = ""
    ) -> Entry:
        """Add or take away, with a reason. Raises `ApiError` 400, 404, 409."""
        return await self._post(
            actor, Posting(user, "correction", amount_nanousd, reason, transaction_id)
        )

    async def entries(
        self, user: str, *, limit: int = 50, before_id: int | None = None
    ) -> Sequence[Entry]:
        """The book of a user, newest first. Raises `ApiError` 404."""

        def work(db: Db) -> Sequence[Entry]:
            self._member(db, user)
            return book.entries(db, user, limit=limit, before_id=before_id)

        return await self._read(work)

    async def balance(self, user: str) -> Balance:
        """What a user has. Raises `ApiError` 404."""

        def work(db: Db) -> Balance:
            quota = self._member(db, user).quota_nanousd
            return Balance(user, quota, book.total(db, user), book.spent(db, user))

        return await self._read(work)

    async def balances(self, users: Sequence[str]) -> Sequence[Balance]:
        """What each of them has, for about the price of one. Raises `ApiError` 404."""

        def work(db: Db) -> Sequence[Balance]:
            spent = book.spent_by_each(db, "user")
            found: list[Balance] = []
            for user in users:
                quota = self._member(db, user).quota_nanousd
                used = sum(spent.get(number, 0) for number in ids_of(db, user))
                found.append(Balance(user, quota, book.total(db, user), used))
            return found

        return await self._read(work)

    async def invitation_code(self, user: str) -> str:
        """The code by which a user invites others, made at the first time. Raises 404."""

        def work(db: Db) -> str:
            self._member(db, user)
            return invitations.code_of(db, user)

        return await self._write(work)

    async def trail(
        self, *, user: str | None = None, limit: int = 50, before_id: int | None = None
    ) -> Sequence[trail.Step]:
        """What was managed, newest first."""
        return await self._read(
            lambda db: trail.steps(db, user=user, limit=limit, before_id=before_id)
        )

    async def chores(self) -> None:
        """Now and then: pay invitations that are due, clear up after deletions."""
        now, rewards = self._now_ms(), self._rewards()
        waits = self._settings().auth.invitations.after_use

        def work(db: Db) -> int:
            for person in invitations.pending(db, used=waits):
                invitations.pay(db, person, rewards, now_ms=now)
            changes.prune(db)
            return registered.tidy(db, since_ms=now - TIDY_MS)

        if await self._write(work):
            self._store.forget_names()

    async def _post(self, actor: Actor, posting: Posting) -> Entry:
        now = self._now_ms()

        def work(db: Db) -> Entry:
            self._member(db, posting.user)
            known = book.booked(db, posting)
            if known is not None:
                return known
            entry = book.post(db, posting, actor, now_ms=now)
            facts = {"amount_nanousd": entry.amount_nanousd, "entry": entry.id}
            action = f"user.{posting.kind}"
            trail.note(db, actor, action, now_ms=now, user=posting.user, after=facts)
            return entry

        return await self._write(work)

    def _check_new(self, wanted: NewPerson) -> None:
        self._check_group(wanted.group)
        if wanted.name in self._settings().users:
            words = f"the configuration has a user {wanted.name!r}: choose another name"
            raise ApiError(409, words, code="name_taken", param="name")

    def _grant(self, group: str) -> int:
        settings = self._settings()
        table = settings.groups.get(group)
        if table is None or table.grant is None:
            return 0
        return nanousd(table.grant, settings.site)

    def _rewards(self) -> Rewards:
        settings = self._settings()
        table = settings.auth.invitations
        inviter = nanousd(table.inviter, settings.site) if table.inviter is not None else 0
        invited = nanousd(table.invited, settings.site) if table.invited is not None else 0
        return Rewards(inviter, invited, table.most)

    def _invited(self, db: Db, person: NewPerson, code: str, now_ms: int) -> None:
        by = invitations.inviter(db, code)
        member, rewards = self._member(db, by), self._rewards()
        if not member.enabled:
            raise ApiError(404, "nobody invites by this code", code="unknown_invitation")
        promised = bool(rewards.inviter_nanousd or rewards.invited_nanousd)
        invitations.invited(db, person.name, by, promised=promised, by_email=member.email)
        if not self._settings().auth.invitations.after_use:
            invitations.pay(db, person.name, rewards, now_ms=now_ms)


def _told(person: Person, change: PersonChange) -> dict[str, object]:
    """The facts that were to change, as the trail may have them."""
    return {key: "…" if key in UNSEEN else getattr(person, key) for key in change}
