"""Rates, concurrency and the size of inputs: what is let in, what is told, and that it is true."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.harness import (
    KEY,
    Answer,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
)

JSON = Any
TALK: Final = [{"role": "user", "content": "hello"}]
ASK: Final = {"model": "m", "messages": TALK, "max_tokens": 50}
USAGE: Final = {"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 20}


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


def key(name: str) -> str:
    return "sk-" + name.ljust(48, "0")


def channel(url: str, name: str = "up", more: str = "", models: str = '"m"') -> str:
    return (
        f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{url}/v1"\nkeys = ["k"]\n'
        f"models = [{models}]\ndiscover = false\n{more}\n"
    )


POLICIES: Final = {
    "rpm": "rpm = 3",
    "tpm": "tpm = 100",
    "tiny": "tpm = 20",
    "fresh": 'tpm = 1000\ntokens_count = "fresh"',
    "one": "concurrency = 1",
    "queue": "concurrency = 1\nqueue_s = 5",
    "short": "concurrency = 1\nqueue_s = 0.2",
    "input": "max_input = 100",
    "day": "rpd = 2",
    "anthropic": "rpm = 7\ntpm = 5000",
    "full": "",
    "spread": "",
}


def toml(url: str) -> str:
    parts = [people(), channel(url)]
    parts += [people(name=name, policy=more, key=key(name)) for name, more in POLICIES.items()]
    parts.append(channel(url, "narrow", "rpm = 2\npriority = 9", '"two", "shared"'))
    parts.append(channel(url, "wide", "", '"shared"'))
    parts.append(channel(url, "brief", "max_input = 100\npriority = 9", '"sized", "briefly"'))
    parts.append(channel(url, "lengthy", "", '"sized"'))
    parts.append(channel(url, "slow", "concurrency = 1\nqueue_s = 5", '"slow"'))
    return "".join(parts)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply(said())) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("limits"), toml(upstream.url)) as found:
        yield found


@pytest.fixture(autouse=True)
def usual(upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply(said())


def asked(running: Running, name: str, value: JSON = ASK, path: str = "chat/completions") -> Answer:
    return running.post(f"/v1/{path}", value, key=key(name))


def slow(seconds: float) -> Reply:
    import json

    head = (("content-type", "application/json"),)
    return Reply(200, head, [seconds, json.dumps(said()).encode()])


def test_requests_a_minute_are_counted_exactly_and_told(running: Running) -> None:
    answers = [asked(running, "rpm") for _ in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    told = [a.headers.get("x-ratelimit-remaining-requests") for a in answers]
    assert told == ["2", "1", "0", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
    assert answers[0].headers["x-ratelimit-reset-requests"] == "1m0s"
    error = answers[3].json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "token `rpm`" in error["message"]
    assert "3 requests a minute" in error["message"]
    wait = int(answers[3].headers["retry-after"])
    assert 55 <= wait <= 60
    assert wait * 1000 - 1000 < int(answers[3].headers["retry-after-ms"]) <= wait * 1000
    assert answers[3].headers["x-should-retry"] == "true"


def test_tokens_a_minute_are_corrected_by_what_was_used(running: Running) -> None:
    answers = [asked(running, "tpm") for _ in range(6)]
    # 80 bytes of a body are 20 tokens, with 50 of an answer; 20 are used each time.
    assert [a.status for a in answers] == [200, 200, 429, 429, 429, 429]
    assert answers[0].headers["x-ratelimit-limit-tokens"] == "100"
    assert "100 tokens a minute" in answers[2].json()["error"]["message"]


def test_cached_tokens_do_not_count_where_fresh_ones_are_counted(
    running: Running, upstream: Upstream
) -> None:
    usage = {
        "prompt_tokens": 900,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 880},
    }
    upstream.script = lambda _: json_reply(said(usage))
    assert [asked(running, "fresh").status for _ in range(5)] == [200] * 5


def test_a_request_larger_than_the_rate_is_told_never_to_come_again(running: Running) -> None:
    answer = asked(running, "tiny", {**ASK, "messages": [{"role": "user", "content": "x" * 400}]})
    assert answer.status == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


def test_a_long_answers_limit_alone_never_shuts_a_caller_out(running: Running) -> None:
    assert asked(running, "tiny", {**ASK, "messages": TALK, "max_tokens": 5000}).status == 429
    small = {"model": "m", "messages": [], "max_tokens": 5000}
    assert asked(running, "tiny", small).status == 200


def test_requests_at_once_are_limited_and_freed(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: slow(0.3)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: asked(running, "one"), range(6)))
    assert sorted(a.status for a in answers) == [200, 429, 429, 429, 429, 429]
    refused = next(a for a in answers if a.status == 429)
    assert "1 requests under way at once" in refused.json()["error"]["message"]
    upstream.script = lambda _: json_reply(said())
    assert asked(running, "one").status == 200


def test_requests_that_may_wait_are_answered_one_after_the_other(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: slow(0.1)
    began = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: asked(running, "queue"), range(5)))
    assert [a.status for a in answers] == [200] * 5
    assert time.monotonic() - began >= 0.5


def test_requests_that_waited_long_enough_are_refused(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: slow(1.0)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: asked(running, "short"), range(3)))
    assert sorted(a.status for a in answers) == [200, 429, 429]


def test_an_input_that_is_too_long_is_refused_with_its_size(running: Running) -> None:
    words = " ".join(["word"] * 300)
    answer = asked(running, "input", {**ASK, "messages": [{"role": "user", "content": words}]})
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "100 tokens of input" in answer.json()["error"]["message"]
    assert asked(running, "input").status == 200


def test_requests_a_day_are_limited_until_midnight(running: Running) -> None:
    assert [asked(running, "day").status for _ in range(2)] == [200, 200]
    answer = asked(running, "day")
    assert answer.status == 429
    error = answer.json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert "2 requests a day" in error["message"]
    assert "T00:00:00+00:00" in error["message"]
    seconds = 86400 - time.time() % 86400
    assert abs(int(answer.headers["retry-after"]) - seconds) < 5


def test_anthropics_library_gets_the_headers_that_it_knows(running: Running) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": TALK}
    answer = asked(running, "anthropic", body, "messages")
    assert answer.status == 200
    assert answer.headers["anthropic-ratelimit-requests-limit"] == "7"
    assert answer.headers["anthropic-ratelimit-requests-remaining"] == "6"
    assert answer.headers["anthropic-ratelimit-tokens-limit"] == "5000"
    resets = answer.headers["anthropic-ratelimit-requests-reset"]
    assert abs(time.time() + 60 - _unix(resets)) < 5
    for _ in range(6):
        asked(running, "anthropic", body, "messages")
    refused = asked(running, "anthropic", body, "messages")
    assert (refused.status, refused.json()["error"]["type"]) == (429, "rate_limit_error")


def _unix(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_callers_without_limits_get_no_such_headers(running: Running) -> None:
    answer = running.post("/v1/chat/completions", ASK, key=KEY)
    assert answer.status == 200
    assert not [name for name in answer.headers if "ratelimit" in name]


def test_a_channel_at_its_limit_is_passed_over_and_is_no_failure(running: Running) -> None:
    for _ in range(4):
        assert asked(running, "spread", {**ASK, "model": "shared"}).status == 200
    records = running.records()[-4:]
    assert [r["channel"] for r in records] == ["narrow", "narrow", "wide", "wide"]
    assert [r["attempts"] for r in records] == [1, 1, 1, 1]
    refused = asked(running, "spread", {**ASK, "model": "two"})
    assert refused.status == 429
    assert "every channel for `two` is at its limit" in refused.json()["error"]["message"]
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert "narrow" not in refused.body.decode()


def test_an_input_too_long_for_a_channel_goes_to_another(running: Running) -> None:
    long = [{"role": "user", "content": " ".join(["word"] * 300)}]
    for model, talk, status, name in (
        ("sized", TALK, 200, "brief"),
        ("sized", long, 200, "lengthy"),
        ("briefly", long, 400, ""),
    ):
        found = asked(running, "spread", {**ASK, "model": model, "messages": talk})
        assert (found.status, running.records()[-1]["channel"]) == (status, name)


def test_requests_wait_for_a_channel_as_long_as_it_says(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: slow(0.1)
    with ThreadPoolExecutor(5) as pool:
        answers = list(
            pool.map(lambda _: asked(running, "full", {**ASK, "model": "slow"}), range(5))
        )
    assert [a.status for a in answers] == [200] * 5


def test_limits_change_with_the_file_and_counts_survive_it(tmp_path: Path) -> None:
    with scripted_upstream(lambda _: json_reply(said())) as upstream:
        text = channel(upstream.url)
        with gateway(tmp_path, text + people(policy="rpm = 5")) as running:
            assert [running.post("/v1/chat/completions", ASK).status for _ in range(3)] == [200] * 3
            running.rewrite(text + people(policy="rpm = 4"))
            statuses = [running.post("/v1/chat/completions", ASK).status for _ in range(2)]
            assert statuses == [200, 429]


def test_a_client_that_leaves_while_it_waits_frees_its_place(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: slow(0.6)
    holder = threading.Thread(target=lambda: asked(running, "queue"))
    holder.start()
    time.sleep(0.15)
    before = len(upstream.received)
    with pytest.raises(OSError, match="timed out"):
        running.post("/v1/chat/completions", ASK, key=key("queue"), timeout_s=0.2)
    holder.join()
    upstream.script = lambda _: json_reply(said())
    assert asked(running, "queue").status == 200
    assert len(upstream.received) == before + 1
