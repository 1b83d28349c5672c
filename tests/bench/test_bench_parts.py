"""The bench's own ends count right: what they say about a server is worth nothing otherwise."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import tomllib
from pathlib import Path

import pytest

from tests.bench import servers, upstream
from tests.bench.load import Plan, Result, count_events, percentile, run
from tests.bench.report import Column, gates, render_gates, render_noise, render_table


def load(path: str, **plan: float | bool) -> Result:
    """One load against an upstream of its own, both on one loop."""

    async def both() -> Result:
        server, port = await upstream.serve()
        async with server:
            url = f"http://127.0.0.1:{port}{path}/v1/chat/completions"
            return await run(Plan(url, **plan))  # type: ignore[arg-type]

    return asyncio.run(both())


def load_bytes(answer: bytes, *, close: bool = False, requests: int = 1) -> Result:
    """One load of one request against a peer that answers whatever comes with the same bytes."""

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)
            if close:
                self.transport.close()

    async def both() -> Result:
        server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            plan = Plan(url, seconds=0.5, requests=requests)
            return await run(plan, patience_s=0.1)

    return asyncio.run(both())


def test_every_plain_request_is_counted_once() -> None:
    result = load("", connections=5, requests=203)
    assert (result.sent, result.ok, result.failed) == (203, 203, 0)
    assert len(result.latencies) == 203


def test_a_load_ends_with_its_time_and_leaves_no_request_unanswered() -> None:
    result = load("", connections=3, seconds=0.2)
    assert result.sent == result.ok > 3
    assert 0.19 < result.elapsed_s < 2


def test_streamed_events_are_counted_without_done() -> None:
    result = load("", connections=3, requests=7, stream=True)
    assert (result.ok, result.events) == (7, 7 * upstream.EVENTS)


def test_the_usage_chunk_comes_only_where_it_is_asked_for() -> None:
    result = load("/events-50", requests=4, stream=True, usage=True)
    assert (result.ok, result.events) == (4, 4 * 51)


def test_the_first_chunk_of_a_paced_stream_comes_long_before_its_end() -> None:
    result = load("/events-10/pace-20", connections=4, requests=4, stream=True)
    assert result.events == 40
    assert min(result.latencies) - max(result.first_chunks) > 0.1


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_an_error(stream: bool) -> None:
    result = load("/cut", connections=2, requests=6, stream=stream)
    assert (result.sent, result.ok, result.events) == (6, 0, 0)
    assert result.errors == {"closed in the body": 6}


def test_a_cut_paced_stream_is_an_error() -> None:
    result = load("/events-8/pace-1/cut", requests=2, stream=True)
    assert result.errors == {"closed in the body": 2}


@pytest.mark.parametrize("status", [429, 500])
def test_a_failing_status_is_an_error(status: int) -> None:
    result = load(f"/fail-{status}", connections=2, requests=6, stream=True)
    assert (result.ok, result.errors) == (0, {f"status {status}": 6})


def test_a_path_without_a_script_is_404() -> None:
    assert load("/nonsense", requests=1).errors == {"status 404": 1}


def test_an_answer_of_another_kind_is_an_error() -> None:
    result = load_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>")
    assert result.errors == {"not a JSON object": 1}


def test_an_answer_that_is_not_http_is_an_error() -> None:
    result = load_bytes(b"SSH-2.0-server\r\n")
    assert (result.ok, result.failed) == (0, 1)


def test_a_closed_connection_without_an_answer_is_an_error() -> None:
    assert load_bytes(b"", close=True).errors == {"closed before the answer": 1}


def test_a_body_longer_than_its_length_is_an_error() -> None:
    result = load_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}{}")
    assert result.failed == 1


def test_a_server_that_closes_after_each_answer_is_asked_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
    assert load_bytes(answer, close=True, requests=5).ok == 5


def test_an_answer_that_never_comes_is_an_error() -> None:
    assert load_bytes(b"HTTP/1.1 200 OK\r\n").errors == {"no answer in time": 1}


def test_a_refused_connection_raises() -> None:
    url = f"http://127.0.0.1:{servers.free_port()}/v1/chat/completions"
    with pytest.raises(OSError):  # noqa: PT011 - which of its kinds depends on the system
        asyncio.run(run(Plan(url, requests=1)))


def test_comments_and_done_are_no_events() -> None:
    assert count_events(b": ping\n\ndata: {}\n\n: ping\n\ndata: {}\n\ndata: [DONE]\n\n") == 2


def test_the_canned_answer_has_its_size() -> None:
    found = upstream.canned(b"/v1/chat/completions")
    assert found is not None
    assert len(found[1].plain.partition(b"\r\n\r\n")[2]) == upstream.ANSWER_BYTES


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)


def test_the_table_holds_medians_and_ratios() -> None:
    row = "requests/s at 32"
    ours = Column("gateway", [{row: 3000.0}, {row: 4000.0}, {row: 9000.0}])
    table = render_table([Column("stock", [{row: 500.0}]), ours])
    line = next(line for line in table.splitlines() if line.startswith(row))
    assert line.split()[-3:] == ["500", "4,000", "8.00"]


def test_rounds_that_disagree_are_named() -> None:
    row = "requests/s at 32"
    calm = Column("stock", [{row: 400.0}, {row: 500.0}])
    noisy = Column("nginx", [{row: 10_000.0}, {row: 50_000.0}])
    assert render_noise([calm, noisy]) == f"NOISE nginx: {row} differs 5.0 times between rounds"


def test_a_gate_fails_below_its_ratio_and_where_a_record_is_missing() -> None:
    row = "requests/s at 32"
    ours, stock = Column("gateway", [{row: 390.0}]), Column("stock", [{row: 100.0}])
    verdicts = render_gates(gates(ours, stock, zipapp=False, missing_records=1)).splitlines()
    assert [line[:4] for line in verdicts] == ["FAIL", *["----"] * 3, "PASS", "FAIL"]


def test_the_gateway_is_configured_with_the_key_the_load_sends(tmp_path: Path) -> None:
    server = servers.gateway(tmp_path, 1)
    tables = tomllib.loads((tmp_path / "oneapi.toml").read_text())
    digest = hashlib.sha256(server.key.removeprefix("sk-").encode()).hexdigest()
    assert tables["tokens"]["bench"]["key"] == f"sha256:{digest}"


def test_the_stock_proxy_passes_plain_and_streamed_answers_on(tmp_path: Path) -> None:
    async def through() -> tuple[Result, Result, float, float]:
        server, port = await upstream.serve()
        async with server:
            running = await servers.start(servers.stock(tmp_path, port), None)
            try:
                plain = await run(running.server.plan(connections=2, requests=10))
                stream = await run(running.server.plan(connections=2, requests=4, stream=True))
                return plain, stream, running.resident_mb(), running.cpu_s()
            finally:
                running.stop()

    plain, stream, resident_mb, cpu_s = asyncio.run(through())
    assert (plain.ok, stream.ok, stream.events) == (10, 4, 4 * upstream.EVENTS)
    assert not resident_mb <= 5
    assert not cpu_s <= 0.05


def test_a_server_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    server = servers.Server("broken", servers.free_port(), ("ls", "/nowhere-at-all"), tmp_path)
    with pytest.raises(RuntimeError, match="nowhere-at-all"):
        asyncio.run(servers.start(server, None))


def test_records_are_counted_and_a_missing_ledger_is_told_apart(tmp_path: Path) -> None:
    database = tmp_path / "oneapi.db"
    assert asyncio.run(servers.count_records(database, 1, patience_s=0)) == -1
    db = sqlite3.connect(database)
    db.executescript("create table records (id); insert into records values (1), (2)")
    db.close()
    assert asyncio.run(servers.count_records(database, 2)) == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinities on this system")
def test_pinning_is_undone() -> None:
    before = os.sched_getaffinity(0)
    with servers.pinned(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
