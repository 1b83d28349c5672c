"""Who asks: credentials, pins, keyless callers, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from oneapi.errors import ApiError
from oneapi.gateway.identify import Identity, Peer, credential, identify, peer
from oneapi.gateway.snapshot import Snapshot
from oneapi.gateway.state import State
from tests.gateway.making import ADMIN_KEY, BASE, KEY, snapshot

LOCAL = Peer("127.0.0.1", "127.0.0.1", "127.0.0.1")
LOCALHOST = {b"host": b"localhost:3000"}
KEYLESS = BASE + '[policies.local]\nmodels = ["m1"]\n[server]\nanonymous = "local"\n'


def ask(
    made: Snapshot,
    presented: str,
    *,
    endpoint: str = "chat",
    peer: Peer = LOCAL,
    headers: Mapping[bytes, bytes] = LOCALHOST,
    state: State | None = None,
) -> Identity:
    return identify(
        made,
        state or State(),
        headers,
        peer,
        endpoint=endpoint,
        now_ms=1_800_000_000_000,
        presented=presented,
    )


def refusal(made: Snapshot, presented: str, **how: object) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        ask(made, presented, **how)  # type: ignore[arg-type]
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({b"authorization": b"Bearer sk-a"}, "sk-a"),
        ({b"authorization": b"bearer  sk-a"}, "sk-a"),
        ({b"authorization": b"sk-a"}, "sk-a"),
        ({b"authorization": b"Bearer ", b"x-api-key": b"sk-b"}, "sk-b"),
        ({b"x-api-key": b"sk-b", b"api-key": b"sk-c"}, "sk-b"),
        ({b"api-key": b"sk-c", b"x-goog-api-key": b"sk-d"}, "sk-c"),
        ({b"x-goog-api-key": b"sk-d"}, "sk-d"),
        ({}, ""),
    ],
)
def test_the_first_credential_decides(headers: Mapping[bytes, bytes], found: str) -> None:
    assert credential(headers, b"key=sk-q") == found


def test_a_key_in_the_query_counts_only_where_the_path_allows_it() -> None:
    assert credential({}, b"a=b&key=sk-q", query_key=True) == "sk-q"
    assert credential({}, b"a=b&key=sk-q") == ""


def test_a_key_is_known_with_and_without_its_prefix(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    assert ask(made, KEY).caller.user == "alice"
    assert ask(made, KEY.removeprefix("sk-")).caller.user == "alice"


def test_an_unknown_key_is_401_and_an_endless_guesser_429(tmp_path: Path) -> None:
    made = snapshot(tmp_path, BASE + "[server]\nkey_attempts_per_minute = 3\n")
    state = State()
    answers = [refusal(made, "sk-wrong", state=state) for _ in range(4)]
    assert answers == [(401, "invalid_api_key")] * 3 + [(429, "too_many_key_attempts")]
    other = Peer("192.0.2.9", "192.0.2.9", "192.0.2.200")
    assert ask(made, KEY, state=state, peer=other).caller.user == "alice"


def test_a_pin_takes_an_admin_and_a_policy_that_names_it(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    pinned = ask(made, f"{ADMIN_KEY}-one").pinned
    assert pinned is not None
    assert pinned.name == "one"
    assert ask(made, f"{ADMIN_KEY}-{pinned.id}").pinned is pinned
    assert refusal(made, f"{ADMIN_KEY}-none") == (400, "unknown_channel")
    assert refusal(made, f"{KEY}-one") == (403, "pin_not_allowed")


def test_an_endpoint_outside_the_policy_is_403(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    assert refusal(made, ADMIN_KEY, endpoint="embeddings") == (403, "endpoint_not_allowed")
    assert refusal(made, KEY, endpoint="proxy") == (403, "endpoint_not_allowed")


def test_ends_of_tokens_keys_and_policies_are_kept(tmp_path: Path) -> None:
    ended = BASE.replace("[policies.all]", "[policies.all]\nexpires = 2020-01-01")
    assert refusal(snapshot(tmp_path, ended), KEY) == (401, "expired_api_key")
    ended = BASE.replace("[tokens.alice]", "[tokens.alice]\nexpires = 2020-01-01")
    assert refusal(snapshot(tmp_path, ended), KEY) == (401, "expired_api_key")


def test_a_disabled_user_token_or_policy_is_403(tmp_path: Path) -> None:
    for table in ("[users.alice]", "[tokens.alice]", "[policies.all]"):
        off = BASE.replace(table, f"{table}\nenabled = false")
        assert refusal(snapshot(tmp_path, off), KEY) == (403, "access_denied")


def test_subnets_hold_for_the_clients_address(tmp_path: Path) -> None:
    made = snapshot(
        tmp_path, BASE.replace("[policies.all]", '[policies.all]\nsubnets = ["10.0.0.0/8"]')
    )
    inside = Peer("10.1.2.3", "10.1.2.3", "192.0.2.200")
    mapped = Peer("::ffff:10.1.2.3", "::ffff:10.1.2.3", "192.0.2.200")
    assert ask(made, KEY, peer=inside).caller.user == "alice"
    assert ask(made, KEY, peer=mapped).caller.user == "alice"
    assert refusal(made, KEY) == (403, "wrong_subnet")


def test_a_keyless_call_from_this_machine_is_the_anonymous_user(tmp_path: Path) -> None:
    caller = ask(snapshot(tmp_path, KEYLESS), "").caller
    assert (caller.user, caller.policy.name, caller.anonymous) == ("anonymous", "local", True)


@pytest.mark.parametrize("word", ["ollama", "none", "lm-studio"])
def test_a_made_up_key_that_is_no_sk_key_is_anonymous_too(tmp_path: Path, word: str) -> None:
    assert ask(snapshot(tmp_path, KEYLESS), word).caller.anonymous


def test_every_other_wrong_key_is_refused(tmp_path: Path) -> None:
    assert refusal(snapshot(tmp_path, KEYLESS), "sk-ollama") == (401, "invalid_api_key")
    assert refusal(snapshot(tmp_path), "ollama") == (401, "invalid_api_key")
    assert refusal(snapshot(tmp_path), "") == (401, "missing_api_key")


@pytest.mark.parametrize(
    "mark", [b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"via"]
)
def test_what_came_through_a_proxy_is_not_keyless(tmp_path: Path, mark: bytes) -> None:
    made = snapshot(tmp_path, KEYLESS)
    assert refusal(made, "", headers={**LOCALHOST, mark: b"x"}) == (401, "missing_api_key")


def test_keyless_needs_both_ends_on_loopback(tmp_path: Path) -> None:
    made = snapshot(tmp_path, KEYLESS)
    away = Peer("192.0.2.1", "192.0.2.1", "127.0.0.1")
    public = Peer("127.0.0.1", "127.0.0.1", "192.0.2.200")
    assert refusal(made, "", peer=away) == (401, "missing_api_key")
    assert refusal(made, "", peer=public) == (401, "missing_api_key")


@pytest.mark.parametrize("host", [b"localhost", b"127.0.0.1:3000", b"[::1]:3000", b"LocalHost"])
def test_keyless_calls_answer_to_this_machines_names(tmp_path: Path, host: bytes) -> None:
    assert ask(snapshot(tmp_path, KEYLESS), "", headers={b"host": host}).caller.anonymous


def test_keyless_calls_under_a_foreign_name_are_421(tmp_path: Path) -> None:
    made = snapshot(tmp_path, KEYLESS)
    assert refusal(made, "", headers={b"host": b"evil.example"}) == (421, "unknown_host")
    named = snapshot(tmp_path, KEYLESS + 'hosts = ["gateway.lan"]\n')
    assert ask(named, "", headers={b"host": b"gateway.lan:3000"}).caller.anonymous


def test_keyless_calls_of_other_sites_pages_are_refused(tmp_path: Path) -> None:
    made = snapshot(tmp_path, KEYLESS)
    origin = {**LOCALHOST, b"origin": b"https://evil.example"}
    crossing = {**LOCALHOST, b"sec-fetch-site": b"cross-site"}
    own = {**LOCALHOST, b"origin": b"http://localhost:3000"}
    assert refusal(made, "", headers=origin) == (403, "cross_site")
    assert refusal(made, "", headers=crossing) == (403, "cross_site")
    assert ask(made, "", headers=own).caller.anonymous


def test_forwarding_headers_count_from_trusted_proxies_only() -> None:
    headers = {b"x-forwarded-for": b"203.0.113.7, 10.0.0.2"}
    proxies = [ip_network("10.0.0.0/8")]
    assert peer(headers, "10.0.0.1", "10.0.0.9", proxies).address == "203.0.113.7"
    assert peer(headers, "192.0.2.1", "10.0.0.9", proxies).address == "192.0.2.1"
    assert peer(headers, "10.0.0.1", "10.0.0.9", []).address == "10.0.0.1"


def test_a_client_cannot_forge_the_hops_before_its_own_address() -> None:
    headers = {b"x-forwarded-for": b"127.0.0.1, 203.0.113.7"}
    proxies = [ip_network("10.0.0.0/8")]
    assert peer(headers, "10.0.0.1", "10.0.0.9", proxies).address == "203.0.113.7"
