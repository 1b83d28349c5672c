"""One request's account: what is known of it while it runs, and its one record in the end.

Every endpoint has a `Meter`, refused requests too; whoever ends the request settles it, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from oneapi.dialects.base import ClientDialect, Operation
from oneapi.dialects.openai_usage import parse_usage
from oneapi.estimate import Counter
from oneapi.gateway.books import Books
from oneapi.gateway.counters import usual
from oneapi.gateway.keepbodies import Copy
from oneapi.gateway.pictures import IMAGES, picture_price
from oneapi.gateway.queueing import Seat
from oneapi.gateway.snapshot import Caller, Snapshot, Target
from oneapi.gateway.spent import cleaned
from oneapi.ir import Usage
from oneapi.ledger.door import Permit
from oneapi.ledger.prices import Price
from oneapi.ledger.record import Record, new_id
from oneapi.wire.json import JSON, MalformedJSON, decode

Settlement = Literal["complete", "client_left", "cancelled", "upstream_broke", "refused", "failed"]
"""How a request ended: `refused` by us, `failed` at every target; the others say who ended it."""

ESTIMATED = frozenset({"chat", "embeddings", "moderation", "rerank"})
"""Tasks whose tokens are estimated where the provider does not count them."""
SPEECH = "speech"
"""Where the request says what is used: the characters of its text."""
CHAT = "chat"
UNPRICED = "unpriced"
COUNTING = "count_tokens"
"""An endpoint that uses nothing, whatever a request costs."""
HEARD_TOKENS = 10
"""Tokens of a second of sound, as OpenAI counts."""
SLACK = 8
"""Tokens of an answer below which a provider that counted none of a whole one is believed."""
UNSERVED = frozenset({"refused", "failed", "cancelled"})
"""Ends that cost nothing as long as no byte of an answer went out."""


class Measured(Protocol):
    """What a meter asks of whatever reads along while a stream is relayed."""

    @property
    def usage(self) -> Usage | None: ...

    @property
    def content_seen(self) -> bool: ...

    def output_estimate(self, count: Callable[[str], int] = ...) -> int: ...


@dataclass(slots=True, eq=False)
class Meter:
    """Facts of one request. Times are `time.monotonic_ns()`, but for `time_ms` (Unix)."""

    snapshot: Snapshot
    endpoint: str
    request_id: str
    client: str
    id: int = field(default_factory=new_id)
    time_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    started_ns: int = field(default_factory=time.monotonic_ns)
    caller: Caller | None = None
    permit: Permit | None = None
    seats: Sequence[Seat] = ()  # at the caller's limiters
    channel_seat: Seat | None = None
    model: str = ""
    stream: bool = False
    target: Target | None = None
    upstream_status: int = 0
    attempts: int = 0
    first_byte_ns: int = 0
    count: Callable[[], int] | None = None  # the input's tokens, where the body alone tells none
    counter: Counter = field(default_factory=usual)  # of the model that is asked
    request: bytes = b""  # the body, for estimating what a provider did not count
    dialect: ClientDialect | None = None
    operation: Operation | None = None
    answer: bytes = b""  # a whole answer, likewise
    usage: Usage | None = None
    tap: Measured | None = None
    heard_ms: int = 0  # of sound that was uploaded, about
    variant: tuple[str, str] = ("", "")  # size and quality of pictures that are to be made
    settled: bool = False
    left: bool = False  # the client is gone, the provider's answer was read all the same
    detached: bool = False  # its client's task is over: another one ends it
    copy: Copy | None = None  # its bodies, where its policy has them kept

    @property
    def owner(self) -> tuple[str, str]:
        """Whose request it is: user and token."""
        return (self.caller.user, self.caller.token) if self.caller is not None else ("", "")

    def first_byte(self) -> None:
        """The first byte of an answer is about to reach the client."""
        if not self.first_byte_ns:
            self.first_byte_ns = time.monotonic_ns()

    def settle(
        self, books: Books, status: int, settlement: Settlement, error_code: str = ""
    ) -> tuple[Record, asyncio.Future[None]]:
        """Post the one record of this request; the future is done once it is committed."""
        record = self._record(status, settlement, error_code)
        self.settled = True
        for seat in self.seats:
            seat.spent(record.usage)
        if self.channel_seat is not None:
            self.channel_seat.spent(record.usage)
        return record, books.settle(self.permit, record)

    def close(self, books: Books) -> None:
        """The request is over: whatever it still has is given back. More calls do nothing."""
        for seat in reversed(self.seats):  # whoever waits at the last has been called once
            seat.leave()
        if self.channel_seat is not None:
            self.channel_seat.leave()
        if self.permit is not None and not self.settled:
            books.door.release(self.permit)
        if self.copy is not None:
            channel = self.target.channel if self.target is not None else None
            self.copy.close(*(channel.all_secrets if channel is not None else ()))

    def _record(self, status: int, settlement: Settlement, error_code: str) -> Record:
        usage, source = self._usage(settlement, ended=settlement == "complete" and not error_code)
        usage = cleaned(usage)
        if self.left:
            status, settlement, error_code = 499, "client_left", "client_left"
        price, rule = self._price(
            charged=source != "none", served=settlement == "complete" and status < 400
        )
        cost_nanousd = price.cost(usage) if price is not None else None if rule else 0
        caller, target = self.caller, self.target
        now = time.monotonic_ns()
        return Record(
            id=self.id,
            time_ms=self.time_ms,
            user=caller.user if caller else "",
            token=caller.token if caller else "",
            group=caller.group if caller else "",
            policy=caller.policy.name if caller else "",
            revision=self.snapshot.revision,
            endpoint=self.endpoint,
            dialect_in=self.dialect.NAME if self.dialect is not None else "",
            dialect_out=target.lane.dialect if target else "",
            model=self.model,
            channel=target.channel.name if target else "",
            served_model=target.model if target else "",
            status=status,
            error_code=error_code,
            upstream_status=self.upstream_status,
            stream=self.stream,
            usage=usage,
            usage_source=source,
            cost_nanousd=cost_nanousd,
            price_rule=rule,
            settlement=settlement,
            ttft_ms=(self.first_byte_ns - self.started_ns) // 1_000_000
            if self.first_byte_ns
            else None,
            total_ms=(now - self.started_ns) // 1_000_000,
            attempts=self.attempts,
            request_id=self.request_id,
            client=self.client,
            price=price,
        )

    def _usage(
        self, settlement: Settlement, *, ended: bool
    ) -> tuple[Usage, Literal["upstream", "estimated", "none"]]:
        """The provider's count; else an estimate of what was relayed; nothing where nothing was."""
        tap = self.tap
        if settlement in UNSERVED and not self.first_byte_ns:
            return Usage(), "none"
        usage = self.usage or (tap.usage if tap is not None else None)
        if usage is not None:
            whole = self._completed(usage, ended=ended)
            return whole, "upstream" if whole is usage else "estimated"
        relayed = self.first_byte_ns > 0 if tap is None else tap.content_seen
        if not relayed and settlement != "complete":
            return Usage(), "none"
        operation, dialect = self.operation, self.dialect
        if operation is None or dialect is None:
            return Usage(), "none"
        if operation.task == SPEECH:
            asked = parse_usage(operation, self.request)
            return (asked, "upstream") if asked is not None else (Usage(), "none")
        if self.heard_ms:
            return self._heard(), "estimated"
        if operation.task not in ESTIMATED and operation.name != "edits":
            return Usage(), "none"
        return Usage(input=self.input_estimate(), output=self._output_estimate()), "estimated"

    def _heard(self) -> Usage:
        """What was heard where nothing told it: its length, or where tokens of sound are priced,
        those and the transcript's.
        """
        price = self.target.price if self.target is not None else None
        if price is None or price.rule.rates.second:
            return Usage(audio_ms=self.heard_ms)
        heard = -(-self.heard_ms * HEARD_TOKENS // 1000)
        text = self.answer.decode("utf-8", "replace")
        return Usage(audio_in=heard, output=self.counter.tokens(text))

    def _completed(self, usage: Usage, *, ended: bool) -> Usage:
        """The provider's count with what it lacks: some count the prompt alone, or tell at a
        stream's beginning what stands there, and at its end, which may never come, the rest.
        """
        if self.operation is None or self.operation.task != CHAT:
            return usage
        if usage.characters or usage.audio_ms or usage.images:  # not counted by tokens
            return usage
        told = usage.output_tokens
        if not (ended and told):
            made = self._output_estimate()
            if 2 * told + SLACK * ended < made:  # else the estimate knows no better
                usage = replace(usage, output=made - usage.reasoning - usage.audio_out)
        if not usage.input_tokens and (told or usage.output):
            usage = replace(usage, input=self.input_estimate())
        return usage

    def _output_estimate(self) -> int:
        """Tokens of what was answered, counted offline."""
        if self.tap is not None:
            return self.tap.output_estimate(self.counter.tokens)
        if self.dialect is None:
            return 0
        return self.counter.tokens(self.dialect.response_text(self.answer))

    def input_estimate(self) -> int:
        """Tokens of the request, counted offline; 0 where the body is not JSON."""
        if self.count is not None:
            return self.count()
        try:
            body: JSON = decode(self.request)
        except MalformedJSON:
            return 0
        chat = self.operation is not None and self.operation.task == CHAT
        return self.counter.message_tokens(body, chat=chat)

    def _price(self, *, charged: bool, served: bool) -> tuple[Price | None, str]:
        """The price and its id; none for what nothing prices, and "" where nothing was used
        (D26). A price of the request itself is due where it was served, whatever was counted.
        """
        if self.target is None or self.caller is None or self.endpoint == COUNTING:
            return None, ""
        price = self.target.price
        if not charged and not (served and price is not None and price.rule.rates.request):
            return None, ""
        if price is None:
            return None, UNPRICED
        if price.rule.images and self.operation is not None and self.operation.name in IMAGES:
            price = picture_price(price, *self.variant)
        return price, price.id
