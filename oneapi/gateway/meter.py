"""One request's account: what is known of it while it runs, and its one record in the end.

Every endpoint has a `Meter`, refused requests too; whoever ends the request settles it, once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from oneapi import estimate
from oneapi.dialects.base import ClientDialect, Operation
from oneapi.dialects.openai_usage import parse_usage
from oneapi.gateway.books import Books
from oneapi.gateway.snapshot import Caller, Snapshot, Target
from oneapi.ir import Usage
from oneapi.ledger.door import Permit
from oneapi.ledger.prices import cost
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

    def output_estimate(self) -> int: ...


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
    model: str = ""
    stream: bool = False
    target: Target | None = None
    upstream_status: int = 0
    attempts: int = 0
    first_byte_ns: int = 0
    count: Callable[[], int] | None = None  # the input's tokens, for a dialect that is no OpenAI's
    request: bytes = b""  # the body, for estimating what a provider did not count
    dialect: ClientDialect | None = None
    operation: Operation | None = None
    answer: bytes = b""  # a whole answer, likewise
    usage: Usage | None = None
    tap: Measured | None = None
    settled: bool = False

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
        return record, books.settle(self.permit, record)

    def _record(self, status: int, settlement: Settlement, error_code: str) -> Record:
        usage, source = self._usage(settlement, ended=settlement == "complete" and not error_code)
        cost_nanousd, rule = self._cost(usage, charged=source != "none")
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
        if operation.task not in ESTIMATED and operation.name != "edits":
            return Usage(), "none"
        return Usage(input=self.input_estimate(), output=self._output_estimate()), "estimated"

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
            return self.tap.output_estimate()
        return estimate.tokens(self.dialect.response_text(self.answer)) if self.dialect else 0

    def input_estimate(self) -> int:
        """Tokens of the request, counted offline; 0 where the body is not JSON."""
        if self.count is not None:
            return self.count()
        try:
            body: JSON = decode(self.request)
        except MalformedJSON:
            return 0
        return estimate.message_tokens(body)

    def _cost(self, usage: Usage, *, charged: bool) -> tuple[int | None, str]:
        """Nano-dollars and the rule's name. An unpriced model costs null, a local one nothing
        (D26).
        """
        if self.target is None or self.caller is None or not charged:
            return 0, ""
        rule = self.target.rule
        if rule is None:
            return None, UNPRICED
        return cost(rule, usage, self.caller.ratio_millionths), rule.name
