"""JSON as bytes: decode, encode, and single members changed while all others keep theirs.

msgspec does the work; where it is stricter than RFC 8259 (lone surrogate escapes, numbers past a
double's range) the standard library's decoder has the last word, so that whatever a client or a
provider may lawfully send is taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import msgspec
from msgspec import Raw

__all__ = [
    "JSON",
    "DuplicateMember",
    "MalformedJSON",
    "Raw",
    "decode",
    "decode_mended",
    "encode",
    "items",
    "join",
    "members",
    "replace_string",
]

JSON: TypeAlias = Any
"""A decoded JSON value: what a wire format's edge knows before it has looked."""

_OBJECT: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_ARRAY: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_ENCODER = msgspec.json.Encoder()
_PLACE = re.compile(r"\(byte (\d+)\)")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
_STRING = re.compile(rb'\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")', re.DOTALL)


class MalformedJSON(ValueError):
    """Not JSON, or no object where one is due. `position` counts bytes; -1 where it is unknown."""

    def __init__(self, message: str, position: int = -1) -> None:
        super().__init__(message)
        self.position = position


class DuplicateMember(MalformedJSON):
    """A member that decides about the request stands twice: two readers could see two requests."""

    def __init__(self, name: str) -> None:
        super().__init__(f"`{name}` stands twice")
        self.name = name


def decode(data: bytes | Raw) -> JSON:
    """The value. Raises `MalformedJSON`, also for NaN, invalid UTF-8 and bottomless nesting."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _decode_again(bytes(data), error)


def decode_mended(data: bytes) -> JSON:
    """The value, with U+FFFD for what is not UTF-8: some servers cut a character in two."""
    try:
        return decode(data)
    except MalformedJSON:
        if data.isascii():
            raise
        return decode(data.decode("utf-8", "replace").encode())


def encode(value: JSON) -> bytes:
    """Compact UTF-8 JSON. Raises TypeError or UnicodeEncodeError for what JSON cannot hold."""
    return _ENCODER.encode(value)


def members(body: bytes, watched: frozenset[str] = frozenset()) -> dict[str, Raw]:
    """The top-level members of an object, each value's bytes as they stand.

    Raises `MalformedJSON` when the body is no object. With `watched` names, for requests, raises
    `DuplicateMember` where a member stands twice at top level, or a watched one in another case:
    servers that match names without case would read that one. Without, the last one counts.
    """
    if not body.isascii():
        _check_utf8(body)  # msgspec does not look into the strings of values that it keeps raw
    try:
        found = _OBJECT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        found = _members_again(body, error)
    if watched:
        _check_variants(found, watched)
        if not _accounts_for(body, found):
            doubtful = _doubtful(body, watched | found.keys())
            if doubtful:
                _check_once(body, doubtful)
    return found


def items(raw: bytes | Raw) -> list[Raw]:
    """The items of an array, each one's bytes as they stand; [] for what is no array."""
    try:
        return _ARRAY.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []


def join(parts: Mapping[str, Raw | bytes]) -> bytes:
    """The object that holds these members, in their order, each value's bytes untouched."""
    pieces: list[Raw | bytes] = []
    for name, raw in parts.items():
        pieces += (b"," if pieces else b"{", _ENCODER.encode(name), b":", raw)
    return b"".join((*pieces, b"}")) if pieces else b"{}"


def replace_string(body: bytes, name: str, value: str) -> bytes:
    """The object with `value` where its top-level member `name` holds a non-empty string.

    Every other byte stays; a body where there is nothing to replace, or that is not JSON, comes
    back as it is.
    """
    span = _string_span(body, name)
    if span is None or body[span[0] : span[1]] == b'""':
        return body
    return body[: span[0]] + _ENCODER.encode(value) + body[span[1] :]


def _string_span(body: bytes, name: str) -> tuple[int, int] | None:
    """Where the string of the top-level member stands, quotes included; None without one."""
    key = b'"' + name.encode() + b'"'
    try:
        if name not in members(body):
            return None
    except MalformedJSON:
        return None
    if body.count(key) == 1 and b"\\u00" not in body:
        # one such string in the whole body, and a key of that name at the top: they are the same
        match = _STRING.match(body, body.index(key) + len(key))
        return match.span(1) if match else None
    spans = [(s, e) for k, s, e in _top_level(body) if k == name and body[s : s + 1] == b'"']
    return spans[-1] if spans else None


def _check_variants(found: Mapping[str, Raw], watched: frozenset[str]) -> None:
    for name in found:
        if name not in watched and name.casefold() in watched:
            raise DuplicateMember(name.casefold())


def _accounts_for(body: bytes, found: Mapping[str, Raw]) -> bool:
    """Whether these members make up every byte of the body: then none stands in it twice.

    A doubled member, white space and an escape in a name each add bytes; nothing takes any away.
    Compact JSON, which most client libraries send, passes; megabytes are not searched for names.
    """
    framing = 1 + 4 * len(found)  # braces, commas, colons, quotes
    return len(body) == framing + sum(map(len, found)) + sum(map(len, found.values()))


def _doubtful(body: bytes, watched: frozenset[str]) -> frozenset[str]:
    """The watched names that may stand twice: cheap to ask, and almost always none."""
    if b"\\u00" in body and _ESCAPED_LETTER.search(body) is not None:
        return watched
    return frozenset(n for n in watched if body.count(b'"' + n.encode() + b'"') > 1)


def _check_once(body: bytes, names: frozenset[str]) -> None:
    """Exactly: objects become lists of pairs, in C, and the outermost one is looked at."""
    try:
        pairs: list[tuple[str, JSON]] = json.loads(
            body, object_pairs_hook=list, parse_int=str, parse_float=str
        )
    except RecursionError as error:
        raise MalformedJSON("nested too deeply") from error
    seen: set[str] = set()
    for name, _ in pairs:
        if name in names and name in seen:
            raise DuplicateMember(name)
        seen.add(name)


def _top_level(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Key, start and end of each member's value in an object known to be JSON. Not recursive."""
    depth, key, start, end = 0, None, -1, -1
    for token in _TOKEN.finditer(body):
        text = token.group()
        if text in (b"}", b"]"):
            depth -= 1
        if depth == 0 or (depth == 1 and text in (b",", b":")):
            if text == b":":
                key, start = _key(body[start:end]), -1
                continue
            if key is not None and start >= 0:
                yield key, start, end
            key, start = None, -1
        else:
            start, end = (token.start() if start < 0 else start), token.end()
        if text in (b"{", b"["):
            depth += 1


def _key(raw: bytes) -> str:
    return str(json.loads(raw))


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedJSON("the text is not valid UTF-8", error.start) from error


def _decode_again(data: bytes, first: Exception) -> JSON:
    """The standard library's answer where msgspec refuses."""
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise MalformedJSON("nested too deeply") from error
    except ValueError:
        raise _malformed(first) from first


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _members_again(body: bytes, first: Exception) -> dict[str, Raw]:
    value = _decode_again(body, first)
    if not isinstance(value, dict):
        raise MalformedJSON("not a JSON object") from first
    try:
        "".join(value).encode()
    except UnicodeEncodeError as error:
        raise MalformedJSON("a member's name is not Unicode") from error
    return {key: Raw(body[start:end]) for key, start, end in _top_level(body)}


def _malformed(error: Exception) -> MalformedJSON:
    if isinstance(error, RecursionError):
        return MalformedJSON("nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return MalformedJSON("the text is not valid UTF-8", error.start)
    place = _PLACE.search(str(error))
    return MalformedJSON(str(error), int(place[1]) if place else -1)
