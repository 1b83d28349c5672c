"""What a snapshot resolves and lists."""

from __future__ import annotations

from pathlib import Path

from oneapi.gateway.identify import key_hash
from oneapi.gateway.snapshot import Caller, Discovered, Snapshot
from tests.gateway.making import KEY, snapshot, wanted

NOTHING = Discovered()


def caller(made: Snapshot, key: str = KEY) -> Caller:
    return made.grants[key_hash(key)].caller


def channels(made: Snapshot, model: str) -> set[str]:
    found = made.resolve(model, caller(made), wanted(), NOTHING)
    return {target.channel.name for target in found}


def test_a_model_that_two_channels_list_has_two_targets(tmp_path: Path) -> None:
    assert channels(snapshot(tmp_path), "shared") == {"one", "two"}


def test_a_glob_serves_every_name_it_matches(tmp_path: Path) -> None:
    assert channels(snapshot(tmp_path), "glob-x") == {"two"}


def test_another_groups_channel_is_out_of_reach(tmp_path: Path) -> None:
    assert channels(snapshot(tmp_path), "m3") == set()


def test_an_alias_takes_its_routes_models_weights_and_priorities(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    first, second = made.resolve("fast", caller(made), wanted(), NOTHING)
    assert (first.channel.name, first.model, first.weight, first.priority) == ("one", "m1", 3, 0)
    assert (second.channel.name, second.model) == ("two", "m2")
    assert (second.weight, second.priority) == (1, 0)
    assert first.renamed
    assert second.renamed


def test_a_route_inherits_its_channels_priority(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    found = made.resolve("shared", caller(made), wanted(), NOTHING)
    assert {t.channel.name: t.priority for t in found} == {"one": 0, "two": 5}


def test_the_list_has_aliases_and_literal_names_once_and_no_globs(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    names = [name for name, _ in made.listed(caller(made), NOTHING)]
    assert sorted(names) == ["fast", "m1", "m2", "shared"]


def test_discovered_names_are_served_and_listed_and_latest_may_be_left_out(tmp_path: Path) -> None:
    text = '[channels.o]\ntype = "ollama"\n[users.u]\n[policies.p]\n'
    text += f'[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "sha256:{key_hash(KEY)}"\n'
    made = snapshot(tmp_path, text)
    known = Discovered({"o": frozenset({"llama3:latest", "qwen3:8b"})}, 1)
    assert made.resolve("llama3", caller(made), wanted(), known)
    assert made.resolve("qwen3:8b", caller(made), wanted(), known)
    assert not made.resolve("qwen3", caller(made), wanted(), known)
    assert [n for n, _ in made.listed(caller(made), known)] == ["llama3:latest", "qwen3:8b"]


def test_a_new_discovery_is_seen_although_answers_are_kept(tmp_path: Path) -> None:
    text = '[channels.o]\ntype = "ollama"\n[users.u]\n[policies.p]\n'
    text += f'[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "sha256:{key_hash(KEY)}"\n'
    made = snapshot(tmp_path, text)
    first = Discovered({"o": frozenset({"a", "b"})}, 1)
    assert made.resolve("a", caller(made), wanted(), first)
    later = Discovered({"o": frozenset({"b"})}, 2)
    assert not made.resolve("a", caller(made), wanted(), later)
    assert made.resolve("b", caller(made), wanted(), later)


def test_a_policy_confines_models_and_channels(tmp_path: Path) -> None:
    text = (
        '[channels.a]\ntype = "mock"\nmodels = ["m", "n"]\n'
        '[channels.b]\ntype = "mock"\nmodels = ["m", "n"]\n'
        '[users.u]\n[policies.p]\nmodels = ["m*"]\nchannels = ["b"]\n'
        f'[tokens.t]\nuser = "u"\npolicy = "p"\nkey = "sha256:{key_hash(KEY)}"\n'
    )
    made = snapshot(tmp_path, text)
    assert channels(made, "m") == {"b"}
    assert channels(made, "n") == set()
    assert [n for n, _ in made.listed(caller(made), NOTHING)] == ["m"]
