"""Tokens that users issue, change, rotate and revoke at run time, within their group's policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Final, TypedDict

from oneapi.config.keys import key_hash, new_api_key
from oneapi.errors import ApiError
from oneapi.gateway.desk import Desk, Member
from oneapi.gateway.globs import Globs, is_glob
from oneapi.gateway.roster import common
from oneapi.gateway.snapshot import Network
from oneapi.ledger import book, issued, trail
from oneapi.ledger.issued import IssuedToken, Terms
from oneapi.ledger.users import LATEST_MS, Actor, Db

OVERLAP_S: Final = 24 * 3600
"""Seconds for which a rotated token's old secret still works, where nothing else is said."""
HINT: Final = 4


class TermsChange(TypedDict, total=False):
    """What to change of a token: keys that are there, whatever their value."""

    policy: str
    models: tuple[str, ...] | None
    subnets: tuple[str, ...]
    quota_nanousd: int | None
    expires_ms: int
    enabled: bool


@dataclass(frozen=True, slots=True)
class Secret:
    """A token and its secret, which is shown this once."""

    token: IssuedToken
    key: str = field(repr=False)


class Tokens(Desk):
    """The part of `People` that is about tokens."""

    async def issue_token(self, actor: Actor, user: str, name: str, terms: Terms) -> Secret:
        """A new token of a user. Raises `ApiError` 400, 403 where the group may not issue under
        that policy, 404, 409 for a taken name.
        """
        key, now = new_api_key(), self._now_ms()

        def work(db: Db) -> IssuedToken:
            fitting = self._fitting(self._issuer(db, user), terms, now)
            token = issued.issue(
                db, user, name, fitting, hash=_hex(key), hint=key[-HINT:], now_ms=now
            )
            self._note(db, actor, "token.issue", token, after=_facts(token))
            return token

        return Secret(await self._write(work), key)

    async def change_token(
        self, actor: Actor, user: str, name: str, change: TermsChange
    ) -> IssuedToken:
        """Narrow or widen a token within its policy, switch it off or on. Raises `ApiError`."""
        now = self._now_ms()

        def work(db: Db) -> IssuedToken:
            before = issued.find(db, user, name)
            old = before.terms
            terms = Terms(
                change.get("policy", old.policy),
                change.get("models", old.models),
                change.get("subnets", old.subnets),
                change.get("quota_nanousd", old.quota_nanousd),
                change.get("expires_ms", old.expires_ms),
            )
            if terms != old:
                terms = self._fitting(
                    self._issuer(db, user), terms, 0 if terms.expires_ms == old.expires_ms else now
                )
            enabled = change.get("enabled", before.enabled)
            after = issued.change(db, user, name, terms, enabled=enabled)
            self._note(db, actor, "token.change", after, _facts(before), _facts(after))
            return after

        return await self._write(work)

    async def rotate_token(
        self, actor: Actor, user: str, name: str, *, overlap_s: int = OVERLAP_S
    ) -> Secret:
        """Another secret for a token; the old one works for so many seconds more. Raises
        `ApiError` 400, 404.
        """
        key, now = new_api_key(), self._now_ms()
        until = now + overlap_s * 1000
        if not now <= until <= LATEST_MS:
            words = "an overlap is nothing or more, and ends before the year 10000"
            raise ApiError(400, words, code="wrong_overlap")

        def work(db: Db) -> IssuedToken:
            token = issued.rotate(
                db, user, name, hash=_hex(key), hint=key[-HINT:], now_ms=now, until_ms=until
            )
            self._note(db, actor, "token.rotate", token, after={"old_until_ms": until})
            return token

        return Secret(await self._write(work), key)

    async def revoke_token(self, actor: Actor, user: str, name: str) -> IssuedToken:
        """End a token for good. Raises `ApiError` 404."""
        now = self._now_ms()

        def work(db: Db) -> IssuedToken:
            token = issued.revoke(db, user, name, now_ms=now)
            self._note(db, actor, "token.revoke", token, before=_facts(token))
            return token

        return await self._write(work)

    async def tokens(self, user: str | None = None) -> Sequence[IssuedToken]:
        """A user's issued tokens, or everybody's; revoked ones too."""
        return await self._read(lambda db: issued.tokens(db, user))

    async def spent_by(self, tokens: Sequence[IssuedToken]) -> Mapping[str, int]:
        """What each of these has cost so far, nano-dollars, by its name in records."""

        def work(db: Db) -> Mapping[str, int]:
            if len(tokens) == 1:
                return {tokens[0].account: book.spent_by_token(db, tokens[0].account_id)}
            spent = book.spent_by_each(db, "token") if tokens else {}
            return {token.account: spent.get(token.account_id, 0) for token in tokens}

        return await self._read(work)

    async def may_issue(self, user: str) -> Sequence[str]:
        """The policies under which a user may issue tokens. Raises `ApiError` 404."""
        member = await self._read(lambda db: self._member(db, user))
        return self._policies(member)

    def _policies(self, member: Member) -> list[str]:
        settings = self._settings()
        group = settings.groups.get(member.group)
        return [p for p in group.may_issue if p in settings.policies] if group else []

    def _issuer(self, db: Db, user: str) -> Member:
        member = self._member(db, user)
        if not member.enabled:
            raise ApiError(403, f"the user {user!r} is switched off", code="user_disabled")
        return member

    def _fitting(self, member: Member, terms: Terms, now_ms: int) -> Terms:
        """The terms, if they lie within what the user's group may issue. Raises `ApiError`."""
        allowed = self._policies(member)
        if terms.policy not in allowed:
            there = ", ".join(allowed) or "none"
            words = (
                f"the group {member.group!r} may not issue tokens under the policy "
                f"{terms.policy!r}; it may under: {there} (groups.{member.group}.may_issue)"
            )
            raise ApiError(403, words, code="policy_not_allowed", param="policy")
        policy = self._settings().policies[terms.policy]
        if terms.models is not None:
            _check_models(terms.models, policy.models, terms.policy)
        subnets = _networks(terms.subnets)
        if common(_networks(policy.subnets), subnets) is None:
            words = f"no address is in these networks and in those of the policy {terms.policy!r}"
            raise ApiError(400, words, code="wrong_subnet", param="subnets")
        if terms.expires_ms and now_ms and terms.expires_ms <= now_ms:
            raise ApiError(400, "that moment is past", code="wrong_end", param="expires")
        return Terms(
            terms.policy,
            terms.models,
            tuple(str(network) for network in subnets),
            terms.quota_nanousd,
            terms.expires_ms,
        )

    def _note(
        self,
        db: Db,
        actor: Actor,
        action: str,
        token: IssuedToken,
        before: trail.Facts | None = None,
        after: trail.Facts | None = None,
    ) -> None:
        trail.note(
            db,
            actor,
            action,
            now_ms=self._now_ms(),
            user=token.user,
            token_id=token.account_id,
            before=before,
            after=after,
        )


def _check_models(models: Sequence[str], allowed: Sequence[str], policy: str) -> None:
    """Names must be the policy's; of a pattern counts what the policy allows, whatever it says."""
    if not models:
        raise ApiError(400, "a token for no model opens nothing", code="wrong_models")
    globs = Globs(allowed)
    for model in models:
        if not model or model != model.strip() or not model.isprintable():
            words = f"{model!a} is no model's name"
            raise ApiError(400, words, code="wrong_models", param="models")
        if not is_glob(model) and model not in globs:
            words = f"the policy {policy!r} does not allow the model {model!r}"
            raise ApiError(403, words, code="model_not_allowed", param="models")


def _networks(subnets: Sequence[str]) -> list[Network]:
    found: list[Network] = []
    for subnet in subnets:
        try:
            found.append(ip_network(subnet, strict=False))
        except ValueError:
            words = f'{subnet!r} is no address or network such as "10.0.0.0/8"'
            raise ApiError(400, words, code="wrong_subnet", param="subnets") from None
    return found


def _hex(key: str) -> str:
    return key_hash(key).removeprefix("sha256:")


def _facts(token: IssuedToken) -> dict[str, object]:
    terms = token.terms
    return {
        "policy": terms.policy,
        "models": terms.models,
        "subnets": terms.subnets,
        "quota_nanousd": terms.quota_nanousd,
        "expires_ms": terms.expires_ms,
        "enabled": token.enabled,
    }
