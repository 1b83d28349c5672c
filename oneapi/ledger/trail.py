"""The trail of management: who did what to whom, from where, what was before and after.

Rows are never changed. Users and tokens stand there by their numbers, so that a deleted one's name
leaves it; secrets and addresses never enter it. Each function runs in the caller's transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlite_utils import Database

from oneapi.ledger.users import Actor, actor_id, user_id

Facts: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done. `user` is whom it concerned, "" where nobody; `subject` the token's
    name in records, or the batch of codes.
    """

    id: int
    time_ms: int
    actor: str
    origin: str
    action: str
    user: str
    subject: str
    before: Facts
    after: Facts


def note(
    db: Database,
    actor: Actor,
    action: str,
    *,
    now_ms: int,
    user: str | None = None,
    token_id: int | None = None,
    subject: str = "",
    before: Facts | None = None,
    after: Facts | None = None,
) -> None:
    """Add a step. `token_id` is the number of a token's name."""
    db.execute(
        "INSERT INTO audit (time_ms, actor_id, origin, action, user_id, token_id, subject,"
        " before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now_ms,
            actor_id(db, actor),
            actor.origin,
            action,
            user_id(db, user) if user else None,
            token_id,
            subject,
            json.dumps(before or {}, ensure_ascii=False),
            json.dumps(after or {}, ensure_ascii=False),
        ),
    )


def steps(
    db: Database, *, user: str | None = None, limit: int = 50, before_id: int | None = None
) -> list[Step]:
    """The last steps, newest first, of all users or those about one; `before_id` is the last id of
    the page before.
    """
    rows = db.execute(
        "SELECT a.id, a.time_ms, coalesce(w.name, ''), a.origin, a.action,"
        " coalesce(u.name, ''), coalesce(t.name, a.subject), a.before, a.after FROM audit a"
        " LEFT JOIN names t ON t.id = a.token_id LEFT JOIN labels w ON w.id = a.actor_id"
        " LEFT JOIN labels u ON u.id = a.user_id"
        " WHERE a.id < ? AND (? IS NULL OR u.name = ?) ORDER BY a.id DESC LIMIT ?",
        (2**63 - 1 if before_id is None else before_id, user, user, limit),
    ).fetchall()
    return [_made(row) for row in rows]


def _made(row: tuple[Any, ...]) -> Step:
    number, time_ms, actor, origin, action, user, subject, before, after = row
    return Step(
        number,
        time_ms,
        actor,
        origin,
        action,
        user,
        subject,
        json.loads(before),
        json.loads(after),
    )
