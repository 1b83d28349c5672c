"""Compares a replay with what D17 allows: at the upstream, at the client, in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.e2e import expected
from tests.e2e.harness import Answer, Received
from tests.e2e.places import ADMIN, Place
from tests.e2e.recordings import Exchange

JSON = Any
PRIVATE = ("set-cookie", "x-ratelimit", "openai-organization", "openai-project", "x-groq")


def upstream_side(
    exchange: Exchange, lane: str, *, place: Place, got: Received, sent: bytes
) -> Iterator[str]:
    if got.target != exchange.target:
        yield f"asked {got.target}, not {exchange.target}"
    if got.method != exchange.method:
        yield f"asked by {got.method}"
    name, value = _credential(place)
    if got.header(name) != value:
        yield f"the provider's key is not in {name}: {got.headers}"
    shown = f"{got.target} {got.headers}"
    if "client-secret" in shown or place.token in shown or ADMIN in shown:
        yield f"something of the client's went upstream: {got.headers}"
    if exchange.request and got.header("content-type") != exchange.request_type:
        yield f"content-type {got.header('content-type')}"
    yield from _request_body(exchange, lane, place=place, got=got.body, sent=sent)


def _credential(place: Place) -> tuple[str, str]:
    if place.type == "azure":
        return "api-key", place.key
    return "authorization", place.key if place.type == "any-api" else f"Bearer {place.key}"


def _request_body(
    exchange: Exchange, lane: str, *, place: Place, got: bytes, sent: bytes
) -> Iterator[str]:
    asks = exchange.asks()
    options = asks.get("stream_options") or {}
    injects = (
        lane != "proxy"
        and exchange.api in ("chat", "completions")
        and asks.get("stream") is True
        and place.traits.asks_usage
        and options.get("include_usage") is not True
    )
    if lane != "edit" and not injects:
        if got != sent:
            yield f"the request changed: {got[:300]!r}"
        return
    if not sent.startswith(b"{"):
        if got != exchange.request:
            yield f"the form is not the one with the provider's model: {got[:200]!r}"
        return
    before = msgspec.json.decode(sent, type=dict[str, msgspec.Raw])
    after = msgspec.json.decode(got, type=dict[str, msgspec.Raw])
    names = [*before, *(["stream_options"] if injects and "stream_options" not in before else [])]
    if [*after] != names:
        yield f"members {[*after]}, not {names}"
    for name in before.keys() - {"model", *(["stream_options"] if injects else [])}:
        if bytes(before[name]) != bytes(after.get(name, b"")):
            yield f"the member {name} changed"
    if json.loads(bytes(after["model"])) != exchange.model:
        yield f"the provider was asked for {bytes(after['model'])!r}"
    if injects and json.loads(bytes(after["stream_options"])) != {**options, "include_usage": True}:
        yield "usage was not asked for"


def client_side(
    exchange: Exchange, asked: str | None, place: Place, answer: Answer
) -> Iterator[str]:
    if exchange.operation and expected.is_auth(exchange, place.traits):
        code = answer.json()["error"]["code"] if answer.status == 502 else None
        if code != "upstream_auth":
            yield f"not upstream_auth: {short(answer)}"
        return
    if answer.status != exchange.status:
        yield f"answered {short(answer)}, not {exchange.status}"
        return
    kind = exchange.header("content-type")
    if kind is not None and answer.headers.get("content-type", "").lower() != kind.lower():
        yield f"content-type {answer.headers.get('content-type')}, not {kind}"
    if exchange.header("retry-after") != answer.headers.get("retry-after"):
        yield f"retry-after {answer.headers.get('retry-after')}"
    leaked = [name for name in answer.headers if name.startswith(PRIVATE)]
    if leaked:
        yield f"headers of the provider's came through: {leaked}"
    wanted = exchange.body
    if exchange.operation:
        wanted = expected.answer(exchange, place.traits, asked)
    if answer.body != wanted:
        yield _difference(answer.body, wanted)


def record_side(exchange: Exchange, lane: str, place: Place, record: JSON) -> Iterator[str]:
    auth = exchange.operation is not None and expected.is_auth(exchange, place.traits)
    if record["status"] != (502 if auth else exchange.status):
        yield f"the record has status {record['status']}"
    if record["upstream_status"] != exchange.status:
        yield f"the record has upstream_status {record['upstream_status']}"
    if record["channel"] != place.name:
        yield f"the record has channel {record['channel']}"
    if lane == "proxy":
        return
    if record["served_model"] != exchange.model:
        yield f"the record has served_model {record['served_model']}"
    buckets, source = expected.usage(exchange, place.traits)
    if record["usage_source"] != source:
        yield f"usage_source {record['usage_source']}, not {source}"
    got = {name: record[name] for name in expected.BUCKETS}
    if buckets is not None and got != buckets:
        differing = {n: (got[n], buckets[n]) for n in got if got[n] != buckets[n]}
        yield f"usage (got, wanted): {differing}"
    if buckets is None and not (got["input"] or got["audio_in"] or got["audio_ms"]):
        yield "nothing was estimated"


def _difference(got: bytes, wanted: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), None)
    at = min(len(got), len(wanted)) if at is None else at
    start = max(0, at - 40)
    return (
        f"the answer differs at {at} of {len(wanted)}: {got[start : at + 80]!r}"
        f" instead of {wanted[start : at + 80]!r}"
    )


def short(answer: Answer) -> str:
    return f"{answer.status} {answer.body[:300]!r}"
