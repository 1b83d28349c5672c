"""The front's HTTP/2 side over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import uvloop

from oneapi.net.shared import ClientGone, FrontLimits, Receive, Scope, Send
from tests.net.fronts import (
    HEAD,
    Waiter,
    body,
    connected,
    echo,
    hello,
    read_body,
    serving,
    start,
    trusting,
)

pytestmark = pytest.mark.anyio


class H2Client:
    """One HTTP/2 connection, driven by hand. Whatever is awaited fails after five seconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.conn.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.conn.data_to_send())

    def request(self, method: str = "GET", path: str = "/", *, end: bool = True) -> int:
        stream: int = self.conn.get_next_available_stream_id()
        head = {":method": method, ":path": path, ":scheme": "https", ":authority": "a"}
        self.conn.send_headers(stream, list(head.items()), end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self.conn.send_data(stream, data, end_stream=end)
        self.flush()

    async def events(self, *, acknowledge: bool = True) -> AsyncIterator[h2.events.Event]:
        while data := await self.reader.read(65_536):
            for event in self.conn.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and acknowledge:
                    size = event.flow_controlled_length
                    self.conn.acknowledge_received_data(size, event.stream_id)
                yield event
            self.flush()

    async def answer(self, stream: int) -> tuple[int, bytes]:
        """Status and body of the answer on `stream`; the status is 0 where it was reset."""
        status, data = 0, b""
        async with asyncio.timeout(5):
            async for event in self.events():
                if getattr(event, "stream_id", None) != stream:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers or ())[b":status"])
                elif isinstance(event, h2.events.DataReceived):
                    data += event.data or b""
                elif isinstance(event, h2.events.StreamEnded):
                    return status, data
                elif isinstance(event, h2.events.StreamReset):
                    return 0, data
        raise ConnectionError("the server closed")


@asynccontextmanager
async def h2_connected(port: int) -> AsyncIterator[H2Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting("h2"))
    try:
        yield H2Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_http_2_is_served(tls: ssl.SSLContext) -> None:
    async with serving(echo, tls=tls) as (_, port):
        async with httpx.AsyncClient(verify=trusting("h2"), http2=True) as client:
            url = f"https://127.0.0.1:{port}/x"
            sent = [client.post(url, content=b"%d" % n * 50_000) for n in range(10)]
            answers = await asyncio.gather(*sent)
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    assert [a.content for a in answers] == [b"POST /x\n" + b"%d" % n * 50_000 for n in range(10)]


async def test_curl_speaks_http_2_with_it(tls: ssl.SSLContext) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("the curl command is not installed")
    async with serving(echo, tls=tls) as (_, port):
        url = f"https://127.0.0.1:{port}/x?y"
        flags = ["-sk", "--http2", "--max-time", "5", "-w", " %{http_version}", "-d", "abc"]
        process = await asyncio.create_subprocess_exec(
            curl, *flags, url, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        out, _ = await process.communicate()
    if process.returncode == 2:
        pytest.skip("this curl has no HTTP/2")
    assert out == b"POST /x?y\nabc 2"


@pytest.mark.parametrize("way", ["reset", "close"])
async def test_an_http_2_client_that_leaves_cancels_its_application(
    tls: ssl.SSLContext, way: str
) -> None:
    app = Waiter()
    async with serving(app, tls=tls) as (front, port), h2_connected(port) as client:
        stream = client.request("POST", end=False)
        await app.started.wait()
        if way == "reset":
            client.conn.reset_stream(stream)
            client.flush()
        else:
            client.writer.close()
        await asyncio.wait_for(app.cancelled.wait(), 1)
        await asyncio.sleep(0.01)
        assert front.requests_in_flight == 0
        assert (front.connections == 1) == (way == "reset")


async def test_an_http_2_stream_is_cancelled_with_its_client(tls: ssl.SSLContext) -> None:
    outcome: list[str] = []
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            while True:
                await send(body(b"x" * 1_000, more=True))
                await asyncio.sleep(0.002)
        except (asyncio.CancelledError, ClientGone) as error:
            outcome.append(type(error).__name__)
            raise
        finally:
            ended.set()

    async with serving(app, tls=tls) as (_, port), h2_connected(port) as client:
        stream = client.request()
        async for event in client.events():
            if isinstance(event, h2.events.DataReceived):
                break
        client.conn.reset_stream(stream)
        client.flush()
        await asyncio.wait_for(ended.wait(), 1)
    assert outcome == ["CancelledError"]


async def test_work_after_a_complete_http_2_answer_is_not_cancelled(tls: ssl.SSLContext) -> None:
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0.1)
        done.set()

    async with serving(app, tls=tls) as (_, port), h2_connected(port) as client:
        assert await client.answer(client.request()) == (200, b"hello")
        client.writer.transport.abort()
        await asyncio.wait_for(done.wait(), 1)


async def test_bytes_for_an_answered_http_2_stream_leave_the_others_alone(
    tls: ssl.SSLContext,
) -> None:
    waiter = Waiter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (waiter if scope["path"] == "/slow" else hello)(scope, receive, send)

    async with serving(app, tls=tls) as (_, port), h2_connected(port) as client:
        slow = client.request(path="/slow")
        upload = client.request("POST", end=False)
        client.send(upload, b"x" * 10_000)
        assert await client.answer(upload) == (200, b"hello")
        client.send(upload, b"x" * 10_000)
        client.send(upload, b"x" * 10_000, end=True)
        await asyncio.sleep(0.05)
        waiter.release.set()
        assert await client.answer(slow) == (200, b"hello")


async def test_an_http_2_upload_nobody_reads_leaves_the_connection_alive(
    tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/fail":
            await send(start())
            await send(body(b"part", more=True))
            await asyncio.sleep(0.2)
            raise KeyError
        await hello(scope, receive, send)

    async with serving(app, tls=tls) as (_, port), h2_connected(port) as client:
        upload = client.request("POST", "/fail", end=False)
        async for event in client.events():
            window = min(client.conn.local_flow_control_window(upload), 16_384)
            if window and not isinstance(event, h2.events.StreamReset):
                client.send(upload, b"x" * window)
            if isinstance(event, h2.events.StreamReset):
                break
        assert await client.answer(client.request()) == (200, b"hello")


async def test_an_application_that_fails_over_http_2_is_500_or_a_reset(
    tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await send(start())
            await send(body(b"part", more=True))
            await asyncio.sleep(0.02)
        raise KeyError("secret")

    async with serving(app, tls=tls) as (_, port), h2_connected(port) as client:
        status, data = await client.answer(client.request())
        assert (status, json.loads(data)["error"]["code"]) == (500, "internal_error")
        assert await client.answer(client.request(path="/late")) == (0, b"part")
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


@pytest.mark.parametrize(
    "head",
    [
        {":method": "CONNECT", ":authority": "a:443"},
        {":method": "GET", ":path": "/ä", ":scheme": "https", ":authority": "a"},
    ],
    ids=["CONNECT", "a path that is not ASCII"],
)
async def test_what_hypercorn_would_fail_on_is_refused(
    tls: ssl.SSLContext, head: dict[str, str]
) -> None:
    async with serving(hello, tls=tls) as (_, port), h2_connected(port) as client:
        stream: int = client.conn.get_next_available_stream_id()
        client.conn.send_headers(stream, list(head.items()))
        client.flush()
        assert (await client.answer(stream))[0] == 0
        assert await client.answer(client.request()) == (200, b"hello")


async def test_a_slow_http_2_body_is_408(tls: ssl.SSLContext) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(ConnectionError):
            await read_body(receive)

    limits = FrontLimits(body_idle_s=0.1)
    async with serving(app, limits, tls) as (_, port), h2_connected(port) as client:
        assert (await client.answer(client.request("POST", end=False)))[0] == 408


async def test_waiting_for_an_http_2_client_to_leave_is_not_waiting_for_a_body(
    tls: ssl.SSLContext,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.15)
        await hello(scope, receive, send)

    limits = FrontLimits(body_idle_s=0.05)
    async with serving(app, limits, tls) as (_, port), h2_connected(port) as client:
        assert await client.answer(client.request()) == (200, b"hello")


@pytest.mark.parametrize("level", ["stream", "socket"])
async def test_an_http_2_reader_that_takes_nothing_is_dropped(
    tls: ssl.SSLContext, level: str
) -> None:
    sent = 0
    ended = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        try:
            await send(start())
            while True:
                await send(body(b"x" * 100_000, more=True))
                sent += 100_000
        finally:
            ended.set()

    limits = FrontLimits(send_idle_s=0.15)
    async with serving(app, limits, tls) as (_, port), h2_connected(port) as client:
        if level == "socket":  # windows that never close, on a socket that is not read
            client.conn.update_settings({4: 2**31 - 1})
            client.conn.increment_flow_control_window(2**31 - 70_000)
            client.request()
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        else:
            client.request()
        await asyncio.wait_for(ended.wait(), 4)
    assert sent < (30_000_000 if level == "socket" else 300_000)


async def test_http_2_takes_part_in_the_drain(tls: ssl.SSLContext) -> None:
    app = Waiter()
    async with serving(app, tls=tls) as (front, port), h2_connected(port) as client:
        stream = client.request()
        await app.started.wait()
        drain = asyncio.create_task(front.drain(5))
        await asyncio.sleep(0.05)
        app.release.set()
        assert await client.answer(stream) == (200, b"hello")
        assert await asyncio.wait_for(drain, 2) == 0


async def test_an_idle_http_2_connection_does_not_hold_up_the_drain(tls: ssl.SSLContext) -> None:
    async with serving(hello, tls=tls) as (front, port), h2_connected(port) as client:
        assert await client.answer(client.request()) == (200, b"hello")
        assert await asyncio.wait_for(front.drain(5), 2) == 0
        assert front.connections == 0


async def test_http_2_requests_left_at_the_deadline_are_cut(tls: ssl.SSLContext) -> None:
    app = Waiter()
    async with serving(app, tls=tls) as (front, port), h2_connected(port) as client:
        stream = client.request()
        await app.started.wait()
        assert await front.drain(0.1) == 1
        assert (await client.answer(stream))[0] == 503
        assert app.cancelled.is_set()


def test_everything_works_on_uvloop_too(tls: ssl.SSLContext) -> None:
    async def main() -> None:
        app = Waiter()
        async with serving(app, tls=tls) as (front, port):
            app.release.set()
            async with h2_connected(port) as client:
                assert await client.answer(client.request()) == (200, b"hello")
                app.release.clear()
                client.request()
                await asyncio.sleep(0.05)
            await asyncio.wait_for(app.cancelled.wait(), 1)
            context = trusting("http/1.1")
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            app.release.set()
            writer.write(HEAD)
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
            app.release.clear()
            app.cancelled.clear()
            writer.write(HEAD)
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await asyncio.wait_for(app.cancelled.wait(), 1)
            assert await front.drain(1) == 0
        async with (
            serving(echo) as (_, port),
            connected(port, b"CONNECT / HTTP/1.1\r\n\r\n") as raw,
        ):
            assert (await raw.answer()).status == 405
            assert await raw.closed()

    uvloop.run(main())
