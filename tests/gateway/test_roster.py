"""Keys issued at run time: what they open under each configuration, and when they stop."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from oneapi.errors import ApiError
from oneapi.gateway.globs import Globs
from oneapi.gateway.identify import Identity, Peer, identify
from oneapi.gateway.people import People
from oneapi.gateway.roster import Roster, Within, common
from oneapi.gateway.snapshot import Discovered, Network
from oneapi.ledger.accounts import TOTAL, Account, Budget
from oneapi.ledger.issued import Terms
from oneapi.ledger.registered import NewPerson
from oneapi.ledger.store_sqlite import SqliteStore
from tests.gateway.making import wanted
from tests.gateway.people import BOSS, NOW, TEXT, USD, World, do, world

INSIDE = Peer("10.1.2.3", "10.1.2.3", "10.0.0.1")
OUTSIDE = Peer("192.0.2.1", "192.0.2.1", "10.0.0.1")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as found:
        yield found


def issue(made: World, terms: Terms, user: str = "alice", name: str = "t") -> str:
    return do(made.people.issue_token(BOSS, user, name, terms)).key


def ask(made: World, key: str, peer: Peer = INSIDE, now_ms: int = NOW) -> Identity:
    return identify(
        made.snapshot,
        made.state,
        {b"host": b"localhost"},
        peer,
        endpoint="chat",
        now_ms=now_ms,
        presented=key,
    )


def refusal(made: World, key: str, peer: Peer = INSIDE, now_ms: int = NOW) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        ask(made, key, peer, now_ms)
    return caught.value.status, caught.value.message


def served(made: World, key: str) -> list[str]:
    caller = ask(made, key).caller
    return [
        model
        for model in ("m1", "m2", "shared", "glob-x", "fast")
        if made.snapshot.resolve(model, caller, wanted(), Discovered())
    ]


def test_an_issued_key_is_known_at_once(made: World) -> None:
    caller = ask(made, issue(made, Terms("ci"))).caller
    assert (caller.user, caller.token, caller.group) == ("alice", "alice/t", "default")
    assert caller.policy.name == "ci"


def test_another_process_is_heard_of(made: World, tmp_path: Path) -> None:
    other = SqliteStore(tmp_path / "oneapi.db")
    other.open()
    key = do(People(other, made.settings).issue_token(BOSS, "alice", "t", Terms("ci"))).key
    other.close()
    assert refusal(made, key)[0] == 401
    do(made.state.roster.refresh())
    assert ask(made, key).caller.token == "alice/t"


def test_a_token_is_confined_to_its_policy_and_to_its_own_narrower_models(made: World) -> None:
    assert served(made, issue(made, Terms("ci"))) == ["m1", "glob-x"]
    narrow = issue(made, Terms("ci", models=("glob-*", "shar*")), name="narrow")
    assert served(made, narrow) == ["glob-x"]
    assert served(made, issue(made, Terms("laptop"), name="wide")) == [
        "m1", "m2", "shared", "glob-x", "fast",
    ]  # fmt: skip


def test_narrowed_tokens_of_one_policy_do_not_share_what_was_resolved(made: World) -> None:
    wide = issue(made, Terms("laptop"), name="wide")
    narrow = issue(made, Terms("laptop", models=("m1",)), name="narrow")
    assert "m2" in served(made, wide)
    assert served(made, narrow) == ["m1"]
    assert "m2" in served(made, wide)


def test_listed_models_are_narrowed_too(made: World) -> None:
    caller = ask(made, issue(made, Terms("laptop", models=("m1",)))).caller
    assert [name for name, _ in made.snapshot.listed(caller, Discovered())] == ["m1"]


def test_networks_of_policy_and_token_both_count(made: World) -> None:
    key = issue(made, Terms("ci", subnets=("10.1.0.0/16", "192.0.2.0/24")))
    assert ask(made, key, INSIDE).caller.user == "alice"
    assert refusal(made, key, OUTSIDE)[0] == 403
    assert refusal(made, key, Peer("10.2.0.1", "10.2.0.1", "10.0.0.1"))[0] == 403


def test_a_forwarded_address_from_a_stranger_is_not_believed(made: World) -> None:
    key = issue(made, Terms("ci"))
    with pytest.raises(ApiError) as caught:
        identify(
            made.snapshot,
            made.state,
            {b"host": b"x", b"x-forwarded-for": b"10.1.2.3"},
            OUTSIDE,
            endpoint="chat",
            now_ms=NOW,
            presented=key,
        )
    assert caught.value.code == "wrong_subnet"


def test_a_policy_that_leaves_the_file_stops_its_tokens_until_it_is_back(made: World) -> None:
    key = issue(made, Terms("laptop"))
    gone = TEXT.replace('may_issue = ["ci", "laptop"]', 'may_issue = ["ci"]')
    made.reload(gone.replace("[policies.laptop]\n", ""))
    status, words = refusal(made, key)
    assert status == 403
    assert "`laptop`" in words
    made.reload(TEXT)
    assert ask(made, key).caller.token == "alice/t"


def test_a_policy_that_may_no_longer_be_issued_stops_its_tokens(made: World) -> None:
    key = issue(made, Terms("laptop"))
    made.reload(TEXT.replace('may_issue = ["ci", "laptop"]', 'may_issue = ["ci"]'))
    status, words = refusal(made, key)
    assert status == 403
    assert "`default`" in words
    assert "`laptop`" in words


def test_networks_that_the_file_moves_away_stop_a_token(made: World) -> None:
    key = issue(made, Terms("ci", subnets=("10.1.0.0/16",)))
    made.reload(TEXT.replace("10.0.0.0/8", "172.16.0.0/12"))
    assert refusal(made, key) == (
        403, "the networks of this API key lie outside of those of its policy",
    )  # fmt: skip


def test_a_token_is_switched_off_and_on(made: World) -> None:
    key = issue(made, Terms("ci"))
    do(made.people.change_token(BOSS, "alice", "t", {"enabled": False}))
    assert refusal(made, key) == (403, "this API key is switched off")
    do(made.people.change_token(BOSS, "alice", "t", {"enabled": True}))
    assert ask(made, key).caller.user == "alice"


def test_a_revoked_key_is_unknown(made: World) -> None:
    key = issue(made, Terms("ci"))
    do(made.people.revoke_token(BOSS, "alice", "t"))
    assert refusal(made, key)[0] == 401
    assert len(made.state.roster) == 0


def test_an_expired_token_is_told_as_such(made: World) -> None:
    key = issue(made, Terms("ci", expires_ms=NOW + 10))
    assert ask(made, key, now_ms=NOW + 9).caller.user == "alice"
    assert refusal(made, key, now_ms=NOW + 10) == (401, "this API key has expired")


def test_rotation_lets_both_keys_in_until_the_overlap_is_over(made: World) -> None:
    old = issue(made, Terms("ci"))
    new = do(made.people.rotate_token(BOSS, "alice", "t", overlap_s=60)).key
    for key in (old, new):
        assert ask(made, key, now_ms=NOW + 59_999).caller.token == "alice/t"
    assert refusal(made, old, now_ms=NOW + 60_000)[0] == 401
    assert ask(made, new, now_ms=NOW + 60_000).caller.token == "alice/t"


def test_rotation_without_overlap_ends_the_old_key(made: World) -> None:
    old = issue(made, Terms("ci"))
    do(made.people.rotate_token(BOSS, "alice", "t", overlap_s=0))
    assert refusal(made, old)[0] == 401


def test_quota_of_the_token_is_a_budget_of_its_own(made: World) -> None:
    caller = ask(made, issue(made, Terms("ci", quota_nanousd=5 * USD))).caller
    assert Budget(Account("token", "alice/t", "nanousd", TOTAL), 5 * USD) in caller.budgets


def test_a_quota_of_nothing_is_a_budget_too(made: World) -> None:
    caller = ask(made, issue(made, Terms("ci", quota_nanousd=0))).caller
    assert Budget(Account("token", "alice/t", "nanousd", TOTAL), 0) in caller.budgets


def test_a_registered_user_spends_what_the_book_holds(made: World) -> None:
    do(made.people.add_user(BOSS, NewPerson("bob", "each")))
    caller = ask(made, issue(made, Terms("ci"), user="bob")).caller
    assert Budget(Account("user", "bob", "nanousd", TOTAL), 0, credited=True) in caller.budgets
    assert (caller.user, caller.group, caller.role) == ("bob", "each", "user")
    assert [limits.rpm for limits in caller.limits if limits.scope == "user"] == [7]


def test_a_disabled_registered_user_is_refused_and_a_deleted_ones_key_unknown(
    made: World,
) -> None:
    do(made.people.add_user(BOSS, NewPerson("bob", "default")))
    key = issue(made, Terms("ci"), user="bob")
    do(made.people.update_user(BOSS, "bob", {"enabled": False}))
    assert refusal(made, key) == (403, "the user of this API key is switched off")
    do(made.people.update_user(BOSS, "bob", {"enabled": True}))
    assert ask(made, key).caller.user == "bob"
    do(made.people.delete_user(BOSS, "bob"))
    assert refusal(made, key)[0] == 401


def test_a_users_other_group_counts_at_once(made: World) -> None:
    do(made.people.add_user(BOSS, NewPerson("bob", "default")))
    key = issue(made, Terms("laptop"), user="bob")
    do(made.people.update_user(BOSS, "bob", {"group": "vip"}))
    assert "`vip`" in refusal(made, key)[1]


def test_a_user_of_the_file_who_is_gone_or_off_takes_its_tokens_along(made: World) -> None:
    key = issue(made, Terms("ci"))
    made.reload(TEXT.replace("[users.alice]", "[users.alice]\nenabled = false"))
    assert refusal(made, key) == (403, "the user of this API key is switched off")
    made.reload(TEXT.replace("[users.alice]", "[users.alicia]").replace(
        'user = "alice"', 'user = "alicia"'))  # fmt: skip
    assert refusal(made, key) == (403, "the user of this API key is no longer there")


def test_an_admins_issued_key_may_pin_and_a_users_may_not(made: World) -> None:
    text = TEXT.replace('may_issue = ["all"]', 'may_issue = ["operator"]')
    made.reload(text)
    key = issue(made, Terms("operator"), user="boss")
    assert ask(made, f"{key}-one").pinned is made.snapshot.channels["one"]
    other = issue(made, Terms("ci"))
    assert refusal(made, f"{other}-one")[0] == 403


def test_a_grant_is_made_once_for_a_configuration(made: World) -> None:
    key = issue(made, Terms("ci"))
    assert ask(made, key).caller is ask(made, key).caller
    before = ask(made, key).caller
    made.reload(TEXT)
    assert ask(made, key).caller is not before


def test_the_secret_of_a_key_is_told_once_and_never_shown(made: World) -> None:
    secret = do(made.people.issue_token(BOSS, "alice", "t", Terms("ci")))
    assert secret.key not in repr(secret)
    assert secret.key[-4:] == secret.token.hint
    listed = do(made.people.tokens("alice"))
    assert secret.key not in repr(listed)


def test_within_needs_both_lists() -> None:
    within = Within(["a*"], Globs(["*b"]))
    assert [name in within for name in ("ab", "a", "b")] == [True, False, False]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ((), (), ()),
        (("10.0.0.0/8",), (), ("10.0.0.0/8",)),
        ((), ("10.0.0.0/8",), ("10.0.0.0/8",)),
        (("10.0.0.0/8", "fd00::/8"), ("10.1.0.0/16",), ("10.1.0.0/16",)),
        (("10.1.2.0/24",), ("10.0.0.0/8",), ("10.1.2.0/24",)),
        (("10.0.0.0/8",), ("11.0.0.0/8",), None),
        (("10.0.0.0/8",), ("fd00::/8",), None),
    ],
)
def test_networks_in_common(
    one: tuple[str, ...], other: tuple[str, ...], found: tuple[str, ...] | None
) -> None:
    def nets(texts: tuple[str, ...]) -> tuple[Network, ...]:
        return tuple(ip_network(text) for text in texts)

    assert common(nets(one), nets(other)) == (None if found is None else nets(found))


def test_an_empty_roster_knows_nobody(made: World) -> None:
    assert Roster().find(made.snapshot, "ab" * 32) is None
