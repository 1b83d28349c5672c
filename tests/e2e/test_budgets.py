"""Budgets in every endpoint: what is held, what is refused and with which words, what is lowered,
and that nobody gets money back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.harness import (
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    key_hash,
    scripted_upstream,
)

JSON = Any
TALK: Final = [{"role": "user", "content": "hello"}]
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
COST: Final = 10 * 1_000 + 20 * 2_000
"""Nano-dollars of an answer: $1 and $2 per million tokens."""


def said(usage: JSON = USAGE) -> JSON:
    message = {"role": "assistant", "content": "hi"}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


def claude(usage: JSON) -> JSON:
    return {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def answer(request: Received) -> Reply:
    """Every endpoint's own shape, with usage."""
    if request.path.endswith("/embeddings"):
        row = {"object": "embedding", "index": 0, "embedding": [0.1]}
        return json_reply({"object": "list", "data": [row], "model": "m", "usage": USAGE})
    if "/images/" in request.path:
        return json_reply({"created": 1, "data": [{"b64_json": "aGk="}]})
    if request.path.endswith("/speech"):
        return Reply(200, (("content-type", "audio/mpeg"),), b"sound")
    if request.path.endswith("/messages"):
        return json_reply(claude({"input_tokens": 10, "output_tokens": 20}))
    if request.path.endswith("/responses"):
        usage = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
        part = {"type": "output_text", "text": "hi", "annotations": []}
        item = {"type": "message", "id": "i", "role": "assistant", "content": [part]}
        value = {"id": "resp_1", "object": "response", "model": "m", "output": [item]}
        return json_reply({**value, "status": "completed", "usage": usage})
    if request.path.endswith("/rerank"):
        return json_reply({"results": [{"index": 0, "relevance_score": 1}], "usage": USAGE})
    return json_reply(said())


def key(name: str) -> str:
    return "sk-" + name.ljust(48, "0")


def who(name: str, *, policy: str = "", user: str = "", token: str = "") -> str:
    return (
        f"[users.{name}]\n{user}\n[policies.{name}]\n{policy}\n"
        f'[tokens.{name}]\nuser = "{name}"\npolicy = "{name}"\n'
        f'key = "{key_hash(key(name))}"\n{token}\n'
    )


ADMINS: Final = 'endpoints = ["proxy"]\nbudget = "$0.02/day"'
WAITING: Final = 'budget = "$0.01/total"\nqueue_s = 5'


def toml(url: str) -> str:
    base = f'base_url = "{url}/v1"\nkeys = ["k"]\ndiscover = false\n'
    return f"""
[channels.up]
type = "openai-compatible"
{base}models = ["m", "free", "each", "pic", "say", "shared", "capped", "drawn", "long", "heard"]
[channels.costly]
type = "openai-compatible"
{base}models = ["spread"]
priority = 5
budget = "$0.01/day"
[channels.spare]
type = "openai-compatible"
{base}models = ["spread"]
[channels.claude]
type = "anthropic"
base_url = "{url}/v1"
keys = ["k"]
models = ["claude"]
[models.capped]
routes = [{{ channel = "up" }}]
budget = "$0.02/month"
[groups.team]
budget = "$0.02/week"
[prices.m]
input = 1
output = 2
[prices.claude]
input = 1
output = 2
[prices.long]
input = 1
output = 2
[prices.each]
request = 0.01
[prices.spread]
request = 0.01
[prices.capped]
request = 0.01
[prices.shared]
request = 0.01
[prices.pic]
image = {{ "1024x1024 standard" = 0.04, "1024x1024 hd" = 0.08, "*" = 0.05 }}
[prices.say]
character = 15
[prices.heard]
second = 0.0001
{who("ten", policy='budget = "$0.10/day"')}
{who("dear", policy='budget = "$0.0001/day"')}
{who("lower", user='quota = "$0.01"')}
{who("poor", user='quota = "$0"')}
{who("spent", token='quota = "$0.01"')}
{who("tokens", policy='budget = "5000 tokens/day"')}
{who("team1", user='group = "team"')}
{who("team2", user='group = "team"')}
{who("any")}
{who("ones")}
{who("boss", user='role = "admin"', policy=ADMINS)}
{who("rolling", policy='budget = "$0.02/60s"')}
{who("waits", policy=WAITING)}
{who("thirty", policy='budget = "$0.30/day"')}
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(answer) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("budgets"), toml(upstream.url)) as found:
        yield found


@pytest.fixture(autouse=True)
def usual(upstream: Upstream) -> None:
    upstream.script = answer


def asked(running: Running, name: str, model: str = "m", **more: JSON) -> Answer:
    value = {"model": model, "messages": TALK, "max_tokens": 50, **more}
    return running.post("/v1/chat/completions", value, key=key(name))


def spent(running: Running, name: str) -> int:
    return sum(r["cost_nanousd"] or 0 for r in running.records() if r["user"] == name)


def error(found: Answer) -> JSON:
    return found.json()["error"]


def test_two_hundred_at_once_against_a_budget_for_ten_let_ten_through(
    running: Running, upstream: Upstream
) -> None:
    head = (("content-type", "application/json"),)
    upstream.script = lambda _: Reply(200, head, [0.05, json_reply(said()).body])  # type: ignore[list-item]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: asked(running, "ten", "each"), range(200)))
    assert [a.status for a in answers].count(200) == 10
    assert {a.status for a in answers} == {200, 429}
    assert spent(running, "ten") == 100_000_000
    refused = asked(running, "ten", "each")
    assert error(refused)["code"] == "insufficient_quota"
    words = error(refused)["message"]
    assert "budget of token `ten` ($0.10 a day) is reached: $0.10 used" in words
    assert "It frees at" in words
    assert refused.headers["x-should-retry"] in ("true", "false")


def test_a_quota_that_is_gone_says_that_it_does_not_free_by_itself(running: Running) -> None:
    refused = asked(running, "poor")
    assert (refused.status, refused.headers["x-should-retry"]) == (429, "false")
    assert "quota of user `poor` ($0.00 in all) is reached" in error(refused)["message"]
    assert "does not free by itself" in error(refused)["message"]
    assert "retry-after" not in refused.headers
    assert running.records()[-1]["cost_nanousd"] == 0


def test_a_tokens_quota_bounds_the_token(running: Running) -> None:
    assert [asked(running, "spent", "each").status for _ in range(2)] == [200, 429]


def test_a_request_that_may_cost_too_much_is_refused_before_it_is_sent(
    running: Running, upstream: Upstream
) -> None:
    before = len(upstream.received)
    assert asked(running, "dear", max_tokens=100).status == 429
    assert len(upstream.received) == before
    assert asked(running, "dear", max_tokens=10).status == 200


def test_an_answer_is_shortened_to_what_is_left(running: Running, upstream: Upstream) -> None:
    found = asked(running, "lower", max_tokens=20_000)
    assert found.status == 200
    lowered = int(found.headers["x-oneapi-max-tokens-lowered"])
    assert 4_900 <= lowered < 5_000
    assert upstream.received[-1].json()["max_tokens"] == lowered
    assert upstream.received[-1].json()["messages"] == TALK
    short = asked(running, "lower", max_tokens=400)
    assert "x-oneapi-max-tokens-lowered" not in short.headers


def test_an_answer_is_shortened_in_the_clients_dialect_and_in_others(
    running: Running, upstream: Upstream
) -> None:
    body = {"model": "claude", "max_tokens": 20_000, "messages": TALK}
    body["thinking"] = {"type": "enabled", "budget_tokens": 16_000}
    found = running.post("/v1/messages", body, key=key("lower"))
    lowered = int(found.headers["x-oneapi-max-tokens-lowered"])
    sent = upstream.received[-1].json()
    assert sent["max_tokens"] == lowered
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": lowered // 2}
    found = asked(running, "lower", "claude", max_tokens=20_000)
    lowered = int(found.headers["x-oneapi-max-tokens-lowered"])
    assert upstream.received[-1].json()["max_tokens"] == lowered


def test_token_budgets_count_tokens(running: Running) -> None:
    assert asked(running, "tokens", max_tokens=4000).status == 200
    found = asked(running, "tokens", max_tokens=100_000)
    assert 4_500 < int(found.headers["x-oneapi-max-tokens-lowered"]) < 5_000
    assert "5000 tokens a day" in error(asked(running, "tokens", n=100))["message"]


def test_a_groups_budget_is_for_all_its_users_together(running: Running) -> None:
    statuses = [asked(running, name, "each").status for name in ("team1", "team2", "team1")]
    assert statuses == [200, 200, 429]


def test_a_models_budget_is_for_all_who_ask_for_it(running: Running) -> None:
    statuses = [asked(running, name, "capped").status for name in ("any", "ones", "any")]
    assert statuses == [200, 200, 429]
    assert asked(running, "any", "each").status == 200
    refused = asked(running, "ones", "capped")
    assert "budget of model `capped` ($0.02 a month)" in error(refused)["message"]


def test_a_channels_budget_passes_to_the_next_channel(running: Running) -> None:
    assert [asked(running, "any", "spread").status for _ in range(3)] == [200] * 3
    assert [r["channel"] for r in running.records()[-3:]] == ["costly", "spare", "spare"]


def test_a_rolling_budget_tells_when_it_frees(running: Running) -> None:
    assert [asked(running, "rolling", "each").status for _ in range(2)] == [200, 200]
    refused = asked(running, "rolling", "each")
    assert "in any 1m0s" in error(refused)["message"]
    assert 50 <= int(refused.headers["retry-after"]) <= 62


def test_a_request_waits_for_what_others_hold(running: Running, upstream: Upstream) -> None:
    head = (("content-type", "application/json"),)
    upstream.script = lambda _: Reply(500, head, [0.3, b"{}"])
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: asked(running, "waits", "each"), range(3)))
    assert {a.status for a in answers} == {500}, "each held all that was left, one after the other"
    assert spent(running, "waits") == 0


ENDPOINTS: Final[dict[str, tuple[JSON, int]]] = {
    "/v1/chat/completions": ({"model": "m", "messages": TALK}, COST),
    "/v1/messages": ({"model": "claude", "max_tokens": 99, "messages": TALK}, COST),
    "/v1/responses": ({"model": "m", "input": "hello"}, COST),
    "/v1beta/models/m:generateContent": ({"contents": [{"parts": [{"text": "a"}]}]}, COST),
    "/api/chat": ({"model": "m", "messages": TALK, "stream": False}, COST),
    "/v1/embeddings": ({"model": "m", "input": "hello"}, 50_000),
    "/v1/images/generations": ({"model": "pic", "prompt": "a", "quality": "hd"}, 80_000_000),
    "/v1/audio/speech": ({"model": "say", "input": "x" * 100, "voice": "a"}, 1_500_000),
    "/v1/completions": ({"model": "m", "prompt": "a"}, COST),
}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_endpoint_is_charged_and_stopped_by_the_same_door(
    running: Running, upstream: Upstream, path: str
) -> None:
    body, cost = ENDPOINTS[path]
    if path == "/v1/completions":
        text = {"text": "hi", "index": 0, "finish_reason": "stop"}
        completion = {"id": "c", "object": "text_completion", "choices": [text], "usage": USAGE}
        upstream.script = lambda _: json_reply(completion)
    assert running.post(path, body, key=key("any")).status == 200
    assert running.records()[-1]["cost_nanousd"] == cost
    before = len(upstream.received)
    assert running.post(path, body, key=key("poor")).status == 429
    assert len(upstream.received) == before


FORM: Final = {"content-type": "multipart/form-data; boundary=xx"}
LARGE: Final = b"x" * 1_100_000
"""More than is held for another try."""


def form(**fields: str | bytes) -> bytes:
    """Of fields in their order; bytes are a file."""
    parts = b""
    for name, value in fields.items():
        file = '; filename="f"' if isinstance(value, bytes) else ""
        parts += f'--xx\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()
        parts += (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return parts + b"--xx--\r\n"


def test_what_follows_a_large_file_makes_the_hold_too(running: Running, upstream: Upstream) -> None:
    def edit(n: str) -> Answer:
        body = form(model="pic", image=LARGE, n=n, quality="hd")
        return running.request(
            "POST", "/v1/images/edits", body=body, headers=FORM, key=key("thirty")
        )

    before = len(upstream.received)
    assert edit("10").status == 429
    assert len(upstream.received) == before
    assert edit("1").status == 200
    assert running.records()[-1]["cost_nanousd"] == 80_000_000


def test_a_sound_of_untold_length_is_held_as_the_longest(
    running: Running, upstream: Upstream
) -> None:
    body = form(model="heard", file=LARGE)
    upstream.script = lambda _: json_reply({"text": "a", "duration": 1.0})

    def hear(body: Any) -> Answer:
        path = "/v1/audio/transcriptions"
        return running.request("POST", path, body=body, headers=FORM, key=key("thirty"))

    assert hear(body).status == 200
    before = len(upstream.received)
    assert hear(iter([body])).status == 429  # in chunks
    assert len(upstream.received) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"model": "pic", "prompt": "a", "n": -5}),
        ("/v1/images/generations", {"model": "pic", "prompt": "a", "n": 10**9}),
        ("/v1/chat/completions", {"model": "m", "messages": TALK, "n": -5}),
        ("/v1/chat/completions", {"model": "m", "messages": TALK, "max_tokens": -7}),
        ("/v1/messages", {"model": "claude", "messages": TALK, "max_tokens": -7}),
        ("/v1/responses", {"model": "m", "input": "a", "max_output_tokens": -7}),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [], "generationConfig": {"candidateCount": -5}},
        ),
    ],
)
def test_negative_and_absurd_numbers_are_refused_and_refund_nothing(
    running: Running, upstream: Upstream, path: str, body: JSON
) -> None:
    before = len(upstream.received)
    assert running.post(path, body, key=key("any")).status == 400
    assert len(upstream.received) == before
    assert running.records()[-1]["cost_nanousd"] == 0


def test_the_raw_proxy_is_metered_and_stopped_too(running: Running, upstream: Upstream) -> None:
    path = "/v1/oneapi/proxy/up/chat/completions"
    body = {"model": "each", "messages": TALK}
    assert running.post(path, body, key=key("any")).status == 403
    assert [running.post(path, body, key=key("boss")).status for _ in range(2)] == [200, 200]
    record = running.records()[-1]
    assert (record["endpoint"], record["channel"], record["model"]) == ("proxy", "up", "each")
    assert record["cost_nanousd"] == 10_000_000
    before = len(upstream.received)
    assert running.post(path, body, key=key("boss")).status == 429
    assert len(upstream.received) == before


def test_counting_tokens_is_free_whatever_is_left(running: Running) -> None:
    body = {"model": "m", "messages": TALK}
    assert running.post("/v1/messages/count_tokens", body, key=key("poor")).status == 200
    assert not running.records()[-1]["cost_nanousd"]


def test_a_providers_negative_counts_are_no_refund(running: Running, upstream: Upstream) -> None:
    wrong = {"prompt_tokens": -1000, "completion_tokens": 10**15, "total_tokens": 1}
    upstream.script = lambda _: json_reply(said(wrong))
    assert asked(running, "any").status == 200
    record = running.records()[-1]
    assert record["cost_nanousd"] >= 0
    assert record["output"] <= 10**9


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    """Models without a price are refused, money is counted in points."""
    text = toml(upstream.url).replace('quota = "$0"', 'quota = "1000 points"')
    text += '[site]\nunpriced = "reject"\ncurrency = "points"\n'
    with gateway(tmp_path_factory.mktemp("strict"), text) as found:
        yield found


def test_models_without_a_price_are_refused_where_the_operator_says_so(
    running: Running, strict: Running
) -> None:
    assert asked(running, "any", "free").status == 200
    assert running.records()[-1]["cost_nanousd"] is None
    refused = asked(strict, "any", "free")
    assert refused.status == 403
    assert "`free` has no price" in error(refused)["message"]
    assert "[prices]" in error(refused)["message"]
    assert asked(strict, "any").status == 200


@pytest.mark.parametrize("member", [{"service_tier": "priority"}, {"speed": "fast"}])
def test_a_tier_that_no_list_prices_is_refused_where_it_would_cost(
    running: Running, member: dict[str, str]
) -> None:
    refused = asked(running, "any", **member)
    assert refused.status == 403
    assert error(refused)["code"] == "tier_not_priced"
    assert asked(running, "any", service_tier="default").status == 200
    assert asked(running, "any", "free", **member).status == 200  # which nothing prices at all


def test_amounts_are_told_in_points_where_the_operator_counts_in_them(strict: Running) -> None:
    refused = asked(strict, "poor", "each")
    assert "(1,000 points in all)" in error(refused)["message"]
    assert "may take 5,000 points" in error(refused)["message"]


def test_a_budget_counts_on_after_a_restart(upstream: Upstream, tmp_path: Path) -> None:
    with gateway(tmp_path, toml(upstream.url)) as running:
        assert asked(running, "spent", "each").status == 200
    with gateway(tmp_path, toml(upstream.url)) as running:
        assert asked(running, "spent", "each").status == 429


def test_far_from_a_limit_a_request_is_not_slowed(running: Running) -> None:
    times = []
    for _ in range(20):
        began = time.perf_counter()
        assert asked(running, "any").status == 200
        times.append(time.perf_counter() - began)
    assert sorted(times)[10] < 0.1
