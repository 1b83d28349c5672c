"""Which answers lead to the next key and the next channel, and what the client sees in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import (
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
)
from tests.e2e.talk import ASK, CHAT, DONE, REPLY, STREAM, closed_port, error_of, sse

KEYS = ("key-a1-0123456789", "key-a2-0123456789", "key-b-0123456789")
SECRETIVE = {
    "error": {
        "message": f"Incorrect API key provided: {KEYS[0]}, organization org-abcdefghijklmnopqrst",
        "code": "invalid_api_key",
    }
}


def toml(a: str, b: str) -> str:
    dead = "".join(
        f'[channels.dead{i}]\ntype = "openai-compatible"\nbase_url = "http://127.0.0.1:{closed_port()}"'
        f'\nkeys = ["{KEYS[0]}"]\nmodels = ["d{i}"]\npriority = 20\n'
        for i in (1, 2, 3)
    )
    return (
        dead + f'[channels.a]\ntype = "openai-compatible"\nbase_url = "{a}/v1"\n'
        f'keys = ["{KEYS[0]}", "{KEYS[1]}"]\nmodels = ["m"]\npriority = 10\n'
        f'[channels.b]\ntype = "openai-compatible"\nbase_url = "{b}/v1"\n'
        f'keys = ["{KEYS[2]}"]\nmodels = ["m", "d1", "d2"]\n{people()}'
    )


@dataclass
class World:
    """A gateway before two providers: `a` with two keys comes before `b` with one."""

    gateway: Running
    a: Upstream
    b: Upstream

    def ask(self, first: Reply, then: Reply | None = None, **changes: Any) -> Answer:
        """One request where `a` answers with `first` and `b` with `then` (default: well)."""
        self.a.received.clear()
        self.b.received.clear()
        good = sse_reply(sse("2"), DONE) if changes.get("stream") else json_reply(REPLY)
        self.a.script = lambda _: first
        self.b.script = lambda _: then or good
        return self.gateway.post(CHAT, {**ASK, **changes})

    def tries(self) -> list[str]:
        """The keys of the tries, in their order as far as the channels go."""
        received: list[Received] = [*self.a.received, *self.b.received]
        return [str(r.header("authorization")).removeprefix("Bearer ") for r in received]

    def record(self) -> dict[str, Any]:
        return self.gateway.records()[-1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        scripted_upstream(lambda _: json_reply(REPLY)) as a,
        scripted_upstream(lambda _: json_reply(REPLY)) as b,
        gateway(tmp_path_factory.mktemp("retries"), toml(a.url, b.url)) as running,
    ):
        yield World(running, a, b)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_failure_leads_to_the_next_key_and_then_to_the_next_channel(
    world: World, status: int
) -> None:
    answer = world.ask(json_reply({"error": {"message": "busy"}}, status))
    assert (answer.status, answer.json()) == (200, REPLY)
    tries = world.tries()
    assert sorted(tries[:2]) == sorted(KEYS[:2])
    assert tries[2:] == [KEYS[2]]
    record = world.record()
    assert (record["attempts"], record["channel"], record["status"]) == (3, "b", 200)
    assert record["upstream_status"] == 200


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
def test_a_refusal_is_not_tried_again_and_passes_to_the_letter(world: World, status: int) -> None:
    body = b'{"error" : {"message":"no such thing \\u00e9", "n": 1.0E+2}, "extra":[ ]}'
    answer = world.ask(Reply(status, body=body))
    assert (answer.status, answer.body) == (status, body)
    assert len(world.tries()) == 1
    assert (world.record()["settlement"], world.record()["attempts"]) == ("failed", 1)


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_account_leads_on(world: World, status: int) -> None:
    answer = world.ask(json_reply(SECRETIVE, status))
    assert (answer.status, answer.json()) == (200, REPLY)
    assert len(world.tries()) == 3


@pytest.mark.parametrize("status", [401, 402, 403])
def test_refused_accounts_everywhere_are_our_fault_and_say_nothing_of_the_provider(
    world: World, status: int
) -> None:
    answer = world.ask(json_reply(SECRETIVE, status), json_reply(SECRETIVE, status))
    error = error_of(answer)
    assert (answer.status, error["code"]) == (502, "upstream_auth")
    assert "org-" not in error["message"]
    assert "Incorrect" not in error["message"]
    assert "key-" not in answer.body.decode()
    assert answer.headers["x-should-retry"] == "false"
    record = world.record()
    assert (record["status"], record["error_code"]) == (502, "upstream_auth")
    assert (record["upstream_status"], record["attempts"]) == (status, 3)


def test_the_last_failure_passes_with_its_status_and_retry_after(world: World) -> None:
    busy = Reply(
        429,
        (
            ("content-type", "application/json"),
            ("retry-after", "7"),
            ("x-ratelimit-remaining-requests", "0"),
        ),
        b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}',
    )
    answer = world.ask(busy, busy)
    assert (answer.status, answer.body) == (429, busy.body)
    assert answer.headers["retry-after"] == "7"
    assert "x-ratelimit-remaining-requests" not in answer.headers
    record = world.record()
    assert (record["error_code"], record["attempts"]) == ("rate_limit_exceeded", 3)
    assert (record["usage_source"], record["cost_nanousd"]) == ("none", 0)


def test_keys_take_turns(world: World) -> None:
    used: list[str] = []
    for _ in range(4):
        world.ask(json_reply(REPLY))
        used += world.tries()
    assert used[0] != used[1]
    assert used[:2] == used[2:]


HTML = Reply(200, (("content-type", "text/html"),), b"<!doctype html><title>Sign in</title>")
ROLE = sse(choices=[{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])
ERROR = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
BAD_PLAIN = {
    "a web page": HTML,
    "an empty body": Reply(200),
    "no JSON": Reply(200, body=b"ok"),
    "no choices": json_reply({"id": "x"}),
    "an error with status 200": json_reply({"error": {"message": "no"}}),
    "a redirect": Reply(302, (("location", "https://elsewhere.example/"),)),
    "a cut body": Reply(200, body=b'{"choices": [', cut=True),
    "no HTTP": Reply(raw=b"SSH-2.0-OpenSSH\r\n\r\n"),
    "nothing at all": Reply(raw=b""),
}
BAD_STREAM = {
    "a web page": HTML,
    "an empty stream": sse_reply(),
    "a stream of comments": sse_reply(b": one\n\n", b": two\n\n"),
    "a role and no more": sse_reply(ROLE),
    "a break before content": sse_reply(ROLE, cut=True),
    "an error first": sse_reply(ERROR),
    "an error after the role": sse_reply(ROLE, ERROR),
    "a JSON error": json_reply({"error": {"message": "no"}}),
}


@pytest.mark.parametrize("kind", BAD_PLAIN)
def test_an_answer_that_is_none_leads_on(world: World, kind: str) -> None:
    answer = world.ask(BAD_PLAIN[kind])
    assert (answer.status, answer.json()) == (200, REPLY)
    assert world.tries()[-1] == KEYS[2]


@pytest.mark.parametrize("kind", BAD_STREAM)
def test_a_stream_without_content_leads_on(world: World, kind: str) -> None:
    answer = world.ask(BAD_STREAM[kind], stream=True)
    assert answer.status == 200
    assert answer.body.endswith(sse("2") + DONE)
    assert b"error" not in answer.body
    assert b'"role"' not in answer.body
    assert world.record()["attempts"] == 3


@pytest.mark.parametrize("kind", ["a web page", "an empty body", "a redirect"])
def test_when_nobody_answers_the_client_gets_502_in_words(world: World, kind: str) -> None:
    answer = world.ask(BAD_PLAIN[kind], BAD_PLAIN[kind])
    assert (answer.status, error_of(answer)["code"]) == (502, "bad_upstream_answer")
    assert b"elsewhere" not in answer.body
    assert b"Sign in" not in answer.body


def test_after_a_comment_went_out_the_next_channel_goes_on_in_the_same_answer(world: World) -> None:
    answer = world.ask(sse_reply(b": wait\n\n", cut=True), stream=True)
    assert answer.body == b": wait\n\n" * 2 + sse("2") + DONE


def test_after_a_comment_went_out_a_failure_everywhere_comes_in_band(world: World) -> None:
    broken = sse_reply(b": wait\n\n", cut=True)
    answer = world.ask(broken, broken, stream=True)
    assert answer.status == 200
    event = answer.body.removeprefix(b": wait\n\n" * 3)
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert error["code"] == "upstream_broke"
    assert answer.headers["x-request-id"] in error["message"]


def test_a_break_after_content_is_told_in_band_and_not_tried_again(world: World) -> None:
    answer = world.ask(sse_reply(sse("one two three four five"), cut=True), stream=True)
    assert answer.status == 200
    first, second, nothing = answer.body.split(b"\n\n")
    assert first + b"\n\n" == sse("one two three four five")
    error = json.loads(second.removeprefix(b"data: "))["error"]
    assert (error["code"], nothing) == ("upstream_broke", b"")
    assert answer.headers["x-request-id"] in error["message"]
    assert len(world.tries()) == 1
    record = world.record()
    assert (record["settlement"], record["usage_source"]) == ("upstream_broke", "estimated")
    assert record["output"] >= 3
    assert record["input"] >= 3


def test_an_error_event_after_content_passes_without_the_channels_key(world: World) -> None:
    event = b'data: {"error":{"message":"key %s failed"}}\n\n'
    said = sse_reply(sse("one"), event % KEYS[0].encode(), DONE)
    answer = world.ask(said, stream=True)
    assert answer.body == sse("one") + event % b"***" + DONE
    assert len(world.tries()) == 1


def test_a_body_too_large_to_hold_is_not_sent_twice(world: World) -> None:
    large = [{"role": "user", "content": "x" * 1_200_000}]
    answer = world.ask(json_reply({"error": {"message": "busy"}}, 503), messages=large)
    assert (answer.status, len(world.tries())) == (503, 1)


def test_a_large_body_goes_elsewhere_when_nobody_listens(world: World) -> None:
    large = [{"role": "user", "content": "x" * 1_200_000}]
    answer = world.ask(json_reply({}), messages=large, model="d1")
    assert answer.status == 200
    assert world.record()["attempts"] == 2


def test_a_channel_that_cannot_be_reached_is_left_alone_for_a_moment(world: World) -> None:
    attempts = []
    for _ in range(3):
        assert world.ask(json_reply({}), model="d2").status == 200
        attempts.append(world.record()["attempts"])
    assert attempts == [2, 1, 1]


def test_nobody_to_reach_is_502_in_words(world: World) -> None:
    answer = world.ask(json_reply({}), model="d3")
    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")
    assert world.tries() == []
    record = world.record()
    assert (record["upstream_status"], record["attempts"], record["output"]) == (0, 1, 0)


def test_a_stream_is_still_asked_to_the_letter_at_the_second_channel(world: World) -> None:
    world.ask(json_reply({}, 500), stream=True)
    sent = [json.loads(r.body) for r in (*world.a.received, *world.b.received)]
    assert sent == [{**STREAM, "stream_options": {"include_usage": True}}] * 3
