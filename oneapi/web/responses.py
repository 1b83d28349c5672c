"""The Responses API as a service: requests that follow earlier answers, answers that are kept.

Ids belong to the token that received them (D24). In the byte lane the provider stores and the
gateway knows where; elsewhere the gateway keeps input and answer, and puts them before the next
request's input (D25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from oneapi.dialects import responses
from oneapi.dialects.base import ChatFace
from oneapi.errors import ApiError
from oneapi.gateway.bodies import Body, JsonBody
from oneapi.gateway.identify import Identity
from oneapi.gateway.job import Job
from oneapi.gateway.keeping import Keeping
from oneapi.gateway.meter import Meter
from oneapi.gateway.snapshot import Target
from oneapi.gateway.state import Flight
from oneapi.gateway.stored import Kept, Owner, Stored
from oneapi.ir import Envelope
from oneapi.web.counting import Counting
from oneapi.web.exchange import Exchange
from oneapi.web.relayed import Relayed
from oneapi.wire.json import JSON, Raw, decode, encode, join

Targets = tuple[Target, ...]
HONOURED = frozenset({"store"})
"""What the gateway does itself, whatever the provider can say."""


@dataclass(slots=True)
class Spliced(JsonBody):
    """A request with what it follows in its input. `previous` is the answer that it named."""

    previous: str = ""


@dataclass(slots=True)
class _Shelf:
    """One token's stored responses, as one request sees them."""

    stored: Stored
    owner: Owner
    now_ms: int
    disk: bool

    async def find(self, name: str) -> Kept | None:
        return await self.stored.find(self.owner, name, self.now_ms, disk=self.disk)

    async def find_named(self, name: str) -> Kept | None:
        return await self.stored.find_named(self.owner, name, self.now_ms, disk=self.disk)


class Continuing(Relayed):
    """An operation whose requests may name earlier answers."""

    async def continued(
        self, meter: Meter, envelope: Envelope, body: Body, targets: Targets
    ) -> tuple[Body, Targets]:
        """The request with what it follows, and who can answer it. Raises `ApiError` 400, 404."""
        assert isinstance(body, JsonBody)
        named = responses.follows(body.members)
        shelf = shelf_of(self.gateway.stored, meter)
        found: JsonBody = body
        if named.previous:
            kept = await shelf.find(named.previous)
            if kept is None:
                raise responses.no_previous(named.previous)
            if kept.native:
                targets = _at_home(kept, targets, responses.no_previous(named.previous))
            else:
                found = _spliced(found, kept)
        if named.conversation:
            kept = await shelf.find_named(named.conversation)
            missing = responses.no_conversation(named.conversation)
            targets = _at_home(kept, targets, missing)
        if named.items:
            found, targets = await _referred(found, named.items, shelf, targets)
        for name in named.thoughts:
            if shelf.stored.is_others(shelf.owner, name):
                raise responses.no_item(name)
        if responses.is_sealed(found.raw):
            found, targets = _for_sealed(found, targets)
        envelope.size = len(found.raw)
        return found, targets


class Responses(Continuing):
    """`POST /v1/responses`."""

    def job(
        self,
        exchange: Exchange,
        identity: Identity,
        envelope: Envelope,
        body: Body,
        meter: Meter,
        flight: Flight,
    ) -> Job:
        job = super().job(exchange, identity, envelope, body, meter, flight)
        assert isinstance(body, JsonBody)
        job.honoured = HONOURED
        previous = body.previous if isinstance(body, Spliced) else ""
        if responses.is_compaction(body.members):
            job.face = responses.TriggeredFace(responses.FACES["responses"], previous)
        elif previous:
            job.face = responses.FollowingFace(responses.FACES["responses"], previous)
        if responses.wants_kept(body.members):
            keeper = _Keeper(self.gateway.stored, job, body)
            job.client = Keeping(job.client, keeper.keep, responses.stream_answer)
        return job


class Compaction(Continuing):
    """`POST /v1/responses/compact`: by the provider where it can, by a summary elsewhere."""

    def job(
        self,
        exchange: Exchange,
        identity: Identity,
        envelope: Envelope,
        body: Body,
        meter: Meter,
        flight: Flight,
    ) -> Job:
        job = super().job(exchange, identity, envelope, body, meter, flight)
        chat: ChatFace = responses.FACES["responses"]
        job.face = responses.CompactingFace(chat)
        return job


class InputTokens(Continuing, Counting):
    """`POST /v1/responses/input_tokens`."""


class _Keeper:
    """Keeps the answer to one request."""

    def __init__(self, stored: Stored, job: Job, body: JsonBody) -> None:
        self._stored = stored
        self._job = job
        self._body = body

    async def keep(self, answer: bytes) -> None:
        said = responses.answered(answer)
        meter = self._job.meter
        target, caller = meter.target, meter.caller
        if said is None or target is None or caller is None:
            return
        native = target.lane.native and said.stored
        policy = caller.policy
        ends_ms = meter.time_ms + policy.store_responses_ttl_s * 1000
        kept = Kept(
            id=said.id,
            model=self._job.envelope.model,
            channel=target.channel.name,
            time_ms=meter.time_ms,
            native=native,
            input=b"" if native else _input_of(self._body),
            answer=b"" if native else answer,
            names=said.names,
            key=self._job.key,
            expires_ms=ends_ms if policy.store_responses else 0,
        )
        await self._stored.keep(meter.owner, kept)


def shelf_of(stored: Stored, meter: Meter) -> _Shelf:
    """The stored responses of the caller."""
    disk = meter.caller is not None and meter.caller.policy.store_responses
    return _Shelf(stored, meter.owner, meter.time_ms, disk)


def _at_home(kept: Kept | None, targets: Targets, missing: ApiError) -> Targets:
    """The one channel that stores it, with the key that it was stored by."""
    found: list[Target] = []
    for target in targets if kept is not None else ():
        assert kept is not None
        channel = target.channel
        if channel.name == kept.channel and target.lane.native:
            keys = tuple(key for key in channel.keys if key.fingerprint == kept.key)
            if keys and len(channel.keys) > 1:
                target = replace(target, channel=replace(channel, keys=keys))
            found.append(target)
    if not found:
        raise missing
    return tuple(found)


def _spliced(body: JsonBody, kept: Kept) -> Spliced:
    """The request with the whole conversation before its own input."""
    value = {"input": decode(body.members.get("input", Raw(b"null")))}
    output = responses.output_items(decode(kept.answer))
    whole = responses.with_history(value, decode(kept.input), output)
    return _with_input(body, whole["input"], previous=kept.id)


async def _referred(
    body: JsonBody, names: Sequence[str], shelf: _Shelf, targets: Targets
) -> tuple[JsonBody, Targets]:
    """References to items that the gateway keeps become the items; others stay for the provider
    that stores them.
    """
    given: list[JSON] = decode(_input_of(body))
    open_names = {_id(item) for item in given if responses.refers(item)} & set(names)
    by_id: dict[str, JSON] = {}
    for name in sorted(open_names):
        kept = await shelf.find_named(name)
        if kept is None:
            raise responses.no_item(name)
        if kept.native:
            targets = _at_home(kept, targets, responses.no_item(name))
            continue
        items = responses.output_items(decode(kept.answer))
        by_id.update((name, item) for item in items if _id(item) == name)
    if not by_id:
        return body, targets
    whole = [by_id.get(_id(i), i) if responses.refers(i) else i for i in given]
    previous = body.previous if isinstance(body, Spliced) else ""
    return _with_input(body, whole, previous=previous), targets


def _for_sealed(body: JsonBody, targets: Targets) -> tuple[JsonBody, Targets]:
    """Notes of our own go to whoever they are translated for; without them to all others."""
    translated = tuple(target for target in targets if not target.lane.native)
    if translated:
        return body, translated
    given: list[JSON] = decode(_input_of(body))
    plain = responses.unsealed(given)
    if len(plain) == len(given) and all(a is b for a, b in zip(plain, given, strict=True)):
        return body, targets
    previous = body.previous if isinstance(body, Spliced) else ""
    return _with_input(body, plain, previous=previous), targets


def _id(item: JSON) -> str:
    name = item.get("id") if isinstance(item, dict) else None
    return name if isinstance(name, str) else ""


def _input_of(body: JsonBody) -> bytes:
    """The input as an array of items."""
    raw = bytes(body.members.get("input", b"[]"))
    if raw.startswith(b"["):
        return raw
    return encode(responses.input_items({"input": decode(raw)}))


def _with_input(body: JsonBody, items: Sequence[JSON], *, previous: str) -> Spliced:
    members = {k: v for k, v in body.members.items() if k != "previous_response_id" or not previous}
    members["input"] = Raw(responses.sealed_bytes(items))
    return Spliced(join(members), members, body.repeatable, body.edit, body.headers, previous)
