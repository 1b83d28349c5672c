"""Recorded answers in their own dialect: parsed to events, rendered again, and compared.

Whole answers must be equal as JSON but for `NORMALISED`. Streams are rendered as they come, chunk
by chunk, and parsed again: the events must be the same, and what they add up to, by our parsers and
without them. Of `Spent` the last counts, wherever it stands.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import replace
from typing import Any

from oneapi.dialects import gemini, registry
from oneapi.dialects.base import ChatFace, Hints, StreamParser
from oneapi.dialects.base_gather import gather
from oneapi.dialects.bedrock_invoke import InvokeUnwrapper
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Event, Failed, Spent, Start
from tests.translation.asked import OPERATION_OF, Rule, diff, no_request, parsed
from tests.translation.proof import STAMP, parse
from tests.translation.recordings import CLIENT, OWN, Exchange, exchanges, left_out
from tests.translation.truths import EXCLUDES, truth

_EVENT_ENDS = re.compile(rb"(?<=\n\r\n)|(?<=\n\n)")


def hints(exchange: Exchange) -> Hints:
    return Hints(output_excludes_reasoning=exchange.provider in EXCLUDES)


def unread(exchange: Exchange) -> str:
    """What is wrong with one of `readable` as its parser has it, "" for nothing.

    Answers become events without a failure; what is no answer is seen to be none: refusals and
    errors become errors, promises are asked about again.
    """
    reason = left_out(exchange)
    provider = registry.chat_provider(exchange.spoken)
    assert provider is not None
    if exchange.status >= 400:
        message, _, _ = provider.parse_error(exchange.status, (), exchange.raw)
        return "" if message else "a refusal without words"
    if not reason:
        return "; ".join(str(e) for e in parse(exchange).events if isinstance(e, Failed))
    if reason == "a promise of a picture":
        return "" if provider.follow_up(exchange.raw) else "what was promised is not asked for"
    try:
        events = parse(exchange).events
    except ApiError:
        return ""
    return "" if any(isinstance(e, Failed) for e in events) else f"read as an answer, but: {reason}"


_FOREIGN = frozenset(
    {"embeddings", "a model's own format, not the chat's", "asks again for a picture"}
)
"""What is not a chat's answer at all: no parser of chats is asked."""


def readable() -> list[Exchange]:
    """Those of the 452 that a parser of chats gets to see."""
    return [e for e in chat_addressed() if left_out(e) not in _FOREIGN]


def answers() -> list[Exchange]:
    """Recorded answers that are rendered again in the dialect of their client."""
    found = (e for e in exchanges() if e.api in OPERATION_OF and e.status < 300)
    return [e for e in found if not left_out(e)]


def chat_addressed() -> list[Exchange]:
    """Both groups of chats, 452 in all."""
    return [e for e in exchanges() if e.group in (CLIENT, OWN)]


def differences(exchange: Exchange) -> list[str]:
    face, chat = _face(exchange), _chat(exchange)
    if exchange.stream:
        return _stream_differences(exchange, face, chat)
    wanted, _ = normalised(exchange)
    rendered = face.render_response(parse(exchange).whole, chat, STAMP)
    return list(diff(wanted, json.loads(rendered)))


def _face(exchange: Exchange) -> ChatFace:
    if "enum-encoding" in exchange.url:
        return gemini.face(integers=True)
    face = registry.face(exchange.spoken, OPERATION_OF[exchange.api])
    assert face is not None
    return face


def _chat(exchange: Exchange) -> ChatRequest:
    if no_request(exchange):
        return ChatRequest("m", [], exchange.spoken, stream=exchange.stream, wants_usage=True)
    return replace(parsed(exchange), wants_usage=True)


def _stream_differences(exchange: Exchange, face: ChatFace, chat: ChatRequest) -> list[str]:
    provider = registry.chat_provider(exchange.spoken)
    assert provider is not None
    first = provider.stream_parser(hints(exchange), STAMP)
    renderer = face.stream_renderer(chat, STAMP)
    events: list[Event] = []
    out = b""
    for chunk in chunks(exchange):
        found = first.feed(chunk)
        events += found
        out += renderer.render(found)
    last = first.close()
    out += renderer.render(last) + renderer.close()
    again = fed(provider.stream_parser(hints(exchange), STAMP), [out])
    wrong = _compared([*events, *last], again, exchange.spoken)
    rendered = replace(exchange, raw=out, dialect=exchange.spoken)
    told, wanted = truth(rendered), truth(exchange)
    return wrong if told == wanted else [*wrong, f"the stream says {told}, not {wanted}"]


def chunks(exchange: Exchange) -> list[bytes]:
    """The stream event by event, taken out of what its transport puts around."""
    raw = unwrapped(exchange)
    if exchange.dialect == "ollama":
        return raw.splitlines(keepends=True)
    return [chunk for chunk in _EVENT_ENDS.split(raw) if chunk]


def unwrapped(exchange: Exchange) -> bytes:
    if exchange.dialect != "bedrock-invoke":
        return exchange.raw
    unwrapper = InvokeUnwrapper()
    return unwrapper.feed(exchange.raw) + unwrapper.close()


def fed(parser: StreamParser, pieces: list[bytes]) -> list[Event]:
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.close()


def _compared(events: list[Event], again: list[Event], dialect: str) -> list[str]:
    one, other = (_plain(events), _plain(again))
    found = [f"{b}, not {a}"[:600] for a, b in zip(one, other, strict=False) if a != b][:1]
    if not found and len(one) != len(other):
        found = [f"{len(other)} events, not {len(one)}"]
    if [e for e in events if isinstance(e, Spent)][-1:] != _spent(again)[-1:]:
        found.append(f"{_spent(again)[-1:]}, not {_spent(events)[-1:]}")
    if _stamped(gather(events, dialect)) != _stamped(gather(again, dialect)):
        found.append("the sums differ")
    return found


def _spent(events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, Spent)]


def _plain(events: list[Event]) -> list[Event]:
    """Without usage, and with the id and the time that an answer without them gets."""
    return [_stamped(event) for event in events if not isinstance(event, Spent)]


def _stamped(value: Any) -> Any:
    if isinstance(value, Start) or hasattr(value, "choices"):
        made = {"id": value.id or f"chatcmpl-{STAMP.id}", "created": value.created or STAMP.created}
        return replace(value, **made)
    return value


# --- what may differ -----------------------------------------------------------------------


def normalised(exchange: Exchange) -> tuple[Any, list[str]]:
    """The recorded answer with its dialect's normalisations, and the reasons of those needed."""
    body = deepcopy(exchange.body)
    used = [r.why for r in NORMALISED.get(exchange.dialect, ()) if r.apply(body)]
    return body, used


_ALWAYS = frozenset({"content", "refusal", "logprobs", "finish_reason"})


def _no_nulls(body: Any) -> bool:
    """Of the answer, its choices and messages: what stands deeper returns as it came."""
    choices = body["choices"]
    places = [body, *choices, *(c["message"] for c in choices if "message" in c)]
    idle = [(p, n) for p in places for n in p if p[n] is None and n not in _ALWAYS]
    for place, name in idle:
        del place[name]
    return bool(idle)


def _standard_members(body: Any) -> bool:
    before = deepcopy(body)
    body.setdefault("object", "chat.completion")
    for choice in body["choices"]:
        choice.setdefault("finish_reason", None)
        choice.setdefault("logprobs", None)
        message = choice.setdefault("message", {"role": "assistant"})
        message.setdefault("content", None)
        message.setdefault("refusal", None)
        for call in message.get("tool_calls") or ():
            call.setdefault("type", "function")
    return bool(body != before)


def _completion_members(body: Any) -> bool:
    before = deepcopy(body)
    body["object"] = "text_completion"
    for choice in body["choices"]:
        choice.setdefault("logprobs", None)
    return bool(body != before)


def _time(body: Any) -> bool:
    if body.get("created"):
        return False
    body["created"] = STAMP.created
    return True


def _text_content(body: Any) -> bool:
    found = [c["message"] for c in body["choices"] if isinstance(c["message"]["content"], dict)]
    for message in found:
        text = json.dumps(message["content"], ensure_ascii=False, separators=(",", ":"))
        message["content"] = text
    return bool(found)


def _candidates_counted(body: Any) -> bool:
    missing = [c for c in body.get("candidates") or () if "index" not in c]
    for index, candidate in enumerate(missing):
        candidate["index"] = index
    return bool(missing)


NORMALISED: dict[str, tuple[Rule, ...]] = {
    "openai-chat": (
        Rule("null members of vendors are left out: they say nothing", _no_nulls),
        Rule(
            "members that the format always has are there, as null or as usual", _standard_members
        ),
        Rule("`created` is now where the recording has 0 or none", _time),
        Rule("content that is an object becomes its JSON: clients read text", _text_content),
    ),
    "openai-completions": (
        Rule("null members of vendors are left out: they say nothing", _no_nulls),
        Rule("`object` and `logprobs` as the format has them", _completion_members),
    ),
    "gemini": (Rule("candidates have an index, 0 is left out at times", _candidates_counted),),
}
"""By dialect. No line for a dialect: what is rendered equals the recording."""
