"""Counting tokens before asking: by the provider where it can, by our own estimate elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from oneapi import estimate
from oneapi.dialects import registry
from oneapi.dialects.base import ChatFace
from oneapi.errors import ApiError
from oneapi.gateway.books import written
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.lanes import Wanted
from oneapi.gateway.meter import Meter
from oneapi.gateway.state import Flight
from oneapi.ir import ChatRequest, Media, Opaque, Part, ToolCall, ToolResult
from oneapi.web.endpoint import JSON_HEAD
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import Relayed
from oneapi.wire.json import JSON, decode, encode

IMAGE = 800
"""Tokens of a picture of ordinary size; what providers count lies between 85 and 1,600."""
TURN = 4
"""Tokens that frame a message or a tool."""


class Counting(Relayed):
    """Answers with a count. `chat` is the operation whose requests are counted, `answer` renders
    the number, `inside` finds the chat's body in the request.
    """

    def __init__(
        self,
        gateway: Gateway,
        dialect: str,
        name: str,
        *,
        chat: str,
        answer: Callable[[int], bytes],
        inside: Callable[[JSON], JSON] = lambda body: body,
    ) -> None:
        operations = registry.client(dialect).OPERATIONS
        super().__init__(gateway, operations[name], dialect, name="count_tokens")
        self._chat = Wanted(dialect, operations[chat])
        self._answer = answer
        self._inside = inside
        face = registry.face(dialect, chat)
        assert face is not None
        self._counted: ChatFace = face

    async def handle(
        self, exchange: Exchange, meter: Meter, flight: Flight, path_model: str | None
    ) -> None:
        identity = self.identify(exchange, meter, flight)
        meter.operation = self.operation
        envelope, body = await self._read(exchange, path_model)
        meter.model = flight.model = envelope.model
        targets = self.targets(exchange, identity, envelope, self._chat)
        try:
            native = self.targets(exchange, identity, envelope)
        except ApiError:
            native = ()
        best = max(target.priority for target in targets)
        able = tuple(target for target in native if target.priority == best)
        if able:
            job = self.job(exchange, identity, envelope, body, meter, flight)
            return await self.relay(job, able)
        value = self._inside(decode(body.text()))
        count = input_tokens(self._counted.parse_request(value, envelope))
        _, committed = meter.settle(self.gateway.books, 200, "complete")
        await written(committed)
        await exchange.answer(200, JSON_HEAD, self._answer(count))


def input_tokens(chat: ChatRequest) -> int:
    """About how many tokens the request's input is, whatever its dialect."""
    texts: list[str] = []
    count = TURN * (len(chat.messages) + len(chat.tools))
    for message in chat.messages:
        for part in _flat(message.parts):
            if isinstance(part, Media):
                texts.append(part.text)
                count += 0 if part.text else IMAGE
            else:
                texts.append(_text(part))
    for tool in chat.tools:
        texts += [tool.name, tool.description, encode(tool.schema or tool.data or "").decode()]
    return count + estimate.tokens("\n".join(texts))


def _flat(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from _flat(part.parts)
        else:
            yield part


def _text(part: Part) -> str:
    match part:
        case ToolCall():
            return f"{part.name}\n{part.arguments}"
        case Opaque():
            return encode(part.data).decode("utf-8", "replace")
        case Media() | ToolResult():
            return ""
        case _:  # text, refusal, reasoning
            return part.text
