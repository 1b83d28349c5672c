"""From a user, a policy and a token to a `Caller`: the one place where it is put together.

Declared people come from the file when a snapshot is built, registered ones and tokens issued at
run time from the store (`roster`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from oneapi.config import schema
from oneapi.gateway.budgets import (
    Limits,
    bounds_of,
    budgets_of,
    declared_queue_s,
    limits_of,
    nanousd,
    quota,
    tightest,
)
from oneapi.gateway.snapshot import Caller, Policy
from oneapi.ledger.accounts import Budget

ANONYMOUS = "anonymous"
DEFAULT_GROUP = "default"
NO_BOUNDS = schema.Bounds()


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user, whoever remembers it. `limit_nanousd` is what it may spend in all beside what its
    book holds (a declared quota, a registered user's grant), None for no limit. `bounds` are its
    own limits; what they do not say comes from its group's `each`.
    """

    name: str
    group: str = DEFAULT_GROUP
    role: str = "user"
    limit_nanousd: int | None = None
    bounds: schema.Bounds = NO_BOUNDS


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """A token by its name in records, and what it may spend in all, None for no limit."""

    name: str
    limit_nanousd: int | None = None


class Callers:
    """Makes the callers of one configuration. Immutable."""

    def __init__(self, settings: schema.Settings) -> None:
        self._settings = settings

    def caller(self, user: UserFacts, token: TokenFacts, policy: Policy) -> Caller:
        """The caller with all its limits and budgets. `policy` may be narrower than the one in the
        file whose name it has: limits are the file's.
        """
        own = self._own(user)
        table = self._settings.policies.get(policy.name, NO_BOUNDS)
        site = self._settings.site
        budgets = bounds_of("user", user.name, own, site)
        if user.limit_nanousd is not None:
            budgets.append(quota("user", user.name, user.limit_nanousd, credited=True))
        budgets += bounds_of("token", token.name, table, site)
        if token.limit_nanousd is not None:
            budgets.append(quota("token", token.name, token.limit_nanousd))
        limits = (limits_of("user", user.name, own), limits_of("token", token.name, table))
        return self._made(
            user,
            token.name,
            policy,
            budgets=[*budgets, *self._group(user.group)],
            limits=limits,
            queue_s=declared_queue_s((own, table)),
        )

    def anonymous(self, policy: Policy) -> Caller:
        """The built-in user of keyless calls, who has no token: its policy bounds the user."""
        user = UserFacts(ANONYMOUS)
        own = self._own(user)
        table = self._settings.policies[policy.name]
        site = self._settings.site
        budgets = [
            *bounds_of("user", ANONYMOUS, own, site),
            *bounds_of("user", ANONYMOUS, table, site),
            *self._group(user.group),
        ]
        limits = (limits_of("user", ANONYMOUS, own), limits_of("token", "", table))
        return self._made(
            user,
            "",
            policy,
            budgets=budgets,
            limits=limits,
            queue_s=declared_queue_s((own, table)),
        )

    def declared(self, name: str) -> UserFacts:
        """A user of the file."""
        table = self._settings.users[name]
        limit = None if table.quota is None else nanousd(table.quota, self._settings.site)
        return UserFacts(name, table.group, table.role, limit, table)

    def declared_token(self, name: str) -> TokenFacts:
        """A token of the file."""
        table = self._settings.tokens[name]
        limit = None if table.quota is None else nanousd(table.quota, self._settings.site)
        return TokenFacts(name, limit)

    def grant_nanousd(self, group: str) -> int:
        """What registered users of a group begin with."""
        table = self._settings.groups.get(group)
        if table is None or table.grant is None:
            return 0
        return nanousd(table.grant, self._settings.site)

    def _made(
        self,
        user: UserFacts,
        token: str,
        policy: Policy,
        *,
        budgets: list[Budget],
        limits: tuple[Limits | None, ...],
        queue_s: float,
    ) -> Caller:
        found = tuple(one for one in limits if one is not None)
        return Caller(
            user=user.name,
            token=token,
            group=user.group,
            role=user.role,
            policy=policy,
            ratio_millionths=self._ratio(user.group),
            anonymous=user.name == ANONYMOUS,
            limits=found,
            budgets=tightest(budgets),
            queue_s=queue_s,
            paced=tuple(one for one in found if one.paced),
            counts_tokens=any(one.tpm for one in found),
            max_input=min((one.max_input for one in found if one.max_input), default=0),
        )

    def _own(self, user: UserFacts) -> schema.Bounds:
        """What bounds a user: its own words, its group's for what they do not say."""
        group = self._settings.groups.get(user.group)
        if group is None or group.each == NO_BOUNDS:
            return user.bounds
        said = user.bounds.model_fields_set
        names = [name for name in schema.Bounds.model_fields if name not in said]
        own = {name: getattr(user.bounds, name) for name in schema.Bounds.model_fields}
        return schema.Bounds.model_construct(
            **{**own, **{name: getattr(group.each, name) for name in names}}
        )

    def _group(self, name: str) -> list[Budget]:
        table = self._settings.groups.get(name)
        return [] if table is None else budgets_of("group", name, table.budget, self._settings.site)

    def _ratio(self, group: str) -> int:
        """A group's ratio in millionths; an undeclared group is the implicit `default`."""
        table = self._settings.groups.get(group)
        return int((table.ratio if table else Decimal(1)) * 1_000_000)


def model_budgets(settings: schema.Settings) -> Mapping[str, tuple[Budget, ...]]:
    """By the asked name: what all together may spend on it."""
    return {
        name: tightest(budgets_of("model", name, table.budget, settings.site))
        for name, table in settings.models.items()
        if table.budget
    }
