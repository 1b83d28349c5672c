"""Which target and which key come next."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from oneapi.gateway import policy
from oneapi.gateway.identify import key_hash
from oneapi.gateway.snapshot import Discovered, Target
from oneapi.gateway.state import State
from tests.gateway.making import KEY, snapshot, wanted


def targets(folder: Path, model: str) -> tuple[Target, ...]:
    made = snapshot(folder)
    return made.resolve(model, made.grants[key_hash(KEY)].caller, wanted(), Discovered())


def test_the_higher_priority_always_comes_first(tmp_path: Path) -> None:
    found = targets(tmp_path, "shared")
    firsts = {policy.order(found, State())[0].channel.name for _ in range(50)}
    assert firsts == {"two"}


def test_weights_are_shares_inside_one_priority(tmp_path: Path) -> None:
    found = targets(tmp_path, "fast")
    firsts = Counter(policy.order(found, State())[0].channel.name for _ in range(4000))
    assert 0.70 < firsts["one"] / 4000 < 0.80  # 3 : 1; ten standard deviations wide


def test_a_channel_that_failed_to_connect_comes_after_all_others(tmp_path: Path) -> None:
    found = targets(tmp_path, "shared")
    state = State()
    state.skip("two")
    assert [t.channel.name for t in policy.order(found, state)] == ["one", "two"]


def test_keys_are_used_in_turn_and_ended_ones_not_at_all(tmp_path: Path) -> None:
    text = (
        '[channels.a]\ntype = "openai-compatible"\nbase_url = "http://127.0.0.1:1/v1"\n'
        'models = ["m"]\nkeys = ["first-key", "second-key", '
        '{ key = "old-key", until = 2001-01-01 }]\n'
        "[users.u]\n[policies.p]\n"
        f'[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "sha256:{key_hash(KEY)}"\n'
    )
    made = snapshot(tmp_path, text)
    caller = made.grants[key_hash(KEY)].caller
    (target,) = made.resolve("m", caller, wanted(), Discovered())
    state = State()
    now_ms = 1_700_000_000_000
    turns = [[k.secret for k in policy.live_keys(target.channel, state, now_ms)] for _ in range(3)]
    assert turns == [
        ["first-key", "second-key"],
        ["second-key", "first-key"],
        ["first-key", "second-key"],
    ]
