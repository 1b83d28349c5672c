"""The call that a target gets: body, headers and path, as its account and its lane want them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from oneapi.dialects.anthropic_hosted import allowed_betas, strip_fields
from oneapi.dialects.base import Outgoing
from oneapi.dialects.base_edit import shortened
from oneapi.dialects.openai_chat_restore import restore_reasoning
from oneapi.gateway.bodies import Body, JsonBody, edited
from oneapi.gateway.job import Job
from oneapi.gateway.lanes import CHAT, Lane
from oneapi.gateway.recall import Recall
from oneapi.gateway.snapshot import Key, Target
from oneapi.gateway.wraps import unwrapped_lines, wrapped
from oneapi.net.base import Call
from oneapi.providers.account import Account
from oneapi.providers.calls import signed
from oneapi.providers.headers import request_headers
from oneapi.providers.quirks import edited as edited_members
from oneapi.wire.json import Raw, join, members

JSON_LINE = (b"content-type", b"application/json")
BETA = b"anthropic-beta"
MESSAGES = "messages"

Lines = list[tuple[bytes, bytes]]


async def call_for(
    job: Job, target: Target, key: Key, outgoing: Outgoing | None, recall: Recall
) -> Call:
    """`outgoing` is the rendered request, None where the client's own goes out. Raises `ApiError`
    400, and `UpstreamError` where the account cannot sign in.
    """
    account, lane = target.channel.account, target.lane
    body: bytes | AsyncIterator[bytes]
    if outgoing is None:
        operation, stream = lane.operation, job.envelope.stream
        own = _otherwise(job, lane, _shortened(job, lane, _remembering(job, target, recall)))
        body, length = own.render(target, job.envelope)
        lines = request_headers(job.headers, (*job.body.headers, *account.headers(key.secret)))
        lines += _missing(job, lines)
    else:
        operation, stream, length = outgoing.operation, outgoing.streams, None
        body = edited(outgoing.body, target)
        lines = [JSON_LINE, *account.headers(key.secret), *outgoing.headers]
    lines = _confined(lines, account)
    if isinstance(body, bytes):
        body = _stripped(job, lane, account, body)
        if lane.wrap:
            body = wrapped(lane.wrap, body, dict(lines))
            lines = unwrapped_lines(lane.wrap, lines)
    path = account.target(operation, target.model, stream=stream)
    call = Call(b"POST", path, lines, body, length)
    return call if account.signer is None else await signed(account, key.secret, call)


def _missing(job: Job, lines: Lines) -> Lines:
    """What the client's format needs in a header and the client left out."""
    wanted = job.dialect.HEADERS
    if not wanted:
        return []
    given = {name for name, _ in lines}
    return [line for line in wanted if line[0] not in given]


def _confined(lines: Lines, account: Account) -> Lines:
    """The lines with the betas that the provider takes: an unknown one is an error there."""
    allowed = account.preset.betas
    for number, (name, value) in enumerate(lines):
        if name == BETA:
            asked = [beta.strip() for beta in value.decode("latin-1").split(",")]
            kept = allowed_betas(asked, allowed)
            rest = lines[:number] + lines[number + 1 :]
            if kept == asked:
                return lines
            return [*rest, (BETA, ", ".join(kept).encode("latin-1"))] if kept else rest
    return lines


def _stripped(job: Job, lane: Lane, account: Account, body: bytes) -> bytes:
    """The body without members that the provider's host of this format refuses, noted by name."""
    refused = account.preset.refuses
    if not refused or lane.operation != MESSAGES:
        return body
    kept, names = strip_fields(members(body), refused)
    if not names:
        return body
    _note(job, names)
    return join(kept)


def _shortened(job: Job, lane: Lane, body: Body) -> Body:
    """The body with an answer no longer than what is left to pay for, where that is less."""
    if not (job.max_output and isinstance(body, JsonBody)):
        return body
    names = job.operation.limits
    usual = lane.hints.limit_field if lane.hints.limit_field in names else names[0]
    found = shortened(body.members, names, job.max_output, usual=usual, budget=job.operation.budget)
    return replace(body, raw=join(found), members=found)


def _otherwise(job: Job, lane: Lane, body: Body) -> Body:
    """The body as its provider takes this format, where that is otherwise (the edit lane)."""
    if not (lane.quirks and isinstance(body, JsonBody)):
        return body
    found, dropped = edited_members(body.members, lane.quirks)
    if dropped:
        _note(job, dropped)
    if found is body.members:
        return body
    return replace(body, raw=join(found), members=found)


def _note(job: Job, dropped: Sequence[str]) -> None:
    """Names of members for `x-oneapi-dropped`, each once."""
    noted = job.notes.get(b"x-oneapi-dropped", b"").decode("latin-1")
    names = dict.fromkeys([*filter(None, noted.split(", ")), *dropped])
    job.notes[b"x-oneapi-dropped"] = ", ".join(names).encode("latin-1")


def _thoughtless(body: JsonBody) -> bool:
    """Whether the request forbids thinking: then no thought is demanded."""
    return b'"disabled"' in bytes(body.members.get("thinking", b""))


def _remembering(job: Job, target: Target, recall: Recall) -> Body:
    """The body with thoughts that the client dropped, for providers that demand them."""
    body = job.body
    if not (target.channel.preset.replays and isinstance(body, JsonBody)):
        return body
    if job.operation.task != CHAT or "messages" not in body.members or _thoughtless(body):
        return body
    owner = job.meter.owner
    messages = restore_reasoning(
        body.members["messages"], lambda call: recall.thoughts(owner, call, target.lane.dialect)
    )
    if messages is None:
        return body
    found: Mapping[str, Raw] = {**body.members, "messages": Raw(messages)}
    return replace(body, raw=join(found), members=found)
