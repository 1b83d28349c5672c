"""`oneapi code`: batches, CSV, states, redemption."""

from __future__ import annotations

import csv
import io
import re

from tests.cli.managed import Verbs

CODE = re.compile(r"([A-Z2-9]{4}-){6}[A-Z2-9]{4}")


def make(oneapi: Verbs, *more: str) -> list[str]:
    done = oneapi("code", "new", "--value", "5usd", "--name", "spring", *more)
    assert done.status == 0, done.err
    return done.out.split()


def test_codes_are_printed_once_and_kept_as_hashes(oneapi: Verbs) -> None:
    codes = make(oneapi, "--count", "3")
    assert len(codes) == 3
    assert all(CODE.fullmatch(code) for code in codes)
    listed = oneapi("code", "list", "spring", "--json")
    assert [row["state"] for row in listed.json()] == ["left"] * 3
    dump = oneapi.database()
    for code in codes:
        assert code not in listed.out
        assert code.encode() not in dump
        assert code.replace("-", "").encode() not in dump


def test_codes_as_csv_have_no_formulas(oneapi: Verbs) -> None:
    done = oneapi("code", "new", "--value", "500000points", "--count", "2", "--name", "=1+1",
                  "--expires", "2099-01-01", "--csv")  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [CODE.fullmatch(row["code"]) is not None for row in rows] == [True, True]
    assert rows[0]["batch"] == "'=1+1"
    assert (rows[0]["value"], rows[0]["expires"]) == ("$1.00", "2099-01-01 00:00")


def test_a_code_is_redeemed_once(oneapi: Verbs) -> None:
    (code,) = make(oneapi)
    oneapi("user", "add", "bob")
    done = oneapi("code", "redeem", code, "--user", "bob")
    assert done.out == "bob has got $5.00\n"
    again = oneapi("code", "redeem", "--user", "alice", stdin=f"{code.lower()}\n")
    assert (again.status, again.out) == (1, "")
    assert "has been used" in again.err
    shown = oneapi("code", "list", "spring").out
    assert "used" in shown
    assert "bob" in shown
    assert "1/1" in oneapi("code", "list").out


def test_codes_are_switched_off_on_and_deleted(oneapi: Verbs) -> None:
    codes = make(oneapi, "--count", "3")
    assert oneapi("code", "disable", "spring").out == "disabled 3 codes of spring\n"
    assert "off" in oneapi("code", "redeem", codes[0], "--user", "alice").err
    assert oneapi("code", "enable", "spring").status == 0
    assert oneapi("code", "redeem", codes[0], "--user", "alice").status == 0
    assert oneapi("code", "delete", "spring", codes[1][-4:]).out == "deleted 1 codes of spring\n"
    assert oneapi("code", "delete", "spring").out == "deleted 1 codes of spring\n"
    assert [row["state"] for row in oneapi("code", "list", "spring", "--json").json()] == ["used"]


def test_a_code_that_is_named_in_full_is_not_kept_so(oneapi: Verbs) -> None:
    (code,) = make(oneapi, "--count", "1")
    assert oneapi("code", "disable", "spring", code.lower()).out == "disabled 1 codes of spring\n"
    assert oneapi("code", "enable", "spring", code).status == 0
    steps = oneapi("user", "trail", "--json", "--limit", "1").json()
    assert steps[0]["after"] == {"codes": 1, "hints": [code[-4:]]}
    assert code[:9].encode() not in oneapi.database().upper()


def test_a_hundred_codes_for_five_dollars_as_the_manual_says(oneapi: Verbs) -> None:
    done = oneapi("code", "new", "--count", "100", "--value", "5usd")
    assert len(set(done.out.split())) == 100
    (batch,) = oneapi("code", "list", "--json").json()
    assert (batch["count"], batch["value_nanousd"], batch["uses"]) == (100, 5_000_000_000, 1)


def test_what_cannot_be_is_said_in_words(oneapi: Verbs) -> None:
    assert oneapi("code", "new", "--value", "much").status == 2
    assert oneapi("code", "new", "--value", "0usd").status == 1
    assert oneapi("code", "list", "nothing").status == 1
    assert "no such code" in oneapi("code", "redeem", "XXXX", "--user", "alice").err
