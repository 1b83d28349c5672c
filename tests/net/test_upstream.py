"""`net.upstream.Pool` against scripted peers: connecting, keeping connections, closing, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from oneapi.net.base import Call, CarrierError, Origin
from tests.net.peers import (
    GET,
    LONG,
    OK,
    SHORT,
    Peer,
    Reader,
    Writer,
    answering,
    answering_once,
    cancelled,
    fetch,
    mute,
    on_both_loops,
    peer,
    pieces,
    pool,
    until,
)

pytestmark = [pytest.mark.anyio, on_both_loops]


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trust(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


async def test_a_refused_connection_is_an_error_of_connecting() -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", taken.getsockname()[1])
        async with pool() as through:
            with pytest.raises(CarrierError, match="refused") as caught:
                await through.send(origin, GET, LONG)
            assert (caught.value.reason, caught.value.sent) == ("connect", False)
            assert through.open_count() == 0


async def test_a_name_that_cannot_be_is_an_error_of_connecting() -> None:
    async with pool() as through:
        with pytest.raises(CarrierError, match="the name was not found") as caught:
            await through.send(Origin("http", "a" * 70 + ".example", 80), GET, LONG)
        assert caught.value.reason == "connect"


async def test_the_connect_timeout_covers_the_tls_handshake() -> None:
    async with peer(mute) as there, pool() as through:
        origin = Origin("https", "127.0.0.1", there.origin.port)
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(through.send(origin, GET, SHORT), 3)
        assert (caught.value.reason, caught.value.sent) == ("connect_timeout", False)
        await asyncio.wait_for(there.left.wait(), 2)


async def test_concurrent_calls_get_their_own_answers() -> None:
    async def echo(there: Peer, reader: Reader, writer: Writer) -> None:
        while True:
            body = await there.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with peer(echo) as there, pool() as through:

        async def client(number: int) -> None:
            for turn in range(20):
                body = b"%d/%d" % (number, turn)
                call = Call(b"POST", b"/", (), body)
                assert await fetch(through, there.origin, call) == (200, body)

        await asyncio.gather(*(client(number) for number in range(20)))
        assert there.connections <= 20
        assert through.idle_count() == through.open_count() == there.connections


async def test_a_stale_connection_is_replaced_once() -> None:
    async with peer(answering_once) as there, pool() as through:
        assert await fetch(through, there.origin) == (200, b"ok")
        assert await fetch(through, there.origin) == (200, b"ok")
        assert (there.connections, len(there.heads)) == (2, 3)


async def test_a_kept_connection_that_began_to_answer_is_not_replaced() -> None:
    async def half(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(OK)
        await there.request(reader)
        writer.write(b"HTTP/1.1 2")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with peer(half) as there, pool() as through:
        await fetch(through, there.origin)
        with pytest.raises(CarrierError) as caught:
            await fetch(through, there.origin)
        assert (caught.value.reason, there.connections) == ("closed", 1)


async def test_a_slow_answer_on_a_kept_connection_is_not_asked_for_twice() -> None:
    async with peer(answering(OK, b"")) as there, pool() as through:
        await fetch(through, there.origin)
        with pytest.raises(CarrierError) as caught:
            await fetch(through, there.origin, GET, SHORT)
        assert caught.value.reason == "first_byte_timeout"
        assert len(there.heads) == 2


async def test_a_body_that_can_be_sent_only_once_takes_a_new_connection() -> None:
    async with peer(answering(OK, OK)) as there, pool() as through:
        await fetch(through, there.origin)
        await fetch(through, there.origin, Call(b"POST", b"/", (), pieces(b"a")))
        assert (there.connections, through.idle_count()) == (2, 2)


async def test_a_connection_closed_while_idle_is_forgotten() -> None:
    leave = asyncio.Event()

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(OK)
        await leave.wait()

    async with peer(script) as there, pool() as through:
        await fetch(through, there.origin)
        assert through.idle_count() == 1
        leave.set()
        await until(lambda: not through.open_count())
        assert (through.idle_count(), through.open_count()) == (0, 0)


async def test_idle_connections_are_closed_in_time() -> None:
    async with peer(answering(OK, OK)) as there, pool(keepalive_s=0.15) as through:
        await fetch(through, there.origin)
        await asyncio.sleep(0.09)
        await fetch(through, there.origin)  # used again: its time begins anew
        await asyncio.sleep(0.09)
        assert through.idle_count() == 1
        await asyncio.wait_for(there.left.wait(), 2)
        assert through.open_count() == 0
        assert not through._hosts  # the origins of fetched pictures would never end


async def test_no_more_connections_are_kept_than_allowed() -> None:
    async with peer(answering(OK)) as there, pool(max_idle_per_origin=2) as through:
        await asyncio.gather(*(fetch(through, there.origin) for _ in range(5)))
        await until(lambda: through.open_count() == 2)
        assert (there.connections, through.idle_count(), through.open_count()) == (5, 2, 2)


async def test_origins_do_not_share_connections() -> None:
    async with peer(answering(OK)) as here, peer(answering(OK)) as there, pool() as through:
        await fetch(through, here.origin)
        await fetch(through, there.origin)
        assert (here.connections, there.connections, through.idle_count()) == (1, 1, 2)


async def test_closing_the_pool_ends_calls_and_refuses_new_ones() -> None:
    async with peer(answering(OK, b"")) as there, pool() as through:
        await fetch(through, there.origin)
        call = asyncio.create_task(fetch(through, there.origin))
        await until(lambda: len(there.heads) == 2)
        await through.aclose()
        assert through.open_count() == 0
        for refused in (call, fetch(through, there.origin)):
            with pytest.raises(CarrierError, match="pool"):
                await refused


async def test_calls_go_over_tls(trust: ssl.SSLContext, server_tls: ssl.SSLContext) -> None:
    body = b"x" * 1_000_000
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with peer(answering(answer, OK), server_tls) as there, pool(ssl_context=trust) as through:
        call = Call(b"POST", b"/", (), b"y" * 1_000_000)
        assert await fetch(through, there.origin, call) == (200, body)
        assert await fetch(through, there.origin) == (200, b"ok")
        assert (there.connections, there.bodies[0]) == (1, call.body)


async def test_a_tls_call_that_is_cancelled_closes_at_once(
    trust: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    async with peer(answering(b""), server_tls) as there, pool(ssl_context=trust) as through:
        await cancelled(there, fetch(through, there.origin))


async def test_the_pools_tls_is_made_once_and_may_be_shared() -> None:
    async with pool() as through:
        assert through.tls() is through.tls()


async def test_an_unknown_certificate_is_refused_in_words(server_tls: ssl.SSLContext) -> None:
    async with peer(answering(OK), server_tls) as there, pool() as through:
        with pytest.raises(CarrierError, match="self-signed certificate") as caught:
            await fetch(through, there.origin)
        assert (caught.value.reason, caught.value.sent) == ("connect", False)


async def test_an_ipv6_address_is_reached() -> None:
    there = Peer(answering(OK))
    try:
        server = await asyncio.start_server(there.serve, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server, pool() as through:
        origin = Origin("http", "::1", server.sockets[0].getsockname()[1])
        assert await fetch(through, origin) == (200, b"ok")
        assert b"host: [::1]:%d\r\n" % origin.port in there.heads[0]
        await through.aclose()
        await asyncio.wait_for(there.left.wait(), 2)
        await asyncio.sleep(0.02)
