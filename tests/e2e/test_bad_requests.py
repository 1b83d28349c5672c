"""Requests that are wrong: each gets a clean error, and the gateway goes on."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.harness import (
    KEY,
    Answer,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
)
from tests.e2e.talk import ASK, CHAT, REPLY, error_of, head, raw

EXPIRED, OFF, FAR, NARROW, ADMIN = (
    f"sk-{name * 12}" for name in ("expi", "offx", "farx", "narr", "admi")
)


def toml(upstream: str) -> str:
    lapsed = people(name="lapsed", key=EXPIRED) + "expires = 2020-01-01\n"
    off = people(name="off", key=OFF).replace('role = "user"', 'role = "user"\nenabled = false')
    return (
        "[server]\nkey_attempts_per_minute = 1000\n"
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream}/v1"\n'
        'keys = ["up-key-0123456789"]\nmodels = ["m", "other", "whisper-1"]\n'
        + people(policy='models = ["m", "nobody", "whisper-1"]')
        + lapsed
        + off
        + people(name="far", key=FAR, policy='subnets = ["10.0.0.0/8"]')
        + people(name="narrow", key=NARROW, policy='endpoints = ["embeddings"]')
        + people(
            name="admin", key=ADMIN, role="admin", policy='endpoints = ["chat", "proxy", "pin"]'
        )
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply(REPLY)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("bad"), toml(upstream.url)) as found:
        yield found


def with_body(
    body: bytes | dict[str, object], *lines: str, path: str = CHAT, key: str | None = KEY
) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(path, f"Content-Length: {len(data)}", *lines, key=key) + data


def form(*parts: tuple[str, str], boundary: str = "xx", end: str = "--xx--\r\n") -> bytes:
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    )
    return with_body(
        (body + end).encode(),
        "Content-Type: multipart/form-data; boundary=xx",
        path="/v1/audio/transcriptions",
    )


@dataclass(frozen=True)
class Bad:
    """A wrong request and what must come back. `make` may take the time it needs to be built."""

    name: str
    make: Callable[[], bytes]
    status: int
    code: str
    param: str | None = None
    recorded: bool = True
    """Whether it got as far as an endpoint, and so leaves a record and has a request id."""


def chat(name: str, change: dict[str, object], code: str, param: str, status: int = 400) -> Bad:
    return Bad(name, lambda: with_body({**ASK, **change}), status, code, param)


def text(name: str, body: bytes, code: str, param: str | None = None, status: int = 400) -> Bad:
    return Bad(name, lambda: with_body(body), status, code, param)


def at(name: str, status: int, code: str, *, path: str = CHAT, key: str | None = KEY) -> Bad:
    return Bad(name, lambda: with_body(dict(ASK), path=path, key=key), status, code)


def astray(name: str, rest: str) -> Bad:
    """The proxy route with a path that would lead elsewhere."""
    whole = f"/v1/oneapi/proxy/up{rest}"
    return Bad(
        name, lambda: with_body(b"", path=whole, key=ADMIN), 400, "invalid_path", param="path"
    )


def packed(
    name: str, make: Callable[[], bytes], status: int, code: str, coding: str = "gzip"
) -> Bad:
    return Bad(name, lambda: with_body(make(), f"Content-Encoding: {coding}"), status, code)


def wire(name: str, request: bytes, status: int = 400) -> Bad:
    return Bad(name, lambda: request, status, "bad_request", recorded=False)


def bomb() -> bytes:
    """80 MB of spaces in 80 KB."""
    return gzip.compress(b" " * 80_000_000, 1)


def duplicate(second: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":"x"}],' + second + b"}"


ENGINE = "/v1/engines/other/embeddings"
PROXY = "/v1/oneapi/proxy/up"
GOOD = json.dumps(dict(ASK)).encode()

BODIES = [
    text("broken JSON", b'{"model": "m", ', "invalid_json"),
    text("no JSON at all", b"model=m&stream=1", "invalid_json"),
    text("an empty body", b"", "invalid_json"),
    text("a list", b"[1, 2]", "invalid_json"),
    text("a string", b'"hello"', "invalid_json"),
    text("NaN", b'{"model": "m", "messages": [1], "temperature": NaN}', "invalid_json"),
    text("invalid UTF-8", b'{"model": "m", "messages": ["\xff\xfe"]}', "invalid_json"),
    text("deep nesting", b'{"model":"m","messages":' + b"[" * 200_000 + b"}", "invalid_json"),
    text("a second object behind it", GOOD + GOOD, "invalid_json"),
    text("model twice", duplicate(b'"model":"other"'), "duplicate_parameter", "model"),
    text(
        "model twice, escaped", duplicate(rb'"\u006dodel":"other"'), "duplicate_parameter", "model"
    ),
    text(
        "stream twice", duplicate(b'"stream":true,"stream":false'), "duplicate_parameter", "stream"
    ),
    chat("model is a number", {"model": 5}, "invalid_type", "model"),
    chat("model is empty", {"model": ""}, "invalid_value", "model"),
    chat("model is too long", {"model": "m" * 300}, "invalid_value", "model"),
    chat("model holds a line end", {"model": "m\nx"}, "invalid_value", "model"),
    chat("messages is a string", {"messages": "hello"}, "invalid_type", "messages"),
    chat("messages is null", {"messages": None}, "missing_required_parameter", "messages"),
    chat("stream is a word", {"stream": "yes"}, "invalid_type", "stream"),
    chat("stream_options is a list", {"stream_options": []}, "invalid_type", "stream_options"),
    chat("n is 0", {"n": 0}, "invalid_value", "n"),
    chat("n is negative", {"n": -5}, "invalid_value", "n"),
    chat("n is a fraction", {"n": 1.5}, "invalid_type", "n"),
    chat("n is huge", {"n": 10**30}, "invalid_value", "n"),
    chat("max_tokens is negative", {"max_tokens": -5}, "invalid_value", "max_tokens"),
    chat("max_tokens is a word", {"max_tokens": "many"}, "invalid_type", "max_tokens"),
    text("no model", b'{"messages": [{}]}', "missing_required_parameter", "model"),
    chat("an unknown model", {"model": "nobody"}, "model_not_found", "model", 404),
    chat("a model outside the policy", {"model": "other"}, "model_not_allowed", "model", 403),
]
SIZES = [
    packed("a gzip bomb", bomb, 413, "request_too_large"),
    packed("a cut gzip", lambda: gzip.compress(GOOD)[:-9], 400, "invalid_gzip"),
    packed("no gzip", lambda: GOOD, 400, "invalid_gzip"),
    packed("junk behind a gzip", lambda: gzip.compress(GOOD) + b"junk", 400, "invalid_gzip"),
    packed("an unknown coding", lambda: GOOD, 415, "unsupported_content_encoding", "br"),
    Bad(
        "65 MB announced",
        lambda: head(CHAT, "Content-Length: 65000000"),
        413,
        "request_too_large",
    ),
]
WHO = [
    at("no key", 401, "missing_api_key", key=None),
    at("a wrong key", 401, "invalid_api_key", key="sk-" + "w" * 48),
    at("an expired key", 401, "expired_api_key", key=EXPIRED),
    at("a disabled user", 403, "access_denied", key=OFF),
    at("a wrong subnet", 403, "wrong_subnet", key=FAR),
    at("an endpoint that is not allowed", 403, "endpoint_not_allowed", key=NARROW),
    at("a pin by somebody else", 403, "pin_not_allowed", key=KEY + "-up"),
    at("an unknown pin", 400, "unknown_channel", key=ADMIN + "-nowhere"),
    at("the proxy route by somebody else", 403, "endpoint_not_allowed", path=f"{PROXY}/v1/x"),
    at(
        "an unknown channel's proxy",
        404,
        "unknown_channel",
        path="/v1/oneapi/proxy/no/x",
        key=ADMIN,
    ),
    astray(".. in the proxy route", "/a/../../x"),
    astray("%2e%2e in the proxy route", "/a/%2e%2e/x"),
    astray("@ in the proxy route", "/@evil.example/x"),
    astray("// in the proxy route", "//evil.example/x"),
]
PATHS = [
    Bad("GET on a POST route", lambda: head(CHAT, method="GET"), 405, "method_not_allowed"),
    Bad(
        "POST on a GET route", lambda: with_body(b"", path="/v1/models"), 405, "method_not_allowed"
    ),
    Bad("an unknown address", lambda: head("/v1/nonsense", method="GET"), 404, "unknown_url"),
    Bad("an unknown method", lambda: head("/v1/models", method="PURGE"), 405, "method_not_allowed"),
    Bad(
        "the path's model is another",
        lambda: with_body({"model": "m", "input": "x"}, path=ENGINE),
        400,
        "invalid_value",
        "model",
    ),
    Bad(
        "a form without its boundary",
        lambda: with_body(
            b"--xx--", "Content-Type: multipart/form-data", path="/v1/audio/transcriptions"
        ),
        400,
        "invalid_form",
    ),
    Bad(
        "text where a form is due",
        lambda: with_body(GOOD, "Content-Type: text/plain", path="/v1/audio/transcriptions"),
        400,
        "invalid_form",
    ),
    Bad(
        "a form where JSON is due",
        lambda: with_body(b"--xx--", "Content-Type: multipart/form-data; boundary=xx"),
        415,
        "unsupported_media_type",
    ),
    Bad("two model parts", lambda: form(("model", "m"), ("model", "other")), 400, "invalid_form"),
    Bad("a cut form", lambda: form(("model", "m"), ("file", "abc"), end=""), 400, "invalid_form"),
]
WIRE = [
    wire("both lengths", head(CHAT, "Content-Length: 5", "Transfer-Encoding: chunked") + b"hello"),
    wire("two lengths", head(CHAT, "Content-Length: 5", "Content-Length: 6") + b"hello"),
    wire("bare line feeds", head().replace(b"\r\n", b"\n")),
    wire("an oversized head", head(CHAT, "X-Long: " + "x" * 70_000), status=431),
    wire("a bad chunk size", head(CHAT, "Transfer-Encoding: chunked") + b"zz\r\nhello\r\n"),
    wire("an endless chunk size", head(CHAT, "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n"),
    wire(
        "CONNECT", b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", status=405
    ),
    wire("a control character in a header", head(CHAT, "X-Odd: a\x01b", "Content-Length: 0")),
    wire("NUL in a header", head(CHAT, "X-Odd: a\x00b", "Content-Length: 0")),
    wire("no host", f"POST {CHAT} HTTP/1.1\r\n\r\n".encode()),
    wire("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    wire("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 64),
]
ALL = [*BODIES, *SIZES, *WHO, *PATHS, *WIRE]


@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.name)
def test_a_bad_request_gets_a_clean_error_and_the_gateway_goes_on(
    running: Running, bad: Bad
) -> None:
    answer = raw(running.port, bad.make())
    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (bad.status, bad.code, bad.param)
    if bad.recorded:
        assert answer.headers["x-request-id"] in error["message"]
    good = running.post(CHAT, dict(ASK))
    assert (good.status, good.json()) == (200, REPLY)


def test_there_are_more_than_thirty_kinds() -> None:
    assert len({bad.name for bad in ALL}) == len(ALL) > 60


def test_no_bad_request_reaches_the_provider_and_each_leaves_a_record(
    running: Running, upstream: Upstream
) -> None:
    upstream.received.clear()
    before = len(running.records())
    sent = [bad for bad in (*BODIES, *SIZES, *WHO)]
    for bad in sent:
        raw(running.port, bad.make())
    assert [received.body for received in upstream.received] == []
    found = running.records()[before:]
    assert [record["status"] for record in found] == [bad.status for bad in sent]
    assert [record["error_code"] for record in found] == [bad.code for bad in sent]
    assert {record["settlement"] for record in found} == {"refused"}
    assert {record["attempts"] for record in found} == {0}


def test_a_body_of_65_mb_in_chunks_is_refused_when_it_is_too_large(running: Running) -> None:
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = raw(
        running.port, head(CHAT, "Transfer-Encoding: chunked"), *[piece] * 65, b"0\r\n\r\n"
    )
    assert (answer.status, error_of(answer)["code"]) == (413, "request_too_large")


def test_a_large_form_that_is_cut_is_refused_and_not_passed_on(
    running: Running, upstream: Upstream
) -> None:
    received = len(upstream.received)
    answer = raw(running.port, form(("model", "m"), ("file", "a" * 3_000_000), end=""))
    assert (answer.status, error_of(answer)["code"]) == (400, "invalid_form")
    assert len(upstream.received) == received


def test_too_many_wrong_keys_from_an_address_are_refused_for_a_minute(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    text = toml(upstream.url).replace("minute = 1000", "minute = 3")
    with gateway(tmp_path_factory.mktemp("guard"), text) as guarded:
        codes = [guarded.get("/v1/models", key=f"sk-wrong{i}").status for i in range(5)]
        answer = guarded.get("/v1/models", key="sk-wrong5")
    assert codes == [401, 401, 401, 429, 429]
    assert 0 < int(answer.headers["retry-after"]) <= 60


def test_answers_do_not_tell_a_wrong_key_from_its_hash(running: Running) -> None:
    answer: Answer = running.get("/v1/models", key="sk-" + "q" * 48)
    hashed = hashlib.sha256(b"q" * 48).hexdigest()
    assert b"qqq" not in answer.body
    assert hashed.encode() not in answer.body
