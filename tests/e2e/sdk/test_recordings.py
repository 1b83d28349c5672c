"""Every recorded exchange through the current OpenAI library: once straight from the provider, once
through the gateway. Both must read the same, but for what D17 allows, and the ledger must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.expected import TRAITS, Traits, is_auth, usage
from tests.e2e.recordings import FOLDER, Exchange, read
from tests.e2e.sdk.stage import DIALS, MISSING, Stage, as_recorded, key_of, replay

JSON = Any
SPOKEN = {
    "/chat/completions": "chat.completions",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/moderations": "moderations",
    "/images/generations": "images",
}


def call(client: OpenAI, exchange: Exchange) -> Iterator[JSON]:
    """What the library makes of the answer: its objects as values, in the end what it raised."""
    resource: JSON = client
    for name in SPOKEN[exchange.operation or ""].split("."):
        resource = getattr(resource, name)
    create = resource.generate if exchange.operation == "/images/generations" else resource.create
    asks = as_recorded(exchange)
    if exchange.operation == "/embeddings":
        asks.setdefault("encoding_format", "float")
    try:
        found = create(**asks)
        if exchange.is_stream:
            with found:
                yield from (chunk.to_dict(warnings=False) for chunk in found)
        else:
            yield found.to_dict(warnings=False)
    except openai.APIStatusError as error:
        yield type(error).__name__, error.status_code, error.body
    except openai.APIError as error:
        yield type(error).__name__, error.body


def expected(seen: list[JSON], exchange: Exchange, traits: Traits) -> list[JSON]:
    """What the gateway's client must see, where the provider's own client sees this."""
    asks = exchange.asks().get("stream_options") or {}
    if not exchange.is_stream or not traits.asks_usage or asks.get("include_usage"):
        return seen
    return [c for c in seen if not (isinstance(c, dict) and c.get("usage") and not c["choices"])]


def is_spoken(exchange: Exchange) -> bool:
    """Whether the library can be brought to ask this at all."""
    if exchange.operation not in SPOKEN:
        return False
    needed = {"/chat/completions": "messages", "/embeddings": "input", "/moderations": "input"}
    return needed.get(exchange.operation, "prompt") in exchange.asks()


@pytest.mark.parametrize("provider", ["openai", *DIALS])
def test_recorded_answers_read_the_same_through_the_gateway(stage: Stage, provider: str) -> None:
    if not FOLDER.is_dir():
        pytest.skip(MISSING)
    traits = TRAITS.get(provider, Traits())
    through = stage.client.with_options(api_key=key_of(provider))
    straight = stage.client.with_options(base_url=f"{stage.upstream.url}/v1")
    count = 0
    for exchange in filter(is_spoken, read(provider)):
        stage.play(replay(exchange, 512))
        before = list(call(straight, exchange))
        after = list(call(through, exchange))
        record = stage.record()
        count += 1
        if is_auth(exchange, traits):
            assert after[0][:2] == ("InternalServerError", 502), exchange.id
            assert record["upstream_status"] == exchange.status, exchange.id
            continue
        assert after == expected(before, exchange, traits), exchange.id
        assert record["status"] == exchange.status, exchange.id
        buckets, source = usage(exchange, traits)
        assert record["usage_source"] == source, exchange.id
        assert {n: record[n] for n in buckets or {}} == (buckets or {}), exchange.id
    assert count > 0
