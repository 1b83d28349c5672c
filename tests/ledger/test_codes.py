"""Redemption codes: batches, states, and one winner however many race."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from oneapi.errors import ApiError
from oneapi.ledger import book, codes
from oneapi.ledger.book import Entry
from oneapi.ledger.codes import Batch, Code, NewBatch
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor, Db

T = TypeVar("T")
REPO = Path(__file__).resolve().parents[2]
BOSS = Actor("boss", "cli")
SPRING = NewBatch("spring", 3, 5_000_000_000)
NOW = 1_000_000


def do(store: SqliteStore, work: Callable[[Db], T]) -> T:
    return store.transact(work).result()


def make(store: SqliteStore, wanted: NewBatch = SPRING) -> list[str]:
    made = [codes.new_code() for _ in range(wanted.count)]
    do(store, lambda db: codes.new_batch(db, wanted, made, BOSS, now_ms=NOW))
    return made


def redeem(store: SqliteStore, code: str, user: str = "alice", now_ms: int = NOW) -> Entry:
    return do(store, lambda db: codes.redeem(db, code, user, BOSS, now_ms=now_ms))


def refusal(store: SqliteStore, code: str, user: str = "alice", now_ms: int = NOW) -> str:
    with pytest.raises(ApiError) as caught:
        redeem(store, code, user, now_ms)
    return caught.value.code


def listed(store: SqliteStore, batch: str = "spring", now_ms: int = NOW) -> list[Code]:
    return do(store, lambda db: codes.codes_of(db, batch, now_ms=now_ms))


def batch(store: SqliteStore) -> Batch:
    return do(store, codes.batches)[0]


def test_a_code_is_140_random_bits_in_letters_that_differ() -> None:
    made = {codes.new_code() for _ in range(200)}
    assert len(made) == 200
    assert all(re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){6}[A-HJ-NP-Z2-9]{4}", code) for code in made)
    assert len({code[:4] for code in made}) > 150


def test_no_two_codes_of_a_batch_end_alike() -> None:
    made = codes.new_codes(codes.MOST_CODES)
    assert len({code[-4:] for code in made}) == len(made) == codes.MOST_CODES


def test_redeeming_books_the_value_once(store: SqliteStore) -> None:
    code = make(store)[0]
    entry = redeem(store, code)
    assert (entry.kind, entry.amount_nanousd, entry.user) == ("code", 5_000_000_000, "alice")
    assert refusal(store, code) == "code_used"
    assert refusal(store, code, "bob") == "code_used"
    assert do(store, lambda db: book.total(db, "alice")) == 5_000_000_000


def test_a_code_is_known_however_it_is_typed(store: SqliteStore) -> None:
    code = make(store)[0]
    assert redeem(store, f" {code.lower().replace('-', ' ')}\n").amount_nanousd > 0


def test_an_unknown_code_is_told_as_such(store: SqliteStore) -> None:
    make(store)
    assert refusal(store, codes.new_code()) == "unknown_code"
    assert refusal(store, "") == "unknown_code"


def test_a_code_may_be_for_several_users_once_each(store: SqliteStore) -> None:
    code = make(store, replace(SPRING, uses=2))[0]
    redeem(store, code, "alice")
    assert refusal(store, code, "alice") == "code_used"
    redeem(store, code, "bob")
    assert refusal(store, code, "carol") == "code_used"


def test_an_expired_code_is_worth_nothing(store: SqliteStore) -> None:
    code = make(store, replace(SPRING, expires_ms=NOW + 10))[0]
    assert refusal(store, code, now_ms=NOW + 10) == "code_expired"
    assert redeem(store, code, now_ms=NOW + 9).amount_nanousd > 0


def test_a_batch_is_switched_off_and_on(store: SqliteStore) -> None:
    code = make(store)[0]
    assert do(store, lambda db: codes.switch(db, "spring", enabled=False)) == 3
    assert refusal(store, code) == "code_disabled"
    assert {c.state for c in listed(store)} == {"disabled"}
    do(store, lambda db: codes.switch(db, "spring", enabled=True))
    assert redeem(store, code).amount_nanousd > 0


def test_one_code_is_switched_off_by_its_ending(store: SqliteStore) -> None:
    first, second, _ = make(store)
    hints = (first[-4:].lower(),)
    assert do(store, lambda db: codes.switch(db, "spring", enabled=False, hints=hints)) == 1
    assert refusal(store, first) == "code_disabled"
    assert redeem(store, second).amount_nanousd > 0


def test_switching_a_used_code_on_gives_no_second_use(store: SqliteStore) -> None:
    code = make(store)[0]
    redeem(store, code)
    for enabled in (False, True):
        do(store, lambda db, on=enabled: codes.switch(db, "spring", enabled=on))  # type: ignore[misc]
    assert refusal(store, code, "bob") == "code_used"


def test_codes_are_listed_with_who_used_them_and_never_themselves(store: SqliteStore) -> None:
    made = make(store)
    redeem(store, made[1], "alice", NOW + 5)
    found = listed(store)
    assert [c.state for c in found] == ["left", "used", "left"]
    assert [(u.user, u.time_ms) for u in found[1].used_by] == [("alice", NOW + 5)]
    assert [c.hint for c in found] == [code[-4:] for code in made]
    assert (batch(store).count, batch(store).used, batch(store).actor) == (3, 1, "boss")
    assert not any(code in repr(found) for code in made)


def test_deleting_leaves_used_codes_as_history(store: SqliteStore) -> None:
    made = make(store)
    redeem(store, made[0])
    assert do(store, lambda db: codes.delete(db, "spring")) == 2
    assert [c.state for c in listed(store)] == ["used"]
    assert refusal(store, made[1]) == "unknown_code"


def test_an_unused_batch_is_deleted_whole_and_its_name_is_free(store: SqliteStore) -> None:
    make(store)
    assert do(store, lambda db: codes.delete(db, "spring")) == 3
    assert do(store, codes.batches) == []
    assert len(make(store)) == 3


@pytest.mark.parametrize(
    "wanted",
    [
        replace(SPRING, name=" "),
        replace(SPRING, count=0),
        replace(SPRING, count=codes.MOST_CODES + 1),
        replace(SPRING, value_nanousd=0),
        replace(SPRING, value_nanousd=-5),
        replace(SPRING, uses=0),
        replace(SPRING, expires_ms=NOW),
    ],
)
def test_an_impossible_batch_is_refused(store: SqliteStore, wanted: NewBatch) -> None:
    with pytest.raises(ApiError) as caught:
        do(store, lambda db: codes.new_batch(db, wanted, [], BOSS, now_ms=NOW))
    assert caught.value.code == "wrong_batch"


def test_a_batchs_name_stands_for_one_batch(store: SqliteStore) -> None:
    make(store)
    with pytest.raises(ApiError) as caught:
        make(store)
    assert (caught.value.status, caught.value.code) == (409, "name_taken")
    assert len(listed(store)) == 3


def test_threads_that_race_on_one_code_have_one_winner(store: SqliteStore) -> None:
    code = make(store)[0]

    def attempt(number: int) -> str:
        try:
            return str(redeem(store, code, f"user{number}").amount_nanousd)
        except ApiError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert sorted(outcomes) == ["5000000000"] + ["code_used"] * 31


RACER = """
import sys
from pathlib import Path
from oneapi.errors import ApiError
from oneapi.ledger import codes
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor
path, user, *wanted = sys.argv[1:]
store = SqliteStore(Path(path))
store.open()
print("ready", flush=True)
sys.stdin.readline()
for code in wanted:
    try:
        store.transact(lambda db: codes.redeem(db, code, user, Actor("", "x"), now_ms=9)).result()
        print("won", flush=True)
    except ApiError as error:
        print(error.code, flush=True)
store.close()
"""


def test_four_processes_that_race_on_codes_have_one_winner_each(store: SqliteStore) -> None:
    made = make(store, replace(SPRING, count=8))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(store.path), f"user{number}", *made],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    outcomes = [racer.communicate(timeout=30)[0].split() for racer in racers]
    for of_one_code in zip(*outcomes, strict=True):
        assert sorted(of_one_code) == ["code_used"] * 3 + ["won"]
    totals = [do(store, lambda db, n=n: book.total(db, f"user{n}")) for n in range(4)]  # type: ignore[misc]
    assert sum(totals) == 8 * 5_000_000_000
