"""`oneapi token`: lines for the file, and tokens in the store."""

from __future__ import annotations

import re
import tomllib

from oneapi.config.keys import key_hash
from tests.cli.managed import Verbs

KEY = re.compile(r"sk-[0-9A-Za-z]{48}")


def test_a_key_for_the_file_comes_with_its_lines(oneapi: Verbs) -> None:
    done = oneapi("token", "new", "laptop")
    key, _, lines = done.out.partition("\n")
    assert KEY.fullmatch(key)
    assert tomllib.loads(lines) == {
        "tokens": {"laptop": {"user": "alice", "policy": "ci", "key": key_hash(key)}}
    }
    assert not (oneapi.folder / "oneapi.db").exists()


def test_an_issued_key_is_printed_alone_and_kept_as_a_hash(oneapi: Verbs) -> None:
    done = oneapi("token", "issue", "laptop")
    assert (done.status, bool(KEY.fullmatch(done.out.strip()))) == (0, True)
    assert "alice/laptop" in done.err
    key = done.out.strip().removeprefix("sk-").encode()
    assert key not in oneapi.database()
    (row,) = oneapi("token", "list", "--json").json()
    assert (row["account"], row["terms"]["policy"]) == ("alice/laptop", "ci")
    assert row["keys"][0]["hint"] == key[-4:].decode()
    assert row["keys"][0]["hash"] is None


def test_terms_are_given_and_changed(oneapi: Verbs) -> None:
    oneapi(
        "token", "issue", "t", "--policy", "ci", "--models", "m, glob-a*", "--quota", "5usd",
        "--subnets", "10.0.0.0/8", "--expires", "2099-01-01",
    )  # fmt: skip
    (row,) = oneapi("token", "list", "--json").json()
    assert row["terms"] == {
        "policy": "ci",
        "models": ["m", "glob-a*"],
        "subnets": ["10.0.0.0/8"],
        "quota_nanousd": 5_000_000_000,
        "expires_ms": 4_070_908_800_000,
    }
    done = oneapi("token", "change", "t", "--quota", "0usd", "--models", "*", "--expires", "never")
    assert done.status == 0
    (row,) = oneapi("token", "list", "--json").json()
    assert (row["terms"]["quota_nanousd"], row["terms"]["models"]) == (0, None)
    assert (row["terms"]["expires_ms"], row["terms"]["subnets"]) == (0, ["10.0.0.0/8"])
    oneapi("token", "change", "t", "--quota", "none", "--subnets", "any")
    (row,) = oneapi("token", "list", "--json").json()
    assert (row["terms"]["quota_nanousd"], row["terms"]["subnets"]) == (None, [])


def test_a_token_is_switched_rotated_and_revoked(oneapi: Verbs) -> None:
    first = oneapi("token", "issue", "t").out.strip()
    assert oneapi("token", "disable", "t").out == "disabled alice/t\n"
    assert " off" in oneapi("token", "list").out
    assert oneapi("token", "enable", "t").out == "enabled alice/t\n"
    second = oneapi("token", "rotate", "t", "--overlap", "1h").out.strip()
    assert KEY.fullmatch(second)
    assert second != first
    (row,) = oneapi("token", "list", "--json").json()
    assert [bool(key["until_ms"]) for key in row["keys"]] == [True, False]
    assert oneapi("token", "revoke", "t").out == "revoked alice/t\n"
    assert "alice/t" not in oneapi("token", "list").out
    assert "revoked" in oneapi("token", "list", "--all").out


def test_no_end_is_so_far_that_it_could_not_be_shown(oneapi: Verbs) -> None:
    for span in ("999999999d", "9999999999999999d"):
        assert oneapi("token", "issue", "t", "--expires", span).status == 1
    oneapi("token", "issue", "t", "--expires", "9999-12-31")
    assert oneapi("token", "rotate", "t", "--overlap", "9999999999999999d").status == 1
    assert "9999-12-31" in oneapi("token", "list").out
    assert oneapi("code", "new", "--value", "1usd", "--expires", "999999999d").status == 1


def test_what_cannot_be_is_said_in_words(oneapi: Verbs) -> None:
    done = oneapi("token", "issue", "t", "--policy", "closed")
    assert (done.status, done.out) == (1, "")
    assert "groups.default.may_issue" in done.err
    assert oneapi("token", "revoke", "nothing").status == 1
    assert oneapi("token", "change", "t").status == 2
    assert oneapi("token", "issue", "t", "--quota", "lots").status == 2
    assert oneapi("token", "issue", "t", "--expires", "soon").status == 2
    oneapi.config.write_text(oneapi.config.read_text() + "[users.bob]\n")
    assert "--user" in oneapi("token", "issue", "t").err
