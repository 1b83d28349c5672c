"""Defects of the original's money and secrets that do not exist here: one test each, by the number
that the list of its weaknesses gives them.

| defect | its test |
| --- | --- |
| S2 credit minted by a negative `n` | `test_s2_…` |
| S3 the proxy route open to every token, free and unlogged | `test_s3_…` |
| S5 forwarding headers defeat subnets and limits | `test_s5_…` |
| S7 secrets in the database | `test_s7_…` |
| S19 keys by a generator seeded with the time | `test_s19_…` |
| A1 check, then act; a token's limit is skipped | `test_a1_…`, `money/test_exactly_ten.py` |
| A2 holds lost where the call fails | `test_a2_…` |
| A3 settlements lost | `test_a3_…`, `money/test_money_kills.py`, `money/test_trouble.py` |
| A4 a client's leaving asked another provider and cost nothing | `test_a4_…` |
| A5 endpoints that bill wrongly or not at all | `test_a5_…` |
| A6 images charged though failed, and again a retry | `test_a6_…` |
| A7 caches that drift | `test_a7_…` |
| A8 codes redeemed twice | `test_a8_…`, `money/test_codes_raced.py` |
| A9 nothing can be set to zero | `test_a9_…` (functions) |
| A10 the price table's faults | `test_a10_…` |
| A11 balances shown wrongly | `test_a11_…` (functions) |
| A12 `n`, `max_completion_tokens`, tools, embeddings not held | `test_a12_…` |
| A13 records that tell too little | `test_a13_…` |
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import random
import socket
import sqlite3
import struct
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from oneapi.config.schema import Settings
from oneapi.errors import ApiError
from oneapi.gateway.people import People
from oneapi.ir import Usage
from oneapi.ledger.codes import NewBatch, new_code
from oneapi.ledger.issued import Terms
from oneapi.ledger.pricelist import rule_of
from oneapi.ledger.prices import Price
from oneapi.ledger.registered import NewPerson
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.ledger.users import Actor
from tests.e2e.harness import (
    REPO,
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    scripted_upstream,
    until,
)
from tests.e2e.money import shop
from tests.e2e.money.salvo import salvo, shot
from tests.e2e.talk import CHAT, closed_port, error_of, head

JSON = Any
ONE: Final = shop.PRICE_NANOUSD
OPERATOR: Final = Actor("", "test")
CHANNEL_KEY: Final = "sk-proj-channel-secret-0001"
CONTENT: Final = [{"role": "user", "content": "Good morning to you, and how are you today?"}]


def channels(url: str) -> str:
    def channel(name: str, models: list[str], kind: str = "openai-compatible", **more: str) -> str:
        lines = "".join(f"{key} = {value}\n" for key, value in more.items() if key != "base")
        return (
            f'[channels.{name}]\ntype = "{kind}"\nkeys = ["{CHANNEL_KEY}"]\n'
            f'base_url = "{more.get("base", url + "/v1")}"\nmodels = {json.dumps(models)}\n{lines}'
        )

    return (
        channel("up", ["sold", "tok", "pic", "voice", "heard", "vec", "mod", "nameless", "served"])
        + channel("first", ["picky"], base=f"{url}/first/v1", priority="2")
        + channel("second", ["picky"], priority="1")
        + channel("dead", ["gone"], base=f"http://127.0.0.1:{closed_port()}/v1")
        + channel("claude", ["claude"], "anthropic")
        + '[models.asked]\nroutes = [{ channel = "up", model = "served" }]\n'
    )


PRICES: Final = (
    shop.price("sold")
    + shop.price("gone")
    + shop.price("claude")
    + shop.price("tok", "input = 1000\noutput = 2000\ncache_read = 100")
    + shop.price("pic", "image = 0.04")
    + shop.price("picky", "image = 0.04")
    + shop.price("voice", "character = 15")
    + shop.price("heard", "second = 0.0001")
    + shop.price("vec", "input = 1")
    + shop.price("mod", "input = 1")
    + shop.price("asked", "request = 0.1")
)
BUYERS: Final = (
    shop.buyer("minter", user='quota = "$1"')
    + shop.buyer("plain")
    + shop.buyer("inside", policy='subnets = ["10.0.0.0/8"]')
    + shop.buyer("boss", user='role = "admin"', policy='endpoints = ["chat", "proxy"]')
    + shop.buyer("pointless", user='quota = "$1000"', token='quota = "1 points"')
    + shop.buyer("failing", user='quota = "$0.1"')
    + shop.buyer("leaver", user='quota = "$0.1"')
    + shop.buyer("everything", user='quota = "$100"')
    + shop.buyer("drifter", user='quota = "$0.1"')
    + shop.buyer("zeroed", user="quota = 0")
    + shop.buyer("limited", policy='budget = "2000 tokens/day"')
    + shop.buyer("shown", user='quota = "$5"')
    + shop.buyer("issuer", user='group = "crew"', policy='models = ["sold"]')
)


def toml(url: str) -> str:
    return (
        channels(url)
        + PRICES
        + BUYERS
        + '[groups.crew]\nmay_issue = ["issuer"]\ngrant = "$2"\n'
        + '[mail]\nhost = "127.0.0.1"\nuser = "a"\npassword = "mail-secret-0002"\n'
        + 'from = "a@gateway.test"\n'
        + '[alerts.webhook]\nurl = "http://127.0.0.1:9/hook"\nsecret = "hook-secret-0003"\n'
        + '[logs]\ndir = ""\naccess = false\n'
    )


@dataclass
class World:
    """The gateway, its provider, and the store's functions as another process has them."""

    gateway: Running
    upstream: Upstream
    text: str

    def ask(self, name: str, body: JSON, path: str = CHAT, *replies: JSON) -> Answer:
        """One request of a buyer; the provider gives its answers in turn, the last again."""
        rest = [r if isinstance(r, Reply) else json_reply(r) for r in replies]
        if rest:
            self.upstream.script = lambda _: rest.pop(0) if len(rest) > 1 else rest[0]
        else:
            self.upstream.script = lambda request: shop.answer_after(request, 0)
        self.upstream.received.clear()
        return self.gateway.post(path, body, key=shop.secret(name))

    def buy(self, name: str, **more: JSON) -> Answer:
        return self.ask(name, {**shop.ASK, **more})

    def records(self, name: str) -> list[dict[str, JSON]]:
        return self.gateway.records(user=name)

    def last(self, name: str) -> Mapping[str, JSON]:
        return self.records(name)[-1]

    def cost(self, name: str) -> int:
        return sum(row["cost_nanousd"] or 0 for row in self.records(name))

    def people(self, work: Callable[[People], Any]) -> Any:
        """Something with people, by another process's store on the same file."""
        store = SqliteStore(self.gateway.database)
        store.open()
        settings = Settings.model_validate(tomllib.loads(self.text))
        try:
            return asyncio.run(work(People(store, lambda: settings)))
        finally:
            store.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with scripted_upstream(lambda request: shop.answer_after(request, 0)) as upstream:
        text = toml(upstream.url)
        with gateway(tmp_path_factory.mktemp("defects"), text) as running:
            yield World(running, upstream, text)


PICTURE: Final = {"created": 1, "data": [{"b64_json": "aGk="}]}
SPOKEN: Final = Reply(200, (("content-type", "audio/mpeg"),), b"ID3")


def chat_reply(usage: JSON, **message: JSON) -> JSON:
    said = {"role": "assistant", "content": "Hello", **message}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}


@pytest.mark.parametrize("n", [-5, -1, 0, 10**18, 1.5, "-3", True])
def test_s2_no_number_of_images_mints_credit(world: World, n: JSON) -> None:
    before = world.cost("minter")
    answer = world.ask(
        "minter", {"model": "pic", "prompt": "x", "n": n}, "/v1/images/generations", PICTURE
    )
    assert answer.status in (200, 400, 422, 429)
    assert world.cost("minter") >= before
    assert all((row["cost_nanousd"] or 0) >= 0 for row in world.records("minter"))


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -100, "completion_tokens": -100, "total_tokens": -200},
        {"prompt_tokens": 10, "completion_tokens": -1_000_000, "total_tokens": 0},
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 1_000_000},
        },
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": -500},
        },
        {"prompt_tokens": "7", "completion_tokens": None, "total_tokens": 1e300},
    ],
)
def test_s2_no_usage_that_a_provider_tells_mints_credit(world: World, usage: JSON) -> None:
    before = world.cost("minter")
    answer = world.ask("minter", {"model": "tok", "messages": CONTENT}, CHAT, chat_reply(usage))
    assert answer.status in (200, 429)
    assert world.cost("minter") >= before
    assert (world.last("minter")["cost_nanousd"] or 0) >= 0


def test_s2_the_formula_itself_knows_no_refund() -> None:
    price = Price(rule_of("p", {"input": Decimal(3), "image": Decimal(1)}))
    assert price.cost(Usage(input=-1_000_000, images=-5, output=-7)) == 0
    assert price.cost(Usage(input=1_000_000, images=-5)) == 3_000_000_000


def test_s2_negative_limits_of_a_chat_hold_no_less_than_nothing(world: World) -> None:
    """A request whose hold was negative would raise what is left for all others."""
    for more in ({"n": -100}, {"max_tokens": -(10**9)}, {"max_completion_tokens": -1}):
        world.ask(
            "limited", {"model": "tok", "messages": CONTENT, **more}, CHAT, json_reply({}, 400)
        )
    answer = world.ask("limited", {"model": "tok", "messages": CONTENT, "max_tokens": 5000})
    assert answer.status == 200
    assert 1_024 <= world.upstream.received[-1].json()["max_tokens"] < 2_000  # what is left (D27)


def test_s3_the_proxy_route_is_for_admins_and_leaves_a_record(world: World) -> None:
    path = "/v1/oneapi/proxy/up/v1/files"
    assert world.ask("plain", {}, path, {}).status == 403
    assert world.upstream.received == []
    assert world.ask("boss", {}, path, {}).status == 200
    row = world.last("boss")
    assert (row["endpoint"], row["channel"], row["status"]) == ("proxy", "up", 200)


@pytest.mark.parametrize(
    "name", ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip", "true-client-ip"]
)
def test_s5_a_forwarding_header_opens_no_subnet(world: World, name: str) -> None:
    value = "for=10.1.2.3" if name == "forwarded" else "10.1.2.3"
    answer = world.gateway.post(
        CHAT, dict(shop.ASK), key=shop.secret("inside"), headers={name: value}
    )
    assert answer.status == 403
    assert world.gateway.records(limit=1, newest_first=True)[0]["client"] == "127.0.0.1"


def test_s7_no_secret_stands_in_the_database(world: World) -> None:
    async def make(people: People) -> list[str]:
        await people.add_user(OPERATOR, NewPerson("s7", group="crew"))
        token = await people.issue_token(OPERATOR, "s7", "laptop", Terms("issuer"))
        batch = await people.make_codes(OPERATOR, NewBatch("s7", 3, ONE))
        return [token.key, *batch.codes]

    made = world.people(make)
    world.upstream.script = lambda request: shop.answer_after(request, 0)
    assert until(lambda: world.gateway.post(CHAT, shop.ASK, key=made[0]).status == 200, 5)
    secrets = [*made, *(code.replace("-", "") for code in made[1:])]
    secrets += [CHANNEL_KEY, "mail-secret-0002", "hook-secret-0003", shop.secret("plain")]
    held = _database_bytes(world.gateway.database)
    assert "laptop" in held  # so it is looked at
    assert [secret for secret in secrets if secret.removeprefix("sk-") in held] == []


def _database_bytes(database: Path) -> str:
    files = [database, database.with_name(f"{database.name}-wal")]
    return "".join(file.read_bytes().decode("latin-1") for file in files if file.exists())


def test_s19_secrets_do_not_come_from_a_generator_that_can_be_seeded() -> None:
    made = set()
    for _ in range(2):
        random.seed(7)
        made.add(new_code())
    assert len(made) == 2
    users = [
        path.relative_to(REPO).as_posix()
        for path in sorted((REPO / "oneapi").rglob("*.py"))
        if _imports(path, "random")
    ]
    assert users == ["oneapi/gateway/policy.py"]  # which channel's turn it is, no secret


def _imports(path: Path, module: str) -> bool:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import) and any(a.name == module for a in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == module:
            return True
    return False


def test_a1_a_token_with_one_point_left_cannot_spend_its_rich_users_account(world: World) -> None:
    world.upstream.script = lambda request: shop.answer_after(request, 0.1)
    port, key = world.gateway.port, shop.secret("pointless")
    heard = salvo([shot(port, key, shop.ASK, request_id=f"a1-{n}") for n in range(50)])
    assert {one.status for one in heard} == {429}
    assert world.cost("pointless") == 0


CUT: Final = Reply(200, (("content-type", "text/event-stream"),), [b": hi\n\n"], cut=True)
IMAGE: Final = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}
FAILURES: Final[Mapping[str, tuple[JSON, list[JSON]]]] = {
    "network": ({"model": "gone", "messages": CONTENT}, []),
    "refused": (dict(shop.ASK), [shop.failing(400)]),
    "broken": (dict(shop.ASK), [shop.failing(503)]),
    "wrong key": (dict(shop.ASK), [shop.failing(401)]),
    "not JSON": (dict(shop.ASK), [Reply(200, (("content-type", "text/html"),), b"<html>")]),
    "nothing": (dict(shop.ASK), [Reply(200, body=b"")]),
    "cut": (dict(shop.STREAM), [CUT]),
    "untranslated": ({"model": "claude", "messages": [{"role": "user", "content": [IMAGE]}]}, []),
    "no such model": ({"model": "unheard-of", "messages": CONTENT}, []),
    "not a request": ({"model": "sold", "messages": 7}, [shop.failing(400)]),
}


def test_a2_whatever_fails_gives_its_hold_back(world: World) -> None:
    """A quota for one request: after every failure it can still be bought, and after it no more."""
    for what, (body, replies) in FAILURES.items():
        answer = world.ask("failing", body, CHAT, *replies)
        assert answer.status != 429, what
        assert b"Good day" not in answer.body, what
    assert world.cost("failing") == 0
    assert world.buy("failing").status == 200
    assert error_of(world.buy("failing"))["code"] == "insufficient_quota"


def test_a3_the_record_is_there_when_the_client_sees_the_end(world: World) -> None:
    with contextlib.closing(sqlite3.connect(world.gateway.database)) as db:
        for turn in range(20):
            body = shop.STREAM if turn % 2 else shop.ASK
            before = _count(db)
            assert world.ask("plain", dict(body)).status == 200
            assert _count(db) == before + 1


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM records").fetchone()[0])


def test_a4_a_client_that_leaves_costs_one_call_and_keeps_its_record(world: World) -> None:
    world.upstream.script = lambda request: shop.answer_after(request, 5)
    world.upstream.received.clear()
    body = json.dumps(shop.ASK).encode()
    request = head(
        CHAT,
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        key=shop.secret("leaver"),
    )
    with socket.create_connection(("127.0.0.1", world.gateway.port)) as sock:
        sock.sendall(request + body)
        assert until(lambda: len(world.upstream.received) == 1)
    assert until(lambda: len(world.records("leaver")) == 1)
    assert world.last("leaver")["settlement"] == "client_left"
    assert len(world.upstream.received) == 1
    assert world.buy("leaver").status == 200  # the hold is back: the quota pays exactly one


ENDPOINTS: Final[Mapping[str, tuple[str, JSON, JSON, int]]] = {
    # what: path, request, the provider's answer, nano-dollars
    "speech by characters": (
        "/v1/audio/speech",
        {"model": "voice", "input": "早上好", "voice": "alloy"},
        SPOKEN,
        3 * 15_000,
    ),
    "embeddings by the provider's count": (
        "/v1/embeddings",
        {"model": "vec", "input": ["a", "b"]},
        {"data": [], "usage": {"prompt_tokens": 12, "total_tokens": 12}},
        12 * 1_000,
    ),
    "images by their number": (
        "/v1/images/generations",
        {"model": "pic", "prompt": "x", "n": 2},
        {"created": 1, "data": [{"b64_json": "aGk="}, {"b64_json": "aGk="}]},
        2 * 40_000_000,
    ),
    "chat by both": (
        CHAT,
        {"model": "tok", "messages": CONTENT},
        chat_reply({"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}),
        30 * 1_000_000 + 7 * 2_000_000,
    ),
    "cached input at its own price": (
        CHAT,
        {"model": "tok", "messages": CONTENT},
        chat_reply(
            {
                "prompt_tokens": 30,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 20},
            }
        ),
        10 * 1_000_000 + 20 * 100_000 + 7 * 2_000_000,
    ),
    "completions": (
        "/v1/completions",
        {"model": "tok", "prompt": "Once"},
        {
            "object": "text_completion",
            "choices": [{"index": 0, "text": " upon", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        },
        3_000_000,
    ),
}


@pytest.mark.parametrize("what", ENDPOINTS)
def test_a5_every_endpoint_costs_what_was_used(world: World, what: str) -> None:
    path, body, reply, cost = ENDPOINTS[what]
    answer = world.ask("everything", body, path, reply)
    assert answer.status == 200, answer.body
    row = world.last("everything")
    assert (row["cost_nanousd"], row["usage_source"]) == (cost, "upstream")


def test_a5_what_a_recording_costs_is_its_length_not_its_transcript(world: World) -> None:
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nheard\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        b"RIFF\r\n--b--\r\n"
    )
    reply = {"text": "Hello", "usage": {"type": "duration", "seconds": 61}}
    world.upstream.script = lambda _: json_reply(reply)
    answer = world.gateway.request(
        "POST",
        "/v1/audio/transcriptions",
        body=form,
        headers={"content-type": "multipart/form-data; boundary=b"},
        key=shop.secret("everything"),
    )
    assert answer.status == 200
    assert world.last("everything")["cost_nanousd"] == 61 * 100_000


@pytest.mark.parametrize("told", [{"text": "Hello"}, {"text": "Hello", "duration": -5}, "Hello"])
def test_a5_a_transcript_that_tells_no_length_costs_what_the_file_is_long(
    world: World, told: object
) -> None:
    seconds, rate = 3, 16_000
    wav = b"RIFF" + bytes(4) + b"WAVE" + bytes(16) + struct.pack("<I", rate) + bytes(seconds * rate)
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nheard\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + wav
        + b"\r\n--b--\r\n"
    )
    kind = "text/plain" if isinstance(told, str) else "application/json"
    body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
    world.upstream.script = lambda _: Reply(200, (("content-type", kind),), body)
    answer = world.gateway.request(
        "POST",
        "/v1/audio/transcriptions",
        body=form,
        headers={"content-type": "multipart/form-data; boundary=b"},
        key=shop.secret("everything"),
    )
    row = world.last("everything")
    assert (answer.status, row["usage_source"]) == (200, "estimated")
    assert seconds * 100_000 <= row["cost_nanousd"] <= (seconds + 1) * 100_000


def test_a5_an_array_of_moderations_is_not_free(world: World) -> None:
    body = {"model": "mod", "input": ["first of many words", "second of many words"]}
    answer = world.ask("everything", body, "/v1/moderations", {"id": "m", "results": [{}, {}]})
    row = world.last("everything")
    assert (answer.status, row["usage_source"]) == (200, "estimated")
    assert 6 * 1_000 <= row["cost_nanousd"] <= 30 * 1_000


def test_a5_tool_calls_of_a_stream_without_usage_are_not_free(world: World) -> None:
    arguments = json.dumps({"city": "Paris, the capital of France", "days": list(range(40))})
    call = {"index": 0, "id": "t", "function": {"name": "weather", "arguments": arguments}}
    chunks = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]
    events = [b"data: " + json.dumps({"id": "c", **c}).encode() + b"\n\n" for c in chunks]
    stream = Reply(200, (("content-type", "text/event-stream"),), [*events, b"data: [DONE]\n\n"])
    body = {"model": "tok", "messages": CONTENT, "stream": True}
    assert world.ask("everything", body, CHAT, stream).status == 200
    row = world.last("everything")
    assert row["usage_source"] == "estimated"
    assert row["output"] > 50
    assert row["cost_nanousd"] == row["input"] * 1_000_000 + row["output"] * 2_000_000


def test_a6_images_that_fail_cost_nothing_and_a_retry_costs_once(world: World) -> None:
    body = {"model": "picky", "prompt": "x", "n": 1}
    path = "/v1/images/generations"
    before = world.cost("everything")
    assert world.ask("everything", body, path, json_reply({}, 500)).status >= 500
    assert world.cost("everything") == before

    def one_fails(request: Received) -> Reply:
        failed = request.path.startswith("/first")
        return json_reply({}, 500) if failed else json_reply(PICTURE)

    world.upstream.script = one_fails
    assert world.gateway.post(path, body, key=shop.secret("everything")).status == 200
    assert world.cost("everything") == before + 40_000_000
    assert world.last("everything")["attempts"] == 2


def test_a6_an_image_that_cannot_be_paid_is_not_asked_for(world: World) -> None:
    body = {"model": "pic", "prompt": "x", "n": 10}
    assert world.ask("failing", body, "/v1/images/generations", PICTURE).status == 429
    assert world.upstream.received == []


def test_a7_money_that_is_added_counts_at_once_and_what_is_spent_too(world: World) -> None:
    assert world.buy("drifter").status == 200
    assert world.buy("drifter").status == 429
    world.people(lambda people: people.top_up(OPERATOR, "drifter", 2 * ONE, reason="paid"))
    assert until(lambda: world.buy("drifter").status == 200, 5)
    assert world.buy("drifter").status == 200
    assert world.buy("drifter").status == 429
    assert world.cost("drifter") == 3 * ONE


def test_a7_a_token_that_is_revoked_or_whose_user_is_switched_off_ends_at_once(
    world: World,
) -> None:
    async def make(people: People) -> list[str]:
        await people.add_user(OPERATOR, NewPerson("fleeting", group="crew"))
        terms = Terms("issuer")
        issued = [await people.issue_token(OPERATOR, "fleeting", n, terms) for n in ("one", "two")]
        return [secret.key for secret in issued]

    def status(key: str) -> int:
        return world.gateway.post(CHAT, shop.ASK, key=key).status

    one, two = world.people(make)
    world.upstream.script = lambda request: shop.answer_after(request, 0)
    assert until(lambda: status(one) == 200, 5)
    assert status(two) == 200
    world.people(lambda people: people.revoke_token(OPERATOR, "fleeting", "one"))
    assert until(lambda: status(one) == 401, 3)
    world.people(lambda people: people.update_user(OPERATOR, "fleeting", {"enabled": False}))
    assert until(lambda: status(two) in (401, 403), 3)


def test_a8_a_code_is_redeemed_once_however_many_try(world: World) -> None:
    async def race(people: People) -> list[object]:
        made = await people.make_codes(OPERATOR, NewBatch("a8", 1, ONE))
        tries = (people.redeem(Actor(n, "test"), made.codes[0], n) for n in ("plain", "shown") * 4)
        return await asyncio.gather(*tries, return_exceptions=True)

    found = world.people(race)
    assert sum(not isinstance(one, ApiError) for one in found) == 1
    assert all(one.status in (409, 429) for one in found if isinstance(one, ApiError))


def test_a9_a_quota_of_zero_is_one(world: World) -> None:
    answer = world.buy("zeroed")
    assert (answer.status, error_of(answer)["code"]) == (429, "insufficient_quota")


def test_a9_everything_of_a_user_can_be_set_to_nothing(world: World) -> None:
    async def work(people: People) -> Any:
        wanted = NewPerson("nil", group="crew", display_name="Nil", email="nil@site.test")
        await people.add_user(OPERATOR, wanted)
        await people.correct(OPERATOR, "nil", -2_000_000_000, reason="to nothing")
        await people.update_user(
            OPERATOR, "nil", {"display_name": "", "email": None, "enabled": False}
        )
        return await people.user("nil"), await people.balance("nil")

    person, balance = world.people(work)
    assert (person.display_name, person.email, person.enabled) == ("", None, False)
    assert balance.left_nanousd == 0


def test_a10_what_has_no_price_costs_no_guess(world: World) -> None:
    reply = chat_reply({"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37})
    assert world.ask("everything", {"model": "nameless", "messages": CONTENT}, CHAT, reply).status
    row = world.last("everything")
    assert (row["cost_nanousd"], row["price_rule"]) == (None, "unpriced")


def test_a10_prices_are_exact_where_floats_are_not() -> None:
    """0.1 + 0.2 dollars a million tokens is 0.3, not 0.30000000000000004, whatever the count."""
    price = Price(rule_of("p", {"input": Decimal("0.1"), "output": Decimal("0.2")}))
    assert price.cost(Usage(input=10_000_000, output=10_000_000)) == 3_000_000_000
    assert price.cost(Usage(input=1)) == 100
    with pytest.raises(ValueError, match="not a price"):
        rule_of("p", {"input": Decimal("-500000")})


def test_a11_a_balance_is_the_quota_and_the_book_minus_what_was_used(world: World) -> None:
    for _ in range(2):
        assert world.buy("shown").status == 200
    before = world.people(lambda people: people.balance("shown"))
    world.people(lambda people: people.top_up(OPERATOR, "shown", 7, reason="seven"))
    after = world.people(lambda people: people.balance("shown"))
    assert before.spent_nanousd == world.cost("shown") == 2 * ONE
    assert after.left_nanousd == before.left_nanousd + 7
    assert before.left_nanousd == 5_000_000_000 + before.entries_nanousd - 2 * ONE


TOOL: Final = {
    "type": "function",
    "function": {"name": "f", "description": "word " * 4000, "parameters": {"type": "object"}},
}
LARGE: Final[Mapping[str, tuple[str, JSON]]] = {
    "n": (CHAT, {"model": "tok", "messages": CONTENT, "max_tokens": 500, "n": 8}),
    "max_completion_tokens": (
        CHAT,
        {"model": "tok", "messages": CONTENT, "max_completion_tokens": 3000, "n": 2},
    ),
    "tools": (CHAT, {"model": "tok", "messages": CONTENT, "max_tokens": 5, "tools": [TOOL]}),
    "embeddings": ("/v1/embeddings", {"model": "vec", "input": ["word " * 4000]}),
}


@pytest.mark.parametrize("what", LARGE)
def test_a12_what_makes_a_request_dear_is_held_before_it_is_sent(world: World, what: str) -> None:
    path, body = LARGE[what]
    answer = world.ask("limited", body, path, shop.failing(400))
    assert answer.status == 429, answer.body
    assert world.upstream.received == []
    assert "token budget" in error_of(answer)["message"]


def test_a13_a_record_tells_what_was_asked_and_what_became_of_it(world: World) -> None:
    world.ask("everything", {"model": "asked", "messages": CONTENT})
    good = world.last("everything")
    assert (good["model"], good["served_model"], good["channel"]) == ("asked", "served", "up")
    assert (good["status"], good["upstream_status"], good["settlement"]) == (200, 200, "complete")
    assert good["ttft_ms"] is not None
    assert good["request_id"]
    world.ask("everything", {"model": "asked", "messages": CONTENT}, CHAT, shop.failing(400))
    bad = world.last("everything")
    assert (bad["status"], bad["upstream_status"], bad["cost_nanousd"]) == (400, 400, 0)
    assert (bad["error_code"], bad["model"], bad["attempts"]) == ("odd", "asked", 1)
    world.buy("zeroed")
    refused = world.last("zeroed")
    assert (refused["status"], refused["settlement"]) == (429, "refused")
