"""`oneapi user`: registering, money, switching, deleting, adopting."""

from __future__ import annotations

from typing import Any

import pytest

from oneapi.cli.place import print_table
from tests.cli.managed import Verbs


def shown(oneapi: Verbs, name: str) -> dict[str, Any]:
    return oneapi("user", "show", name, "--json").json()[0]


def test_a_user_is_added_with_group_and_grant_of_the_file(oneapi: Verbs) -> None:
    assert oneapi("user", "add", "bob").out == "added bob, group default\n"
    bob = shown(oneapi, "bob")
    assert (bob["group"], bob["left_nanousd"], bob["has_password"]) == ("default", 2 * 10**9, False)
    assert oneapi("user", "add", "carol", "--group", "vip", "--grant", "0usd").status == 0
    assert shown(oneapi, "carol")["left_nanousd"] == 0


def test_a_password_is_read_and_kept_as_a_line(oneapi: Verbs) -> None:
    done = oneapi("user", "add", "bob", "--password", stdin="correct horse\n")
    assert done.status == 0
    assert shown(oneapi, "bob")["has_password"] is True
    dump = oneapi.database()
    assert b"correct horse" not in dump
    assert b"scrypt:" in dump
    assert oneapi("user", "add", "carol", "--password", stdin="short\n").status == 2


def test_money_is_topped_up_and_corrected_for_everybody(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob")
    assert oneapi("user", "topup", "bob", "5usd").out == "bob: $7.00 left\n"
    for _ in range(2):
        oneapi("user", "topup", "bob", "1000000points", "--transaction", "T-1")
    done = oneapi("user", "correct", "bob", "--take", "0.5usd", "--reason", "twice")
    assert done.out == "bob: $8.50 left\n"
    assert oneapi("user", "topup", "alice", "5usd").out == "alice: no limit left\n"
    bob = shown(oneapi, "bob")
    assert [entry["kind"] for entry in bob["entries"]] == ["correction", "topup", "topup", "grant"]
    assert bob["entries"][0]["amount_nanousd"] == -500_000_000
    table = oneapi("user", "show", "bob").out
    assert "twice" in table
    assert "-$0.50" in table


def test_a_correction_needs_a_reason_and_a_topup_an_amount(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob")
    assert oneapi("user", "correct", "bob", "--add", "1usd").status == 2
    assert oneapi("user", "correct", "bob", "--add", "1usd", "--reason", "").status == 1
    assert oneapi("user", "topup", "bob", "0usd").status == 1
    assert oneapi("user", "topup", "nobody", "1usd").status == 1


def test_which_way_a_correction_goes_is_said_once(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob")
    for way in ("--take=-5usd", "--add=-5usd", "--take=", "--add="):
        assert oneapi("user", "correct", "bob", way, "--reason", "x").status == 2
    assert [entry["kind"] for entry in shown(oneapi, "bob")["entries"]] == ["grant"]


def test_a_table_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"error": "550 no\n\x1b[31msuch"}], {"error": "ERROR"})
    assert capsys.readouterr().out == "ERROR\n550 no\\n\\x1b[31msuch\n"


def test_a_word_that_is_not_utf8_is_told_of(oneapi: Verbs) -> None:
    done = oneapi("user", "show", "\udcff")
    assert (done.status, done.err) == (1, "oneapi: '\\udcff' cannot be written as utf-8\n")


def test_facts_change_and_are_cleared(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob", "--email", "b@example.org")
    oneapi("user", "change", "bob", "--group", "vip", "--email", "", "--display-name", "Bob")
    bob = shown(oneapi, "bob")
    assert (bob["group"], bob["email"], bob["display_name"]) == ("vip", None, "Bob")
    assert oneapi("user", "change", "bob").status == 2
    done = oneapi("user", "change", "bob", "--group", "gold")
    assert done.status == 1
    assert "vip" in done.err


def test_a_user_is_switched_off_on_and_deleted(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob", "--email", "b@example.org")
    assert oneapi("user", "disable", "bob").out == "disabled bob\n"
    assert " off" in oneapi("user", "list").out
    assert oneapi("user", "enable", "bob").out == "enabled bob\n"
    assert "deleted-" in oneapi("user", "delete", "bob").out
    assert oneapi("user", "list", "--json").json() == []
    assert oneapi("user", "show", "bob").status == 1
    assert oneapi("user", "add", "bob").status == 1


def test_invitations_bring_rewards(oneapi: Verbs) -> None:
    code = oneapi("user", "invite", "alice").out.strip()
    assert oneapi("user", "invite", "alice").out.strip() == code
    oneapi("user", "add", "bob", "--invited-by", code)
    assert shown(oneapi, "alice")["entries_nanousd"] == 3 * 10**9
    assert shown(oneapi, "bob")["invited_by"] == "alice"


def test_adopting_wants_the_user_in_the_file(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob")
    assert "[users.bob]" in oneapi("user", "adopt", "bob").err
    oneapi.config.write_text(oneapi.config.read_text() + '[users.bob]\nquota = "$1"\n')
    assert "adopt bob" in oneapi("check").err
    assert oneapi("user", "adopt", "bob").status == 0
    assert oneapi("check").status == 0
    assert oneapi("user", "list", "--json").json() == []
    assert shown(oneapi, "bob")["left_nanousd"] == 3 * 10**9


def test_the_trail_says_who_did_what(oneapi: Verbs) -> None:
    oneapi("user", "add", "bob")
    oneapi("user", "change", "bob", "--group", "vip")
    oneapi("code", "new", "--value", "1usd", "--name", "spring")
    steps = oneapi("user", "trail", "--json").json()
    assert [step["action"] for step in steps] == ["code.new", "user.change", "user.add"]
    assert (steps[1]["before"], steps[1]["after"]) == ({"group": "default"}, {"group": "vip"})
    assert steps[0]["origin"].startswith("cli:")
    assert "spring" not in oneapi("user", "trail", "bob").out
    assert len(oneapi("user", "trail", "--json", "--limit", "1").json()) == 1
    for limit in ("0", "-5", "99999999999999999999"):
        assert oneapi("user", "trail", f"--limit={limit}").status == 2
