"""`/v1/models`: what this caller may ask for, in OpenAI's shape (D7)."""

from __future__ import annotations

from oneapi.dialects.openai import model_entry, models_list
from oneapi.errors import ApiError
from oneapi.gateway.books import written
from oneapi.gateway.meter import Meter
from oneapi.gateway.state import Flight
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import JSON_HEAD, Endpoint


class ModelList(Endpoint):
    name = "models"

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        found = exchange.snapshot.listed(caller, self.gateway.state.discovered)
        await self._done(exchange, meter, models_list(found))

    async def _done(self, exchange: Exchange, meter: Meter, body: bytes) -> None:
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, body)


class ModelOne(ModelList):
    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        caller = self.identify(exchange, meter, flight).caller
        for name, owner in exchange.snapshot.listed(caller, self.gateway.state.discovered):
            if name == path_model:
                meter.model = name
                return await self._done(exchange, meter, model_entry(name, owner))
        raise ApiError(
            404,
            f"the model `{(path_model or '')[:256]}` does not exist here, "
            "or you do not have access to it",
            code="model_not_found",
            param="model",
        )
