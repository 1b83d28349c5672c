"""Parts of OpenAI's API that the gateway does not offer: refused with 501, in words."""

from __future__ import annotations

from oneapi.errors import ApiError
from oneapi.gateway.meter import Meter
from oneapi.gateway.state import Flight
from oneapi.net.shared import shown
from oneapi.web.endpoint import Endpoint
from oneapi.web.exchange import Exchange

FAMILIES = {
    "files": "files",
    "uploads": "files",
    "fine_tuning": "fine-tuning",
    "fine-tunes": "fine-tuning",
    "assistants": "assistants",
    "threads": "threads",
    "batches": "batches",
    "vector_stores": "vector stores",
    "containers": "containers",
    "evals": "evals",
    "conversations": "conversations",
    "videos": "videos",
    "realtime": "realtime",
}


class Refused(Endpoint):
    """Identifies the caller, as every endpoint does, and then says that it is not offered."""

    name = "models"

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        self.identify(exchange, meter, flight)
        part = exchange.path.removeprefix("/v1").split("/")[1]
        meter.endpoint = part
        raise ApiError(
            501,
            f"this gateway does not offer {FAMILIES[part]} "
            f"({exchange.method} {shown(exchange.path)[:100]})",
            code="api_not_implemented",
            kind="one_api_error",
            headers={"x-should-retry": "false"},
        )


def refused_routes() -> list[str]:
    """Path patterns of all refused families, with and without the version."""
    found: list[str] = []
    for prefix in ("/v1", ""):
        for part in FAMILIES:
            found += [f"{prefix}/{part}", f"{prefix}/{part}/{{rest:path}}"]
    return found
