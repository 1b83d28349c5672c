"""Who pays when an answer breaks or its client leaves: over real sockets, by the rule that the
record names.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from oneapi.gateway import control
from tests.e2e.harness import (
    KEY,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
    until,
)

JSON = Any
TALK: Final = [{"role": "user", "content": "hello"}]
USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
COST: Final = 10 * 1_000 + 20 * 2_000


def event(value: JSON) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(text: str) -> bytes:
    return event({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]})


FINISH: Final = event({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
TOLD: Final = event({"id": "c", "choices": [], "usage": USAGE})
DONE: Final = b"data: [DONE]\n\n"


def whole() -> bytes:
    message = {"role": "assistant", "content": "hi"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"id": "c", "choices": [choice], "usage": USAGE}).encode()


def toml(url: str, server: str = "") -> str:
    def channel(name: str, more: str) -> str:
        return (
            f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{url}/v1"\n'
            f'keys = ["k"]\nmodels = ["{name}"]\ndiscover = false\nconcurrency = 2\n{more}\n'
            f"[prices.{name}]\ninput = 1\noutput = 2\n"
        )

    return (
        f"[server]\ndrain_s = 8\n{server}\n"
        + channel("cut", "")
        + channel("drain", 'on_disconnect = "drain"')
        + people(policy='budget = "$5/day"\nconcurrency = 4\nrpm = 500')
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("disconnect"), toml(upstream.url)) as found:
        yield found


def leave(
    running: Running,
    body: JSON,
    path: str = "/v1/chat/completions",
    *,
    after: bytes = b"",
    wait_s: float = 0.0,
) -> None:
    """Ask, wait for some bytes of the answer or some time, and go without a word (RST)."""
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(head.encode() + raw)
        got = b""
        while after and after not in got:
            got += client.recv(65536)
        time.sleep(wait_s)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def last(running: Running, count: int) -> JSON:
    assert until(lambda: len(running.records()) > count), "no record came"
    return running.records()[-1]


def ask(model: str, *, stream: bool = True) -> JSON:
    return {"model": model, "messages": TALK, "max_tokens": 99, "stream": stream}


def test_a_client_that_leaves_pays_for_what_it_was_sent(
    running: Running, upstream: Upstream
) -> None:
    words = "one two three four five six seven eight nine ten "
    upstream.script = lambda _: sse_reply(delta(words), hang=True)
    count, gone = len(running.records()), upstream.gone
    leave(running, ask("cut"), after=b"ten")
    record = last(running, count)
    assert (record["settlement"], record["status"]) == ("client_left", 499)
    assert record["usage_source"] == "estimated"
    assert 8 <= record["output"] <= 14
    assert record["cost_nanousd"] > 0
    assert until(lambda: upstream.gone == gone + 1), "the provider's connection stays open"


def test_a_client_that_leaves_before_the_first_byte_pays_nothing(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: Reply(200, body=b"", hang=True)
    count = len(running.records())
    leave(running, ask("cut", stream=False), wait_s=0.2)
    record = last(running, count)
    assert (record["settlement"], record["usage_source"]) == ("client_left", "none")
    assert not record["cost_nanousd"]


def test_a_drained_stream_tells_its_true_usage(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(delta("one "), 0.4, delta("two"), FINISH, TOLD, DONE)
    count = len(running.records())
    leave(running, ask("drain"), after=b"one")
    record = last(running, count)
    assert (record["settlement"], record["status"]) == ("client_left", 499)
    assert (record["usage_source"], record["cost_nanousd"]) == ("upstream", COST)


def test_a_drained_answer_that_had_not_begun_tells_its_true_usage(
    running: Running, upstream: Upstream
) -> None:
    head = (("content-type", "application/json"),)
    upstream.script = lambda _: Reply(200, head, [0.5, whole()])
    count = len(running.records())
    leave(running, ask("drain", stream=False), wait_s=0.15)
    record = last(running, count)
    assert (record["settlement"], record["usage_source"]) == ("client_left", "upstream")
    assert record["cost_nanousd"] == COST


def test_a_drained_translation_tells_its_true_usage(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(delta("one "), 0.4, delta("two"), FINISH, TOLD, DONE)
    count = len(running.records())
    leave(running, ask("drain"), "/v1/messages", after=b"one")
    record = last(running, count)
    assert (record["settlement"], record["usage_source"]) == ("client_left", "upstream")
    assert record["cost_nanousd"] == COST


def test_a_provider_that_breaks_while_it_is_drained_is_estimated(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(delta("one "), 0.3, delta("two three four"), cut=True)
    count = len(running.records())
    leave(running, ask("drain"), after=b"one")
    record = last(running, count)
    assert (record["settlement"], record["usage_source"]) == ("client_left", "estimated")
    assert record["output"] >= 3


def test_an_operator_ends_a_drained_call(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: sse_reply(delta("one "), hang=True)
    count = len(running.records())
    leave(running, ask("drain"), after=b"one")
    assert until(lambda: bool(_flights(running)))
    time.sleep(0.2)
    assert len(running.records()) == count
    _command(running, {"verb": "cancel", "id": _flights(running)[0]["id"]})
    record = last(running, count)
    assert (record["settlement"], record["usage_source"]) == ("client_left", "estimated")


def _command(running: Running, value: JSON) -> JSON:
    return control.ask(control.socket_path(running.database, running.port), value, 5)


def _flights(running: Running) -> JSON:
    return _command(running, {"verb": "ps"})["requests"]


def test_a_stop_waits_for_drained_calls(upstream: Upstream, tmp_path: Path) -> None:
    with gateway(tmp_path, toml(upstream.url, 'on_disconnect = "drain"')) as running:
        upstream.script = lambda _: sse_reply(delta("one "), 1.0, delta("two"), FINISH, TOLD, DONE)
        leave(running, ask("cut"), after=b"one")
        running.stop()
        record = running.records()[-1]
        assert (record["settlement"], record["usage_source"]) == ("client_left", "upstream")
        assert record["cost_nanousd"] == COST


def test_a_storm_of_leaving_clients_leaks_no_seat(running: Running, upstream: Upstream) -> None:
    scripts = [
        sse_reply(delta("one "), hang=True),
        sse_reply(delta("one "), 0.05, FINISH, TOLD, DONE),
        sse_reply(delta("one "), cut=True),
        Reply(500, body=b"{}"),
        Reply(200, body=whole()),
    ]
    counter = iter(range(10**6))
    upstream.script = lambda _: scripts[next(counter) % len(scripts)]

    def one(number: int) -> None:
        model = "cut" if number % 2 else "drain"
        try:
            leave(running, ask(model, stream=number % 3 > 0), wait_s=number % 5 / 100)
        except OSError:
            return

    for _ in range(6):
        threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for flight in _flights(running):
        _command(running, {"verb": "cancel", "id": flight["id"]})
    assert until(lambda: not _flights(running))
    upstream.script = lambda _: json_reply(json.loads(whole()))
    for model in ("cut", "drain"):
        for _ in range(5):
            assert running.post("/v1/chat/completions", ask(model, stream=False)).status == 200


def test_everyone_who_asked_has_one_record(running: Running, upstream: Upstream) -> None:
    ids = [record["request_id"] for record in running.records()]
    assert len(ids) == len(set(ids))
