"""A translated stream between its provider and its client: what comes out of the bytes, what goes
on at once, what waits.
"""

from __future__ import annotations

from oneapi.dialects.base import StreamParser, StreamRenderer
from oneapi.dialects.base_calls import Restorer
from oneapi.dialects.base_gather import Gatherer
from oneapi.dialects.base_think import ThinkSplitter, split_response
from oneapi.errors import ApiError
from oneapi.gateway.failures import WORDS
from oneapi.gateway.snapshot import Target
from oneapi.gateway.watch import EventWatch
from oneapi.ir import BlockStop, ChatResponse, Event, Failed, Finish, Signature, Start
from oneapi.net.base import CarrierError, Headers, Reply

PENDING = 1024 * 1024
"""Bytes of a stream that are held back for its first content; past them it is relayed as it is."""
MAX_GATHERED = 16 * 1024 * 1024
"""Bytes of a stream up to which its thoughts are gathered for the memory: a whole answer."""


class Outflow:
    """One stream on its way to the client: what goes out now, and what waits.

    Nothing goes out before the first content (D20), unless what comes before it is too much to
    hold. Finishes wait for the end of the stream: what a client may take for complete is in the
    ledger first.
    """

    def __init__(
        self, renderer: StreamRenderer, watch: EventWatch, gatherer: Gatherer | None
    ) -> None:
        self.gatherer = gatherer
        self._watch = watch
        self._renderer = renderer
        self._held: list[Event] = []
        self._ends: dict[int, Finish] = {}  # by choice
        self._size = 0

    def take(self, events: list[Event], size: int) -> bytes:
        """What may go out of these events, which came as `size` bytes."""
        self._size += size
        if self._watch.note(events):  # something ends here, or fails
            events = self._without_ends(events)
        if self.gatherer is not None:
            self.gatherer.feed(events)
            if self._size > MAX_GATHERED:
                self.gatherer = None
        if not self._watch.content_seen:
            self._held += events
            self._watch.content_seen = bool(self._held) and self._size > PENDING
            if not self._watch.content_seen:
                return b""
            events = []
        if self._held:
            events, self._held = self._held + events, []
        return self._renderer.render(events)

    def hold(self, events: list[Event]) -> None:
        """The last events, which go out with the end."""
        self._watch.note(events)
        events = self._without_ends(events)
        if self.gatherer is not None:
            self.gatherer.feed([*events, *self._ends.values()])
        self._held += events

    def tail(self, broke: CarrierError | None) -> bytes:
        """The last bytes: the stream's end, or why it has none in the client's own words."""
        out = self._renderer.render([*self._held, *self._ends.values()])
        if self._watch.failed is not None:
            return out + self._renderer.fail(self._watch.failed)
        if self._watch.finished:
            return out + self._renderer.close()
        words = WORDS[broke.reason] if broke is not None else WORDS["closed"]
        error = ApiError(502, words, code="upstream_broke", kind="upstream_error")
        return out + self._renderer.fail(error)

    def _without_ends(self, events: list[Event]) -> list[Event]:
        self._ends |= {event.choice: event for event in events if isinstance(event, Finish)}
        return [event for event in events if not isinstance(event, Finish | Failed)]


class Source:
    """A provider's stream as events: thoughts taken out of the text where a rule says so, calls
    under the client's own names.
    """

    def __init__(self, parser: StreamParser, target: Target, restorer: Restorer) -> None:
        self.parser = parser
        self._splitter = _splitter(target) if target.think_tags else None
        self._restorer = restorer if restorer.needed else None
        self._seals = Seals()
        self._model = target.model  # until the provider's own word is looked at

    def feed(self, chunk: bytes) -> list[Event]:
        return self._filtered(self.parser.feed(chunk))

    def close(self) -> list[Event]:
        events = self._filtered(self.parser.close())
        return events if self._splitter is None else [*events, *self._splitter.close()]

    def _filtered(self, events: list[Event]) -> list[Event]:
        if self._model and events:
            self._name(events)
        if self._splitter is not None:
            events = self._splitter.feed(events)
        if self._restorer is not None:
            events = self._restorer.feed(events)
        return self._seals.feed(events)

    def _name(self, events: list[Event]) -> None:
        """Formats that name no model get the one that was asked."""
        for event in events:
            if isinstance(event, Start):
                event.model = event.model or self._model
                self._model = ""
                return


class Seals:
    """A block's signature in two pieces at most: the first, and all that is left at its end.

    Renderers add piece to piece, at the price of what they have each time.
    """

    def __init__(self) -> None:
        self._rest: dict[int, list[Signature]] = {}  # by block, from its first signature on

    def feed(self, events: list[Event]) -> list[Event]:
        for event in events:
            if type(event) is Signature or (self._rest and type(event) is BlockStop):
                return self._joined(events)
        return events

    def _joined(self, events: list[Event]) -> list[Event]:
        out: list[Event] = []
        for event in events:
            if isinstance(event, Signature):
                if event.index in self._rest:
                    self._rest[event.index].append(event)
                    continue
                self._rest[event.index] = []
            elif isinstance(event, BlockStop) and (rest := self._rest.pop(event.index, None)):
                text = "".join(piece.signature for piece in rest)
                data = "".join(piece.data for piece in rest)
                out.append(Signature(event.index, text, data))
            out.append(event)
        return out


class ReadReply:
    """A reply whose body has been read."""

    def __init__(self, reply: Reply, body: bytes) -> None:
        self.status = reply.status
        self.headers: Headers = reply.headers
        self._reply = reply
        self._body = body

    async def chunk(self) -> bytes:
        body, self._body = self._body, b""
        return body

    async def read(self, limit: int) -> bytes:
        return await self.chunk()

    async def aclose(self) -> None:
        await self._reply.aclose()


def _tags(target: Target) -> tuple[str, str]:
    """What encloses thoughts in the text of this target's models."""
    name = target.think_tags.removeprefix("/")
    return f"<{name}>", f"</{name}>"


def _splitter(target: Target) -> ThinkSplitter:
    return ThinkSplitter(*_tags(target), implicit_open=target.think_tags.startswith("/"))


def split_thoughts(result: ChatResponse, target: Target) -> ChatResponse:
    """A whole answer with the thoughts in its text as parts of their own."""
    return split_response(result, *_tags(target), implicit_open=target.think_tags.startswith("/"))
