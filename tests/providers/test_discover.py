"""Finding models, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oneapi.net.base import CarrierError, Timeouts
from oneapi.net.upstream import Pool
from oneapi.providers.account import Account
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog
from oneapi.providers.discover import discover, parse_models
from oneapi.providers.mock import MockCarrier

pytestmark = pytest.mark.anyio

CATALOG = load_catalog()
FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
QUICK = Timeouts(connect=2, first_byte=2, idle=2)


@asynccontextmanager
async def provider(status: int, body: bytes, heads: list[bytes]) -> AsyncIterator[str]:
    """A server that answers every request with the same body and notes its head."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def found(name: str, body: bytes, *, status: int = 200) -> tuple[list[str], bytes]:
    """The models and the head of the request."""
    heads: list[bytes] = []
    pool = Pool()
    async with provider(status, body, heads) as url:
        account = bind("c", preset=CATALOG[name], base_url=url, keys=["k-1"])
        try:
            return await discover(pool, account, "k-1", timeouts=QUICK), heads[0]
        finally:
            await pool.aclose()


async def test_openais_list_is_asked_with_the_key() -> None:
    models, head = await found("openai", b'{"object":"list","data":[{"id":"a"},{"id":"b"}]}')
    assert models == ["a", "b"]
    assert head.startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"authorization: Bearer k-1\r\n" in head.lower().replace(b"bearer", b"Bearer")


async def test_ollamas_list_is_asked_beside_its_v1() -> None:
    body = b'{"models":[{"name":"llama3:latest","model":"llama3:latest"},{"name":"q:0.5b"}]}'
    models, head = await found("ollama", body)
    assert models == ["llama3:latest", "q:0.5b"]
    assert head.startswith(b"GET /api/tags HTTP/1.1\r\n")


async def test_a_presets_prefix_is_taken_off() -> None:
    models, _ = await found("gemini-openai", b'{"data":[{"id":"models/gemini-x"}]}')
    assert models == ["gemini-x"]


async def test_a_refusal_is_told_by_its_status() -> None:
    with pytest.raises(ValueError, match="the list of models was answered with 401"):
        await found("openai", b'{"error": "k-1 is wrong"}', status=401)


async def test_a_provider_that_is_not_there_is_a_carriers_error() -> None:
    pool = Pool()
    account = bind("c", preset=CATALOG["ollama"], base_url="http://127.0.0.1:1")
    with pytest.raises(CarrierError) as caught:
        await discover(pool, account, "", timeouts=QUICK)
    assert caught.value.reason == "connect"
    await pool.aclose()


async def test_the_mock_provider_lists_its_model() -> None:
    account: Account = bind("c", preset=CATALOG["mock"])
    assert await discover(MockCarrier(), account, "") == ["demo"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'[{"id":"a"},{"id":"a"},{"id":"b"}]', ["a", "b"]),
        (b'{"data":null}', []),
        (b'{"models":null}', []),
        (b'{"models":[]}', []),
        (b'{"data":[{"id":1},{"id":""},{"id":"a\\nb"},null,"plain",{"x":1}]}', ["plain"]),
    ],
)
async def test_a_list_is_read_in_every_shape(body: bytes, names: list[str]) -> None:
    assert parse_models(body) == names


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":{}}', b"7", b'"x"'])
async def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="list of models"):
        parse_models(body)


def recorded_lists() -> list[tuple[str, bytes, int]]:
    lists = []
    for file in sorted(FIXTURES.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            record = json.loads(line)
            reply = record["response"]
            body = reply.get("body")
            if record["api"] != "models" or reply["status"] != 200 or not isinstance(body, dict):
                continue
            if isinstance(body.get("data"), list):
                lists.append((record["id"], json.dumps(body).encode(), len(body["data"])))
    return lists


async def test_recorded_lists_are_read_whole() -> None:
    lists = recorded_lists()
    if not lists:
        pytest.skip("the recorded exchanges are not beside this repository")
    short = {name: len(parse_models(body)) for name, body, count in lists if count}
    assert short == {name: count for name, _, count in lists if count}
