"""How a request and its answer arrive: lanes, names, headers, forms, proxies."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import (
    KEY,
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    key_hash,
    people,
    scripted_upstream,
    sse_reply,
)
from tests.e2e.proxies import deaf_port, http_proxy, socks_proxy
from tests.e2e.talk import ASK, CHAT, DONE, REPLY, STREAM, error_of, head, raw, sse

ADMIN = "sk-" + "admi" * 12
OLD, NEW = ("sk-" + name * 12 for name in ("oldk", "newk"))
ROTATED = f"""
[tokens.rotated]
user = "e2e"
policy = "e2e"
keys = [{{ key = "{key_hash(OLD)}", until = 2020-01-01 }}, "{key_hash(NEW)}"]
"""
SPENT = 'keys = [{ key = "spent-key-0123456789", until = 2020-01-01 }, "fresh-key-0123456789"]'
ADDED = 'headers = { x-team = "red", user-agent = "ours/1" }\n'
CHANGED = 'set = { temperature = 0.5, user = "u" }\ndrop = ["logit_bias", "seed"]\n'


def channel(name: str, base: str, model: str, extra: str = "") -> str:
    return (
        f'[channels.{name}]\ntype = "openai-compatible"\nbase_url = "{base}"\n'
        f'keys = ["up-key-0123456789"]\nmodels = ["{model}"]\n{extra}'
    )


def toml(upstream: str, http: str, socks: str, deaf: int) -> str:
    base = f"{upstream}/v1"
    return (
        '[server]\ndebug_headers = "admins"\n'
        + channel("up", base, "m", 'model_map = { friendly = "vendor/m-2" }\n')
        + channel("whisper", base, "whisper-1")
        + channel("rotating", base, "rotating").replace('keys = ["up-key-0123456789"]', SPENT)
        + channel("added", base, "added", ADDED)
        + channel("changed", base, "changed", CHANGED)
        + channel("small", base, "small").replace("openai-compatible", "mistral")
        + channel("claude", f"{upstream}/p", "claude-x").replace("openai-compatible", "vertex")
        + channel("http", base, "http", f'proxy = "{http}"\n')
        + channel("socks", base, "socks", f'proxy = "{socks}"\n')
        + channel("first", base, "first", "timeouts = { first_byte_s = 0.2 }\n")
        + channel("idle", base, "idle", "timeouts = { idle_s = 0.2 }\n")
        + channel("deaf", f"http://127.0.0.1:{deaf}", "deaf", "timeouts = { connect_s = 0.2 }\n")
        + '[models.fast]\nroutes = [{ channel = "up", model = "m" }]\n'
        '[models.heard]\nroutes = [{ channel = "whisper", model = "whisper-1" }]\n'
        + people()
        + ROTATED
        + people(
            name="admin", key=ADMIN, role="admin", policy='endpoints = ["chat", "proxy", "pin"]'
        )
    )


@dataclass
class World:
    gateway: Running
    upstream: Upstream
    asked_http: list[str]
    asked_socks: list[str]

    def ask(self, reply: Reply | None = None, **changes: Any) -> Answer:
        self.upstream.script = lambda _: reply or json_reply(REPLY)
        return self.gateway.post(CHAT, {**ASK, **changes})

    def seen(self) -> Received:
        return self.upstream.received[-1]

    def record(self) -> Mapping[str, Any]:
        return self.gateway.records()[-1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        scripted_upstream(lambda _: json_reply(REPLY)) as upstream,
        http_proxy() as (http, asked_http),
        socks_proxy() as (socks, asked_socks),
        deaf_port() as deaf,
    ):
        text = toml(upstream.url, http, socks, deaf)
        with gateway(tmp_path_factory.mktemp("lanes"), text) as running:
            yield World(running, upstream, asked_http, asked_socks)


ODD = b'{ "messages":[{"role":"user","content":"\\u0041\\/"}],"model" :"%s", "x": 1.0E+2,\n"big":12345678901234567890123, "new_thing":{"b":1,"a":[ ]} }'  # noqa: E501


def test_the_byte_lane_changes_nothing_in_either_direction(world: World) -> None:
    answered = (
        b'{"choices":[ ],"model":"m-2026","n":1.0E+2,"usage":{"prompt_tokens":3},"\\u0041":0}\n'
    )
    world.upstream.script = lambda _: Reply(200, body=answered)
    answer = world.gateway.post(CHAT, ODD % b"m")
    assert world.seen().body == ODD % b"m"
    assert answer.body == answered  # the provider's own name passes where ours was not changed


def test_the_edit_lane_changes_the_name_and_nothing_else(world: World) -> None:
    answered = b'{"choices":[ ],"model":"m-2026", "n":1.0E+2}'
    world.upstream.script = lambda _: Reply(200, body=answered)
    answer = world.gateway.post(CHAT, ODD % b"fast")
    sent = world.seen().body
    for kept in (b"1.0E+2", b"12345678901234567890123", b'"\\u0041\\/"', b'{"b":1,"a":[ ]}'):
        assert kept in sent
    assert json.loads(sent) == json.loads(ODD % b"m")
    assert answer.body == answered.replace(b"m-2026", b"fast")


def test_a_mapped_model_is_asked_by_the_providers_name(world: World) -> None:
    answer = world.ask(json_reply({**REPLY, "model": "vendor/m-2"}), model="friendly")
    assert world.seen().json()["model"] == "vendor/m-2"
    assert answer.json()["model"] == "friendly"
    assert (world.record()["model"], world.record()["served_model"]) == ("friendly", "vendor/m-2")


def test_a_channels_headers_are_added(world: World) -> None:
    world.ask(model="added")
    assert (world.seen().header("x-team"), world.seen().header("user-agent")) == ("red", "ours/1")


def test_fields_are_set_and_dropped(world: World) -> None:
    world.ask(model="changed", seed=7, temperature=2, logit_bias={"1": 2}, top_p=0.1)
    sent = world.seen().json()
    assert sent == {**ASK, "model": "changed", "temperature": 0.5, "top_p": 0.1, "user": "u"}


def test_what_a_provider_takes_otherwise_is_changed_in_its_clients_own_format(world: World) -> None:
    asked = {**ASK, "model": "small", "seed": 7, "user": "u", "temperature": 1.5}
    answer = world.gateway.post(CHAT, asked)
    assert answer.headers["x-oneapi-dropped"] == "user"
    wanted = {k: v for k, v in asked.items() if k not in ("seed", "user")}
    assert world.upstream.received[-1].json() == wanted | {"random_seed": 7}


def test_claude_on_vertex_hears_of_betas_in_a_header(world: World) -> None:
    given = {"anthropic-beta": "context-1m-2025-08-07,unknown-2025", "anthropic-version": "v"}
    asked = {**ASK, "model": "claude-x", "max_tokens": 9}
    world.gateway.post("/v1/messages", asked, headers=given)
    call = world.upstream.received[-1]
    assert call.path == "/p/publishers/anthropic/models/claude-x:rawPredict"
    assert call.header("anthropic-beta") == "context-1m-2025-08-07"
    assert call.header("anthropic-version") is None
    assert call.json()["anthropic_version"] == "vertex-2023-10-16"


def test_calls_go_through_an_http_proxy(world: World) -> None:
    assert world.ask(model="http").status == 200
    assert world.asked_http == [world.upstream.url.removeprefix("http://")]
    assert world.seen().path == CHAT


def test_calls_go_through_a_socks_proxy(world: World) -> None:
    assert world.ask(model="socks").status == 200
    assert world.asked_socks == [world.upstream.url.removeprefix("http://")]


def test_a_stream_comes_through_a_proxy(world: World) -> None:
    answer = world.ask(sse_reply(sse("one"), 0.05, sse("two"), DONE), model="http", stream=True)
    assert answer.body == sse("one") + sse("two") + DONE


def test_a_provider_that_does_not_answer_is_given_up(world: World) -> None:
    answer = world.ask(Reply(raw=b"", hang=True), model="first")
    assert (answer.status, error_of(answer)["code"]) == (504, "upstream_timeout")
    assert world.record()["total_ms"] < 2000


def test_a_stream_that_stops_is_given_up_in_band(world: World) -> None:
    answer = world.ask(sse_reply(sse("one"), hang=True), model="idle", stream=True)
    assert answer.status == 200
    error = json.loads(answer.body.split(b"\n\n")[1].removeprefix(b"data: "))["error"]
    assert error["code"] == "upstream_broke"
    assert world.record()["settlement"] == "upstream_broke"


def test_a_connection_that_does_not_come_about_is_given_up(world: World) -> None:
    started = time.monotonic()
    answer = world.ask(model="deaf")
    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")
    assert time.monotonic() - started < 2


def test_a_gzip_body_is_inflated(world: World) -> None:
    body = json.dumps(dict(ASK)).encode()
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])
    answer = world.gateway.post(CHAT, packed, headers={"content-encoding": "gzip"})
    assert answer.status == 200
    assert world.seen().body == body
    assert world.seen().header("content-encoding") is None


BOUNDARY = b"--x-9"


def form(*parts: tuple[bytes, bytes]) -> bytes:
    out = b""
    for name, value in parts:
        named = b'; filename="a.wav"\r\nContent-Type: audio/wav' if name == b"file" else b""
        out += b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
            BOUNDARY, name, named, value,
        )  # fmt: skip
    return out + b"--" + BOUNDARY + b"--\r\n"


SOUND = bytes(range(256)) * 14_000  # 3.5 MB


@pytest.mark.parametrize("size", [1_000, len(SOUND)], ids=["held", "streamed"])
@pytest.mark.parametrize("first", [True, False], ids=["model first", "model last"])
@pytest.mark.parametrize("model", [b"whisper-1", b"heard"], ids=["byte lane", "edit lane"])
def test_a_form_reaches_the_provider_whole(
    world: World, size: int, first: bool, model: bytes
) -> None:
    parts = [(b"file", SOUND[:size]), (b"language", b"de")]
    parts.insert(0 if first else 2, (b"model", model))
    world.upstream.script = lambda _: json_reply({"text": "hello", "usage": {"seconds": 3}})
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    answer = world.gateway.request(
        "POST", "/v1/audio/transcriptions", body=form(*parts), headers={"content-type": kind}
    )
    assert (answer.status, answer.json()["text"]) == (200, "hello")
    expected = [(n, b"whisper-1" if n == b"model" else v) for n, v in parts]
    assert world.seen().body == form(*expected)
    assert world.seen().header("content-type") == kind


def test_a_large_form_in_chunks_is_streamed_on(world: World) -> None:
    body = form((b"model", b"heard"), (b"file", SOUND))
    kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}"
    chunks = [b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:100_000], body[100_000:])]
    opening = head("/v1/audio/transcriptions", kind, "Transfer-Encoding: chunked")
    world.upstream.script = lambda _: json_reply({"text": "hello"})
    assert raw(world.gateway.port, opening, *chunks, b"0\r\n\r\n").status == 200
    assert world.seen().body == body.replace(b"\r\n\r\nheard\r\n", b"\r\n\r\nwhisper-1\r\n")


def test_a_request_id_is_kept(world: World) -> None:
    answer = world.gateway.post(CHAT, dict(ASK), headers={"x-request-id": "a.B-9_z"})
    assert answer.headers["x-request-id"] == answer.headers["x-oneapi-request-id"] == "a.B-9_z"
    assert world.record()["request_id"] == "a.B-9_z"


@pytest.mark.parametrize("given", ["a b", "x" * 65, "ü", "a;b", ""])
def test_a_malformed_request_id_is_replaced(world: World, given: str) -> None:
    answer = world.gateway.post(CHAT, dict(ASK), headers={"x-request-id": given})
    made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 16
    assert world.record()["request_id"] == made


def test_the_providers_request_id_does_not_replace_ours(world: World) -> None:
    heads = (("content-type", "application/json"), ("x-request-id", "theirs"))
    answer = world.ask(Reply(200, heads, json.dumps(dict(REPLY)).encode()))
    assert answer.headers["x-request-id"] != "theirs"


def test_an_admin_learns_who_answered_and_others_do_not(world: World) -> None:
    world.upstream.script = lambda _: json_reply(REPLY)
    told = world.gateway.post(CHAT, {**ASK, "model": "fast"}, key=ADMIN).headers
    assert (told["x-oneapi-channel"], told["x-oneapi-model"]) == ("up", "m")
    assert told["x-oneapi-attempts"] == "1"
    assert not [n for n in world.ask().headers if n.startswith("x-oneapi-c")]


def test_an_admin_pins_a_channel(world: World) -> None:
    answer = world.gateway.post(CHAT, {**ASK, "model": "anything"}, key=f"{ADMIN}-added")
    assert (answer.status, world.seen().header("x-team")) == (200, "red")
    assert world.record()["channel"] == "added"


@pytest.mark.parametrize("path", ["/v1/files?a=b", "/files?a=b"])
def test_an_admin_calls_through_a_channel_as_it_stands(world: World, path: str) -> None:
    world.upstream.script = lambda _: Reply(201, (("content-type", "text/x"),), b"made")
    answer = world.gateway.request("PUT", f"/v1/oneapi/proxy/up{path}", body=b"\x00\x01", key=ADMIN)
    assert (answer.status, answer.body, answer.headers["content-type"]) == (201, b"made", "text/x")
    seen = world.seen()
    assert (seen.method, seen.target, seen.body) == ("PUT", "/v1/files?a=b", b"\x00\x01")
    assert seen.header("authorization") == "Bearer up-key-0123456789"
    record = world.record()
    assert (record["endpoint"], record["channel"], record["status"]) == ("proxy", "up", 201)


def test_a_proxied_stream_is_not_held_back_and_a_broken_one_leaves_a_record(world: World) -> None:
    world.upstream.script = lambda _: sse_reply(b"data: 1\n\n", 0.05, cut=True)
    with pytest.raises(Exception, match="IncompleteRead"):
        world.gateway.get("/v1/oneapi/proxy/up/stream", key=ADMIN)
    assert world.record()["settlement"] == "upstream_broke"


def test_routes_work_without_v1_and_the_model_may_stand_in_the_path(world: World) -> None:
    world.upstream.script = lambda _: json_reply({"object": "list", "data": []})
    answer = world.gateway.post("/engines/m/embeddings", {"input": "x"})
    assert answer.status == 200
    assert (world.seen().path, world.seen().json()["model"]) == ("/v1/embeddings", "m")
    world.upstream.script = lambda _: json_reply(REPLY)
    assert world.gateway.post("/chat/completions", dict(ASK)).status == 200


def test_the_models_list_has_each_name_once(world: World) -> None:
    found = [entry["id"] for entry in world.gateway.get("/v1/models").json()["data"]]
    assert len(found) == len(set(found))
    assert {"fast", "heard", "m", "friendly", "whisper-1"} <= set(found)
    assert world.gateway.get("/models/fast").json()["owned_by"] == "oneapi"
    assert world.gateway.get("/v1/models/none").status == 404


def test_keys_come_in_any_of_the_usual_headers(world: World) -> None:
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        assert world.gateway.get("/v1/models", key=None, headers={name: KEY}).status == 200
    assert world.gateway.get(f"/v1/models?key={KEY}", key=None).status == 401
    both = {"authorization": "Bearer sk-wrong", "x-api-key": KEY}
    assert world.gateway.get("/v1/models", key=None, headers=both).status == 401


def test_a_streaming_client_gets_the_answer_that_came_whole(world: World) -> None:
    assert world.ask(json_reply(REPLY), **STREAM).json() == REPLY


def test_a_tokens_old_key_ends_and_its_new_one_goes_on(world: World) -> None:
    old = world.gateway.get("/v1/models", key=OLD)
    assert (old.status, error_of(old)["code"]) == (401, "expired_api_key")
    assert world.gateway.get("/v1/models", key=NEW).status == 200
    assert world.record()["token"] == "rotated"


def test_a_channels_key_is_not_used_after_its_end(world: World) -> None:
    for _ in range(3):
        world.ask(model="rotating")
        assert world.seen().header("authorization") == "Bearer fresh-key-0123456789"


def test_a_prompt_that_lies_at_another_provider_is_refused_and_not_dropped(world: World) -> None:
    calls = len(world.upstream.received)
    answer = world.gateway.post(
        "/v1beta/models/m:generateContent",
        {"contents": [{"parts": [{"text": "a"}]}], "cachedContent": "cachedContents/1"},
    )
    assert (answer.status, answer.json()["error"]["code"]) == (400, 400)
    assert b"cachedContent" in answer.body
    assert len(world.upstream.received) == calls
