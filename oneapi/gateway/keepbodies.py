"""Copies of what clients send and get, for policies that have them kept (`log_bodies`).

A copy costs a request two appends a chunk; masking, compressing and writing are done in the store's
thread. Headers are not copied, so no credential of theirs is; keys inside the bodies are masked.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from oneapi.config.load import Loaded
from oneapi.dialects.base_errors import scrub
from oneapi.ledger.bodies import BodyStore, Bounds, Pair

log = logging.getLogger("oneapi.bodies")

LONGEST_SECRET: Final = 4096
"""Bytes looked at beyond what is kept: a secret that the cut goes through is masked as well."""
_KEYS: Final = re.compile(rb"\bsk-[0-9A-Za-z_-]{16,}")
_HIDDEN: Final = b"sk-***"
_GZIP: Final = b"\x1f\x8b\x08"


def bodies_path(loaded: Loaded, database: Path) -> Path:
    """Their file: what the configuration names, else beside the database."""
    path = loaded.settings.logs.bodies.path
    if path is not None:
        return loaded.beside(path)
    return database.with_name(f"{database.stem}-bodies.db")


@dataclass(slots=True)
class _Side:
    """One body, as far as it is kept."""

    limit: int
    size: int = 0
    held: int = 0
    parts: list[bytes] = field(default_factory=list)

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = self.limit + LONGEST_SECRET - self.held
        if room > 0:
            part = bytes(chunk[:room])
            self.parts.append(part)
            self.held += len(part)


class Copy:
    """Both bodies of one request while it runs. `close` hands them over, once."""

    __slots__ = ("_answer", "_closed", "_gzip", "_id", "_request", "_store", "secrets")

    def __init__(
        self, store: BodyStore, record_id: int, limit: int, headers: Mapping[bytes, bytes]
    ) -> None:
        self._store = store
        self._id = record_id
        self._gzip = headers.get(b"content-encoding", b"").strip().lower() == b"gzip"
        self._request = _Side(limit)
        self._answer = _Side(limit)
        self._closed = False
        self.secrets: tuple[str, ...] = ()

    def came(self, chunk: bytes) -> None:
        """The client sent it."""
        self._request.add(chunk)

    def went(self, chunk: bytes) -> None:
        """It went to the client."""
        self._answer.add(chunk)

    def close(self, *secrets: str) -> None:
        """The request is over. `secrets` must not be in what is kept."""
        if self._closed:
            return
        self._closed = True
        hidden = (*self.secrets, *secrets)
        making = partial(_pair, self._id, self._request, self._answer, hidden, gzip=self._gzip)
        self._store.put(making, self._request.held + self._answer.held)


class Bodies:
    """One for the process: the store in use, as the configuration has it."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._store: BodyStore | None = None
        self._before = 0  # dropped by stores that were in use before

    @property
    def dropped(self) -> int:
        """Pairs that could not be kept."""
        return self._before + (self._store.dropped if self._store is not None else 0)

    def follow(self, loaded: Loaded) -> BodyStore:
        """Take over what the configuration says, and see that old bodies go."""
        wanted = loaded.settings.logs.bodies
        path = bodies_path(loaded, self._database)
        bounds = Bounds(wanted.keep, wanted.max_size)
        if self._store is None or self._store.path != path:
            self._retire()
            self._store = BodyStore(path, bounds)
        self._store.bounds = bounds
        self._store.tend()
        return self._store

    def copy(self, loaded: Loaded, record_id: int, headers: Mapping[bytes, bytes]) -> Copy:
        """A copy of the request that begins."""
        store = self._store if self._store is not None else self.follow(loaded)
        return Copy(store, record_id, loaded.settings.logs.bodies.max_body, headers)

    def close(self) -> None:
        """Write what is queued. Blocks for a few seconds at most."""
        if self._store is not None:
            self._store.close()

    def _retire(self) -> None:
        if self._store is not None:
            self._before += self._store.dropped
            self._store.close(wait_s=0)  # its thread writes the rest and ends


def _pair(
    record_id: int, request: _Side, answer: _Side, secrets: Sequence[str], *, gzip: bool
) -> Pair:
    came = b"".join(request.parts)
    cut = request.size > request.held
    if gzip:
        came, cut = _inflated(came, request.limit + LONGEST_SECRET)
    went = b"".join(answer.parts)
    beyond = answer.size > answer.held
    if went.startswith(_GZIP):  # of a provider that was asked for plain bytes, through the proxy
        went, beyond = _inflated(went, answer.limit + LONGEST_SECRET)
    return Pair(
        record_id,
        masked(came, secrets, limit=request.limit, cut=cut),
        masked(went, secrets, limit=answer.limit, cut=beyond),
        request.size,
        answer.size,
    )


def masked(body: bytes, secrets: Sequence[str], *, limit: int, cut: bool) -> bytes:
    """What is kept of a body. `cut` says that it goes on beyond these bytes: then their end, in
    which a secret may be cut in two, is left out.
    """
    hidden = _KEYS.sub(_HIDDEN, scrub(body, secrets))
    if cut:
        hidden = hidden[:-LONGEST_SECRET]
    return hidden[:limit]


def _inflated(body: bytes, most: int) -> tuple[bytes, bool]:
    """What a gzip body says, `most` bytes of it, and whether it goes on."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        said = inflater.decompress(body, most)
    except zlib.error:
        return b"", False
    return said, not inflater.eof
