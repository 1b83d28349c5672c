"""One call on one of the pool's connections: what goes out, what comes back, what goes wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from oneapi.net.base import Call, CarrierError, Timeouts
from oneapi.net.connection import HEAD_LIMIT
from tests.net.peers import (
    GET,
    LONG,
    OK,
    SHORT,
    SHORT_S,
    Peer,
    Reader,
    Writer,
    answering,
    answering_and_closing,
    fetch,
    on_both_loops,
    peer,
    pieces,
    pool,
)

pytestmark = [pytest.mark.anyio, on_both_loops]


# What goes out


async def test_a_request_without_a_body_goes_out_as_given() -> None:
    async with peer(answering(OK)) as there, pool() as through:
        await fetch(through, there.origin, Call(b"GET", b"/v1/models?a=%2F", ((b"x-a", b"1"),)))
        host = b"host: 127.0.0.1:%d\r\n" % there.origin.port
        assert there.heads == [b"get /v1/models?a=%2f http/1.1\r\n" + host + b"x-a: 1\r\n\r\n"]


async def test_a_post_without_a_body_says_so() -> None:
    async with peer(answering(OK)) as there, pool() as through:
        await fetch(through, there.origin, Call(b"POST", b"/", ()))
        assert there.heads[0].endswith(b"content-length: 0\r\n\r\n")


@pytest.mark.parametrize("size", [5, 65_536, 65_537, 5_000_000])
async def test_a_body_of_bytes_arrives_whole(size: int) -> None:
    body = hashlib.sha256(b"x").digest() * (size // 32 + 1)
    async with peer(answering(OK)) as there, pool() as through:
        assert await fetch(through, there.origin, Call(b"POST", b"/", (), body[:size])) == (
            200,
            b"ok",
        )
        assert there.bodies == [body[:size]]


async def test_an_iterator_without_a_length_goes_out_chunked() -> None:
    async with peer(answering(OK)) as there, pool() as through:
        body = pieces(b"abc", b"", b"d" * 300_000)
        assert await fetch(through, there.origin, Call(b"POST", b"/", (), body)) == (200, b"ok")
        assert b"transfer-encoding: chunked" in there.heads[0]
        assert there.bodies == [b"abc" + b"d" * 300_000]


async def test_an_iterator_with_a_length_goes_out_with_it() -> None:
    async with peer(answering(OK)) as there, pool() as through:
        call = Call(b"POST", b"/", (), pieces(b"abc", b"def"), content_length=6)
        assert await fetch(through, there.origin, call) == (200, b"ok")
        assert b"content-length: 6\r\n" in there.heads[0]
        assert there.bodies == [b"abcdef"]


@pytest.mark.parametrize("length", [5, 7])
async def test_an_iterator_of_another_length_than_announced_is_an_error(length: int) -> None:
    async with peer(answering(OK)) as there, pool() as through:
        call = Call(b"POST", b"/", (), pieces(b"abc", b"def"), content_length=length)
        with pytest.raises(CarrierError, match="as announced") as caught:
            await fetch(through, there.origin, call)
        assert caught.value.reason == "protocol"
        await asyncio.wait_for(there.left.wait(), 2)
        assert there.bodies == []  # a byte more than announced would be a request of its own


async def test_what_the_body_iterator_raises_comes_out_of_send() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise LookupError("the client left")

    async with peer(answering(OK)) as there, pool() as through:
        with pytest.raises(LookupError, match="the client left"):
            await fetch(through, there.origin, Call(b"POST", b"/", (), broken()))
        await asyncio.wait_for(there.left.wait(), 2)


@pytest.mark.parametrize(
    "call",
    [
        Call(b"GET", b"/", ((b"x-a", b"1\r\nx-b: 2"),)),
        Call(b"GET", b"/", ((b"x-a", b"1\nx-b: 2"),)),
        Call(b"GET", b"/ HTTP/1.1\r\nx-a: 1\r\n\r\nGET /", ()),
        Call(b"GET", b"/a b", ()),
    ],
)
async def test_a_line_break_in_the_head_never_leaves(call: Call) -> None:
    async with peer(answering(OK)) as there, pool() as through:
        with pytest.raises(CarrierError) as caught:
            await through.send(there.origin, call, LONG)
        assert (caught.value.reason, caught.value.sent) == ("protocol", False)
        assert there.connections == 0


async def test_an_early_refusal_stops_the_upload_and_is_delivered() -> None:
    read_on = asyncio.Event()

    async def refuse(there: Peer, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 8\r\n\r\n")
        await read_on.wait()
        writer.write(b"too long")
        await there.until_left(reader)

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0.001)
        finally:
            await asyncio.sleep(0.02)

    async with peer(refuse) as there, pool() as through:
        body = endless()
        reply = await through.send(there.origin, Call(b"POST", b"/", (), body), LONG)
        await body.aclose()  # raises if it still ran
        read_on.set()
        assert (reply.status, await reply.read(100)) == (413, b"too long")
        await asyncio.wait_for(there.left.wait(), 2)
        assert through.idle_count() == 0


async def test_an_early_refusal_is_delivered_when_the_peer_reads_no_more() -> None:
    async def refuse(there: Peer, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno")
        await asyncio.sleep(5)

    async with peer(refuse) as there, pool() as through:
        call = Call(b"POST", b"/", (), b"x" * 30_000_000)
        assert await fetch(through, there.origin, call) == (401, b"no")


async def test_an_early_success_leaves_the_upload_going() -> None:
    async def echo(there: Peer, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while line := await reader.readline():
            if not (size := int(line, 16)):
                break
            writer.write(await reader.readexactly(size))
            await reader.readexactly(2)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with peer(echo) as there, pool() as through:
        body = pieces(b"a", b"b", b"c", pause_s=0.02)
        assert await fetch(through, there.origin, Call(b"POST", b"/", (), body)) == (200, b"abc")


# What comes back


async def test_header_names_are_lower_case_and_values_untouched() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Case: MiXed  value\r\nContent-Length: 0\r\n\r\n"
    async with peer(answering(head)) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert list(reply.headers) == [(b"x-case", b"MiXed  value"), (b"content-length", b"0")]
        assert await reply.chunk() == b""


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n",
            b"hello world",
        ),
        (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\ngo", b"go"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nlink: </a>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            b"ok",
        ),
    ],
)
async def test_a_framed_answer_is_read_and_its_connection_kept(answer: bytes, body: bytes) -> None:
    async with peer(answering(answer, OK)) as there, pool() as through:
        status, got = await fetch(through, there.origin)
        assert (got, through.idle_count()) == (body, 1)
        assert status == int(answer.rpartition(b"HTTP/1.1 ")[2][:3])
        assert await fetch(through, there.origin) == (200, b"ok")
        assert there.connections == 1


@pytest.mark.parametrize("cut", range(1, 120, 13))
async def test_an_answer_may_be_cut_anywhere(cut: int) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n"
    )

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(answer[:cut])
        await asyncio.sleep(0.005)
        writer.write(answer[cut:])
        await there.until_left(reader)

    async with peer(script) as there, pool() as through:
        assert await fetch(through, there.origin) == (200, b"hello world")
        assert through.idle_count() == 1


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    async with peer(answering_and_closing(answer)) as there, pool() as through:
        assert await fetch(through, there.origin) == (200, b"until the end")
        assert through.idle_count() == 0


async def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"
    async with peer(answering(answer)) as there, pool() as through:
        reply = await through.send(there.origin, Call(b"HEAD", b"/", ()), LONG)
        assert (reply.status, await reply.chunk()) == (200, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_is_to_be_closed_is_not_used_again(answer: bytes) -> None:
    async with peer(answering(answer, answer)) as there, pool() as through:
        assert await fetch(through, there.origin) == (200, b"ok")
        assert through.idle_count() == 0
        assert await fetch(through, there.origin) == (200, b"ok")
        assert there.connections == 2


# What goes wrong


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-big: " + b"x" * HEAD_LIMIT + b"\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-many: 1\r\n" * (HEAD_LIMIT // 5) + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ],
    ids=lambda answer: answer[:40].decode().split("\r\n")[-1][:20],
)
async def test_an_answer_that_breaks_the_rules_is_an_error_of_protocol(answer: bytes) -> None:
    async with peer(answering(answer)) as there, pool() as through:
        with pytest.raises(CarrierError) as caught:
            await fetch(through, there.origin)
        assert (caught.value.reason, caught.value.sent) == ("protocol", True)
        assert "secret" not in str(caught.value)
        await asyncio.wait_for(there.left.wait(), 2)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nx-a: 1\r\n"])
async def test_a_peer_that_leaves_before_its_head_is_done_has_closed(answer: bytes) -> None:
    async with peer(answering_and_closing(answer)) as there, pool() as through:
        with pytest.raises(CarrierError) as caught:
            await fetch(through, there.origin)
        assert (caught.value.reason, caught.value.sent) == ("closed", True)
        assert there.connections == 1  # a new connection is not tried again


async def test_a_peer_that_leaves_while_it_takes_nothing_has_closed() -> None:
    async def deaf(there: Peer, reader: Reader, writer: Writer) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)
        writer.write_eof()
        await asyncio.sleep(5)

    async with peer(deaf) as there, pool() as through:
        call = Call(b"POST", b"/", (), b"x" * 30_000_000)
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(fetch(through, there.origin, call), 2)
        assert caught.value.reason == "closed"


async def test_an_answer_nobody_asked_for_is_given_to_nobody() -> None:
    smuggled = OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    async with peer(answering(smuggled)) as there, pool() as through:
        assert await fetch(through, there.origin) == (200, b"ok")
        assert await fetch(through, there.origin) == (200, b"ok")
        assert there.connections == 2


async def test_words_on_an_idle_connection_close_it() -> None:
    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await there.until_left(reader)

    async with peer(script) as there, pool() as through:
        await fetch(through, there.origin)
        await asyncio.wait_for(there.left.wait(), 2)
        assert through.idle_count() == 0


# What takes too long


async def test_no_answer_in_time_is_a_first_byte_timeout() -> None:
    async with peer(answering(b"HTTP/1.1 100 Continue\r\n\r\n")) as there, pool() as through:
        with pytest.raises(CarrierError) as caught:
            await fetch(through, there.origin, GET, SHORT)
        assert caught.value.reason == "first_byte_timeout"
        await asyncio.wait_for(there.left.wait(), 2)


async def test_no_answer_to_an_iterated_body_is_a_first_byte_timeout() -> None:
    async with peer(answering(b"")) as there, pool() as through:
        call = Call(b"POST", b"/", (), pieces(b"a", b"b"))
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(fetch(through, there.origin, call, SHORT), 2)
        assert caught.value.reason == "first_byte_timeout"


async def test_waiting_for_the_answer_begins_when_the_body_has_gone() -> None:
    async with peer(answering(OK)) as there, pool() as through:
        body = pieces(b"a", b"b", b"c", pause_s=SHORT_S / 2)
        call = Call(b"POST", b"/", (), body)
        assert await fetch(through, there.origin, call, SHORT) == (200, b"ok")


async def test_a_peer_that_takes_nothing_is_an_idle_timeout() -> None:
    async def deaf(there: Peer, reader: Reader, writer: Writer) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    async with peer(deaf) as there, pool() as through:
        call = Call(b"POST", b"/", (), b"x" * 30_000_000)
        with pytest.raises(CarrierError, match="took nothing") as caught:
            await fetch(through, there.origin, call, SHORT)
        assert caught.value.reason == "idle_timeout"


async def test_each_wait_has_its_own_time() -> None:
    """A short wait before a long one must not end it, nor make it last for ever."""

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await asyncio.sleep(0.05)
        writer.write(b"k")
        await there.until_left(reader)

    async with peer(script) as there, pool() as through:
        times = Timeouts(first_byte=0.3, idle=0.1)
        assert await fetch(through, there.origin, GET, times) == (200, b"ok")
        began = asyncio.get_running_loop().time()
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(fetch(through, there.origin, GET, times), 2)
        assert caught.value.reason == "first_byte_timeout"
        assert asyncio.get_running_loop().time() - began > 0.27


async def test_a_given_back_connection_keeps_the_next_request_timed() -> None:
    """The reader that was woken by an answer's end must not undo what the next request set."""
    finish = asyncio.Event()

    async def script(there: Peer, reader: Reader, writer: Writer) -> None:
        await there.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await finish.wait()
        writer.write(b"k")
        await there.until_left(reader)

    async with peer(script) as there, pool() as through:
        reply = await through.send(there.origin, GET, LONG)
        assert await reply.chunk() == b"o"
        reading = asyncio.create_task(reply.chunk())
        await asyncio.sleep(0.01)
        finish.set()
        # Take the connection in the very turn in which it is free, of which no event tells.
        while not through.idle_count():  # noqa: ASYNC110
            await asyncio.sleep(0)
        with pytest.raises(CarrierError) as caught:
            await asyncio.wait_for(through.send(there.origin, GET, SHORT), 2)
        assert (await reading, caught.value.reason) == (b"k", "first_byte_timeout")
        assert there.connections == 1
