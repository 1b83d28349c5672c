"""The front's HTTP/1.1 side over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from oneapi.net.shared import FrontLimits, Receive, Scope, Send
from tests.net.fronts import (
    HEAD,
    Waiter,
    ask,
    body,
    connected,
    echo,
    hello,
    read_body,
    serving,
    start,
)

pytestmark = pytest.mark.anyio
POST = b"POST / HTTP/1.1\r\nhost: a\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


async def test_a_request_is_answered_with_its_length() -> None:
    async with serving(echo) as (_, port):
        answer = await ask(
            port, b"POST /a%20b?c=d HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nxyz"
        )
    assert answer.body == b"POST /a%20b?c=d\nxyz"
    assert answer.headers == {b"content-length": b"19"}


async def test_the_scope_says_what_was_asked() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await hello(scope, receive, send)

    async with serving(app) as (_, port):
        await ask(port, b"GET /caf%C3%A9?q=%20 HTTP/1.1\r\nHost: A:1\r\nX-Two: b \r\n\r\n")
    scope = seen[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (
        "/café",
        b"/caf%C3%A9",
        b"q=%20",
    )
    assert scope["headers"] == [(b"host", b"A:1"), (b"x-two", b"b")]
    assert (scope["scheme"], scope["http_version"], scope["root_path"]) == ("http", "1.1", "")
    assert scope["server"] == ("127.0.0.1", port)
    assert scope["client"][0] == "127.0.0.1"


@pytest.mark.parametrize("step", [1, 2, 7])
async def test_a_request_may_come_in_pieces_of_any_size(step: int) -> None:
    data = b"\r\n" + CHUNKED + b"3;x=y\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nt: 1\r\n\r\n" + HEAD
    async with serving(echo) as (_, port), connected(port) as client:
        for at in range(0, len(data), step):
            client.write(data[at : at + step])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"POST /\nabc\r\n\r\n"
        assert (await client.answer()).body == b"GET /\n"


async def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    running = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running
        running += 1
        assert running == 1
        data = await read_body(receive)
        await asyncio.sleep(0.01)
        running -= 1
        await send(start())
        await send(body(data or scope["raw_path"]))

    sized = POST + b"content-length: 3\r\n\r\nxyz"
    chunked = CHUNKED + b"2\r\nab\r\n0\r\n\r\n"
    async with serving(app) as (_, port), connected(port, HEAD + sized + chunked + HEAD) as client:
        assert [(await client.answer()).body for _ in range(4)] == [b"/", b"xyz", b"ab", b"/"]


async def test_a_flood_of_pipelined_requests_is_not_read_ahead() -> None:
    app = Waiter()
    async with serving(app) as (_, port), connected(port, HEAD) as client:
        await app.started.wait()
        client.writer.transport.set_write_buffer_limits(high=1)
        client.write(HEAD * 1_000_000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.writer.drain(), 0.25)
        client.writer.transport.abort()


REFUSED = {
    "both lengths": POST + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": POST
    + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"content-length: +3\r\n\r\nabc",
    "a huge length": POST + b"content-length: 99999999999999999999\r\n\r\nabc",
    "bare LF everywhere": b"GET / HTTP/1.1\nhost: a\n\n",
    "bare LF in the middle": b"GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nhost: a\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
    "obs-fold": b"GET / HTTP/1.1\r\nhost: a\r\nx: b\r\n c\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nhost : a\r\n\r\n",
    "a control character": b"GET / HTTP/1.1\r\nhost: a\r\nx: \x01\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nhost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\nhost: a\r\n\r\n",
    "another protocol": b"OPTIONS * RTSP/1.0\r\nhost: a\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
    "a fragment": b"GET /#x HTTP/1.1\r\nhost: a\r\n\r\n",
    "a foreign scheme": b"GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two codings": POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"transfer-encoding: gzip\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
async def test_a_malformed_head_is_refused_without_calling_the_application(data: bytes) -> None:
    app = Waiter()
    async with serving(app) as (_, port), connected(port, data) as client:
        answer = await client.answer()
        assert await client.closed()
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], app.calls) == (400, "bad_request", 0)
    assert answer.headers[b"connection"] == b"close"


BAD_CHUNKS = {
    "not hex": b"xyz\r\nabc\r\n0\r\n\r\n",
    "negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "spaced": b"3 \r\nabc\r\n0\r\n\r\n",
    "overrun": b"3\r\nabcd\r\n0\r\n\r\n",
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "bare LF at the end": b"3\r\nabc\r\n0\r\n\n",
    "overflow": b"fffffffffffffffff\r\nabc\r\n",
    "endless extension": b"3;" + b"x" * 200_000,
    "endless trailers": b"0\r\n" + b"x: y\r\n" * 40_000,
}


@pytest.mark.parametrize("data", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_a_bad_chunk_is_refused_and_the_application_cancelled(data: bytes) -> None:
    outcome: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read_body(receive)
        except (ConnectionError, asyncio.CancelledError) as error:
            outcome.append(type(error).__name__)
            raise

    async with serving(app) as (_, port), connected(port, CHUNKED) as client:
        await asyncio.sleep(0.01)
        client.write(data)
        answer = await client.answer()
        assert await client.closed()
    assert (answer.status, outcome) == (400, ["CancelledError"])


async def test_waiting_for_the_client_to_leave_is_not_waiting_for_a_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.15)
        await hello(scope, receive, send)

    async with serving(app, FrontLimits(body_idle_s=0.05)) as (_, port):
        assert (await ask(port, POST + b"content-length: 1\r\n\r\nx")).status == 200


async def test_trailers_are_not_added_to_the_headers() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        seen.append(scope)
        await hello(scope, receive, send)

    async with serving(app) as (_, port):
        await ask(port, CHUNKED + b"0\r\nauthorization: x\r\nhost: b\r\n\r\n")
    assert seen[0]["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("ended", [True, False])
async def test_an_oversized_head_is_431(ended: bool) -> None:
    data = HEAD[:-2] + b"x: " + b"y" * 70_000 + (b"\r\n\r\n" if ended else b"")
    async with serving(hello) as (_, port):
        assert (await ask(port, data)).status == 431


async def test_half_a_head_is_closed_with_408() -> None:
    limits = FrontLimits(head_s=0.1)
    async with serving(hello, limits) as (_, port), connected(port, HEAD[:20]) as client:
        assert (await client.answer()).status == 408
        assert await client.closed()


async def test_a_head_that_trickles_in_has_no_more_time_than_one_that_stops() -> None:
    limits = FrontLimits(head_s=0.1)
    async with (
        serving(hello, limits) as (_, port),
        connected(port, b"GET / HTTP/1.1\r\n") as client,
    ):
        answer = asyncio.create_task(client.answer())
        for _ in range(12):
            client.write(b"x: y\r\n")
            await asyncio.sleep(0.02)
        assert answer.done()
        assert (await answer).status == 408


async def test_an_idle_connection_is_closed_without_a_word() -> None:
    async with serving(hello, FrontLimits(idle_s=0.05)) as (_, port), connected(port) as client:
        assert await client.closed()
    async with (
        serving(hello, FrontLimits(idle_s=0.05)) as (_, port),
        connected(port, HEAD) as client,
    ):
        assert (await client.answer()).status == 200
        assert await client.closed()


async def test_a_slow_body_is_a_disconnect_for_the_application_and_408_for_the_client() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        seen.append((await receive())["type"])

    limits = FrontLimits(body_idle_s=0.1)
    data = POST + b"content-length: 9\r\n\r\nabc"
    async with serving(app, limits) as (_, port), connected(port, data) as client:
        assert (await client.answer()).status == 408
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        (POST + b"content-length: 6\r\n\r\n", [b"abc", b"def"]),
        (CHUNKED, [b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n"]),
    ],
)
async def test_an_answer_may_come_late_after_a_body_that_came_in_pieces(
    head: bytes, pieces: list[bytes]
) -> None:
    """The body's clock once went on after its last byte, and cut every answer of over 30 s."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        await asyncio.sleep(0.4)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    limits = FrontLimits(body_idle_s=0.1)
    async with serving(app, limits) as (_, port), connected(port, head) as client:
        for piece in pieces:
            await asyncio.sleep(0.05)
            client.writer.write(piece)
        assert (await client.answer()).body == b"abcdef"


async def test_the_body_clock_stands_while_the_application_does_not_ask() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2)
        await echo(scope, receive, send)

    limits = FrontLimits(body_idle_s=0.05)
    data = POST + b"content-length: 3\r\n\r\n"
    async with serving(app, limits) as (_, port), connected(port, data) as client:
        await asyncio.sleep(0.17)
        client.write(b"abc")
        assert (await client.answer()).body == b"POST /\nabc"


@pytest.mark.parametrize("way", ["close", "half-close", "reset"])
async def test_the_application_is_cancelled_when_the_client_leaves(way: str) -> None:
    app = Waiter()
    async with serving(app) as (front, port), connected(port, HEAD) as client:
        await app.started.wait()
        if way == "close":
            client.writer.close()
        elif way == "half-close":
            client.writer.write_eof()
        else:
            client.writer.transport.abort()
        await asyncio.wait_for(app.cancelled.wait(), 1)
        await asyncio.sleep(0.01)
        assert front.requests_in_flight == 0
        app.release.set()
        assert (await ask(port, HEAD)).body == b"hello"


async def test_a_client_that_pipelined_is_seen_leaving_too() -> None:
    app = Waiter()
    async with serving(app) as (_, port), connected(port, HEAD * 10) as client:
        await app.started.wait()
        client.writer.transport.abort()
        await asyncio.wait_for(app.cancelled.wait(), 1)
        assert app.calls == 1


async def test_a_client_is_seen_leaving_while_its_body_waits_to_be_read() -> None:
    app = Waiter()
    data = POST + b"content-length: 5000000\r\n\r\n" + b"x" * 1_000_000
    async with serving(app, FrontLimits(head_s=0.5)) as (_, port):
        async with connected(port, data):
            await app.started.wait()
            await asyncio.sleep(0.05)
        await asyncio.wait_for(app.cancelled.wait(), 1)


async def test_a_client_that_leaves_at_once_never_reaches_the_application() -> None:
    app = Waiter()
    async with serving(app) as (front, port):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(HEAD)
        await asyncio.sleep(0.1)
        assert front.requests_in_flight == 0
        assert front.connections == 0


async def test_a_client_that_leaves_in_mid_stream_cancels_the_stream() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x", more=True))
                await asyncio.sleep(0.005)
        finally:
            ended.set()

    async with serving(app) as (_, port):
        async with connected(port, HEAD) as client:
            await client.reader.readuntil(b"x")
        await asyncio.wait_for(ended.wait(), 1)


async def test_a_small_body_nobody_read_does_not_cost_the_connection() -> None:
    async with serving(hello) as (_, port):
        async with connected(port, POST + b"content-length: 9\r\n\r\nabc") as client:
            assert (await client.answer()).body == b"hello"
            client.write(b"defghi" + HEAD)
            assert (await client.answer()).body == b"hello"
        async with connected(port, CHUNKED + b"3\r\nabc\r\n") as client:
            assert (await client.answer()).body == b"hello"
            client.write(b"0\r\n\r\n" + HEAD)
            assert (await client.answer()).body == b"hello"


async def test_a_large_body_nobody_read_costs_the_connection_but_not_the_answer() -> None:
    data = POST + b"content-length: 50000000\r\n\r\n" + b"x" * 3_000_000
    async with serving(hello) as (_, port), connected(port, data) as client:
        answer = await client.answer()
        assert (answer.body, answer.headers[b"connection"]) == (b"hello", b"close")
        assert await client.closed()


async def test_an_endless_chunked_body_nobody_reads_is_cut() -> None:
    async with serving(hello) as (_, port), connected(port, CHUNKED) as client:
        assert (await client.answer()).body == b"hello"
        client.write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        client.write((b"2000\r\n" + b"x" * 0x2000 + b"\r\n") * 20)
        assert await client.closed()


async def test_a_large_body_arrives_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        data = await read_body(receive)
        await send(start())
        await send(body(b"%d %d" % (len(data), data.count(b"x"))))

    data = POST + b"content-length: 5000000\r\n\r\n" + b"x" * 5_000_000
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    async with serving(app) as (_, port), connected(port, data) as client:
        assert (await client.answer()).body == b"5000000 5000000"
        client.write(CHUNKED + chunk * 50 + b"0\r\n\r\n")
        assert (await client.answer()).body == b"3276800 3276800"


async def test_an_application_that_does_not_read_pauses_the_client() -> None:
    app = Waiter()
    async with serving(app) as (_, port):
        async with connected(port, POST + b"content-length: 60000000\r\n\r\n") as client:
            await app.started.wait()
            client.writer.transport.set_write_buffer_limits(high=1)
            client.write(b"x" * 60_000_000)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.writer.drain(), 0.25)
            client.writer.transport.abort()


async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            while True:
                await send(body(b"x" * 65_536, more=True))
        finally:
            ended.set()

    async with serving(app, FrontLimits(send_idle_s=0.15)) as (front, port):
        async with connected(port, HEAD) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.wait_for(ended.wait(), 3)
            await asyncio.sleep(0.05)
            assert front.connections == 0


async def test_a_bad_chunk_under_a_running_answer_resets_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"part", more=True))
        await read_body(receive)

    async with serving(app) as (_, port), connected(port, CHUNKED) as client:
        await client.reader.readuntil(b"part\r\n")
        client.write(b"zzz\r\n")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()


async def test_a_reader_that_takes_nothing_of_a_finished_answer_is_dropped() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x" * 30_000_000))

    async with serving(app, FrontLimits(send_idle_s=0.15)) as (front, port):
        async with connected(port, HEAD) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            async with asyncio.timeout(3):
                while front.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def test_an_upgrade_is_answered_as_an_ordinary_request() -> None:
    upgrade = b"upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    async with serving(echo) as (_, port), connected(port, HEAD[:-2] + upgrade) as client:
        assert (await client.answer()).body == b"GET /\n"
        client.write(HEAD)
        assert (await client.answer()).body == b"GET /\n"


async def test_the_body_of_a_request_that_offers_an_upgrade_is_its_body() -> None:
    """Java's client offers h2c with its first request, whatever that is."""
    smuggled = b"GET /admin HTTP/1.1\r\nhost: a\r\n\r\n"
    offer = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    data = POST + offer + b"content-length: %d\r\n\r\n" % len(smuggled) + smuggled
    async with serving(echo) as (_, port), connected(port, data + HEAD) as client:
        assert (await client.answer()).body == b"POST /\n" + smuggled
        assert (await client.answer()).body == b"GET /\n"


async def test_connect_is_refused() -> None:
    async with serving(hello) as (_, port):
        assert (await ask(port, b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n")).status == 405


async def test_the_host_of_an_absolute_target_replaces_the_header() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    async with serving(app) as (_, port):
        answer = await ask(port, b"GET http://b:1?q HTTP/1.1\r\nhost: a\r\n\r\n")
    assert answer.body == b"GET /?q\n"
    assert seen[0]["headers"] == [(b"host", b"b:1")]


async def test_a_refused_pipelined_request_comes_after_the_answers_before_it() -> None:
    async with serving(hello) as (_, port), connected(port, HEAD + b"BREW / HTTP/1.1\r\n\r\n") as c:
        assert (await c.answer()).status == 200
        assert (await c.answer()).status == 400
        assert await c.closed()
