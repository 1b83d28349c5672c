"""Registered users: what may be said of them, and what is left of a deleted one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from oneapi.errors import ApiError
from oneapi.ledger import book, issued, outbox, registered
from oneapi.ledger.book import Posting
from oneapi.ledger.issued import Terms
from oneapi.ledger.outbox import Notice
from oneapi.ledger.queries import records
from oneapi.ledger.registered import NewPerson, Person, PersonChange
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import GATEWAY, Db
from tests.ledger.conftest import a_record

T = TypeVar("T")
NOW = 1_000_000
BOB = NewPerson("bob", "default", display_name="Bob B.", email="Bob@Example.org ",
                email_verified=True, password="scrypt:line")  # fmt: skip


def do(store: SqliteStore, work: Callable[[Db], T]) -> T:
    return store.transact(work).result()


def add(store: SqliteStore, wanted: NewPerson = BOB, *, with_history: bool = False) -> Person:
    return do(store, lambda db: registered.add(db, wanted, now_ms=NOW, with_history=with_history))


def update(store: SqliteStore, **change: object) -> Person:
    wanted: PersonChange = change  # type: ignore[assignment]
    return do(store, lambda db: registered.update(db, "bob", wanted))


def delete(store: SqliteStore) -> str:
    gone = do(store, lambda db: registered.delete(db, "bob", now_ms=NOW))
    store.forget_names()
    return gone


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(ApiError) as caught:
        work()
    return caught.value.code


def test_a_person_is_kept_as_given(store: SqliteStore) -> None:
    person = add(store)
    assert (person.name, person.group, person.email) == ("bob", "default", "bob@example.org")
    assert (person.email_verified, person.enabled, person.has_password) == (True, True, True)
    assert do(store, lambda db: registered.password_of(db, "bob")) == "scrypt:line"
    assert "scrypt" not in repr(person)
    assert do(store, registered.people) == [person]


@pytest.mark.parametrize("name", ["", "a b", "x/y", "-x", "anonymous", "deleted-7", "n" * 65])
def test_a_name_that_cannot_be_is_refused(store: SqliteStore, name: str) -> None:
    assert refused(lambda: add(store, replace(BOB, name=name))) == "wrong_name"


@pytest.mark.parametrize("email", ["bob", "a@b", "a b@c.de", "a@b@c.de", f"{'x' * 300}@b.de"])
def test_what_is_no_address_is_refused(store: SqliteStore, email: str) -> None:
    assert refused(lambda: add(store, replace(BOB, email=email))) == "wrong_email"


def test_a_name_is_taken_once(store: SqliteStore) -> None:
    add(store)
    assert refused(lambda: add(store, replace(BOB, email=None))) == "name_taken"


def test_only_a_verified_address_is_taken(store: SqliteStore) -> None:
    add(store, replace(BOB, email_verified=False))
    add(store, replace(BOB, name="carol", email_verified=True))
    taken = replace(BOB, name="dave", email="BOB@example.ORG")
    assert refused(lambda: add(store, taken)) == "email_taken"
    assert refused(lambda: update(store, email_verified=True)) == "email_taken"
    found = do(store, lambda db: registered.with_email(db, "bob@EXAMPLE.org"))
    assert found is not None
    assert found.name == "carol"


def test_facts_change_and_are_cleared(store: SqliteStore) -> None:
    add(store)
    person = update(store, group="vip", display_name="", email=None, password=None, enabled=False)
    assert (person.group, person.display_name, person.email) == ("vip", "", None)
    assert (person.email_verified, person.enabled, person.has_password) == (False, False, False)
    assert update(store, enabled=True) == replace(person, enabled=True)


def test_another_address_is_not_verified_by_itself(store: SqliteStore) -> None:
    add(store)
    assert update(store, email="bob@example.net").email_verified is False
    assert update(store, email="bob@example.net", email_verified=True).email_verified is True


def test_a_role_beyond_admin_is_not_given_in_the_store(store: SqliteStore) -> None:
    add(store)
    assert update(store, role="admin").role == "admin"
    assert refused(lambda: update(store, role="root")) == "wrong_role"


async def wrote(store: SqliteStore, **facts: object) -> None:
    await store.append(a_record(**facts))


def write(store: SqliteStore, **facts: object) -> None:
    asyncio.run(wrote(store, **facts))


def bob_and_his_record(store: SqliteStore) -> None:
    add(store)
    do(
        store,
        lambda db: issued.issue(
            db, "bob", "laptop", Terms("ci"), hash="ab" * 32, hint="wxyz", now_ms=NOW
        ),
    )
    do(store, lambda db: book.post(db, Posting("bob", "grant", 9_000), GATEWAY, now_ms=NOW))
    write(store, user="bob", token="bob/laptop", policy="ci", cost_nanousd=4_000)


def test_a_deleted_persons_records_and_money_stay_without_the_name(store: SqliteStore) -> None:
    bob_and_his_record(store)
    gone = delete(store)
    (record,) = records(store.path)
    assert (record["user"], record["token"]) == (gone, f"{gone}/#1")
    assert do(store, lambda db: (book.total(db, gone), book.spent(db, gone))) == (9_000, 4_000)
    assert do(store, lambda db: (book.total(db, "bob"), book.spent(db, "bob"))) == (0, 0)
    assert do(store, issued.live_tokens) == []
    (person,) = do(store, lambda db: registered.people(db, deleted=True))
    assert (person.email, person.display_name, person.has_password) == (None, "", False)


def test_nothing_of_a_deleted_person_is_in_the_database(store: SqliteStore) -> None:
    bob_and_his_record(store)
    delete(store)
    store.close()
    with sqlite3.connect(store.path) as db:
        text = "\n".join(db.iterdump()).lower()
    db.close()
    assert "deleted-" in text
    for fact in ("bob", "example.org", "scrypt:", "laptop"):
        assert fact not in text


def test_a_deleted_persons_name_is_not_free_again(store: SqliteStore) -> None:
    add(store)
    delete(store)
    assert refused(lambda: add(store)) == "name_taken"
    assert refused(lambda: add(store, with_history=True)) == "name_taken"


def test_what_ends_after_the_deletion_loses_the_name_too(store: SqliteStore) -> None:
    bob_and_his_record(store)
    gone = delete(store)
    write(store, user="bob", token="bob/laptop", cost_nanousd=500)
    assert do(store, lambda db: registered.tidy(db, since_ms=NOW)) == 2
    store.forget_names()
    newest, _ = records(store.path)
    assert newest["user"] == gone
    assert newest["token"].startswith(f"{gone}/")
    assert do(store, lambda db: book.spent(db, gone)) == 4_500
    assert do(store, lambda db: registered.tidy(db, since_ms=NOW)) == 0


def test_a_user_of_the_file_who_has_the_name_next_keeps_his_tokens(store: SqliteStore) -> None:
    bob_and_his_record(store)
    delete(store)
    store.declare("user", {"bob": None})
    token = do(
        store,
        lambda db: issued.issue(
            db, "bob", "laptop", Terms("ci"), hash="cd" * 32, hint="wxyz", now_ms=NOW
        ),
    )
    do(store, lambda db: registered.tidy(db, since_ms=NOW))
    assert do(store, lambda db: issued.find(db, "bob", "laptop")) == token


def test_notices_about_a_deleted_person_go_too(store: SqliteStore) -> None:
    bob_and_his_record(store)
    for user, address in (("bob", "ops@x.org"), ("alice", "bob@example.org"), ("alice", "a@x.org")):
        notice = Notice("budget", {"subject": "s", "user": user}, [("mail", address)])
        do(store, lambda db, n=notice: outbox.enqueue(db, n, NOW))  # type: ignore[misc]
    delete(store)
    assert [sent.address for sent in outbox.last(store.path)] == ["a@x.org"]


def test_a_former_users_records_are_not_inherited_unasked(store: SqliteStore) -> None:
    store.declare("user", {"bob": None})
    write(store, user="bob", cost_nanousd=4_000)
    assert refused(lambda: add(store)) == "name_has_history"
    add(store, with_history=True)
    assert do(store, lambda db: book.spent(db, "bob")) == 4_000


def test_a_user_who_is_in_the_file_too_is_told_until_adopted(store: SqliteStore) -> None:
    bob_and_his_record(store)
    assert do(store, lambda db: registered.collisions(db, ["alice", "bob"])) == ["bob"]
    do(store, lambda db: registered.adopt(db, "bob", now_ms=NOW))
    assert do(store, lambda db: registered.collisions(db, ["alice", "bob"])) == []
    assert do(store, lambda db: book.total(db, "bob")) == 9_000
    assert [t.name for t in do(store, issued.live_tokens)] == ["laptop"]
    assert refused(lambda: update(store, enabled=False)) == "unknown_user"


def test_an_adopted_user_can_be_registered_again_with_its_history(store: SqliteStore) -> None:
    bob_and_his_record(store)
    do(store, lambda db: registered.adopt(db, "bob", now_ms=NOW))
    assert refused(lambda: add(store)) == "name_has_history"
    assert add(store, with_history=True).adopted_ms == 0
    assert do(store, lambda db: book.total(db, "bob")) == 9_000
