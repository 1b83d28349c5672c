"""Tokens issued at run time: names, terms, rotation, revocation, renamed owners."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from oneapi.errors import ApiError
from oneapi.ledger import issued
from oneapi.ledger.changes import Changes
from oneapi.ledger.issued import IssuedToken, Terms
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Db

T = TypeVar("T")
NOW = 1_000_000
TERMS = Terms("ci")


def do(store: SqliteStore, work: Callable[[Db], T]) -> T:
    return store.transact(work).result()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def issue(
    store: SqliteStore, name: str = "laptop", user: str = "alice", terms: Terms = TERMS
) -> IssuedToken:
    key = digest(f"{user}/{name}")
    return do(
        store, lambda db: issued.issue(db, user, name, terms, hash=key, hint="wxyz", now_ms=NOW)
    )


def rotate(store: SqliteStore, key: str, until_ms: int, now_ms: int = NOW) -> IssuedToken:
    return do(
        store,
        lambda db: issued.rotate(
            db, "alice", "laptop", hash=digest(key), hint="new!", now_ms=now_ms, until_ms=until_ms
        ),
    )


def all_of(store: SqliteStore, user: str = "alice") -> list[IssuedToken]:
    return do(store, lambda db: issued.tokens(db, user))


def refused(store: SqliteStore, work: Callable[[Db], object]) -> str:
    with pytest.raises(ApiError) as caught:
        do(store, work)
    return caught.value.code


def test_a_token_is_kept_with_its_terms(store: SqliteStore) -> None:
    terms = Terms("ci", ("gpt-*",), ("10.0.0.0/8",), 0, NOW + 5)
    made = issue(store, terms=terms)
    assert all_of(store) == [made]
    assert (made.terms, made.account, made.enabled, made.hint) == (
        terms, "alice/laptop", True, "wxyz",
    )  # fmt: skip
    assert made.keys[0].hash == digest("alice/laptop")


def test_a_name_is_one_token_of_its_user_for_ever(store: SqliteStore) -> None:
    issue(store)
    issue(store, user="bob")
    with pytest.raises(ApiError) as caught:
        issue(store)
    assert (caught.value.status, caught.value.code) == (409, "name_taken")
    do(store, lambda db: issued.revoke(db, "alice", "laptop", now_ms=NOW))
    with pytest.raises(ApiError, match="there was"):
        issue(store)


@pytest.mark.parametrize("name", ["", " a", "a/b", "x" * 65, "tab\there"])
def test_a_name_that_would_confuse_is_refused(store: SqliteStore, name: str) -> None:
    with pytest.raises(ApiError) as caught:
        issue(store, name)
    assert caught.value.code == "wrong_name"


def test_names_may_be_in_any_script(store: SqliteStore) -> None:
    assert issue(store, "办公室 laptop").account == "alice/办公室 laptop"


def test_terms_change_to_nothing_as_well_as_to_something(store: SqliteStore) -> None:
    full = Terms("ci", ("a",), ("10.0.0.0/8",), 7, NOW + 5)
    issue(store, terms=full)
    for terms in (replace(full, quota_nanousd=0), Terms("ci", None, (), None, 0)):
        do(store, lambda db, t=terms: issued.change(db, "alice", "laptop", t, enabled=True))  # type: ignore[misc]
        assert all_of(store)[0].terms == terms


def test_a_negative_quota_is_refused(store: SqliteStore) -> None:
    with pytest.raises(ApiError, match="nothing or more"):
        issue(store, terms=Terms("ci", quota_nanousd=-1))


def test_rotation_leaves_the_old_secret_until_a_moment(store: SqliteStore) -> None:
    issue(store)
    made = rotate(store, "second", NOW + 10)
    assert [(k.hash, k.until_ms) for k in made.keys] == [
        (digest("alice/laptop"), NOW + 10),
        (digest("second"), 0),
    ]
    assert made.hint == "new!"


def test_a_second_rotation_never_lengthens_the_first_ones_overlap(store: SqliteStore) -> None:
    issue(store)
    rotate(store, "second", NOW + 10)
    made = rotate(store, "third", NOW + 500, NOW + 1)
    assert [k.until_ms for k in made.keys] == [NOW + 10, NOW + 500, 0]
    made = rotate(store, "fourth", NOW + 20, NOW + 15)
    assert [k.until_ms for k in made.keys] == [NOW + 20, NOW + 20, 0]
    assert digest("alice/laptop") not in {k.hash for k in made.keys}


def test_revoking_takes_the_hashes_away_and_leaves_the_token_as_history(
    store: SqliteStore,
) -> None:
    issue(store)
    do(store, lambda db: issued.revoke(db, "alice", "laptop", now_ms=NOW + 1))
    (token,) = all_of(store)
    assert (token.revoked_ms, token.keys) == (NOW + 1, ())
    assert do(store, issued.live_tokens) == []
    for work in (
        lambda db: issued.revoke(db, "alice", "laptop", now_ms=NOW),
        lambda db: issued.change(db, "alice", "laptop", TERMS, enabled=True),
        lambda db: issued.find(db, "alice", "nothing"),
    ):
        assert refused(store, work) == "unknown_token"


def test_a_user_has_only_so_many_tokens(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issued, "MOST_TOKENS", 2)
    issue(store, "one")
    issue(store, "two")
    with pytest.raises(ApiError) as caught:
        issue(store, "three")
    assert caught.value.code == "too_many_tokens"
    do(store, lambda db: issued.revoke(db, "alice", "one", now_ms=NOW))
    assert issue(store, "three").name == "three"


def test_a_tokens_name_in_records_follows_its_renamed_user(store: SqliteStore) -> None:
    store.declare("user", {"alice": None})
    before = issue(store)
    changes = Changes(store.path)
    changes.look()
    store.declare("user", {"alicia": "alice"})
    assert do(store, issued.follow_names) == 1
    (token,) = all_of(store, "alicia")
    assert (token.id, token.user, token.account) == (before.id, "alicia", "alicia/laptop")
    changed = changes.look()
    assert changed is not None
    assert [t.account for t in changed.tokens] == ["alicia/laptop"]
    assert do(store, issued.follow_names) == 0
    changes.close()


def test_both_tokens_of_one_name_can_be_ended_after_two_users_became_one(
    store: SqliteStore,
) -> None:
    store.declare("user", {"alice": None, "bob": None})
    issue(store)
    issue(store, user="bob")
    store.declare("user", {"bob": "alice"})
    do(store, issued.follow_names)
    for _ in range(2):
        do(store, lambda db: issued.revoke(db, "bob", "laptop", now_ms=NOW))
    assert do(store, issued.live_tokens) == []


def test_a_name_in_records_is_never_two_tokens(store: SqliteStore) -> None:
    store.declare("user", {"alice": None, "bob": None})
    issue(store)
    issue(store, user="bob")
    store.declare("user", {"bob": "alice"})
    do(store, issued.follow_names)  # bob's name is taken: alice's token keeps alice/laptop
    store.declare("user", {"bob": "alice", "alice": None})
    with pytest.raises(ApiError) as caught:
        issue(store)
    assert caught.value.code == "name_taken"


def test_changes_are_seen_from_another_connection_and_only_once(store: SqliteStore) -> None:
    changes = Changes(store.path)
    first = changes.look()
    assert first is not None
    assert (first.users, first.tokens) == (None, [])  # everybody: nobody yet
    issue(store)
    issue(store, user="bob")
    found = changes.look()
    assert found is not None
    assert {t.account for t in found.tokens} == {"alice/laptop", "bob/laptop"}
    assert changes.look() is None
    do(store, lambda db: db.execute("UPDATE names SET declared = 1").rowcount)
    assert changes.look() is None  # committed, but about nobody
    do(store, lambda db: issued.revoke(db, "bob", "laptop", now_ms=NOW))
    found = changes.look()
    assert found is not None
    assert found.users is not None
    assert (len(found.users), found.tokens) == (1, [])
    changes.close()


def test_who_fell_behind_the_log_reads_everything(store: SqliteStore) -> None:
    issue(store)
    changes = Changes(store.path)
    changes.look()
    for name in "abc":
        issue(store, name)
    do(store, lambda db: db.execute("DELETE FROM roster_log WHERE seq < 5").rowcount)
    found = changes.look()
    assert found is not None
    assert found.users is None
    assert len(found.tokens) == 4
    changes.close()
