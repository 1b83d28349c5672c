"""Redemption codes: batches of them, and each redeemed once by one user, whoever races.

Only hashes are kept; a code is 28 letters and digits, 140 bits, shown when it is made. Each
function runs in the caller's transaction, which is what makes a redemption happen once.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlite_utils import Database

from oneapi.errors import ApiError
from oneapi.ledger.book import MOST_NANOUSD, Entry, Posting, post
from oneapi.ledger.users import LATEST_MS, Actor, actor_id, ids_of, marks, name_of, user_id

ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""32 letters and digits, without those that look alike."""
GROUPS: Final = 7
HINT: Final = 4
"""Letters at its end by which a code is known."""
MOST_CODES: Final = 10_000
"""Codes of a batch."""
MOST_USES: Final = 1_000_000
LONGEST_NAME: Final = 64

CodeState: TypeAlias = Literal["left", "used", "disabled", "expired"]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """Codes to be made. Each may be used `uses` times, by one user once; `expires_ms` 0: never."""

    name: str
    count: int
    value_nanousd: int
    uses: int = 1
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch and how many of its codes are there, and how often they were used."""

    id: int
    name: str
    value_nanousd: int
    uses: int
    expires_ms: int
    enabled: bool
    created_ms: int
    actor: str
    count: int
    used: int


@dataclass(frozen=True, slots=True)
class Use:
    user: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Code:
    """One code, by its last four letters."""

    id: int
    batch: str
    hint: str
    value_nanousd: int
    state: CodeState
    used: int
    uses: int
    used_by: tuple[Use, ...]


def new_code() -> str:
    """`XXXX-XXXX-…`: seven groups of four."""
    letters = [secrets.choice(ALPHABET) for _ in range(4 * GROUPS)]
    return "-".join("".join(letters[i : i + 4]) for i in range(0, len(letters), 4))


def new_codes(count: int) -> list[str]:
    """So many, no two of which end alike: within a batch a code goes by its last four letters."""
    made: dict[str, str] = {}
    while len(made) < count:
        code = new_code()
        made.setdefault(code[-HINT:], code)
    return list(made.values())


def code_hash(code: str) -> bytes:
    """What is kept of a code, however it was typed: case, spaces and hyphens do not count."""
    plain = "".join(c for c in code.upper() if c.isalnum())
    return hashlib.sha256(plain.encode()).digest()


def new_batch(
    db: Database, wanted: NewBatch, codes: list[str], actor: Actor, *, now_ms: int
) -> Batch:
    """Keep the hashes of `codes` (`new_codes`). Raises `ApiError` 400, 409 for a taken name."""
    _check(wanted, now_ms)
    cursor = db.execute(
        "INSERT INTO code_batches (name, value_nanousd, uses, expires_ms, enabled, created_ms,"
        " actor_id) VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT (name) DO NOTHING",
        (
            wanted.name,
            wanted.value_nanousd,
            wanted.uses,
            wanted.expires_ms,
            now_ms,
            actor_id(db, actor),
        ),
    )
    if not cursor.rowcount:
        raise ApiError(409, f"there is a batch {wanted.name!r} already", code="name_taken")
    batch = db.execute("SELECT id FROM code_batches WHERE name = ?", (wanted.name,)).fetchone()[0]
    db.conn.executemany(
        "INSERT INTO codes (batch_id, hash, hint, enabled, used) VALUES (?, ?, ?, 1, 0)",
        [(batch, code_hash(code), code[-HINT:]) for code in codes],
    )
    return _batches(db, "WHERE b.id = ?", batch)[0]


def batches(db: Database) -> list[Batch]:
    """Every batch, newest first."""
    return _batches(db, "")


def codes_of(db: Database, batch: str, *, now_ms: int) -> list[Code]:
    """The codes of a batch in the order they were made. Raises `ApiError` 404."""
    found = _batch(db, batch)
    uses: dict[int, list[Use]] = {}
    rows = db.execute(
        "SELECT r.code_id, u.name, r.time_ms FROM redemptions r JOIN codes c ON c.id = r.code_id"
        " JOIN labels u ON u.id = r.user_id WHERE c.batch_id = ? ORDER BY r.id",
        (found.id,),
    )
    for code, user, time_ms in rows.fetchall():
        uses.setdefault(code, []).append(Use(user, time_ms))
    codes = db.execute(
        "SELECT id, hint, enabled, used FROM codes WHERE batch_id = ? ORDER BY id", (found.id,)
    ).fetchall()
    return [
        Code(
            number,
            found.name,
            hint,
            found.value_nanousd,
            _state(found, bool(enabled), used, now_ms),
            used,
            found.uses,
            tuple(uses.get(number, ())),
        )
        for number, hint, enabled, used in codes
    ]


def switch(db: Database, batch: str, *, enabled: bool, hints: tuple[str, ...] = ()) -> int:
    """Switch a batch off or on, or, with `hints`, those codes of it; how many codes that were.

    Raises `ApiError` 404. What was used stays used.
    """
    found = _batch(db, batch)
    if not hints:
        db.execute("UPDATE code_batches SET enabled = ? WHERE id = ?", (enabled, found.id))
        return found.count
    ids = _by_hint(db, found, hints)
    db.execute(f"UPDATE codes SET enabled = ? WHERE id IN ({marks(len(ids))})", (enabled, *ids))
    return len(ids)


def delete(db: Database, batch: str, *, hints: tuple[str, ...] = ()) -> int:
    """Delete the codes of a batch (or those of `hints`) that nobody has used, and the batch once
    it has none; how many that were. Used ones stay, as history. Raises `ApiError` 404.
    """
    found = _batch(db, batch)
    where, values = "batch_id = ? AND used = 0", [found.id]
    if hints:
        ids = _by_hint(db, found, hints)
        where, values = f"{where} AND id IN ({marks(len(ids))})", [*values, *ids]
    gone = db.execute(f"DELETE FROM codes WHERE {where}", values).rowcount
    db.execute(
        "DELETE FROM code_batches WHERE id = ? AND id NOT IN (SELECT batch_id FROM codes)",
        (found.id,),
    )
    return int(gone)


def redeem(db: Database, code: str, user: str, actor: Actor, *, now_ms: int) -> Entry:
    """Give a code's value to a user, once. Raises `ApiError`: 404 `unknown_code`, 409 `code_used`,
    403 `code_disabled` or `code_expired`.
    """
    row = db.execute(
        "SELECT c.id, c.batch_id, c.enabled, c.used FROM codes c WHERE c.hash = ?",
        (code_hash(code),),
    ).fetchone()
    if row is None:
        raise ApiError(404, "there is no such code", code="unknown_code")
    number, batch_id, enabled, used = row
    batch = _batches(db, "WHERE b.id = ?", batch_id)[0]
    _redeemable(_state(batch, bool(enabled), used, now_ms))
    ids = ids_of(db, user)
    mine = db.execute(
        f"SELECT 1 FROM redemptions WHERE code_id = ? AND user_id IN ({marks(len(ids))})",
        (number, *ids),
    ).fetchone()
    if mine is not None:
        raise ApiError(409, "you have used this code already", code="code_used")
    # The entry's own transaction id is the belt beside the transaction: it can be booked once.
    transaction = f"code:{number}:{used + 1}"
    reason = f"code of {batch.name}"
    posting = Posting(user, "code", batch.value_nanousd, reason, transaction)
    entry = post(db, posting, actor, now_ms=now_ms)
    db.execute(
        "INSERT INTO redemptions (code_id, user_id, entry_id, time_ms) VALUES (?, ?, ?, ?)",
        (number, user_id(db, user), entry.id, now_ms),
    )
    db.execute("UPDATE codes SET used = used + 1 WHERE id = ?", (number,))
    return entry


def _check(wanted: NewBatch, now_ms: int) -> None:
    problem = ""
    if not wanted.name.strip() or len(wanted.name) > LONGEST_NAME or not wanted.name.isprintable():
        problem = f"a batch's name has 1 to {LONGEST_NAME} characters"
    elif not 1 <= wanted.count <= MOST_CODES:
        problem = f"a batch has 1 to {MOST_CODES} codes"
    elif not 0 < wanted.value_nanousd <= MOST_NANOUSD:
        problem = "a code's value must be more than nothing"
    elif not 1 <= wanted.uses <= MOST_USES:
        problem = f"a code is used 1 to {MOST_USES} times"
    elif wanted.expires_ms and wanted.expires_ms <= now_ms:
        problem = "that moment is past: the codes would be worth nothing"
    elif wanted.expires_ms > LATEST_MS:
        problem = "a code expires before the year 10000, or never"
    if problem:
        raise ApiError(400, problem, code="wrong_batch")


def _batch(db: Database, name: str) -> Batch:
    found = _batches(db, "WHERE b.name = ?", name)
    if not found:
        raise ApiError(404, f"there is no batch {name!r} of codes", code="unknown_batch")
    return found[0]


def _batches(db: Database, where: str, *values: object) -> list[Batch]:
    rows = db.execute(
        "SELECT b.id, b.name, b.value_nanousd, b.uses, b.expires_ms, b.enabled, b.created_ms,"
        " b.actor_id, count(c.id), coalesce(sum(c.used), 0) FROM code_batches b"
        f" LEFT JOIN codes c ON c.batch_id = b.id {where} GROUP BY b.id ORDER BY b.id DESC",
        values,
    ).fetchall()
    return [_made(db, row) for row in rows]


def _made(db: Database, row: tuple[Any, ...]) -> Batch:
    number, name, value, uses, expires_ms, enabled, created_ms, actor, count, used = row
    return Batch(
        number,
        name,
        value,
        uses,
        expires_ms,
        bool(enabled),
        created_ms,
        name_of(db, actor),
        count,
        used,
    )


def _state(batch: Batch, enabled: bool, used: int, now_ms: int) -> CodeState:
    if used >= batch.uses:
        return "used"
    if not (enabled and batch.enabled):
        return "disabled"
    if batch.expires_ms and batch.expires_ms <= now_ms:
        return "expired"
    return "left"


def _redeemable(state: CodeState) -> None:
    match state:
        case "left":
            return
        case "used":
            raise ApiError(409, "this code has been used", code="code_used")
        case "disabled":
            raise ApiError(403, "this code is switched off", code="code_disabled")
        case "expired":
            raise ApiError(403, "this code has expired", code="code_expired")


def _by_hint(db: Database, batch: Batch, hints: tuple[str, ...]) -> list[int]:
    """The codes of a batch that end so. Raises `ApiError` 404 for an ending that none has."""
    ids: list[int] = []
    for hint in hints:
        found = db.execute(
            "SELECT id FROM codes WHERE batch_id = ? AND hint = ?", (batch.id, hint.upper()[-HINT:])
        ).fetchall()
        if not found:
            words = f"no code of {batch.name!r} ends with {hint[-HINT:]!r}"
            raise ApiError(404, words, code="unknown_code")
        ids += [row[0] for row in found]
    return ids
