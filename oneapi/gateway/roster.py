"""Tokens issued at run time and registered users, in memory: what opens a key that is not in the
file.

Facts come from the store (`ledger.changes`); what a token may do is settled for each snapshot, by
the policies and groups that this one has: a policy that is gone stops its tokens, and they work
again once it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from oneapi.errors import StoreError
from oneapi.gateway.callers import Callers, TokenFacts, UserFacts
from oneapi.gateway.globs import Globs
from oneapi.gateway.snapshot import Grant, Network, Policy, Snapshot
from oneapi.ledger.changes import Changed, Changes
from oneapi.ledger.issued import IssuedKey, IssuedToken
from oneapi.ledger.registered import Person

log = logging.getLogger("oneapi.roster")

POLL_S: Final = 0.25
"""Seconds between looks at what other processes changed."""


class Within(Globs):
    """A list of names and globs, as far as they lie within another one."""

    __slots__ = ("_outer",)

    def __init__(self, patterns: Iterable[str], outer: Globs) -> None:
        super().__init__(patterns)
        self._outer = outer

    def __contains__(self, name: str) -> bool:
        return name in self._outer and super().__contains__(name)


class Roster:
    """Belongs to the event loop, but for `look`, which blocks and may run in any one thread."""

    def __init__(self, path: Path | None = None) -> None:
        self._changes = Changes(path) if path is not None else None
        self._keys: dict[str, tuple[IssuedToken, IssuedKey]] = {}
        self._hashes: dict[int, list[str]] = {}  # by the user's number
        self._people: dict[int, Person] = {}
        self._by_name: dict[str, Person] = {}
        self._snapshot: Snapshot | None = None  # the one that `_grants` were made for
        self._callers: Callers | None = None
        self._grants: dict[str, Grant] = {}
        self._lock = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, snapshot: Snapshot, key_hash: str) -> Grant | None:
        """What a key opens under a configuration; None for one that is not known here."""
        entry = self._keys.get(key_hash)
        if entry is None:
            return None
        if snapshot is not self._snapshot or self._callers is None:
            self._grants.clear()
            self._snapshot, self._callers = snapshot, Callers(snapshot.settings)
        grant = self._grants.get(key_hash)
        if grant is None:
            grant = self._grants[key_hash] = self._grant(snapshot, self._callers, *entry)
        return grant

    def person(self, name: str) -> Person | None:
        """A registered user."""
        return self._by_name.get(name)

    def load(self) -> None:
        """Read everything, before anybody asks. Blocks. Raises `StoreError`."""
        if self._changes is not None and (changed := self._changes.look()) is not None:
            self.take(changed)

    async def refresh(self) -> Changed | None:
        """Take what was committed until now; that, None for nothing. Raises `StoreError`."""
        if self._changes is None:
            return None
        async with self._lock:
            changed = await asyncio.to_thread(self._changes.look)
            if changed is not None:
                self.take(changed)
            return changed

    async def follow(self, told: Callable[[Changed], None]) -> None:
        """Take what other processes commit, until cancelled; `told` hears of it too."""
        failing = False
        while True:
            try:
                changed = await self.refresh()
                failing = False
            except StoreError as error:
                if not failing:
                    log.error("issued tokens and registered users are not read anew: %s", error)
                failing, changed = True, None
            if changed is not None:
                told(changed)
            await asyncio.sleep(POLL_S)

    def take(self, changed: Changed) -> None:
        """Replace the facts of the users concerned."""
        if changed.users is None:
            for table in (self._keys, self._hashes, self._people, self._by_name):
                table.clear()
        for number in changed.users or ():
            for key_hash in self._hashes.pop(number, ()):
                self._keys.pop(key_hash, None)
            if (gone := self._people.pop(number, None)) is not None:
                self._by_name.pop(gone.name, None)
        for token in changed.tokens:
            for key in token.keys:
                self._keys[key.hash] = (token, key)
                self._hashes.setdefault(token.user_id, []).append(key.hash)
        for person in changed.people:
            if not person.deleted_ms and not person.adopted_ms:
                self._people[person.id] = self._by_name[person.name] = person
        self._grants.clear()

    def close(self) -> None:
        if self._changes is not None:
            self._changes.close()

    def _grant(
        self, snapshot: Snapshot, callers: Callers, token: IssuedToken, key: IssuedKey
    ) -> Grant:
        user, refusal = self._user(callers, snapshot, token)
        policy = snapshot.policies.get(token.terms.policy)
        group = snapshot.settings.groups.get(user.group)
        if not refusal and policy is None:
            refusal = f"the policy `{token.terms.policy}` of this API key is no longer there"
        if not refusal and token.terms.policy not in (group.may_issue if group else ()):
            refusal = (
                f"the group `{user.group}` may no longer use API keys under the policy "
                f"`{token.terms.policy}`"
            )
        narrowed = _narrowed(policy or nothing(token.terms.policy), token)
        if not refusal and narrowed is None:
            refusal = "the networks of this API key lie outside of those of its policy"
        caller = callers.caller(
            user,
            TokenFacts(token.account, token.terms.quota_nanousd),
            narrowed or nothing(token.terms.policy),
        )
        ends = [moment for moment in (token.terms.expires_ms, key.until_ms) if moment]
        return Grant(caller, min(ends, default=0), refusal)

    def _user(
        self, callers: Callers, snapshot: Snapshot, token: IssuedToken
    ) -> tuple[UserFacts, str]:
        """Who pays, and why they do not."""
        table = snapshot.settings.users.get(token.user)
        person = self._by_name.get(token.user)
        if table is not None:
            user, enabled = callers.declared(token.user), table.enabled
        elif person is not None:
            user, enabled = registered_facts(person), person.enabled
        else:
            return UserFacts(token.user), "the user of this API key is no longer there"
        if not token.enabled:
            return user, "this API key is switched off"
        return user, "" if enabled else "the user of this API key is switched off"


def registered_facts(person: Person) -> UserFacts:
    """A registered user may spend what the book holds, its starting grant included, and no more."""
    return UserFacts(person.name, person.group, person.role, limit_nanousd=0)


def nothing(name: str) -> Policy:
    """A policy that allows nothing, in the place of one that is gone."""
    return Policy(
        name=name,
        models=Globs(()),
        channels=Globs(()),
        endpoints=frozenset(),
        subnets=(),
        expires_ms=0,
        enabled=False,
    )


def _narrowed(policy: Policy, token: IssuedToken) -> Policy | None:
    """The policy as far as the token goes; None where no address is in the networks of both."""
    models, subnets = token.terms.models, token.terms.subnets
    if models is None and not subnets:
        return policy
    networks = common(policy.subnets, [ip_network(n, strict=False) for n in subnets])
    if networks is None:
        return None
    if models is None:
        return replace(policy, subnets=networks)
    within = Within(models, policy.models)
    return replace(policy, models=within, narrowed=models, subnets=networks)


def common(one: Iterable[Network], other: Iterable[Network]) -> tuple[Network, ...] | None:
    """The networks that lie in both lists, where an empty list means any; None where none does."""
    one, other = tuple(one), tuple(other)
    if not one or not other:
        return one or other
    found = {
        a if a.prefixlen >= b.prefixlen else b
        for a in one
        for b in other
        if a.version == b.version and a.overlaps(b)
    }
    return tuple(sorted(found, key=str)) or None
