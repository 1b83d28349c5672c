"""Invitations: each user's own code, who came by it, and the rewards it brought.

Nobody invites themselves: neither as the same user nor, after deleting themselves, under the same
e-mail address. Each function runs in the caller's transaction.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sqlite_utils import Database

from oneapi.errors import ApiError
from oneapi.ledger.book import Entry, Posting, post
from oneapi.ledger.codes import ALPHABET
from oneapi.ledger.names import find
from oneapi.ledger.users import GATEWAY, ids_of, mark, marks, name_of, user_id

LENGTH: Final = 12
"""Letters of an invitation's code: 60 bits. It is no secret, but nobody comes upon one."""

Outcome: TypeAlias = Literal["pending", "paid", "capped", "void", "none"]
"""`none`: no reward was promised; `capped`: the invited got the reward, the inviter has had as many
as there are; `void`: the invited has had an account before."""


@dataclass(frozen=True, slots=True)
class Rewards:
    """What `[auth.invitations]` says. Nano-dollars; `most` rewards for one inviter."""

    inviter_nanousd: int
    invited_nanousd: int
    most: int


def code_of(db: Database, user: str) -> str:
    """A user's own code, made where there is none."""
    number = user_id(db, user)
    row = db.execute("SELECT code FROM invite_codes WHERE user_id = ?", (number,)).fetchone()
    if row is not None:
        return str(row[0])
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    db.execute("INSERT INTO invite_codes (user_id, code) VALUES (?, ?)", (number, code))
    return code


def inviter(db: Database, code: str) -> str:
    """Whose code it is. Raises `ApiError` 404; a deleted person's code is nobody's."""
    row = db.execute(
        "SELECT l.name FROM invite_codes c JOIN labels l ON l.id = c.user_id"
        " LEFT JOIN people p ON p.id = c.user_id"
        " WHERE c.code = ? AND coalesce(p.deleted_ms, 0) = 0 AND coalesce(p.enabled, 1) = 1",
        (code.strip().upper(),),
    ).fetchone()
    if row is None:
        raise ApiError(404, "nobody invites by this code", code="unknown_invitation")
    return str(row[0])


def invited(
    db: Database, person: str, by: str, *, promised: bool, by_email: str | None = None
) -> Outcome:
    """Note who invited a person that was just registered: rewards are `pending` where any are
    `promised`, or `void`. `by_email` is the inviter's address, where it stands in the file.
    """
    number = user_id(db, person)
    other = user_id(db, by)
    outcome: Outcome = "pending" if promised else "none"
    if _same_person(db, number, other, by_email):
        outcome = "void"
    db.execute(
        "UPDATE people SET invited_by = ?, invitation = ? WHERE id = ? AND invited_by IS NULL",
        (other, outcome, number),
    )
    return outcome


def pending(db: Database, *, used: bool = False) -> list[str]:
    """Registered users whose rewards are still to be paid; with `used` those of them who have
    spent something, as the ledger's sums say, which are about a second late. It is asked every few
    seconds, and those who wait may be thousands.
    """
    spent = (
        " AND EXISTS (SELECT 1 FROM budgets b JOIN spend s ON s.budget_id = b.id"
        " WHERE b.name_id = p.id AND b.scope = 'user' AND b.unit = 'nanousd'"
        " AND b.period = 'total' AND s.used > 0)"
    )
    rows = db.execute(
        "SELECT n.name FROM people p JOIN names n ON n.id = p.id"
        f" WHERE p.invitation = 'pending' AND p.deleted_ms = 0{spent if used else ''}"
    )
    return [row[0] for row in rows.fetchall()]


def pay(db: Database, person: str, rewards: Rewards, *, now_ms: int) -> list[Entry]:
    """Pay both rewards, once; the entries. Nothing where none is pending."""
    number = find(db, "user", person)
    row = db.execute(
        "SELECT invited_by FROM people WHERE id = ? AND invitation = 'pending'", (number,)
    ).fetchone()
    if row is None:
        return []
    by = name_of(db, row[0])
    capped = _paid(db, by) >= rewards.most or _is_gone(db, row[0])
    outcome: Outcome = "capped" if capped else "paid"
    db.execute("UPDATE people SET invitation = ? WHERE id = ?", (outcome, number))
    made = [
        _reward(person, rewards.invited_nanousd, "invited", f"invited:{number}"),
        _reward(by, 0 if capped else rewards.inviter_nanousd, "invited another", f"by:{number}"),
    ]
    return [post(db, reward, GATEWAY, now_ms=now_ms) for reward in made if reward is not None]


def _reward(user: str, amount: int, reason: str, transaction: str) -> Posting | None:
    if not amount:
        return None
    return Posting(user, "invitation", amount, reason, f"invitation:{transaction}")


def _paid(db: Database, inviter: str) -> int:
    """Rewards that an inviter has had."""
    ids = ids_of(db, inviter)
    row = db.execute(
        "SELECT count(*) FROM people WHERE invitation = 'paid'"
        f" AND invited_by IN ({marks(len(ids))})",
        ids,
    ).fetchone()
    return int(row[0])


def _is_gone(db: Database, number: int) -> bool:
    row = db.execute("SELECT deleted_ms > 0 FROM people WHERE id = ?", (number,)).fetchone()
    return bool(row and row[0])


def _same_person(db: Database, number: int, other: int, by_email: str | None) -> bool:
    """Whether somebody has had an account before, the inviter's or another one, as far as the
    address tells.
    """
    row = db.execute("SELECT email_mark FROM people WHERE id = ?", (number,)).fetchone()
    own = row[0] if row is not None else None
    if number == other:
        return True
    if own is None:
        return False
    if by_email and mark(db, by_email) == own:
        return True
    before = db.execute("SELECT 1 FROM people WHERE email_mark = ? AND id <> ?", (own, number))
    return before.fetchone() is not None
