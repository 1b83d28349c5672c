"""`net.proxied.ProxiedPool` through scripted proxies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import ssl
from collections.abc import AsyncIterator

import pytest

from oneapi.net.base import Call, CarrierError, Origin, Timeouts
from oneapi.net.proxied import ProxiedPool
from oneapi.net.upstream import default_tls
from tests.net import peers
from tests.net.peers import (
    GET,
    LONG,
    OK,
    SHORT,
    SHORT_S,
    Peer,
    Reader,
    Script,
    Writer,
    answering,
    answering_and_closing,
    answering_once,
    cancelled,
    mute,
    on_both_loops,
    peer,
    pieces,
)

pytestmark = [pytest.mark.anyio, on_both_loops]

THERE = Origin("http", "provider.example", 8080)  # a name only the proxy could resolve

_tls = functools.cache(default_tls)  # 20 ms


def socks5(then: Script, reply: bytes = b"\x00", *, password: bool = False) -> Script:
    """RFC 1928 (and 1929), the proxy's side, for a name as address."""

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        methods = await reader.readexactly(3)
        assert methods == (b"\x05\x01\x02" if password else b"\x05\x01\x00")
        writer.write(methods[:1] + methods[2:])
        if password:
            _, size = await reader.readexactly(2)
            user = await reader.readexactly(size)
            word = await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\x01" + (b"\x00" if (user, word) == (b"me", b"hush") else b"\x01"))
        head = await reader.readexactly(5)
        name = await reader.readexactly(head[4])
        assert (head[:4], name) == (b"\x05\x01\x00\x03", THERE.host.encode())
        assert int.from_bytes(await reader.readexactly(2), "big") == THERE.port
        writer.write(b"\x05" + reply + b"\x00\x01\x00\x00\x00\x00\x00\x00")
        if reply == b"\x00":
            await then(there, reader, writer)
        await there.until_left(reader)

    return script


@contextlib.asynccontextmanager
async def proxied(there: Peer, scheme: str = "http", user: str = "") -> AsyncIterator[ProxiedPool]:
    pool = ProxiedPool(f"{scheme}://{user}127.0.0.1:{there.port}", tls=_tls)
    try:
        yield pool
    finally:
        await pool.aclose()


async def fetch(
    pool: ProxiedPool, call: Call = GET, timeouts: Timeouts = LONG, origin: Origin = THERE
) -> tuple[int, bytes]:
    return await peers.fetch(pool, origin, call, timeouts)


async def test_a_plain_call_goes_to_the_http_proxy_with_the_whole_address() -> None:
    async with peer(answering(OK, OK)) as there, proxied(there) as pool:
        call = Call(b"POST", b"/v1?a=%2F", ((b"x-a", b"1"),), b"body")
        assert await fetch(pool, call) == (200, b"ok")
        assert await fetch(pool) == (200, b"ok")
        assert there.connections == 1
        head, _, body = there.asked[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST http://provider.example:8080/v1?a=%2F HTTP/1.1\r\n")
        assert b"\r\nhost: provider.example:8080\r\nx-a: 1\r\n" in head
        assert body == b"body"
        assert b"accept" not in head.lower()


async def test_the_proxys_password_goes_to_the_proxy() -> None:
    script = answering(OK)
    async with peer(script) as there, proxied(there, user="me:hush@") as pool:
        await fetch(pool)
        assert b"proxy-authorization: basic bwu6ahvzaa==" in there.asked[0].lower()


async def test_calls_go_through_a_socks5_proxy() -> None:
    script = socks5(answering(OK, OK), password=True)
    async with peer(script) as there, proxied(there, "socks5", "me:hush@") as pool:
        assert await fetch(pool) == (200, b"ok")
        assert await fetch(pool) == (200, b"ok")
        assert there.connections == 1
        assert there.asked[0].startswith(b"GET /path?key=secret HTTP/1.1\r\n")
        assert b"hush" not in there.asked[0]


async def test_the_body_comes_raw_and_as_it_arrives() -> None:
    packed = gzip.compress(b"hello")
    go_on = asyncio.Event()

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n")
        writer.write(b"content-length: %d\r\n\r\n" % len(packed) + packed[:5])
        await go_on.wait()
        writer.write(packed[5:])
        await there.until_left(reader)

    async with peer(script) as there, proxied(there) as pool:
        reply = await pool.send(THERE, GET, LONG)
        assert (b"content-encoding", b"gzip") in reply.headers
        assert await reply.chunk() == packed[:5]
        go_on.set()
        assert [await reply.chunk(), await reply.chunk()] == [packed[5:], b""]
        await reply.aclose()


@pytest.mark.parametrize("length", [None, 6])
async def test_an_iterated_body_goes_out_chunked_or_by_its_length(length: int | None) -> None:
    got = b""

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        nonlocal got
        head = await reader.readuntil(b"\r\n\r\n")
        end = b"0\r\n\r\n" if b"chunked" in head else b"def"
        got = await reader.readuntil(end)
        writer.write(OK)
        await there.until_left(reader)

    async with peer(script) as there, proxied(there) as pool:
        await fetch(pool, Call(b"POST", b"/", (), pieces(b"abc", b"def"), content_length=length))
        assert got == (b"abcdef" if length else b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")


async def test_what_the_body_iterator_raises_comes_out_of_send() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise TimeoutError("the client was slow")

    async with peer(answering(OK)) as there, proxied(there) as pool:
        with pytest.raises(TimeoutError, match="the client was slow"):
            await fetch(pool, Call(b"POST", b"/", (), broken()))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-x\r\n\r\n", "protocol"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "connect"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "protocol"),
    ],
)
async def test_a_bad_answer_has_its_reason(answer: bytes, reason: str) -> None:
    async with peer(answering(answer)) as there, proxied(there, user="me:hush@") as pool:
        with pytest.raises(CarrierError) as caught:
            await fetch(pool)
        assert caught.value.reason == reason
        assert not {"hush", "secret"} & set(str(caught.value).replace("=", " ").split())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none"])
async def test_a_peer_that_leaves_early_has_closed(answer: bytes) -> None:
    async with peer(answering_and_closing(answer)) as there, proxied(there) as pool:
        with pytest.raises(CarrierError) as caught:
            await fetch(pool)
        assert (caught.value.reason, caught.value.sent) == ("closed", True)
        assert there.connections == 1


async def test_a_stale_connection_is_replaced_once() -> None:
    async with peer(answering_once) as there, proxied(there) as pool:
        assert await fetch(pool) == (200, b"ok")
        assert await fetch(pool) == (200, b"ok")
        assert there.connections == 2


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_says_nothing_to_a_tunnel_is_a_connect_timeout(scheme: str) -> None:
    async with (
        peer(mute) as there,
        proxied(there, "socks5" if scheme == "http" else "http") as pool,
    ):
        origin = Origin(scheme, THERE.host, THERE.port)
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(fetch(pool, timeouts=SHORT, origin=origin), 3)
        assert (caught.value.reason, caught.value.sent) == ("connect_timeout", False)
        await asyncio.wait_for(there.left.wait(), 2)


async def test_no_answer_in_time_is_a_first_byte_timeout() -> None:
    async with peer(mute) as there, proxied(there) as pool:
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(fetch(pool, timeouts=SHORT), 3)
        assert (caught.value.reason, caught.value.sent) == ("first_byte_timeout", True)


async def test_a_body_that_stops_is_an_idle_timeout() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\none"
    async with peer(answering(answer)) as there, proxied(there) as pool:
        reply = await pool.send(THERE, GET, Timeouts(first_byte=5, idle=SHORT_S))
        assert await reply.chunk() == b"one"
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(reply.chunk(), 3)
        assert caught.value.reason == "idle_timeout"
        await reply.aclose()


async def test_a_proxy_that_refuses_the_tunnel_is_an_error_of_connecting() -> None:
    answer = b"HTTP/1.1 403 me:hush\r\ncontent-length: 0\r\n\r\n"
    async with peer(answering(answer)) as there, proxied(there) as pool:
        with pytest.raises(CarrierError, match=r"the proxy refused \(403\)$") as caught:
            await fetch(pool, origin=Origin("https", THERE.host, 443))
        assert (caught.value.reason, caught.value.sent) == ("connect", False)
        assert there.asked[0].startswith(b"CONNECT provider.example:443 HTTP/1.1\r\n")
        assert b"secret" not in there.asked[0]


async def garbage(there: Peer, reader: Reader, writer: Writer) -> None:
    await reader.readexactly(3)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await there.until_left(reader)


@pytest.mark.parametrize("script", [garbage, socks5(mute, b"\x05")], ids=["garbage", "refused"])
async def test_a_socks_proxy_that_refuses_is_an_error_of_connecting(script: Script) -> None:
    async with peer(script) as there, proxied(there, "socks5") as pool:
        with pytest.raises(CarrierError, match="the SOCKS5 proxy refused") as caught:
            await fetch(pool)
        assert (caught.value.reason, caught.value.sent) == ("connect", False)


async def test_an_absent_proxy_is_an_error_of_connecting_without_its_password() -> None:
    async with peer(mute) as gone:
        pass
    async with proxied(gone, user="me:hush@") as pool:
        with pytest.raises(CarrierError) as caught:
            await fetch(pool)
        assert (caught.value.reason, caught.value.sent) == ("connect", False)
        assert "hush" not in str(caught.value)


async def test_a_cancelled_call_closes_its_connection() -> None:
    async with peer(answering(b"")) as there, proxied(there) as pool:
        await cancelled(there, fetch(pool))


async def test_reading_stops_at_the_limit() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 4000
    async with peer(answering(answer)) as there, proxied(there) as pool:
        reply = await pool.send(THERE, GET, LONG)
        with pytest.raises(CarrierError) as caught:
            await reply.read(100)
        assert caught.value.reason == "too_large"
        await asyncio.wait_for(there.left.wait(), 2)


@pytest.mark.parametrize("url", ["ftp://me:hush@host", "host:1", "http://me:hush@[::", ""])
async def test_a_proxy_url_of_another_kind_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="a proxy's URL") as caught:
        ProxiedPool(url)
    assert "hush" not in f"{caught.value}{caught.value.__cause__}"


async def test_tls_is_made_for_the_first_call_and_once() -> None:
    made: list[ssl.SSLContext] = []

    def tls() -> ssl.SSLContext:
        made.append(default_tls())
        return made[-1]

    async with peer(answering(OK, OK)) as there:
        pool = ProxiedPool(f"http://127.0.0.1:{there.port}", tls=tls)
        assert not made
        await fetch(pool)
        await fetch(pool)
        await pool.aclose()
        assert len(made) == 1
