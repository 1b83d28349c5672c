"""Tokens that users issue at run time: their facts and the hashes of their secrets.

A token is named within its user, and stands in records as `USER/NAME`. What it may do is its
policy's, made narrower; the policy itself stays in the file. Names are not free again after a
revocation: records and quotas go by them. Each function runs in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlite_utils import Database

from oneapi.errors import ApiError
from oneapi.ledger import names
from oneapi.ledger.users import LATEST_MS, ids_of, marks, name_id, user_id

LONGEST_NAME: Final = 64
MOST_TOKENS: Final = 1_000
"""Tokens that a user may have, revoked ones not counted."""
MOST_QUOTA_NANOUSD: Final = 10**18
HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token may do. `models` and `subnets` narrow the policy's: None and empty leave it as
    it is. `quota_nanousd` None: no limit of its own; `expires_ms` 0: never.
    """

    policy: str
    models: tuple[str, ...] | None = None
    subnets: tuple[str, ...] = ()
    quota_nanousd: int | None = None
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A secret of a token, by its hash and its last letters. It is refused from `until_ms` on, 0
    for never.
    """

    hash: str
    hint: str
    created_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token. `account` is its name in records and in the ledger's sums, `account_id` that name's
    number.
    """

    id: int
    user_id: int
    user: str
    name: str
    account: str
    account_id: int
    terms: Terms
    enabled: bool
    created_ms: int
    revoked_ms: int
    keys: tuple[IssuedKey, ...]

    @property
    def hint(self) -> str:
        """The last letters of the newest secret."""
        return self.keys[-1].hint if self.keys else ""


def issue(
    db: Database, user: str, name: str, terms: Terms, *, hash: str, hint: str, now_ms: int
) -> IssuedToken:
    """Keep a new token. Raises `ApiError` 400, 409 for a taken name or too many tokens."""
    _check_name(name)
    _check_terms(terms)
    ids = ids_of(db, user) or [user_id(db, user)]
    taken = db.execute(
        f"SELECT name, revoked_ms FROM issued WHERE user_id IN ({marks(len(ids))})", ids
    ).fetchall()
    account_id = name_id(db, "token", f"{user}/{name}")
    kept = db.execute("SELECT 1 FROM issued WHERE token_id = ?", (account_id,)).fetchone()
    if kept or any(name == other for other, _ in taken):
        raise ApiError(
            409,
            f"there is a token {name!r} already, or there was: take another name, or rotate it",
            code="name_taken",
        )
    if sum(not revoked for _, revoked in taken) >= MOST_TOKENS:
        raise ApiError(409, f"a user has {MOST_TOKENS} tokens at most", code="too_many_tokens")
    cursor = db.execute(
        "INSERT INTO issued (user_id, token_id, name, policy, models, subnets, quota_nanousd,"
        " expires_ms, enabled, created_ms, revoked_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, 0)",
        (ids[0], account_id, name, *_columns(terms), now_ms),
    )
    _add_key(db, int(cursor.lastrowid or 0), hash=hash, hint=hint, now_ms=now_ms)
    return find(db, user, name)


def change(db: Database, user: str, name: str, terms: Terms, *, enabled: bool) -> IssuedToken:
    """Give a token other terms, switch it off or on. Raises `ApiError` 400, 404."""
    _check_terms(terms)
    token = _live(db, user, name)
    db.execute(
        "UPDATE issued SET policy = ?, models = ?, subnets = ?, quota_nanousd = ?, expires_ms = ?,"
        " enabled = ? WHERE id = ?",
        (*_columns(terms), enabled, token.id),
    )
    return replace(token, terms=terms, enabled=enabled)


def rotate(
    db: Database, user: str, name: str, *, hash: str, hint: str, now_ms: int, until_ms: int
) -> IssuedToken:
    """Give a token another secret; the ones before are refused from `until_ms` on.

    Raises `ApiError` 404.
    """
    token = _live(db, user, name)
    db.execute(
        "DELETE FROM issued_keys WHERE issued_id = ? AND until_ms > 0 AND until_ms <= ?",
        (token.id, now_ms),
    )
    db.execute(
        "UPDATE issued_keys SET until_ms = ?"
        " WHERE issued_id = ? AND (until_ms = 0 OR until_ms > ?)",
        (max(until_ms, 1), token.id, until_ms),
    )
    _add_key(db, token.id, hash=hash, hint=hint, now_ms=now_ms)
    return find(db, user, name)


def revoke(db: Database, user: str, name: str, *, now_ms: int) -> IssuedToken:
    """End a token for good; its hashes go. Raises `ApiError` 404."""
    token = _live(db, user, name)
    _revoke(db, token.id, now_ms)
    return replace(token, revoked_ms=now_ms, keys=())


def revoke_all(db: Database, user: str, *, now_ms: int) -> list[IssuedToken]:
    """End every token of a user; those that were live."""
    live = [token for token in tokens(db, user) if not token.revoked_ms]
    for token in live:
        _revoke(db, token.id, now_ms)
    return live


def forget_names(db: Database, user: str) -> None:
    """Take the names away that a user gave to tokens."""
    ids = ids_of(db, user)
    db.execute(f"UPDATE issued SET name = '#' || id WHERE user_id IN ({marks(len(ids))})", ids)


def find(db: Database, user: str, name: str) -> IssuedToken:
    """A token, revoked or not. Raises `ApiError` 404.

    Two can have one name where `was` made one user of two: the live one is meant.
    """
    found = [token for token in tokens(db, user) if token.name == name]
    if not found:
        raise ApiError(404, f"{user} has no token {name!r} of that kind", code="unknown_token")
    return min(found, key=lambda token: token.revoked_ms)


def tokens(db: Database, user: str | None = None) -> list[IssuedToken]:
    """A user's tokens, or everybody's, in the order they were issued; revoked ones too."""
    if user is None:
        return _tokens(db, "1")
    ids = ids_of(db, user)
    return _tokens(db, f"i.user_id IN ({marks(len(ids))})", *ids)


def tokens_of(db: Database, users: Sequence[int]) -> list[IssuedToken]:
    """Live tokens of users by their numbers."""
    return _tokens(db, f"i.revoked_ms = 0 AND i.user_id IN ({marks(len(users))})", *users)


def live_tokens(db: Database) -> list[IssuedToken]:
    """Every token that is not revoked."""
    return _tokens(db, "i.revoked_ms = 0")


def follow_names(db: Database) -> int:
    """Let tokens' names in records follow their users' (`was`); how many changed.

    Ids must be looked up again where any did. A name that is taken stays with whom it is.
    """
    rows = db.execute(
        "SELECT i.token_id, i.user_id, l.name || '/' || i.name FROM issued i"
        " JOIN labels l ON l.id = i.user_id JOIN names n ON n.id = i.token_id"
        " WHERE n.name <> l.name || '/' || i.name"
    ).fetchall()
    changed = 0
    for number, owner, name in rows:
        if names.find(db, "token", name) is None:
            db.execute("UPDATE names SET name = ? WHERE id = ?", (name, number))
            db.execute("INSERT INTO roster_log (user_id) VALUES (?)", (owner,))
            changed += 1
    return changed


def _revoke(db: Database, number: int, now_ms: int) -> None:
    db.execute("UPDATE issued SET revoked_ms = ? WHERE id = ?", (now_ms, number))
    db.execute("DELETE FROM issued_keys WHERE issued_id = ?", (number,))


def _live(db: Database, user: str, name: str) -> IssuedToken:
    token = find(db, user, name)
    if token.revoked_ms:
        raise ApiError(404, f"the token {name!r} is revoked", code="unknown_token")
    return token


def _add_key(db: Database, number: int, *, hash: str, hint: str, now_ms: int) -> None:
    db.execute(
        "INSERT INTO issued_keys (hash, issued_id, hint, created_ms, until_ms)"
        " VALUES (?, ?, ?, ?, 0)",
        (bytes.fromhex(hash), number, hint, now_ms),
    )


def _columns(terms: Terms) -> tuple[object, ...]:
    return (
        terms.policy,
        None if terms.models is None else json.dumps(terms.models),
        json.dumps(terms.subnets),
        terms.quota_nanousd,
        terms.expires_ms,
    )


def _tokens(db: Database, where: str, *values: object) -> list[IssuedToken]:
    rows = db.execute(
        "SELECT i.id, i.user_id, u.name, i.name, t.name, i.token_id, i.policy, i.models, i.subnets,"
        " i.quota_nanousd, i.expires_ms, i.enabled, i.created_ms, i.revoked_ms FROM issued i"
        " JOIN labels u ON u.id = i.user_id JOIN names t ON t.id = i.token_id"
        f" WHERE {where} ORDER BY i.id",
        values,
    ).fetchall()
    keys: dict[int, list[IssuedKey]] = {}
    found = db.execute(
        "SELECT k.issued_id, lower(hex(k.hash)), k.hint, k.created_ms, k.until_ms"
        f" FROM issued_keys k JOIN issued i ON i.id = k.issued_id WHERE {where}"
        " ORDER BY k.created_ms, k.until_ms = 0",
        values,
    )
    for number, *facts in found.fetchall():
        keys.setdefault(number, []).append(IssuedKey(*facts))
    return [_made(row, tuple(keys.get(row[0], ()))) for row in rows]


def _made(row: tuple[Any, ...], keys: tuple[IssuedKey, ...]) -> IssuedToken:
    number, owner, user, name, account, account_id, policy, models, subnets, *rest = row
    quota, expires_ms, enabled, created_ms, revoked_ms = rest
    terms = Terms(
        policy,
        None if models is None else tuple(json.loads(models)),
        tuple(json.loads(subnets)),
        quota,
        expires_ms,
    )
    return IssuedToken(
        number,
        owner,
        user,
        name,
        account,
        account_id,
        terms,
        bool(enabled),
        created_ms,
        revoked_ms,
        keys,
    )


def _check_name(name: str) -> None:
    if (
        not name
        or name != name.strip()
        or len(name) > LONGEST_NAME
        or "/" in name
        or not name.isprintable()
    ):
        words = f"a token's name has 1 to {LONGEST_NAME} characters, and no / among them"
        raise ApiError(400, words, code="wrong_name", param="name")


def _check_terms(terms: Terms) -> None:
    quota = terms.quota_nanousd
    if quota is not None and not 0 <= quota <= MOST_QUOTA_NANOUSD:
        raise ApiError(400, "a quota is nothing or more", code="wrong_quota", param="quota")
    if not 0 <= terms.expires_ms <= LATEST_MS:
        raise ApiError(400, "a token ends at a moment, or never", code="wrong_end", param="expires")
    if len(json.dumps((terms.models, terms.subnets))) > 20_000:
        raise ApiError(400, "the lists are too long", code="list_too_long")
