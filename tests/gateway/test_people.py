"""The one surface for people: rules of the file, money, invitations, the trail, secrets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi.config import keys
from oneapi.errors import ApiError, ConfigError
from oneapi.gateway.attempts import Attempts
from oneapi.gateway.sharing import carry_names, refuse_shared_names
from oneapi.ledger import codes, invitations, registered
from oneapi.ledger.codes import NewBatch
from oneapi.ledger.issued import Terms
from oneapi.ledger.registered import NewPerson
from oneapi.ledger.users import Db
from oneapi.people.passwords import hash_password
from tests.gateway.making import load_text
from tests.gateway.people import BOSS, NOW, TEXT, USD, World, do, refused, world
from tests.ledger.conftest import a_record

BOB = NewPerson("bob", "default")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as found:
        yield found


def left(made: World, user: str) -> int | None:
    return do(made.people.balance(user)).left_nanousd


def spend(made: World, user: str, cost_nanousd: int) -> None:
    async def write() -> None:
        await made.store.append(a_record(user=user, token="", cost_nanousd=cost_nanousd))

    asyncio.run(write())


def summed_up(made: World) -> None:
    """What was spent is in the ledger's sums, as it is after a second."""
    made.store.close()
    made.store.open()


def test_only_policies_that_the_group_may_issue(made: World) -> None:
    assert do(made.people.may_issue("alice")) == ["ci", "laptop"]
    for policy in ("operator", "nothing"):
        terms = Terms(policy)
        issue = made.people.issue_token
        assert refused(lambda i=issue, t=terms: i(BOSS, "alice", "t", t)) == (  # type: ignore[misc]
            403, "policy_not_allowed",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "refusal"),
    [
        (Terms("ci", models=("m2",)), (403, "model_not_allowed")),
        (Terms("ci", models=()), (400, "wrong_models")),
        (Terms("laptop", models=("\x1b[31m*",)), (400, "wrong_models")),
        (Terms("laptop", models=("\udcff*",)), (400, "wrong_models")),
        (Terms("ci", subnets=("nonsense",)), (400, "wrong_subnet")),
        (Terms("ci", subnets=("192.0.2.0/24",)), (400, "wrong_subnet")),
        (Terms("ci", expires_ms=NOW), (400, "wrong_end")),
        (Terms("ci", quota_nanousd=-1), (400, "wrong_quota")),
    ],
)
def test_terms_beyond_the_policy_are_refused(
    made: World, terms: Terms, refusal: tuple[int, str]
) -> None:
    assert refused(lambda: made.people.issue_token(BOSS, "alice", "t", terms)) == refusal
    assert do(made.people.tokens()) == []


def test_a_token_is_changed_in_what_is_named_alone(made: World) -> None:
    terms = Terms("ci", ("m1",), ("10.1.0.0/16",), 5, NOW + 9)
    do(made.people.issue_token(BOSS, "alice", "t", terms))
    changed = do(made.people.change_token(BOSS, "alice", "t", {"quota_nanousd": 0}))
    assert changed.terms == Terms("ci", ("m1",), ("10.1.0.0/16",), 0, NOW + 9)
    changed = do(
        made.people.change_token(
            BOSS, "alice", "t", {"models": None, "quota_nanousd": None, "expires_ms": 0}
        )
    )
    assert changed.terms == Terms("ci", None, ("10.1.0.0/16",), None, 0)


def test_a_token_that_has_expired_can_still_be_changed(made: World) -> None:
    do(made.people.issue_token(BOSS, "alice", "t", Terms("ci", expires_ms=NOW + 9)))
    made.now_ms = NOW + 10
    changed = do(made.people.change_token(BOSS, "alice", "t", {"quota_nanousd": 1}))
    assert changed.terms.expires_ms == NOW + 9
    again = do(made.people.change_token(BOSS, "alice", "t", {"expires_ms": NOW + 99}))
    assert again.terms.expires_ms == NOW + 99


def test_a_disabled_user_issues_nothing(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))
    do(made.people.update_user(BOSS, "bob", {"enabled": False}))
    assert refused(lambda: made.people.issue_token(BOSS, "bob", "t", Terms("ci"))) == (
        403, "user_disabled",
    )  # fmt: skip


def test_a_new_user_begins_with_the_groups_grant(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))
    do(made.people.add_user(BOSS, NewPerson("carol", "each")))
    do(made.people.add_user(BOSS, NewPerson("dave", "default"), grant_nanousd=7))
    assert [left(made, name) for name in ("bob", "carol", "dave")] == [2 * USD, 0, 7]
    (entry,) = do(made.people.entries("bob"))
    assert (entry.kind, entry.actor, entry.origin) == ("grant", "boss", "10.0.0.9")


def test_a_balance_is_quota_plus_entries_minus_spending(made: World) -> None:
    made.reload(TEXT.replace("[users.alice]", '[users.alice]\nquota = "$10"'))
    do(made.people.top_up(BOSS, "alice", 5 * USD))
    do(made.people.correct(BOSS, "alice", -2 * USD, reason="mistake"))
    spend(made, "alice", 4 * USD)
    balance = do(made.people.balance("alice"))
    facts = (balance.quota_nanousd, balance.entries_nanousd, balance.spent_nanousd)
    assert facts == (10 * USD, 3 * USD, 4 * USD)
    assert balance.left_nanousd == 9 * USD


def test_the_balances_of_many_are_those_of_each(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))
    spend(made, "bob", 3)
    spend(made, "alice", 4)
    do(made.people.top_up(BOSS, "alice", 5))
    found = do(made.people.balances(["alice", "bob"]))
    assert found == [do(made.people.balance(name)) for name in ("alice", "bob")]
    assert [balance.spent_nanousd for balance in found] == [4, 3]


def test_a_user_without_a_quota_has_no_end(made: World) -> None:
    spend(made, "alice", 4 * USD)
    assert left(made, "alice") is None


def test_a_quota_of_the_file_can_be_nothing(made: World) -> None:
    made.reload(TEXT.replace("[users.alice]", '[users.alice]\nquota = "$0"'))
    assert left(made, "alice") == 0


def test_a_transaction_counts_once_and_leaves_one_line(made: World) -> None:
    for _ in range(2):
        do(made.people.top_up(BOSS, "alice", USD, transaction_id="T-1"))
    assert do(made.people.balance("alice")).entries_nanousd == USD
    assert [step.action for step in do(made.people.trail())] == ["user.topup"]


def test_nobody_unknown_is_topped_up(made: World) -> None:
    assert refused(lambda: made.people.top_up(BOSS, "nobody", USD)) == (404, "unknown_user")
    assert refused(lambda: made.people.balance("nobody")) == (404, "unknown_user")


def test_groups_must_stand_in_the_file(made: World) -> None:
    assert refused(lambda: made.people.add_user(BOSS, NewPerson("bob", "gold"))) == (
        400, "unknown_group",
    )  # fmt: skip
    do(made.people.add_user(BOSS, BOB))
    assert refused(lambda: made.people.update_user(BOSS, "bob", {"group": "gold"})) == (
        400, "unknown_group",
    )  # fmt: skip


def test_a_user_of_the_file_is_not_registered_as_well(made: World) -> None:
    assert refused(lambda: made.people.add_user(BOSS, NewPerson("alice", "default"))) == (
        409, "name_taken",
    )  # fmt: skip


def test_an_email_is_cleared(made: World) -> None:
    do(made.people.add_user(BOSS, NewPerson("bob", "default", email="b@example.org")))
    assert do(made.people.update_user(BOSS, "bob", {"email": ""})).email is None


def test_a_file_with_a_registered_users_name_is_refused_with_its_place(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))
    text = f"{TEXT}[users.bob]\n"
    loaded = load_text(made.folder, text)
    with pytest.raises(ConfigError) as caught:
        refuse_shared_names(loaded, made.store)
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == (
        "users.bob",
        text[: text.index("[users.bob]")].count("\n") + 1,
    )
    assert "oneapi user adopt bob" in problem.hint


def test_adopting_needs_the_file_and_keeps_book_and_tokens(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))
    key = do(made.people.issue_token(BOSS, "bob", "t", Terms("ci"))).key
    assert refused(lambda: made.people.adopt_user(BOSS, "bob")) == (409, "not_declared")
    text = f'{TEXT}[users.bob]\nquota = "$1"\n'
    made.reload(text)
    do(made.people.adopt_user(BOSS, "bob"))
    refuse_shared_names(load_text(made.folder, text), made.store)
    assert left(made, "bob") == 3 * USD
    hash = keys.key_hash(key).removeprefix("sha256:")
    grant = made.state.roster.find(made.snapshot, hash)
    assert grant is not None
    assert (grant.refusal, grant.caller.budgets[0].limit) == ("", USD)


def test_issued_tokens_follow_a_user_whom_the_file_renames(made: World) -> None:
    made.store.declare("user", {"alice": None})
    do(made.people.issue_token(BOSS, "alice", "t", Terms("ci")))
    text = TEXT.replace("[users.alice]", '[users.alicia]\nwas = "alice"')
    text = text.replace('user = "alice"', 'user = "alicia"')
    made.store.declare("user", {"alicia": "alice"})
    carry_names(load_text(made.folder, text), made.store)
    assert [t.account for t in do(made.people.tokens("alicia"))] == ["alicia/t"]


def test_guessing_codes_is_stopped_by_user_and_by_address(made: World) -> None:
    do(made.people.add_user(BOSS, BOB))

    def guess(user: str, address: str) -> str:
        return refused(lambda: made.people.redeem(BOSS, codes.new_code(), user, address=address))[1]

    assert [guess("bob", f"192.0.2.{n}") for n in range(11)] == (
        ["unknown_code"] * 10 + ["too_many_attempts"]
    )
    assert [guess("alice", "192.0.2.77") for n in range(11)][-1] == "too_many_attempts"
    assert guess("boss", "192.0.2.77") == "too_many_attempts"
    assert guess("boss", "192.0.2.78") == "unknown_code"


def test_right_codes_are_no_guesses(made: World) -> None:
    fresh = do(made.people.make_codes(BOSS, NewBatch("b", 12, USD)))
    for code in fresh.codes:
        do(made.people.redeem(BOSS, code, "alice", address="192.0.2.1"))
    assert do(made.people.balance("alice")).entries_nanousd == 12 * USD


def test_a_thousand_guesses_at_once_are_no_way_around() -> None:
    attempts = Attempts(3, 60.0, clock=lambda: 0.0)
    outcomes = []
    for _ in range(1000):  # none of them has an answer yet
        try:
            attempts.begin("x")
            outcomes.append(True)
        except ApiError:
            outcomes.append(False)
    assert sum(outcomes) == 3


def test_attempts_come_back_with_time_and_say_when() -> None:
    now = [0.0]
    attempts = Attempts(2, 60.0, clock=lambda: now[0])
    attempts.begin("x")
    now[0] = 30.0
    attempts.begin("x")
    with pytest.raises(ApiError) as caught:
        attempts.begin("x")
    assert caught.value.headers["retry-after"] == "30"
    now[0] = 60.5
    attempts.begin("x")


def test_rewards_are_paid_at_once_where_the_file_does_not_wait(made: World) -> None:
    code = do(made.people.invitation_code("alice"))
    do(made.people.add_user(BOSS, BOB, invitation=code))
    assert left(made, "bob") == 3 * USD
    assert do(made.people.balance("alice")).entries_nanousd == 3 * USD


def test_rewards_wait_for_the_first_use_where_the_file_says_so(made: World) -> None:
    made.reload(TEXT + "after_use = true\n")
    code = do(made.people.invitation_code("alice"))
    do(made.people.add_user(BOSS, BOB, invitation=code))
    spend(made, "bob", 0)
    do(made.people.chores())
    assert left(made, "bob") == 2 * USD
    spend(made, "bob", 1)
    summed_up(made)
    do(made.people.chores())
    do(made.people.chores())
    assert left(made, "bob") == 3 * USD - 1
    assert do(made.people.balance("alice")).entries_nanousd == 3 * USD


def test_many_who_never_use_it_cost_nothing(made: World) -> None:
    made.reload(TEXT + "after_use = true\n")

    def join(db: Db) -> None:
        for i in range(1_000):
            registered.add(db, NewPerson(f"u{i}", "default"), now_ms=NOW)
            invitations.invited(db, f"u{i}", "alice", promised=True)

    made.store.transact(join).result()
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        do(made.people.chores())
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.03  # measured: 2 ms; one by one it was 100 ms


def test_nothing_is_owed_later_for_who_came_while_no_reward_was_promised(made: World) -> None:
    made.reload(TEXT.replace('inviter = "$3"\ninvited = "$1"\n', ""))
    code = do(made.people.invitation_code("alice"))
    do(made.people.add_user(BOSS, BOB, invitation=code))
    made.reload(TEXT)
    do(made.people.chores())
    assert left(made, "bob") == 2 * USD


def test_a_wrong_invitation_registers_nobody(made: World) -> None:
    assert refused(lambda: made.people.add_user(BOSS, BOB, invitation="NOBODYS")) == (
        404, "unknown_invitation",
    )  # fmt: skip
    assert do(made.people.users()) == []


def test_the_invitation_of_a_user_who_left_the_file_is_nobodys(made: World) -> None:
    code = do(made.people.invitation_code("alice"))
    made.reload(TEXT.replace("[users.alice]", "[users.alicia]").replace(
        'user = "alice"', 'user = "alicia"'))  # fmt: skip
    status, _ = refused(lambda: made.people.add_user(BOSS, BOB, invitation=code))
    assert status == 404


def test_every_action_leaves_a_line_with_before_and_after(made: World) -> None:
    people = made.people
    do(people.add_user(BOSS, NewPerson("bob", "default", email="b@example.org")))
    do(people.update_user(BOSS, "bob", {"group": "vip", "email": "c@example.org"}))
    do(people.update_user(BOSS, "bob", {"group": "default"}))
    do(people.issue_token(BOSS, "bob", "t", Terms("ci")))
    do(people.change_token(BOSS, "bob", "t", {"enabled": False}))
    do(people.rotate_token(BOSS, "bob", "t"))
    do(people.revoke_token(BOSS, "bob", "t"))
    fresh = do(people.make_codes(BOSS, NewBatch("b", 2, USD)))
    do(people.redeem(BOSS, fresh.codes[0], "bob"))
    do(people.switch_codes(BOSS, "b", enabled=False))
    do(people.delete_codes(BOSS, "b"))
    do(people.correct(BOSS, "bob", -1, reason="why"))
    do(people.delete_user(BOSS, "bob"))
    steps = do(people.trail())[::-1]
    assert [step.action for step in steps] == [
        "user.add", "user.change", "user.change", "token.issue", "token.change", "token.rotate",
        "token.revoke", "code.new", "code.redeem", "code.disable", "code.delete",
        "user.correction", "user.delete",
    ]  # fmt: skip
    assert {(step.actor, step.origin) for step in steps} == {("boss", "10.0.0.9")}
    assert (steps[1].before["group"], steps[1].after["group"]) == ("default", "vip")
    assert steps[4].before["enabled"] is True
    assert steps[4].after["enabled"] is False
    assert {step.user for step in steps} == {"", steps[-1].user}
    assert "example.org" not in json.dumps([[dict(s.before), dict(s.after)] for s in steps])


def test_no_secret_is_in_the_database(made: World) -> None:
    people = made.people
    issued = do(people.issue_token(BOSS, "alice", "t", Terms("ci"))).key
    rotated = do(people.rotate_token(BOSS, "alice", "t")).key
    fresh = do(people.make_codes(BOSS, NewBatch("b", 3, USD)))
    do(people.redeem(BOSS, fresh.codes[0], "alice"))
    password = "correct horse battery"
    wanted = NewPerson("bob", "default", password=hash_password(password))
    do(people.add_user(BOSS, wanted))
    made.store.close()
    dump = b"".join(file.read_bytes() for file in made.folder.glob("oneapi.db*"))
    assert b"alice" in dump
    secrets = [issued, rotated, password, *fresh.codes]
    plain = [s.removeprefix("sk-").replace("-", "") for s in secrets]
    for secret in (*secrets, *plain):
        assert secret.encode() not in dump


def test_secrets_come_from_the_systems_source(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    random.seed(7)
    first = (keys.new_api_key(), codes.new_code())
    random.seed(7)
    assert (keys.new_api_key(), codes.new_code()) != first

    def from_secrets(choices: object) -> str:
        return "X"

    monkeypatch.setattr("secrets.choice", from_secrets)
    assert do(made.people.issue_token(BOSS, "alice", "t", Terms("ci"))).key == "sk-" + "X" * 48
    assert codes.new_code() == "-".join(["XXXX"] * 7)
    assert do(made.people.invitation_code("alice")) == "X" * 12


def test_the_group_of_those_who_sign_up_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, '[auth]\ngroup = "gold"\n')
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == ("auth.group", "there is no group 'gold'")


@pytest.mark.parametrize(("grant", "warned"), [("", True), ('grant = "$1"\n', False)])
def test_a_reward_that_nobody_can_earn_is_warned_of(
    tmp_path: Path, grant: str, warned: bool
) -> None:
    text = f'[groups.default]\n{grant}[auth.invitations]\ninvited = "$1"\nafter_use = true\n'
    problems = load_text(tmp_path, text).problems
    assert [p.key for p in problems if p.key.startswith("auth")] == (
        ["auth.invitations.after_use"] if warned else []
    )


def test_what_a_token_spent_is_known(made: World) -> None:
    do(made.people.issue_token(BOSS, "alice", "t", Terms("ci")))

    async def write() -> None:
        await made.store.append(a_record(user="alice", token="alice/t", cost_nanousd=7))

    asyncio.run(write())
    (token,) = do(made.people.tokens("alice"))
    assert do(made.people.spent_by([token])) == {"alice/t": 7}
    assert do(made.people.spent_by([token, token])) == {"alice/t": 7}
