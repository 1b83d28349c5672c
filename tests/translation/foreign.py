"""Recorded requests of clients rendered for every provider's dialect but their own.

Each becomes a request, which the dialect's official library takes if there is one, or is refused
with a status of 400 that names the member. What is dropped is named as the client calls it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from oneapi.dialects import registry
from oneapi.dialects.base import Hints
from oneapi.dialects.base_turns import with_media
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Envelope
from oneapi.wire.json import decode
from tests.translation.asked import NATIVE, asked, parsed
from tests.translation.meant import lost
from tests.translation.proof import OPERATIONS
from tests.translation.recordings import Exchange

PROVIDERS = tuple(name for name in registry.NAMES if registry.chat_provider(name) is not None)
HINTS = {name: Hints(max_output=4096) for name in PROVIDERS}
HINTS["openai-chat"] = Hints(options={"thoughts": "none"})
"""As catalogs have them; thoughts are OpenAI's own affair, as its library has it."""
_MEDIA = (
    (".pdf", "application/pdf", b"%PDF-1.7\n%\xe2\xe3"),
    (".txt", "text/plain", b"some words"),
    (".wav", "audio/wav", b"RIFF\x04\x00\x00\x00WAVE"),
    (".mp3", "audio/mpeg", b"ID3\x04\x00"),
    (".mp4", "video/mp4", b"\x00\x00\x00\x18ftypmp42"),
    (".jpg", "image/jpeg", b"\xff\xd8\xff\xe0"),
    ("", "image/png", b"\x89PNG\r\n\x1a\n"),
)
"""What is found at an address, by its end."""
MODELS = {"deepl": "deepl-en-us"}
"""Where a model's name says more than which model it is."""

READ = frozenset({*OPERATIONS, *NATIVE})
"""Dialects whose requests are read too."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One request for one provider: a body, or why there is none. `problem` is what must not be."""

    body: Any = None
    dropped: tuple[str, ...] = ()
    refused: str = ""
    problem: str = ""
    warnings: tuple[str, ...] = field(default=())


def requests() -> list[Exchange]:
    return [e for e in asked() if e.dialect not in NATIVE]


@cache
def _parsed(exchange_id: str) -> ChatRequest:
    return parsed(next(e for e in requests() if e.id == exchange_id))


def rendered(exchange: Exchange, dialect: str) -> Rendered:
    provider = registry.chat_provider(dialect)
    assert provider is not None
    chat = _parsed(exchange.id)
    before = deepcopy(chat)
    urls = provider.fetches(chat, HINTS[dialect])
    filled = with_media(chat, {url: _fetched(url) for url in urls}) if urls else chat
    try:
        outgoing = provider.render_request(filled, MODELS.get(dialect, chat.model), HINTS[dialect])
    except ApiError as error:
        if error.status == 400 and error.param:
            return Rendered(refused=f"{error.param}: {error.message}")
        return Rendered(problem=f"refused with {error.status} naming {error.param!r}: {error}")
    problem = "" if chat == before else "rendering changed the request"
    if not all(isinstance(name, str) and name.isprintable() for name in outgoing.dropped):
        problem = f"names that no header could hold: {outgoing.dropped}"
    body = decode(outgoing.body)
    return Rendered(body, tuple(outgoing.dropped), "", problem, tuple(outgoing.warnings))


def _fetched(url: str) -> tuple[str, str]:
    path = url.lower().split("?")[0]
    kind, data = next((kind, data) for end, kind, data in _MEDIA if path.endswith(end))
    return kind, b64encode(data).decode()


def pairs(found: list[Exchange]) -> Iterator[tuple[Exchange, str]]:
    """Every request with every dialect of providers but its own."""
    for exchange in found:
        for dialect in PROVIDERS:
            if dialect != exchange.spoken:
                yield exchange, dialect


def problems(exchange: Exchange, dialect: str, found: Rendered) -> list[str]:
    """What must not be; among it what the rendered request no longer means, by the dialect's own
    reading of it, where its requests are read too.
    """
    if found.problem or found.refused:
        return [found.problem] if found.problem else []
    envelope = Envelope(found.body.get("model", "m"), stream=bool(found.body.get("stream")))
    if dialect in NATIVE:
        again = NATIVE[dialect](found.body, envelope)
    elif dialect in OPERATIONS:
        face = registry.face(dialect, OPERATIONS[dialect])
        assert face is not None
        again = face.parse_request(found.body, envelope)
    else:
        return []
    return lost(_parsed(exchange.id), again, found.dropped, HINTS[dialect].max_output)


def unnumbered(text: str) -> str:
    """A refusal without the places that differ from request to request."""
    return re.sub(r"\[\d+\]", "[…]", text)
