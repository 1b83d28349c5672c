"""Replays recorded exchanges through a running gateway and tells what differs from D17's allowance.

One channel an address, one token a channel (its policy names that channel alone), one alias a
channel and model. A request goes out twice: by the provider's own name for the model, and by an
alias, which puts the edit lane to work in both directions.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import tomli_w

from tests.e2e.checks import client_side, record_side, short, upstream_side
from tests.e2e.harness import (
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    key_hash,
    scripted_upstream,
)
from tests.e2e.places import ADMIN, TYPES, Place
from tests.e2e.recordings import PROVIDERS, Exchange, read

JSON = Any


@dataclass(slots=True)
class Tally:
    """How a provider's replays went: problems by exchange, and what was counted."""

    passed: int = 0
    total: int = 0
    synthetic: int = 0
    problems: list[str] = field(default_factory=list)
    lanes: Counter[str] = field(default_factory=Counter)


class Replay:
    """All recordings, one upstream, one gateway."""

    def __init__(self, exchanges: Mapping[str, Sequence[Exchange]]) -> None:
        self.exchanges = exchanges
        self.places: dict[tuple[str, str, str], Place] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.lists: dict[str, Exchange] = {}
        for exchange in (x for group in exchanges.values() for x in group):
            place = self.place(exchange)
            if exchange.operation:
                self.alias(place, exchange.model)
            if exchange.api == "models" and exchange.status == 200:
                self.lists[f"list-{exchange.id}"] = exchange

    def place(self, exchange: Exchange) -> Place:
        kind = TYPES.get(exchange.host, "openai-compatible")
        version = ""
        if exchange.host.endswith(".azure.com"):
            kind = "azure"
            version = parse_qs(urlsplit(exchange.url).query).get("api-version", [""])[0]
        base = exchange.base
        if kind == "azure":
            base = base.partition("/deployments/")[0]
        elif kind == "perplexity":
            base = ""  # its embeddings stand below /v1, its chat does not
        if exchange.operation is None:
            kind, base = "any-api", ""
        slot = (kind, base, version)
        if slot not in self.places:
            self.places[slot] = Place(f"{kind}-{len(self.places)}", kind, base, version)
        return self.places[slot]

    def alias(self, place: Place, model: str) -> str:
        name = f"alias/é-{len(self.aliases)}"
        return self.aliases.setdefault((place.name, model), name)

    def toml(self, upstream: Upstream) -> str:
        channels: dict[str, JSON] = {}
        tokens: dict[str, JSON] = {}
        for place in self.places.values():
            address = upstream.url + (place.base or "/")
            channels[place.name] = _channel(place.type, address, place.key, place.api_version)
            tokens[place.name] = _token(place.name, place.token)
        for name, exchange in self.lists.items():
            kind = TYPES.get(exchange.host, "openai-compatible")
            base = urlsplit(exchange.url).path
            base = base.removesuffix("/v1/models" if kind == "perplexity" else "/models")
            channels[name] = {
                **_channel(kind, f"{upstream.url}/{name}{base}", "list-key-0123456789"),
                "discover": True,
            }
            del channels[name]["models"]
            tokens[name] = _token(name, "sk-" + name.rjust(48, "x"))
        tokens["admin"] = {"user": "root", "policy": "admin", "key": key_hash(ADMIN)}
        policies: dict[str, JSON] = {name: {"channels": [name]} for name in channels}
        policies["admin"] = {"endpoints": ["proxy"]}
        return tomli_w.dumps(
            {
                "channels": channels,
                "models": {
                    alias: {"routes": [{"channel": channel, "model": model}]}
                    for (channel, model), alias in self.aliases.items()
                },
                "users": {"e2e": {}, "root": {"role": "root"}},
                "policies": policies,
                "tokens": tokens,
            }
        )


def _channel(kind: str, address: str, key: str, version: str = "") -> dict[str, JSON]:
    table: dict[str, JSON] = {
        "type": kind,
        "base_url": address,
        "keys": [key],
        "models": ["*"],
        "discover": False,
    }
    return {**table, "api_version": version} if version else table


def _token(name: str, key: str) -> dict[str, JSON]:
    return {"user": "e2e", "policy": name, "key": key_hash(key)}


class Replayer:
    """Sends exchanges through a gateway that runs `replay.toml(upstream)`."""

    def __init__(self, replay: Replay, running: Running, upstream: Upstream) -> None:
        self.replay = replay
        self.running = running
        self.upstream = upstream

    def run(self, provider: str) -> Tally:
        tally = Tally()
        pending: list[tuple[Exchange, str]] = []
        for exchange in self.replay.exchanges[provider]:
            lanes = ("byte", "edit") if exchange.operation else ("proxy",)
            problems = [p for lane in lanes for p in self._one(exchange, lane)]
            pending.extend((exchange, lane) for lane in lanes)
            tally.total += 1
            tally.synthetic += exchange.synthetic
            tally.lanes.update(lanes)
            tally.problems.extend(problems)
        records = {r["request_id"]: r for r in self.running.records()}
        for exchange, lane in pending:
            tally.problems.extend(self._ledger(exchange, lane, records))
        failed = {p.split(" ", 1)[0] for p in tally.problems}
        tally.passed = tally.total - len(failed)
        return tally

    def _one(self, exchange: Exchange, lane: str) -> list[str]:
        self.upstream.script = lambda _: _reply(exchange, lane)
        seen = len(self.upstream.received)
        answer, sent = self._send(exchange, lane)
        came = self.upstream.received[seen:]
        if len(came) != 1:
            return [f"{exchange.id} {lane}: {len(came)} calls, answered {short(answer)}"]
        place = self.replay.place(exchange)
        found = [*upstream_side(exchange, lane, place=place, got=came[0], sent=sent)]
        found += client_side(exchange, self._asked(exchange, lane), place, answer)
        return [f"{exchange.id} {lane}: {problem}" for problem in found]

    def _asked(self, exchange: Exchange, lane: str) -> str | None:
        if lane != "edit":
            return None
        return self.replay.alias(self.replay.place(exchange), exchange.model)

    def _send(self, exchange: Exchange, lane: str) -> tuple[Answer, bytes]:
        place = self.replay.place(exchange)
        headers = {
            "content-type": exchange.request_type,
            "x-request-id": f"{exchange.id}.{lane}",
            "cookie": "client-secret=1",
        }
        if lane == "proxy":
            path = f"/v1/oneapi/proxy/{place.name}{exchange.target}"
            body: bytes | None = exchange.request or None
            answer = self.running.request(
                exchange.method, path, body=body, headers=headers, key=ADMIN
            )
            return answer, exchange.request
        sent = exchange.request
        asked = self._asked(exchange, lane)
        if asked is not None:
            sent = _with_model(exchange, asked)
        path = f"/v1{exchange.operation}"
        answer = self.running.post(path, sent, headers=headers, key=place.token)
        return answer, sent

    def _ledger(self, exchange: Exchange, lane: str, records: Mapping[str, JSON]) -> list[str]:
        record = records.get(f"{exchange.id}.{lane}")
        if record is None:
            return [f"{exchange.id} {lane}: no record"]
        found = list(record_side(exchange, lane, self.replay.place(exchange), record))
        return [f"{exchange.id} {lane}: {problem}" for problem in found]


def _with_model(exchange: Exchange, asked: str) -> bytes:
    """The request with another model's name, in the recording's own white space."""
    old, new = json.dumps(exchange.model), json.dumps(asked, ensure_ascii=False)
    if exchange.request_type.startswith("multipart/"):
        head = b'name="model"\r\n\r\n'
        return exchange.request.replace(head + exchange.model.encode(), head + asked.encode(), 1)
    members = msgspec.json.decode(exchange.spaced_request, type=dict[str, msgspec.Raw])
    parts = [
        json.dumps(name, ensure_ascii=False).encode()
        + b": "
        + (new.encode() if name == "model" and bytes(raw) == old.encode() else bytes(raw))
        for name, raw in members.items()
    ]
    return b"{" + b", ".join(parts) + b"}"


def _reply(exchange: Exchange, lane: str) -> Reply:
    headers = (*exchange.headers, ("set-cookie", "upstream-secret=1"))
    if not exchange.is_stream and exchange.header("content-length"):
        return Reply(exchange.status, headers, exchange.body)
    size = 61 if exchange.is_stream and lane == "byte" else 8192
    cuts = range(0, len(exchange.body), size)
    return Reply(exchange.status, headers, [exchange.body[at : at + size] for at in cuts])


@contextlib.contextmanager
def replaying(folder: Path, providers: Sequence[str] = PROVIDERS) -> Iterator[Replayer]:
    """A gateway and an upstream over the recordings of the providers."""
    replay = Replay({provider: list(read(provider)) for provider in providers})

    def lists(request: Received) -> Reply:
        """Answers discovery, which begins with the gateway."""
        name = request.target.split("/")[1]
        exchange = replay.lists.get(name)
        return _reply(exchange, "byte") if exchange else Reply(404, body=b"{}")

    with scripted_upstream(lists) as upstream:
        toml = replay.toml(upstream)
        with gateway(folder, toml) as running:
            yield Replayer(replay, running, upstream)
