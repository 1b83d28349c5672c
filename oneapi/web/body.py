"""Reading a request's body: bounded, inflated under the same bound, JSON or multipart form."""

from __future__ import annotations

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO

from oneapi.dialects.base import ClientDialect
from oneapi.errors import ApiError
from oneapi.gateway.bodies import Body, FormBody, JsonBody, StreamedForm
from oneapi.web.exchange import Exchange
from oneapi.wire.json import DuplicateMember, MalformedJSON, Raw
from oneapi.wire.json import members as top_members
from oneapi.wire.multipart import FormScanner, MalformedForm, boundary_of

BLOCK = 64 * 1024
MAX_MEMBERS = 16
"""Members of a gzip body: each one costs a copy of what follows it."""
SLOW = 1024 * 1024
"""Bytes from which a body is parsed in a thread: odd ones take seconds, and others wait."""


@dataclass(slots=True)
class Form:
    """A form whose model is known: the body to relay and the fields seen so far."""

    body: Body
    fields: dict[str, str]
    size: int


async def read_json(
    exchange: Exchange, dialect: ClientDialect, *, limit: int, retry: int
) -> tuple[JsonBody, dict[str, Raw]]:
    """The body as a JSON object; raises `ApiError` 400, 413, 415."""
    kind = exchange.headers.get(b"content-type", b"application/json").lower()
    if kind.startswith(b"multipart/"):
        raise ApiError(
            415,
            "this endpoint takes JSON: send `content-type: application/json`",
            code="unsupported_media_type",
        )
    raw = await read(exchange, limit)
    try:
        if len(raw) < SLOW:
            found = top_members(raw, dialect.WATCHED)
        else:
            found = await asyncio.to_thread(top_members, raw, dialect.WATCHED)
    except DuplicateMember as error:
        raise ApiError(
            400,
            f"`{error.name}` stands twice in the request",
            code="duplicate_parameter",
            param=error.name,
        ) from error
    except MalformedJSON as error:
        raise ApiError(
            400, f"the body is not a JSON object: {error}", code="invalid_json"
        ) from error
    return JsonBody(raw, found, len(raw) <= retry, dialect.edit_request), found


async def read(exchange: Exchange, limit: int) -> bytes:
    """The whole body, inflated where it came as gzip; raises 413 past `limit` bytes, inflated or
    not.
    """
    _check_length(exchange, limit)
    encoding = exchange.headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b"", b"gzip"):
        raise ApiError(
            415, "bodies may be sent as they are or as gzip", code="unsupported_content_encoding"
        )
    parts: list[bytes] = []
    size = 0
    async for chunk in exchange.chunks():
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        parts.append(chunk)
    raw = parts[0] if len(parts) == 1 else b"".join(parts)
    return _inflate(raw, limit) if encoding == b"gzip" else raw


def too_large(limit: int) -> ApiError:
    return ApiError(
        413,
        f"the body is larger than the {limit:,} bytes allowed here (`server.max_body`)",
        code="request_too_large",
    )


def _check_length(exchange: Exchange, limit: int) -> int | None:
    length = exchange.headers.get(b"content-length")
    if length is None or not length.isdigit():
        return None
    if int(length) > limit:
        raise too_large(limit)
    return int(length)


def _inflate(raw: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    for _ in range(MAX_MEMBERS):  # a gzip body is one member or several (RFC 1952, 2.2)
        inflater = zlib.decompressobj(wbits=31)  # gzip framing alone
        try:
            parts.append(inflater.decompress(raw, limit + 1 - size))
        except zlib.error as error:
            raise ApiError(400, "the body is not valid gzip", code="invalid_gzip") from error
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        if not inflater.eof:
            raise ApiError(400, "the gzip body is cut short", code="invalid_gzip")
        raw = inflater.unused_data
        if not raw:
            return b"".join(parts)
    raise ApiError(400, f"the gzip body has more than {MAX_MEMBERS} members", code="invalid_gzip")


async def read_form(exchange: Exchange, *, limit: int, retry: int, whole: bool = False) -> Form:
    """A multipart form up to its model's name; what is larger than `retry` bytes streams on from
    there.

    A form is held whole up to `retry` bytes. A larger one is sent on as soon as its model is known;
    where the model comes after the file, what came before it is spooled to disk; with `whole` all
    of it is, for its fields decide what the request may cost. A size that cannot be known yet is
    told as `limit`.
    """
    length = _check_length(exchange, limit)
    if exchange.headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise ApiError(
            415, "forms are taken as they are, not compressed", code="unsupported_content_encoding"
        )
    try:
        boundary = boundary_of(exchange.headers.get(b"content-type", b""))
        return await _FormReader(exchange, boundary, limit, retry, length).read(whole)
    except MalformedForm as error:
        raise _malformed(error) from error


def _malformed(error: MalformedForm) -> ApiError:
    return ApiError(400, f"the form cannot be read: {error}", code="invalid_form")


class _FormReader:
    def __init__(
        self, exchange: Exchange, boundary: bytes, limit: int, retry: int, length: int | None
    ) -> None:
        self._chunks = exchange.chunks()
        self._scanner = FormScanner(boundary)
        self._limit = limit
        self._retry = retry
        self._length = length
        self._seen = 0
        self._held = tempfile.SpooledTemporaryFile(max_size=retry)

    async def read(self, whole: bool) -> Form:
        try:
            return await self._read(whole)
        except BaseException:
            self._held.close()
            raise

    async def _read(self, whole: bool) -> Form:
        ended = True
        async for chunk in self._chunks:
            self._take(chunk)
            self._held.write(chunk)
            known = self._seen > self._retry and self._scanner.span("model") is not None
            if known and not whole:
                ended = False
                break
        if ended:
            self._scanner.close()
        fields = self._scanner.fields
        span = self._scanner.span("model")
        body: Body
        if self._seen <= self._retry:
            self._held.seek(0)
            body = FormBody(self._held.read(), span, repeatable=True)
            self._held.close()
        else:
            body = self._streamed(span)
        return Form(body, fields, self._seen if ended else self._length or self._limit)

    def _streamed(self, span: tuple[int, int] | None) -> StreamedForm:
        """The head up to the model's name in memory, the rest from the disk and then from the
        client.
        """
        cut = span[1] if span else 0
        self._held.seek(0)
        head = self._held.read(cut)
        return StreamedForm(head, span, self._rest(self._held), self._length)

    async def _rest(
        self, held: BinaryIO | tempfile.SpooledTemporaryFile[bytes]
    ) -> AsyncIterator[bytes]:
        last = b""  # one step behind: a form that turns out to be cut does not arrive whole
        with held:
            while block := held.read(BLOCK):
                if last:
                    yield last
                last = block
        async for chunk in self._chunks:
            self._take(chunk)
            if last:
                yield last
            last = chunk
        try:
            self._scanner.close()
        except MalformedForm as error:
            raise _malformed(error) from error
        yield last

    def _take(self, chunk: bytes) -> None:
        self._seen += len(chunk)
        if self._seen > self._limit:
            raise too_large(self._limit)
        try:
            self._scanner.feed(chunk)
        except MalformedForm as error:
            raise _malformed(error) from error
