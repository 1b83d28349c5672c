"""Registered users: people who are not in the file but in the store, and what becomes of them.

A deleted person's records stay, under a name that says nothing. Names are not free again, so that
nobody inherits records or money. Each function runs in the caller's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from sqlite_utils import Database

from oneapi.errors import ApiError
from oneapi.ledger import issued, outbox, spending
from oneapi.ledger.names import find
from oneapi.ledger.users import mark, marks, name_of, user_id

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_RESERVED: Final = re.compile(r"anonymous|deleted-\d+")
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
LONGEST_EMAIL: Final = 254
LONGEST_DISPLAY_NAME: Final = 100
ROLES: Final = ("user", "admin")


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Who is to be registered. `password` is a line of `oneapi.people.passwords`."""

    name: str
    group: str
    role: str = "user"
    display_name: str = ""
    email: str | None = None
    email_verified: bool = False
    password: str | None = None
    enabled: bool = True


class PersonChange(TypedDict, total=False):
    """What to change: keys that are there, whatever their value. None clears."""

    group: str
    role: str
    display_name: str
    email: str | None
    email_verified: bool
    password: str | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class Person:
    """A registered user. `adopted_ms` is when the file took the user over, 0 where it has not."""

    id: int
    name: str
    group: str
    role: str
    display_name: str
    email: str | None
    email_verified: bool
    enabled: bool
    created_ms: int
    adopted_ms: int
    deleted_ms: int
    invited_by: str
    invitation: str
    has_password: bool


_SELECT = (
    "SELECT p.id, n.name, p.user_group, p.role, p.display_name, p.email, p.email_verified,"
    " p.enabled, p.created_ms, p.adopted_ms, p.deleted_ms, p.invited_by, p.invitation,"
    " p.password IS NOT NULL FROM people p JOIN names n ON n.id = p.id"
)
_COLUMNS = {
    "group": "user_group",
    "role": "role",
    "display_name": "display_name",
    "email": "email",
    "email_verified": "email_verified",
    "password": "password",
    "enabled": "enabled",
}


def add(db: Database, wanted: NewPerson, *, now_ms: int, with_history: bool = False) -> Person:
    """Register somebody. The caller has seen to it that the file has no such user and has the
    group.

    `with_history` lets the person go on with the records and the book of a user of that name who
    once stood in the file. Raises `ApiError` 400, 409 for a taken name or address.
    """
    if _NAME.fullmatch(wanted.name) is None or _RESERVED.fullmatch(wanted.name):
        words = "a user's name has 1 to 64 letters, digits and _ . @ + -, and begins with no sign"
        raise ApiError(400, words, code="wrong_name", param="name")
    email = _email(wanted.email)
    _check(wanted.role, wanted.display_name)
    _check_free(db, wanted.name, with_history)
    if email and wanted.email_verified:
        _check_email(db, email, 0)
    number = user_id(db, wanted.name)
    db.execute("DELETE FROM people WHERE id = ? AND adopted_ms > 0", (number,))
    db.execute(
        "INSERT INTO people (id, user_group, role, display_name, email, email_verified,"
        " email_mark, password, enabled, created_ms, adopted_ms, deleted_ms, last_name_id,"
        " invitation) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '')",
        (
            number,
            wanted.group,
            wanted.role,
            wanted.display_name,
            email,
            wanted.email_verified and email is not None,
            mark(db, email) if email else None,
            wanted.password,
            wanted.enabled,
            now_ms,
        ),
    )
    return person(db, wanted.name)


def person(db: Database, name: str) -> Person:
    """A registered user whom the file has not taken over. Raises `ApiError` 404."""
    found = _people(db, "n.name = ? AND p.deleted_ms = 0 AND p.adopted_ms = 0", name)
    if not found:
        raise ApiError(404, f"there is no registered user {name!r}", code="unknown_user")
    return found[0]


def people(db: Database, *, deleted: bool = False, adopted: bool = False) -> list[Person]:
    """Registered users by name; on demand those that are deleted or adopted too."""
    where = ["1"]
    if not deleted:
        where.append("p.deleted_ms = 0")
    if not adopted:
        where.append("p.adopted_ms = 0")
    return _people(db, " AND ".join(where))


def people_of(db: Database, users: Collection[int]) -> list[Person]:
    """Registered users by their numbers, whatever became of them."""
    return _people(db, f"p.id IN ({marks(len(users))})", *users)


def password_of(db: Database, name: str) -> str | None:
    """The line of a registered user's password, None where there is none. Raises 404."""
    found = person(db, name)
    row = db.execute("SELECT password FROM people WHERE id = ?", (found.id,)).fetchone()
    return None if row[0] is None else str(row[0])


def with_email(db: Database, email: str) -> Person | None:
    """Who has proved that the address is theirs (D15)."""
    where = "p.email = ? AND p.email_verified = 1 AND p.deleted_ms = 0 AND p.adopted_ms = 0"
    found = _people(db, where, _email(email))
    return found[0] if found else None


def update(db: Database, name: str, change: PersonChange) -> Person:
    """Change what `change` names. Raises `ApiError` 400, 404, 409 for a taken address."""
    found = person(db, name)
    values: dict[str, Any] = dict(change)
    if "email" in values:
        values["email"] = _email(values["email"])
        if values["email"] != found.email:
            values.setdefault("email_verified", False)
    email = values.get("email", found.email)
    if values.get("email_verified", found.email_verified):
        if email is None:
            raise ApiError(400, "there is no address to be verified", code="wrong_email")
        _check_email(db, email, found.id)
    role, display = values.get("role", found.role), values.get("display_name", found.display_name)
    _check(role, display)
    columns = {_COLUMNS[key]: value for key, value in values.items()}
    if values.get("email"):
        columns["email_mark"] = mark(db, values["email"])
    if columns:
        sets = ", ".join(f"{column} = ?" for column in columns)
        db.execute(f"UPDATE people SET {sets} WHERE id = ?", (*columns.values(), found.id))
    return person(db, name)


def adopt(db: Database, name: str, *, now_ms: int) -> Person:
    """Let the file's user of that name have the registered one's book and tokens from now on.

    Raises `ApiError` 404.
    """
    found = person(db, name)
    db.execute(
        "UPDATE people SET adopted_ms = ?, email_verified = 0 WHERE id = ?", (now_ms, found.id)
    )
    return _people(db, "p.id = ?", found.id)[0]


def delete(db: Database, name: str, *, now_ms: int) -> str:
    """Delete somebody: tokens end, personal facts go, records keep a name that says nothing.

    Returns that name. Whoever keeps ids by name must look them up again. Raises `ApiError` 404.
    """
    found = person(db, name)
    issued.revoke_all(db, name, now_ms=now_ms)
    issued.forget_names(db, name)
    pseudonym = f"deleted-{found.id}"
    db.execute(
        "UPDATE people SET deleted_ms = ?, email = NULL, email_verified = 0, password = NULL,"
        " display_name = '', enabled = 0, name_mark = ?,"
        " last_name_id = (SELECT max(id) FROM names) WHERE id = ?",
        (now_ms, mark(db, name), found.id),
    )
    db.execute("UPDATE names SET name = ? WHERE id = ?", (pseudonym, found.id))
    issued.follow_names(db)
    outbox.forget(db, name, found.email)
    for table in ("responses", "response_names"):
        db.execute(f"DELETE FROM {table} WHERE user = ?", (name,))
    return pseudonym


def tidy(db: Database, *, since_ms: int) -> int:
    """Give to people deleted since then what was still written under their old names by requests
    that were under way; how many names that were. Ids must be looked up again where any was.
    """
    gone = db.execute(
        "SELECT id, name_mark, last_name_id FROM people WHERE deleted_ms >= ?", (since_ms,)
    ).fetchall()
    if not gone:
        return 0
    by_mark = {row[1]: row[0] for row in gone}
    strays = db.execute(
        "SELECT id, kind, name FROM names WHERE kind IN ('user', 'token') AND id > ?"
        " AND declared = 0 AND same_as IS NULL"
        # Whose name is free for the file again may issue tokens under it.
        " AND NOT (kind = 'token' AND id IN (SELECT token_id FROM issued))",
        (min(row[2] for row in gone),),
    ).fetchall()
    moved = 0
    for number, kind, name in strays:
        owner = by_mark.get(mark(db, name.partition("/")[0]))
        if owner is None:
            continue
        label = f"deleted-{owner}" + (f"/{number}" if kind == "token" else f" (#{number})")
        same_as = owner if kind == "user" else None
        db.execute("UPDATE names SET name = ?, same_as = ? WHERE id = ?", (label, same_as, number))
        if same_as is not None:
            spending.merge(db, number, same_as)
        moved += 1
    return moved


def collisions(db: Database, declared: Iterable[str]) -> list[str]:
    """Registered users whose names the file declares as well and that it has not adopted."""
    wanted = set(declared)
    return [p.name for p in people(db) if p.name in wanted]


def _check_free(db: Database, name: str, with_history: bool) -> None:
    if _people(db, "n.name = ? AND p.deleted_ms = 0 AND p.adopted_ms = 0", name):
        raise ApiError(409, f"there is a user {name!r} already", code="name_taken", param="name")
    gone = db.execute("SELECT 1 FROM people WHERE name_mark = ?", (mark(db, name),)).fetchone()
    if gone is not None:
        words = f"{name!r} was the name of somebody who was deleted: choose another one"
        raise ApiError(409, words, code="name_taken", param="name")
    if find(db, "user", name) is not None and not with_history:
        words = f"{name!r} was a user of the file, whose records would be seen: choose another name"
        raise ApiError(409, words, code="name_has_history", param="name")


def _check_email(db: Database, email: str, own: int) -> None:
    taken = db.execute(
        "SELECT 1 FROM people WHERE email = ? AND email_verified = 1 AND id <> ?", (email, own)
    ).fetchone()
    if taken is not None:
        raise ApiError(409, "this e-mail address is in use", code="email_taken", param="email")


def _check(role: str, display_name: str) -> None:
    if role not in ROLES:
        words = f"a registered user's role is {' or '.join(ROLES)}"
        raise ApiError(400, words, code="wrong_role", param="role")
    if len(display_name) > LONGEST_DISPLAY_NAME or not display_name.isprintable():
        words = f"a display name has {LONGEST_DISPLAY_NAME} characters at most"
        raise ApiError(400, words, code="wrong_display_name", param="display_name")


def _email(text: str | None) -> str | None:
    """An address in one spelling; None for none. Raises `ApiError` 400."""
    if text is None or not text.strip():
        return None
    email = text.strip().lower()
    if _EMAIL.fullmatch(email) is None or len(email) > LONGEST_EMAIL or not email.isprintable():
        raise ApiError(400, "this is no e-mail address", code="wrong_email", param="email")
    return email


def _people(db: Database, where: str, *values: object) -> list[Person]:
    rows = db.execute(f"{_SELECT} WHERE {where} ORDER BY n.name", values).fetchall()
    return [_made(db, row) for row in rows]


def _made(db: Database, row: tuple[Any, ...]) -> Person:
    number, name, group, role, display_name, email, verified, enabled, *rest = row
    created_ms, adopted_ms, deleted_ms, invited_by, invitation, has_password = rest
    return Person(
        number,
        name,
        group,
        role,
        display_name,
        email,
        bool(verified),
        bool(enabled),
        created_ms,
        adopted_ms,
        deleted_ms,
        name_of(db, invited_by),
        invitation,
        bool(has_password),
    )
