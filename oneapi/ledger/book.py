"""The book: every change of a user's money beside spending, as entries that are never changed.

A user's balance is what the file declares, plus the sum of its entries, minus what it spent.
Each function runs in the caller's transaction. Amounts are nano-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlite_utils import Database

from oneapi.errors import ApiError
from oneapi.ledger import rollups, spending
from oneapi.ledger.users import Actor, actor_id, ids_of, marks, name_of, user_id

EntryKind: TypeAlias = Literal["grant", "topup", "code", "correction", "invitation"]
"""What an entry is: money to begin with, a payment, a redeemed code, an operator's correction
(of either sign), a reward."""
KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)

MOST_NANOUSD: Final = 10**18
"""A thousand million dollars: no entry, and no sum of a user's entries, is larger."""
LONGEST: Final = 500
"""Characters of a reason, a transaction's id."""
_OWN: Final = ("code:", "invitation:")
"""How the ids of transactions begin that the gateway gives itself."""

_COLUMNS = (
    "e.id, e.user_id, e.kind, e.amount_nanousd, e.reason, e.actor_id, e.origin, e.time_ms,"
    " e.transaction_id"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the book. `transaction_id` is "" where none was given."""

    id: int
    user: str
    kind: EntryKind
    amount_nanousd: int
    reason: str
    actor: str
    origin: str
    time_ms: int
    transaction_id: str


@dataclass(frozen=True, slots=True)
class Posting:
    """An entry to be written. A `transaction_id` counts once, however often it comes (D30)."""

    user: str
    kind: EntryKind
    amount_nanousd: int
    reason: str = ""
    transaction_id: str = ""


def post(db: Database, posting: Posting, actor: Actor, *, now_ms: int) -> Entry:
    """Write an entry, and raise or lower by it what the user may spend; the entry that is there
    where its transaction has come before.

    Raises `ApiError` 400 for an amount that its kind cannot have, 409 for a transaction's id that
    stands for something else.
    """
    _check(posting)
    known = booked(db, posting)
    if known is not None:
        return known
    number = user_id(db, posting.user)
    after = total(db, posting.user) + posting.amount_nanousd
    if abs(after) > MOST_NANOUSD:
        raise _refused("this would be more than a book can hold", "amount_too_large")
    cursor = db.execute(
        "INSERT INTO entries (user_id, kind, amount_nanousd, reason, actor_id, origin, time_ms,"
        " transaction_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            posting.kind,
            posting.amount_nanousd,
            posting.reason,
            actor_id(db, actor),
            actor.origin,
            now_ms,
            posting.transaction_id or None,
        ),
    )
    spending.add_credit(db, posting.user, posting.amount_nanousd, now_ms)
    return _entry(db, "e.id = ?", cursor.lastrowid)


def entries(
    db: Database, user: str, *, limit: int = 50, before_id: int | None = None
) -> list[Entry]:
    """A user's entries, newest first; `before_id` is the last id of the page before."""
    ids = ids_of(db, user)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM entries e WHERE e.user_id IN ({marks(len(ids))}) AND e.id < ?"
        " ORDER BY e.id DESC LIMIT ?",
        (*ids, 2**63 - 1 if before_id is None else before_id, limit),
    ).fetchall()
    return [_made(db, row) for row in rows]


def total(db: Database, user: str) -> int:
    """The sum of a user's entries."""
    ids = ids_of(db, user)
    row = db.execute(
        "SELECT coalesce(sum(amount_nanousd), 0) FROM entries"
        f" WHERE user_id IN ({marks(len(ids))})",
        ids,
    ).fetchone()
    return int(row[0])


def spent(db: Database, user: str) -> int:
    """What a user's requests have cost, as the records say."""
    return rollups.spent(db, "user", ids_of(db, user)).cost_nanousd


def spent_by_token(db: Database, token_id: int) -> int:
    """What a token's requests have cost, by the number of its name."""
    return rollups.spent(db, "token", [token_id]).cost_nanousd


def spent_by_each(db: Database, scope: Literal["user", "token"]) -> dict[int, int]:
    """What everyone's requests have cost, by the numbers of their names. The sums of all hours
    are read for one as for all: who asks about several asks here.
    """
    return {number: sums.cost_nanousd for number, sums in rollups.each(db, scope).items()}


def _check(posting: Posting) -> None:
    amount = posting.amount_nanousd
    if abs(amount) > MOST_NANOUSD:
        raise _refused("the amount is too large", "amount_too_large")
    if posting.kind == "correction":
        if amount == 0:
            raise _refused("a correction of nothing is none", "wrong_amount")
        if not posting.reason.strip():
            raise _refused("a correction needs a reason", "reason_missing")
    elif amount <= 0:
        raise _refused("the amount must be more than nothing", "wrong_amount")
    if len(posting.reason) > LONGEST or len(posting.transaction_id) > LONGEST:
        words = f"a reason and a transaction's id have {LONGEST} characters at most"
        raise _refused(words, "text_too_long")
    if not (posting.reason + posting.transaction_id).isprintable():
        words = "a reason and a transaction's id are one line, without control characters"
        raise _refused(words, "text_not_plain")
    if posting.kind not in ("code", "invitation") and posting.transaction_id.startswith(_OWN):
        raise _refused(f"ids that begin with {' or '.join(_OWN)} are the gateway's own", "own_id")


def booked(db: Database, posting: Posting) -> Entry | None:
    """The entry of a posting whose transaction has come before. Raises `ApiError` 409 where it was
    another one.
    """
    if not posting.transaction_id:
        return None
    row = db.execute(
        f"SELECT {_COLUMNS} FROM entries e WHERE e.transaction_id = ?", (posting.transaction_id,)
    ).fetchone()
    if row is None:
        return None
    known = _made(db, row)
    same = (known.user, known.kind, known.amount_nanousd)
    if same == (posting.user, posting.kind, posting.amount_nanousd):
        return known
    raise ApiError(
        409,
        f"the transaction {posting.transaction_id!r} has been booked before, as something else",
        code="transaction_taken",
    )


def _entry(db: Database, where: str, value: object) -> Entry:
    return _made(
        db, db.execute(f"SELECT {_COLUMNS} FROM entries e WHERE {where}", (value,)).fetchone()
    )


def _made(db: Database, row: tuple[Any, ...]) -> Entry:
    number, user, kind, amount, reason, actor, origin, time_ms, transaction = row
    return Entry(
        number,
        name_of(db, user),
        kind,
        amount,
        reason,
        name_of(db, actor),
        origin,
        time_ms,
        transaction or "",
    )


def _refused(words: str, code: str) -> ApiError:
    return ApiError(400, words, code=code)
