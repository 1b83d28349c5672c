"""One request on its way through the relay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from oneapi.dialects.base import ChatFace, ClientDialect, Operation, Stamp, TaskFace
from oneapi.gateway.bodies import Body
from oneapi.gateway.demand import Demand
from oneapi.gateway.meter import Meter
from oneapi.gateway.queueing import Limiter
from oneapi.gateway.snapshot import Channel
from oneapi.gateway.state import Flight
from oneapi.ir import ChatRequest, Envelope
from oneapi.net.base import Headers
from oneapi.wire.json import JSON


class Client(Protocol):
    """The caller's side of a request. `begin` or `answer` happens once; `begun` says whether it
    did.
    """

    begun: bool

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of an answer whose length is not known."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a part of the body; waits while the client does not read."""
        ...

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part and end the answer."""
        ...

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """One request to relay. `debug` asks for the headers that tell which channel answered.

    `chat` is the request in the typed middle, parsed once, when a target first needs it.
    """

    dialect: ClientDialect
    operation: Operation
    envelope: Envelope
    headers: Mapping[bytes, bytes]
    body: Body
    client: Client
    meter: Meter
    flight: Flight
    stamp: Stamp
    debug: bool = False
    face: ChatFace | None = None
    task_face: TaskFace[Any, Any] | None = None
    decoded: JSON = None  # the body to be parsed, where it is not `body`'s own
    chat: ChatRequest | None = None
    question: Any = None
    notes: dict[bytes, bytes] = field(default_factory=dict)  # headers for the client, by name
    honoured: frozenset[str] = frozenset()  # members that the gateway itself heeds: not dropped
    key: str = ""  # the fingerprint of the channel's key in use
    head: list[tuple[bytes, bytes]] = field(default_factory=list)  # of every answer, errors too
    held_for: Channel | None = None  # whose budgets are held before its first attempt
    demand: Demand | None = None  # what is held for it, where something is
    input_tokens: int = -1  # estimated, once
    turn: Limiter | None = None  # whose line has just called it
    waits_until: float = 0.0  # `time.monotonic()` until which it may wait for a channel
    max_output: int = 0  # tokens that each answer is shortened to, 0 where it is not

    @property
    def head_is_out(self) -> bool:
        """Whether the client has a status already, by a ping or by an earlier target's comment."""
        return self.client.begun or getattr(self.client, "pinged", False)
