"""The front as a whole: sockets, TLS and an orderly end."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import httpx
import pytest

from oneapi.net.front import Front, bind
from oneapi.net.shared import FrontLimits, Receive, Scope, Send
from tests.net.fronts import (
    HEAD,
    Waiter,
    ask,
    body,
    connected,
    echo,
    hello,
    serving,
    start,
    trusting,
)

pytestmark = pytest.mark.anyio


async def test_bind_listens_on_every_address_of_the_host() -> None:
    sockets = bind("", 0)
    families = {sock.family for sock in sockets}
    ports = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()
    assert socket.AF_INET in families
    assert len(ports) == 1


async def test_bind_says_that_a_port_is_taken() -> None:
    (sock,) = bind("127.0.0.1", 0)
    with sock, pytest.raises(OSError, match="in use") as caught:
        bind("127.0.0.1", sock.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


async def test_two_listeners_share_an_application(tls: ssl.SSLContext) -> None:
    front = Front(hello)
    plain, secure = bind("127.0.0.1", 0), bind("127.0.0.1", 0)
    await front.listen(plain)
    await front.listen(secure, tls)
    try:
        assert (await ask(plain[0].getsockname()[1], HEAD)).body == b"hello"
        async with httpx.AsyncClient(verify=trusting()) as client:
            url = f"https://127.0.0.1:{secure[0].getsockname()[1]}/"
            assert (await client.get(url)).text == "hello"
    finally:
        await front.abort()


async def test_connections_and_requests_are_counted() -> None:
    app = Waiter()
    async with serving(app) as (front, port), connected(port), connected(port, HEAD) as client:
        await app.started.wait()
        assert (front.connections, front.requests_in_flight) == (2, 1)
        app.release.set()
        await client.answer()
        await asyncio.sleep(0)
        assert (front.connections, front.requests_in_flight) == (2, 0)


async def test_the_server_header_is_sent_when_it_is_set() -> None:
    front = Front(hello, server_header=b"gate")
    (sock,) = bind("127.0.0.1", 0)
    await front.listen([sock])
    answers = [await ask(sock.getsockname()[1], data) for data in (HEAD, b"x\r\n\r\n")]
    await front.abort()
    assert [answer.headers[b"server"] for answer in answers] == [b"gate", b"gate"]


async def test_small_writes_are_not_delayed_by_the_kernel() -> None:
    """With Nagle's algorithm each second write waits 40 ms for an acknowledgement."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"a", more=True))
        await asyncio.sleep(0.001)
        await send(body(b"b"))

    loop = asyncio.get_running_loop()
    async with serving(app) as (_, port), connected(port) as client:
        began = loop.time()
        for _ in range(20):
            client.write(HEAD)
            await client.answer()
        assert loop.time() - began < 0.4


async def test_draining_finishes_what_runs_and_refuses_what_is_new() -> None:
    app = Waiter()
    async with (
        serving(app) as (front, port),
        connected(port) as idle,
        connected(port, HEAD) as busy,
    ):
        await app.started.wait()
        drain = asyncio.create_task(front.drain(5))
        assert await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        app.release.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers[b"connection"]) == (b"hello", b"close")
        assert await busy.closed()
        assert await asyncio.wait_for(drain, 1) == 0


async def test_draining_lets_a_stream_that_began_before_end_whole() -> None:
    step = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"one", more=True))
        await step.wait()
        await send(body(b"two"))

    async with serving(app) as (front, port), connected(port, HEAD + HEAD) as client:
        await client.reader.readuntil(b"one\r\n")
        drain = asyncio.create_task(front.drain(5))
        await asyncio.sleep(0.02)
        step.set()
        assert await client.rest() == b"3\r\ntwo\r\n0\r\n\r\n"
        client.writer.close()
        assert await drain == 0


async def test_draining_cuts_what_is_left_at_the_deadline() -> None:
    app = Waiter()
    async with serving(app) as (front, port), connected(port, HEAD) as client:
        await app.started.wait()
        assert await front.drain(0.1) == 1
        answer = await client.answer()
        assert (answer.status, app.cancelled.is_set()) == (503, True)
        assert (front.connections, front.requests_in_flight) == (0, 0)


async def test_draining_waits_for_what_cancelled_applications_still_do() -> None:
    settled = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            settled.set()

    async with serving(app) as (front, port), connected(port, HEAD):
        await asyncio.sleep(0.05)
        assert await front.drain(0) == 1
        assert settled.is_set()


async def test_draining_waits_for_answers_that_are_still_being_read() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x" * 20_000_000))

    async with serving(app) as (front, port), connected(port, HEAD) as client:
        await client.reader.readexactly(10)
        drain = asyncio.create_task(front.drain(5))
        assert len(await client.rest()) > 20_000_000
        assert await drain == 0


async def test_abort_ends_everything_at_once() -> None:
    app = Waiter()
    async with serving(app) as (front, port), connected(port, HEAD) as client:
        await app.started.wait()
        await asyncio.wait_for(front.abort(), 1)
        assert app.cancelled.is_set()
        assert await client.closed()


async def test_http_1_1_is_served_over_tls(tls: ssl.SSLContext) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    async with serving(app, tls=tls) as (_, port):
        async with httpx.AsyncClient(verify=trusting("http/1.1")) as client:
            for _ in range(2):
                answer = await client.post(f"https://127.0.0.1:{port}/x", content=b"y" * 300_000)
                assert answer.content == b"POST /x\n" + b"y" * 300_000
                assert answer.http_version == "HTTP/1.1"
    assert seen[0]["scheme"] == "https"


async def test_a_client_over_tls_that_leaves_cancels_its_application(tls: ssl.SSLContext) -> None:
    app = Waiter()
    async with serving(app, tls=tls) as (_, port):
        context = trusting("http/1.1")
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(HEAD)
        await app.started.wait()
        writer.close()
        await asyncio.wait_for(app.cancelled.wait(), 1)


async def test_a_tls_handshake_that_stops_is_dropped(tls: ssl.SSLContext) -> None:
    async with serving(hello, FrontLimits(head_s=0.1), tls) as (_, port):
        async with connected(port, b"\x16\x03\x01") as client:
            assert await client.closed()


async def test_old_tls_is_refused(tls: ssl.SSLContext) -> None:
    assert tls.minimum_version == ssl.TLSVersion.TLSv1_2
