"""One HTTP request and its answer, over raw ASGI: what the hot path needs and nothing more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

from oneapi.dialects import openai
from oneapi.dialects.base import ClientDialect
from oneapi.gateway.identify import Peer, peer
from oneapi.gateway.snapshot import Snapshot
from oneapi.ledger.record import new_id
from oneapi.net.base import Headers
from oneapi.net.shared import ClientGone, Message, Receive, Scope, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
STREAMS = (b"text/event-stream", b"application/x-ndjson")
EXPOSED = (
    b"x-request-id, x-oneapi-request-id, x-oneapi-channel, x-oneapi-model, x-oneapi-cost, "
    b"x-oneapi-dropped, x-oneapi-warning, "
    b"x-oneapi-max-tokens-lowered, retry-after, retry-after-ms, x-should-retry, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)


class Exchange:
    """The client's side of one request: its head read, its body to come, its answer to be sent.

    Implements `gateway.relay.Client`. Every answer carries the request id, under our name and the
    original's, and whatever else is put into `head`; a keyed relay route adds CORS headers for
    browsers (`cors`, D35).
    """

    __slots__ = (
        "_receive", "_send", "begun", "cors", "dialect", "head", "headers", "id", "method", "path",
         "path_key", "peer", "query", "recorded", "request_id", "scope", "snapshot",
        "status", "streams",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, snapshot: Snapshot) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = _fold(scope["headers"])
        self.snapshot = snapshot
        self._receive = receive
        self._send = send
        self.id = new_id()
        given = self.headers.get(b"x-request-id", b"")
        own = given if given and REQUEST_ID.fullmatch(given) else b"%016x" % self.id
        self.request_id = own.decode()
        self.head = [(b"x-request-id", own), (b"x-oneapi-request-id", own)]
        if b"anthropic-version" in self.headers:  # where that vendor's libraries look for it
            self.head.append((b"request-id", own))
        self.peer: Peer = peer(
            self.headers,
            scope["client"][0] if scope.get("client") else "",
            scope["server"][0] if scope.get("server") else "",
            snapshot.trusted_proxies,
        )
        self.path_key = ""  # a key that stood in the path, taken out of it
        self.dialect: ClientDialect = openai  # in whose words errors are told
        self.cors = False
        self.begun = False
        self.streams = False  # whether what has begun is an event stream, which can hold errors
        self.recorded = False  # whether its access line comes from a record of the ledger
        self.status = 0

    @property
    def host(self) -> str:
        return self.headers.get(b"host", b"").decode("latin-1")

    def overhear(self, came: Callable[[bytes], None], went: Callable[[bytes], None]) -> None:
        """Have somebody told of every piece of the body that comes and of the answer that went."""
        receive, send = self._receive, self._send

        async def receiving() -> Message:
            message = await receive()
            if body := message.get("body"):
                came(body)
            return message

        async def sending(message: Message) -> None:
            await send(message)
            if body := message.get("body"):
                went(body)

        self._receive, self._send = receiving, sending

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `ClientGone`."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone("the client left")
            more = message.get("more_body", False)
            if body := message.get("body"):
                yield body

    def _add_head(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        head = [*headers, *self.head]
        if self.cors and b"origin" in self.headers:
            head.append((b"access-control-allow-origin", b"*"))
            head.append((b"access-control-expose-headers", EXPOSED))
        return head

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun = True
        self.status = status
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        self.streams = kind.lower().startswith(STREAMS)
        await self._send(
            {"type": "http.response.start", "status": status, "headers": self._add_head(headers)}
        )

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        length = (b"content-length", str(len(body)).encode())
        await self.begin(status, [*headers, length])
        await self.finish(body)

    async def pass_on(self, message: Message) -> None:
        """ASGI `send` for an application below, whose answers get our headers too."""
        if message["type"] == "http.response.start":
            return await self.begin(message["status"], message["headers"])
        await self._send(message)


def _fold(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by lower-case name; a name that stands twice is joined with a comma (RFC 9110,
    5.3).
    """
    folded = dict(pairs)
    if len(folded) != len(pairs):
        folded = {}
        for name, value in pairs:
            folded[name] = folded[name] + b", " + value if name in folded else value
    return folded
