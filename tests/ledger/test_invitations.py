"""Invitations: rewards once, capped, and not for oneself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import pytest

from oneapi.errors import ApiError
from oneapi.ledger import book, invitations, registered
from oneapi.ledger.invitations import Outcome, Rewards
from oneapi.ledger.registered import NewPerson
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Db

T = TypeVar("T")
NOW = 1_000_000
REWARDS = Rewards(2_000, 1_000, 2)


def do(store: SqliteStore, work: Callable[[Db], T]) -> T:
    return store.transact(work).result()


def join(
    store: SqliteStore, name: str, by: str, *, email: str | None = None, by_email: str | None = None
) -> Outcome:
    def work(db: Db) -> Outcome:
        registered.add(db, NewPerson(name, "default", email=email), now_ms=NOW)
        return invitations.invited(db, name, by, promised=True, by_email=by_email)

    return do(store, work)


def pay(store: SqliteStore, name: str) -> list[tuple[str, int]]:
    made = do(store, lambda db: invitations.pay(db, name, REWARDS, now_ms=NOW))
    return [(entry.user, entry.amount_nanousd) for entry in made]


def test_each_user_has_one_code_that_leads_back(store: SqliteStore) -> None:
    code = do(store, lambda db: invitations.code_of(db, "alice"))
    assert re.fullmatch(r"[A-HJ-NP-Z2-9]{12}", code)
    assert do(store, lambda db: invitations.code_of(db, "alice")) == code
    assert do(store, lambda db: invitations.code_of(db, "bob")) != code
    assert do(store, lambda db: invitations.inviter(db, f" {code.lower()} ")) == "alice"


def test_an_unknown_code_is_nobodys(store: SqliteStore) -> None:
    with pytest.raises(ApiError) as caught:
        do(store, lambda db: invitations.inviter(db, "AAAA"))
    assert caught.value.code == "unknown_invitation"


def test_the_code_of_a_deleted_or_disabled_person_is_nobodys(store: SqliteStore) -> None:
    do(store, lambda db: registered.add(db, NewPerson("bob", "default"), now_ms=NOW))
    code = do(store, lambda db: invitations.code_of(db, "bob"))
    do(store, lambda db: registered.update(db, "bob", {"enabled": False}))
    with pytest.raises(ApiError):
        do(store, lambda db: invitations.inviter(db, code))
    do(store, lambda db: registered.update(db, "bob", {"enabled": True}))
    assert do(store, lambda db: invitations.inviter(db, code)) == "bob"
    do(store, lambda db: registered.delete(db, "bob", now_ms=NOW))
    with pytest.raises(ApiError):
        do(store, lambda db: invitations.inviter(db, code))


def test_both_are_paid_once(store: SqliteStore) -> None:
    assert join(store, "bob", "alice") == "pending"
    assert do(store, invitations.pending) == ["bob"]
    assert pay(store, "bob") == [("bob", 1_000), ("alice", 2_000)]
    assert pay(store, "bob") == []
    assert do(store, invitations.pending) == []
    assert do(store, lambda db: book.total(db, "alice")) == 2_000
    assert do(store, lambda db: registered.person(db, "bob")).invited_by == "alice"


def test_an_inviter_is_paid_so_often_and_no_more(store: SqliteStore) -> None:
    for name in ("bob", "carol", "dave"):
        join(store, name, "alice")
        pay(store, name)
    assert do(store, lambda db: book.total(db, "alice")) == 2 * 2_000
    assert do(store, lambda db: book.total(db, "dave")) == 1_000
    assert do(store, lambda db: registered.person(db, "dave")).invitation == "capped"


def test_nobody_invites_themselves(store: SqliteStore) -> None:
    assert join(store, "bob", "bob") == "void"
    assert pay(store, "bob") == []


def test_nobody_comes_again_under_the_same_address(store: SqliteStore) -> None:
    join(store, "bob", "alice", email="b@example.org")
    pay(store, "bob")
    do(store, lambda db: registered.delete(db, "bob", now_ms=NOW))
    assert join(store, "bob2", "alice", email="B@Example.org") == "void"
    assert pay(store, "bob2") == []
    assert do(store, lambda db: book.total(db, "alice")) == 2_000


def test_an_inviter_who_comes_as_another_is_known_by_the_address(store: SqliteStore) -> None:
    do(store, lambda db: registered.add(db, NewPerson("bob", "default", email="b@x.org"), now_ms=1))
    assert join(store, "bob2", "bob", email="b@x.org") == "void"
    assert join(store, "al", "alice", email="a@x.org", by_email="A@x.org") == "void"
    assert join(store, "carol", "alice", email="c@x.org", by_email="A@x.org") == "pending"


def test_an_inviter_who_is_gone_gets_nothing(store: SqliteStore) -> None:
    do(store, lambda db: registered.add(db, NewPerson("bob", "default"), now_ms=NOW))
    join(store, "carol", "bob")
    gone = do(store, lambda db: registered.delete(db, "bob", now_ms=NOW))
    assert pay(store, "carol") == [("carol", 1_000)]
    assert do(store, lambda db: book.total(db, gone)) == 0
