"""All routes but the relayed ones: health, metrics, model lists, the raw proxy, refusals in words.

starlette routes them; each finds its `Exchange` in the scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router

from oneapi.errors import ApiError
from oneapi.gateway.gateway import Gateway
from oneapi.net.shared import Receive, Scope, Send, shown
from oneapi.web.endpoint import Endpoint
from oneapi.web.exchange import Exchange
from oneapi.web.models import GeminiList, GeminiOne, ModelList, ModelOne
from oneapi.web.ollama import CHANGES, OllamaChange, OllamaLookup
from oneapi.web.rawproxy import RawProxy
from oneapi.web.refused import Refused, refused_routes
from oneapi.web.responses_kept import ResponseLookup, socket_refused
from oneapi.web.routes import ANTHROPIC, GEMINI
from oneapi.web.status import Status

Cold = Callable[[Exchange, Receive], Awaitable[None]]


class Strict(Route):
    """A route whose other methods are refused in the words of every other error."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            raise ApiError(
                405,
                f"{shown(scope['path'])} does not take {scope['method']}",
                code="method_not_allowed",
                headers={"allow": ", ".join(sorted(self.methods))},
            )
        await super().handle(scope, receive, send)


class Plain:
    """An ASGI application that leaves no record, for every method."""

    def __init__(self, answer: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, receive, send)


class Recorded:
    """An endpoint that leaves a record, as an ASGI application for starlette's router."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["exchange"]
        exchange.scope = scope
        await self._endpoint(exchange, scope["path_params"].get("model"))


class Shaped:
    """A list of models at a path that several dialects ask: its errors are told in the words of
    the one whose header came, as the list is.
    """

    def __init__(self, gateway: Gateway, kind: type[ModelList]) -> None:
        self._google = Recorded(kind(gateway, GEMINI))
        self._messages = Recorded(kind(gateway, ANTHROPIC))
        self._openai = Recorded(kind(gateway))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["exchange"].headers
        endpoint = self._openai
        if b"x-goog-api-key" in headers:
            endpoint = self._google
        elif b"anthropic-version" in headers:
            endpoint = self._messages
        await endpoint(scope, receive, send)


def cold_routes(gateway: Gateway) -> Cold:
    """The router as one callable over an exchange."""
    router = Router(
        [*_operator(gateway), *_clients(gateway)], default=_not_found, redirect_slashes=False
    )

    async def answer(exchange: Exchange, receive: Receive) -> None:
        await router({**exchange.scope, "exchange": exchange}, receive, exchange.pass_on)

    return answer


def _operator(gateway: Gateway) -> list[BaseRoute]:
    status = Status(gateway)
    return [
        Strict("/", _root),
        Strict("/healthz", _healthz),
        Strict("/readyz", status.ready),
        Strict("/metrics", status.metrics),
        Strict("/api/status", status.api_status),
    ]


def _responses(gateway: Gateway) -> list[BaseRoute]:
    one = Recorded(ResponseLookup(gateway, "one"))
    listed = Recorded(ResponseLookup(gateway, "input_items"))
    cancel = Recorded(ResponseLookup(gateway, "cancel"))
    found: list[BaseRoute] = []
    for prefix in ("/v1", "", "/openai/v1", "/openai"):
        start = f"{prefix}/responses"
        found.append(Strict(start, Plain(socket_refused)))
        found.append(Strict(f"{start}/{{response_id}}", one, methods=["GET", "DELETE"]))
        found.append(Strict(f"{start}/{{response_id}}/input_items", listed, methods=["GET"]))
        found.append(Strict(f"{start}/{{response_id}}/cancel", cancel, methods=["POST"]))
    return found


def _clients(gateway: Gateway) -> list[BaseRoute]:
    found: list[BaseRoute] = _responses(gateway)
    for prefix in ("/v1", "", "/openai/v1"):
        listed, one = Shaped(gateway, ModelList), Shaped(gateway, ModelOne)
        found.append(Strict(f"{prefix}/models", listed, methods=["GET"]))
        found.append(Strict(f"{prefix}/models/{{model:path}}", one, methods=["GET"]))
    google = Recorded(GeminiList(gateway, GEMINI))
    found.append(Strict("/v1beta/models", google, methods=["GET"]))
    google = Recorded(GeminiOne(gateway, GEMINI))
    found.append(Strict("/v1beta/models/{model:path}", google, methods=["GET"]))
    for what in ("tags", "ps", "version"):
        lookup = Recorded(OllamaLookup(gateway, what))
        found.append(Strict(f"/api/{what}", lookup, methods=["GET", "HEAD"]))
    found.append(Strict("/api/show", Recorded(OllamaLookup(gateway, "show")), methods=["POST"]))
    change = Recorded(OllamaChange(gateway))
    found.extend(Strict(f"/api/{verb}", change) for verb in CHANGES)
    found.append(Strict("/api/blobs/{digest}", change))
    found.append(Strict("/v1/oneapi/proxy/{channel}/{rest:path}", Recorded(RawProxy(gateway))))
    refused = Recorded(Refused(gateway))
    found.extend(Strict(path, refused) for path in refused_routes())
    return found


async def _root(request: Request) -> Response:
    """Ollama's own words: programs that look for Ollama find the gateway."""
    return PlainTextResponse("Ollama is running")


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok")


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    exchange: Exchange = scope["exchange"]
    words = f"there is no {exchange.method} {shown(exchange.path)[:200]} here"
    raise ApiError(404, words, code="unknown_url")
