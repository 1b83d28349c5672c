"""Lists of models: what this caller may ask for, in the shape that its client reads (D7).

Anthropic's and Gemini's libraries ask at OpenAI's path too; their headers tell them apart.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from oneapi.dialects import anthropic, gemini, openai
from oneapi.dialects.gemini_models import METHODS
from oneapi.errors import ApiError
from oneapi.gateway.books import written
from oneapi.gateway.cards import Card, card_of, cards
from oneapi.gateway.meter import Meter
from oneapi.gateway.state import Flight
from oneapi.ledger.amounts import plain
from oneapi.ledger.prices import RATES, Price, Rates
from oneapi.web.endpoint import JSON_HEAD, Endpoint
from oneapi.web.exchange import Exchange
from oneapi.wire.json import JSON

GEMINI_PATH: Final = "/v1beta/"
EMBEDDING: Final = "embedding"


class ModelList(Endpoint):
    name = "models"

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        found = list(cards(exchange.snapshot, caller, self.gateway.state.discovered))
        await self.done(exchange, meter, _list(exchange, found))

    async def done(self, exchange: Exchange, meter: Meter, body: bytes) -> None:
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, body)


class ModelOne(ModelList):
    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        card = card_of(exchange.snapshot, caller, path_model or "", self.gateway.state.discovered)
        if card is not None:
            meter.model = card.name
            return await self.done(exchange, meter, _one(exchange, card))
        raise ApiError(
            404,
            f"the model `{(path_model or '')[:256]}` does not exist here, "
            "or you do not have access to it",
            code="model_not_found",
            param="model",
        )


class GeminiList(ModelList):
    query_key = True


class GeminiOne(ModelOne):
    query_key = True


def _list(exchange: Exchange, found: list[Card]) -> bytes:
    if _is_gemini(exchange):
        query = parse_qs(exchange.query.decode("latin-1"))
        size, token = (query.get(name, [""])[0] for name in ("pageSize", "pageToken"))
        entries = [_gemini_entry(card) for card in found]
        return gemini.models_list(entries, page_size=size, page_token=token)
    if b"anthropic-version" in exchange.headers:
        facts = {card.name: _anthropic_facts(card) for card in found}
        return anthropic.models_list([(card.name, card.owner) for card in found], facts)
    facts_of = {card.name: _facts(card) for card in found}
    named = [(card.name, card.owner) for card in found]
    return openai.models_list(named, facts_of, catalog=b"client_version=" in exchange.query)


def _one(exchange: Exchange, card: Card) -> bytes:
    if _is_gemini(exchange):
        return gemini.model_entry(_gemini_entry(card))
    if b"anthropic-version" in exchange.headers:
        return anthropic.model_entry(card.name, card.owner, _anthropic_facts(card))
    return openai.model_entry(card.name, card.owner, _facts(card))


def _is_gemini(exchange: Exchange) -> bool:
    return exchange.path.startswith(GEMINI_PATH) or b"x-goog-api-key" in exchange.headers


def _gemini_entry(card: Card) -> gemini.ModelEntry:
    methods = ("embedContent",) if EMBEDDING in card.abilities else METHODS
    return gemini.ModelEntry(
        card.name,
        input_limit=card.context,
        output_limit=card.max_output,
        methods=methods,
        thinking="reasoning" in card.abilities if card.abilities else None,
    )


def _anthropic_facts(card: Card) -> dict[str, JSON]:
    facts = {"max_input_tokens": card.context, "max_tokens": card.max_output}
    return {name: value for name, value in facts.items() if value}


def _facts(card: Card) -> dict[str, JSON]:
    """What the catalog and the prices know; what is unknown is left out."""
    facts: dict[str, JSON] = {
        "context_window": card.context,
        "max_output_tokens": card.max_output,
        "input_modalities": list(card.inputs),
        "output_modalities": list(card.outputs),
        "abilities": list(card.abilities),
        "pricing": _pricing(card.price),
    }
    return {name: value for name, value in facts.items() if value}


def _pricing(price: Price | None) -> dict[str, JSON]:
    """Dollars as text, so that no digit is lost: per million tokens or characters; an image, a
    second, a search, a request. Tiers are for longer inputs, images by size and quality.
    """
    if price is None:
        return {}
    rule = price.rule
    facts: dict[str, JSON] = {**_rates(price, rule.rates)}
    if rule.tiers:
        facts["tiers"] = [{"above": t.above, **_rates(price, t.rates)} for t in rule.tiers]
    if rule.images:
        facts["images"] = {variant: plain(price.paid(nano)) for variant, nano in rule.images}
    return facts


def _rates(price: Price, rates: Rates) -> dict[str, str]:
    found = {name: getattr(rates, name) for name in RATES}
    always = ("input", "output")
    return {name: plain(price.paid(v)) for name, v in found.items() if v or name in always}
