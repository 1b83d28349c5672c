"""What Ollama's clients look up: models in their shape, the version; and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from oneapi import __version__
from oneapi.dialects import ollama
from oneapi.errors import ApiError
from oneapi.gateway.bodies import Body, JsonBody
from oneapi.gateway.books import written
from oneapi.gateway.cards import Card, card_of, cards
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.identify import Identity
from oneapi.gateway.lanes import Wanted
from oneapi.gateway.meter import Meter
from oneapi.gateway.snapshot import Target
from oneapi.gateway.state import Flight
from oneapi.ir import Envelope
from oneapi.web.body import read
from oneapi.web.endpoint import JSON_HEAD, Endpoint
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import Relayed, stamp
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode

MAX_BODY: Final = 64 * 1024
SMALL: Final = 4096
ABILITIES: Final[Mapping[str, str]] = {
    "tools": "tools",
    "vision": "vision",
    "reasoning": "thinking",
    "embedding": "embedding",
}
"""The catalog's words in Ollama's."""
LATEST: Final = ":latest"
CHANGES: Final = ("pull", "push", "create", "copy", "delete", "blobs")


class OllamaLookup(Endpoint):
    """`/api/tags`, `/api/ps`, `/api/show` and `/api/version`, which needs no key."""

    name = "models"

    def __init__(self, gateway: Gateway, what: str) -> None:
        super().__init__(gateway, ollama.NAME)
        self._what = what

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        if self._what == "version":
            return await self._done(exchange, meter, ollama.version(__version__))
        caller = self.identify(exchange, meter, flight).caller
        discovered = self.gateway.state.discovered
        if self._what == "show":
            name = ollama.show_name(await _object(exchange))
            card = card_of(exchange.snapshot, caller, name, discovered)
            if card is None:
                words = f"model '{name[:256]}' not found"
                raise ApiError(404, words, code="model_not_found", param="model")
            meter.model = card.name
            return await self._done(exchange, meter, ollama.show(_model(card)))
        found = [_model(card) for card in cards(exchange.snapshot, caller, discovered)]
        body = ollama.ps(found) if self._what == "ps" else ollama.tags(found)
        await self._done(exchange, meter, body)

    async def _done(self, exchange: Exchange, meter: Meter, body: bytes) -> None:
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, body)


class OllamaChat(Relayed):
    """`/api/chat` and `/api/generate`. A request without a prompt loads or unloads a model: what
    the gateway serves is always loaded. A tag `:latest` may be left out, or said too much.
    """

    def own_answer(self, meter: Meter, envelope: Envelope, body: Body) -> bytes | None:
        members = body.members if isinstance(body, JsonBody) else {}
        value = {name: _small(raw) for name, raw in members.items() if name in ollama.LOADS}
        if not ollama.is_load(value):
            return None
        generate = self.operation.name == ollama.GENERATE
        mark = replace(stamp(meter), model=envelope.model)
        return ollama.load_answer(
            envelope.model, mark, unload=ollama.is_unload(value), generate=generate
        )

    def targets(
        self,
        exchange: Exchange,
        identity: Identity,
        envelope: Envelope,
        wanted: Wanted | None = None,
    ) -> tuple[Target, ...]:
        try:
            return super().targets(exchange, identity, envelope, wanted)
        except ApiError:
            if not envelope.model.endswith(LATEST):
                raise
            plain = replace(envelope, model=envelope.model.removesuffix(LATEST))
            return super().targets(exchange, identity, plain, wanted)


class OllamaChange(Endpoint):
    """What would change the models is refused: they stand in the file."""

    name = "models"

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway, ollama.NAME)

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        self.identify(exchange, meter, flight)
        raise ollama.refusal(exchange.path.removeprefix("/api/").partition("/")[0])


def _small(raw: Raw) -> JSON:
    """The value, true for a long one: what matters is whether there is any."""
    return decode(raw) if len(raw) < SMALL else True


async def _object(exchange: Exchange) -> dict[str, object]:
    try:
        body = decode(await read(exchange, MAX_BODY))
    except MalformedJSON as error:
        raise ApiError(
            400, f"the body is not a JSON object: {error}", code="invalid_json"
        ) from error
    return body if isinstance(body, dict) else {}


def _model(card: Card) -> ollama.ModelCard:
    known = [ABILITIES[word] for word in card.abilities if word in ABILITIES]
    return ollama.ModelCard(
        card.name,
        context=card.context,
        max_output=card.max_output,
        modalities=card.inputs or ("text",),
        capabilities=["completion", *known] if card.abilities else (),
        efforts=("low", "medium", "high") if "reasoning" in card.abilities else (),
    )
