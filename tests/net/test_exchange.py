"""One request and its answer, as an application sees them, over real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest

from oneapi.net.shared import ClientGone, Receive, Scope, Send
from tests.net.fronts import (
    HEAD,
    ask,
    body,
    connected,
    echo,
    hello,
    serving,
    start,
)

pytestmark = pytest.mark.anyio
POST = b"POST / HTTP/1.1\r\nhost: a\r\n"


async def test_receive_says_disconnect_and_send_raises_after_the_client_left() -> None:
    seen: list[object] = []
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            seen.append((await receive())["type"])
            try:
                await send(start())
            except ClientGone as error:
                seen.append(error)
            done.set()

    async with serving(app) as (_, port):
        async with connected(port, HEAD):
            await asyncio.sleep(0.02)
        await asyncio.wait_for(done.wait(), 1)
    assert seen[0] == "http.disconnect"
    assert isinstance(seen[1], ClientGone)


async def test_work_after_a_complete_answer_is_not_cancelled() -> None:
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0.1)
        done.set()

    async with serving(app) as (_, port):
        await ask(port, HEAD)
        await asyncio.wait_for(done.wait(), 1)


async def test_the_next_request_does_not_wait_for_work_after_the_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        await asyncio.sleep(1)

    async with serving(app) as (_, port), connected(port, HEAD) as client:
        await client.answer()
        client.write(HEAD)
        assert (await asyncio.wait_for(client.answer(), 0.5)).status == 200


@pytest.mark.parametrize("sent", ["nothing", "the start", "a part"])
async def test_an_application_that_fails_is_500_or_a_broken_answer(
    sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if sent != "nothing":
            await send(start())
        if sent == "a part":
            await send(body(b"part", more=True))
        raise KeyError("secret")

    async with serving(app) as (_, port), connected(port, HEAD) as client:
        if sent == "a part":
            data = await client.rest()
            assert data.endswith(b"4\r\npart\r\n")
        else:
            answer = await client.answer()
            assert (answer.status, json.loads(answer.body)["error"]["code"]) == (
                500,
                "internal_error",
            )
            assert b"secret" not in answer.body
    assert [r.name for r in caplog.records] == ["oneapi.front"]


async def test_a_broken_answer_that_ends_with_the_connection_is_reset() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"part", more=True))
        await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    async with serving(app) as (_, port), connected(port, b"GET / HTTP/1.0\r\n\r\n") as client:
        await client.reader.readuntil(b"part")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_an_application_that_says_nothing_is_500() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    async with serving(app) as (_, port):
        assert (await ask(port, HEAD)).status == 500


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb"])
async def test_a_header_with_a_line_end_never_leaves(value: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"location", value)))
        await send(body(b"ok"))

    async with serving(app) as (_, port):
        assert (await ask(port, HEAD)).status == 500


@pytest.mark.parametrize("length", [b"1", b"9"])
async def test_a_body_that_breaks_its_promised_length_never_passes_as_whole(length: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, (b"content-length", length)))
        await send(body(b"abc"))

    async with serving(app) as (_, port):
        assert (await ask(port, HEAD)).status == 500


async def test_an_answer_in_parts_is_chunked() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"", more=True))
        for part in (b"ab", b"", b"cd"):
            await send(body(part, more=True))
        await send(body(b"ef"))

    async with serving(app) as (_, port), connected(port, HEAD) as client:
        answer = await client.answer()
    assert (answer.headers, answer.body) == ({b"transfer-encoding": b"chunked"}, b"abcdef")


async def test_each_part_of_a_stream_goes_out_when_it_comes() -> None:
    step = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        for part in (b"one", b"two", b"three"):
            await send(body(part, more=True))
            await step.wait()
            step.clear()
        await send(body())

    async with serving(app) as (_, port), connected(port, HEAD) as client:
        for part in (b"one", b"two", b"three"):
            await asyncio.wait_for(client.reader.readuntil(part), 1)
            step.set()


async def test_parts_sent_in_one_go_keep_their_order() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        for n in range(500):
            await send(body(b"%d;" % n, more=True))
            if n % 100 == 50:
                await asyncio.sleep(0)
            if n == 300:
                await send(body(b"-" * 100_000, more=True))
        await send(body(b"end"))

    async with serving(app) as (_, port):
        answer = await ask(port, HEAD)
    text = answer.body.replace(b"-", b"").decode()
    assert text == "".join(f"{n};" for n in range(500)) + "end"


async def test_head_and_first_bytes_leave_in_one_write() -> None:
    async with serving(hello) as (_, port), connected(port, HEAD) as client:
        data = await client.reader.read(65_536)
    assert data == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def test_http_1_0_is_answered_without_chunks_and_closed() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"ab", more=True))
        await send(body(b"cd"))

    async with serving(app) as (_, port), connected(port, b"GET / HTTP/1.0\r\n\r\n") as client:
        answer = await client.answer()
    assert (answer.headers, answer.body) == ({b"connection": b"close"}, b"abcd")


async def test_http_1_0_keeps_the_connection_when_asked() -> None:
    data = b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
    async with serving(hello) as (_, port), connected(port, data * 2) as client:
        assert (await client.answer()).headers[b"connection"] == b"keep-alive"
        assert (await client.answer()).body == b"hello"


@pytest.mark.parametrize("by", ["client", "application"])
async def test_connection_close_is_honoured(by: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(200, *([(b"connection", b"close")] if by == "application" else [])))
        await send(body(b"ok"))

    data = HEAD if by == "application" else HEAD[:-2] + b"connection: close\r\n\r\n"
    async with serving(app) as (_, port), connected(port, data + HEAD) as client:
        assert (await client.answer()).headers[b"connection"] == b"close"
        assert await client.closed()


async def test_hop_by_hop_headers_of_the_application_are_dropped() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        hops = ((b"transfer-encoding", b"chunked"), (b"keep-alive", b"timeout=5"))
        await send(start(200, *hops, (b"x-kept", b"1")))
        await send(body(b"ok"))

    async with serving(app) as (_, port):
        answer = await ask(port, HEAD)
    assert answer.headers == {b"x-kept": b"1", b"content-length": b"2"}


@pytest.mark.parametrize(
    ("method", "status", "length"), [(b"HEAD", 200, b"5"), (b"GET", 204, None), (b"GET", 304, b"5")]
)
async def test_answers_that_have_no_body_get_none(
    method: bytes, status: int, length: bytes | None
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(status, (b"content-length", b"5")))
        await send(body(b"hello"))

    data = HEAD.replace(b"GET", method)
    async with serving(app) as (_, port), connected(port, data * 2) as client:
        for _ in range(2):
            answer = await client.answer(bodyless=True)
            assert (answer.status, answer.headers.get(b"content-length")) == (status, length)


async def test_an_expected_continue_is_sent_when_the_application_asks_for_the_body() -> None:
    async with serving(echo) as (_, port):
        data = POST + b"content-length: 3\r\nexpect: 100-continue\r\n\r\n"
        async with connected(port, data) as client:
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.write(b"abc")
            assert (await client.answer()).body == b"POST /\nabc"
            client.write(HEAD)
            assert (await client.answer()).body == b"GET /\n"


async def test_no_continue_is_sent_where_none_is_due() -> None:
    empty = POST + b"content-length: 0\r\nexpect: 100-continue\r\n\r\n"
    old = b"POST / HTTP/1.0\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc"
    early = POST + b"content-length: 3\r\nexpect: 100-continue\r\n\r\nabc"
    async with serving(echo) as (_, port):
        assert [(await ask(port, data)).status for data in (empty, old, early)] == [200] * 3


async def test_an_application_that_refuses_without_reading_sends_no_continue() -> None:
    data = POST + b"content-length: 3\r\nexpect: 100-continue\r\n\r\n"
    async with serving(hello) as (_, port), connected(port, data) as client:
        answer = await client.answer()
        assert (answer.status, answer.headers[b"connection"]) == (200, b"close")
        assert await client.closed()


async def test_a_reader_that_stops_pauses_the_application() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for _ in range(1_000):
            await send(body(b"x" * 65_536, more=True))
            sent += 65_536
        await send(body())

    async with serving(app) as (_, port), connected(port, HEAD) as client:
        held = -1
        while sent != held:  # until the application is paused
            held = sent
            await asyncio.sleep(0.1)
        assert held < 20_000_000
        assert len((await client.answer()).body) == 65_536_000


async def test_a_task_cancelled_while_its_last_bytes_wait_keeps_the_connection() -> None:
    tasks: asyncio.Queue[asyncio.Task[None] | None] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.put_nowait(asyncio.current_task())
        await send(start())
        await send(body(b"x" * 20_000_000))

    async with serving(app) as (_, port), connected(port, HEAD * 2) as client:
        task = await tasks.get()
        assert task is not None
        await asyncio.sleep(0.05)
        task.cancel()
        assert len((await client.answer()).body) == 20_000_000
        assert len((await client.answer()).body) == 20_000_000
