"""What a gateway that keeps responses reads out of requests and answers, and answers of its own.

https://platform.openai.com/docs/api-reference/responses/get, …/delete, …/input-items and
https://platform.openai.com/docs/guides/conversation-state (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from oneapi.dialects.responses_items import SUMMARY
from oneapi.dialects.responses_shapes import (
    SEAL,
    Object,
    list_in,
    sealed_bytes,
    unseal,
    word_in,
)
from oneapi.errors import ApiError
from oneapi.wire.json import JSON, MalformedJSON, Raw, decode, encode, items, members
from oneapi.wire.sse import data_of, split

_ENDS: Final = (b"response.completed", b"response.incomplete")
_SEALED: Final = SEAL.encode()
_REFERS: Final = (b'"id"', b"item_reference", b"\\u00")
"""What input holds in which something may be referred to; the last is how a letter is escaped."""
_LONG: Final = 4096
"""Bytes from which an item is searched for marks before it is decoded."""
PAGE: Final = 20
MOST: Final = 100
"""Items of a list where the client does not say, and at most."""


class _Named(msgspec.Struct):
    id: str = ""


class _Answer(msgspec.Struct):
    """The few members of a response that are looked at; the others are skipped."""

    id: str = ""
    status: str = ""
    store: bool | None = None
    output: list[_Named] = []
    conversation: _Named | None = None


_READER: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class Answered:
    """A response as it went out: its id, ids inside it that later requests may name, and whether
    whoever answered stores it (`store`; providers that store nothing say so there).
    """

    id: str
    names: tuple[str, ...] = ()
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Follows:
    """What a request refers to: an earlier answer, a conversation, single items.

    `thoughts` are ids of reasoning items without content, which a provider that stores them looks
    up as if they were references.
    """

    previous: str = ""
    conversation: str = ""
    items: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()


def answered(body: bytes) -> Answered | None:
    """What a response object says of itself; None for what is none, or has failed."""
    try:
        read = _READER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _answered(body)
    if not read.id or read.status == "failed":
        return None
    names = [item.id for item in read.output if item.id]
    if read.conversation is not None and read.conversation.id:
        names.append(read.conversation.id)
    return Answered(read.id, tuple(names), read.store is not False)


def stream_answer(tail: bytes) -> bytes | None:
    """The response in the terminal event of a stream, found in its last bytes."""
    for event in split(tail):
        data = data_of(event) if any(end in event for end in _ENDS) else None
        if data is None:
            continue
        try:
            found = members(data)
            if str(decode(found.get("type", Raw(b"null")))).encode() in _ENDS:
                return bytes(found["response"]) if "response" in found else None
        except MalformedJSON:
            continue
    return None


def wants_kept(found: Mapping[str, Raw]) -> bool:
    """Whether the client wants its answer kept: it does where it says nothing."""
    raw = found.get("store")
    return raw is None or bytes(raw) != b"false"


def follows(found: Mapping[str, Raw]) -> Follows:
    """What the request refers to. Raises `ApiError` 400 where an id is no string."""
    previous = _word(found, "previous_response_id")
    conversation = _conversation(found)
    raw = bytes(found.get("input", b""))
    named: list[str] = []
    thoughts: list[str] = []
    if raw.startswith(b"[") and any(mark in raw for mark in _REFERS):
        for item in map(_item, items(raw)):
            if refers(item):
                named.append(word_in(item, "id"))
            elif _hollow(item):
                thoughts.append(word_in(item, "id"))
    return Follows(previous, conversation, tuple(named), tuple(thoughts))


def is_compaction(found: Mapping[str, Raw]) -> bool:
    """Whether the request's last item asks for a compaction instead of an answer."""
    raw = bytes(found.get("input", b""))
    if b"compaction_trigger" not in raw[-1024:]:
        return False
    try:
        return ends_with_trigger(decode(raw))
    except MalformedJSON:
        return False


def ends_with_trigger(given: JSON) -> bool:
    """Whether this input's last item is the trigger of a compaction."""
    last = given[-1] if isinstance(given, list) and given else None
    return isinstance(last, dict) and last.get("type") == "compaction_trigger"


def refers(item: JSON) -> bool:
    """Whether an item of the input only names another one."""
    if not isinstance(item, dict):
        return False
    return item.get("type") == "item_reference" or set(item) == {"id"}


def is_sealed(body: bytes) -> bool:
    """Whether a body may hold a note of the gateway's own."""
    return _SEALED in body


def unsealed(given: Sequence[JSON]) -> list[JSON]:
    """Input for a provider that speaks this dialect itself, to which notes of the gateway's own
    mean nothing: a summary becomes text, thoughts of other providers are left out.
    """
    found: list[JSON] = []
    for item in given:
        note = unseal(word_in(item, "encrypted_content")) if isinstance(item, dict) else None
        if note is None:
            found.append(item)
        elif item.get("type") == "compaction":
            text = SUMMARY + word_in(note, "summary")
            found.append({"type": "message", "role": "user", "content": text})
    return found


def item_page(
    given: Sequence[JSON],
    response_id: str,
    *,
    limit: int = PAGE,
    after: str = "",
    ascending: bool = False,
) -> bytes:
    """`GET /responses/{id}/input_items`: the newest first, unless asked otherwise."""
    named = [_shown(item, f"{response_id}_{number:04x}") for number, item in enumerate(given)]
    if not ascending:
        named.reverse()
    start = next((i + 1 for i, item in enumerate(named) if word_in(item, "id") == after), 0)
    page = named[start : start + limit]
    return sealed_bytes(
        {
            "object": "list",
            "data": page,
            "first_id": word_in(page[0], "id") if page else None,
            "last_id": word_in(page[-1], "id") if page else None,
            "has_more": start + limit < len(named),
        }
    )


def deleted(response_id: str) -> bytes:
    """The answer of `DELETE /responses/{id}`."""
    return encode({"id": response_id, "object": "response", "deleted": True})


def no_previous(response_id: str) -> ApiError:
    """Words and code are OpenAI's: clients look for them to send the whole conversation again."""
    return ApiError(
        400,
        f"Previous response with id '{response_id[:100]}' not found.",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def no_response(response_id: str) -> ApiError:
    """There is none of that id, or it is another key's: nobody learns which."""
    words = f"Response with id '{response_id[:100]}' not found."
    return ApiError(404, words, code="response_not_found")


def no_item(name: str) -> ApiError:
    return ApiError(
        404,
        f"Item with id '{name[:100]}' not found. Items are found again by the key that received "
        "them, as long as the response they stood in is kept; send the item itself instead.",
        code="item_not_found",
        param="input",
    )


def no_conversation(name: str) -> ApiError:
    return ApiError(
        404,
        f"Conversation with id '{name[:100]}' not found. The gateway offers no conversations; "
        "follow the answer before with `previous_response_id`.",
        code="conversation_not_found",
        param="conversation",
    )


def _answered(body: bytes) -> Answered | None:
    """The same of a body whose members have unusual types."""
    try:
        value = decode(body)
    except MalformedJSON:
        return None
    name = word_in(value, "id") if isinstance(value, dict) else ""
    if not name or value.get("status") == "failed":
        return None
    names = [word_in(item, "id") for item in list_in(value, "output") if isinstance(item, dict)]
    return Answered(name, tuple(filter(None, names)), value.get("store") is not False)


def _word(found: Mapping[str, Raw], name: str) -> str:
    value = _value(found, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ApiError(400, f"`{name}` must be a string", code="invalid_type", param=name)
    return value


def _conversation(found: Mapping[str, Raw]) -> str:
    value = _value(found, "conversation")
    if value is None:
        return ""
    name = value.get("id") if isinstance(value, dict) else value
    if not isinstance(name, str) or not name:
        words = "`conversation` must be an id, or an object with one"
        raise ApiError(400, words, code="invalid_type", param="conversation")
    return name


def _value(found: Mapping[str, Raw], name: str) -> JSON:
    raw = found.get(name)
    try:
        return None if raw is None else decode(raw)
    except MalformedJSON as error:
        words = f"`{name}` cannot be read"
        raise ApiError(400, words, code="invalid_value", param=name) from error


def _item(raw: Raw) -> JSON:
    """An item where it may refer to something, None elsewhere: contents are not looked into."""
    if len(raw) > _LONG:
        held = bytes(raw)
        if not any(mark in held for mark in (b"item_reference", b'"reasoning"', b"\\u00")):
            return None
    try:
        return decode(raw)
    except MalformedJSON:
        return None


def _hollow(item: JSON) -> bool:
    if not isinstance(item, dict) or item.get("type") != "reasoning":
        return False
    return bool(word_in(item, "id")) and not (item.get("encrypted_content") or item.get("content"))


def _shown(item: JSON, name: str) -> Object:
    """An input item with the members that every item of a list has."""
    if not isinstance(item, dict):
        return {"id": name, "type": "message", "role": "user", "content": []}
    shown = {"id": name, **{k: v for k, v in item.items() if v is not None}}
    if "role" in shown:
        shown.setdefault("type", "message")
        shown.setdefault("status", "completed")
        if isinstance(shown.get("content"), str):
            kind = "output_text" if shown["role"] == "assistant" else "input_text"
            part: Object = {"type": kind, "text": shown["content"]}
            if kind == "output_text":
                part["annotations"] = []
            shown["content"] = [part]
    return shown
