"""Recorded requests of clients rendered for every provider's dialect but their own.

Each becomes a request, which the dialect's official library takes if there is one, or is refused
with a status of 400 that names the member. What is dropped is named as the client calls it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from oneapi.dialects import registry
from oneapi.dialects.base import Hints
from oneapi.dialects.base_turns import with_media
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest
from oneapi.wire.json import decode
from tests.translation.asked import NATIVE, asked, parsed
from tests.translation.recordings import Exchange

PROVIDERS = tuple(name for name in registry.NAMES if registry.chat_provider(name) is not None)
HINTS = {name: Hints(max_output=4096) for name in PROVIDERS}
HINTS["openai-chat"] = Hints(options={"thoughts": "none"})
"""As catalogs have them; thoughts are OpenAI's own affair, as its library has it."""
_MEDIA = (("pdf", "application/pdf"), ("wav", "audio/wav"), ("mp3", "audio/mpeg"))
_MEDIA += (("mp4", "video/mp4"), ("txt", "text/plain"), ("jpg", "image/jpeg"))


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
    filled = with_media(chat, {url: (_media_type(url), "QUJD") for url in urls}) if urls else chat
    try:
        outgoing = provider.render_request(filled, chat.model, HINTS[dialect])
    except ApiError as error:
        if error.status == 400 and error.param:
            return Rendered(refused=f"{error.param}: {error.message}")
        return Rendered(problem=f"refused with {error.status} naming {error.param!r}: {error}")
    problem = "" if chat == before else "rendering changed the request"
    if not all(isinstance(name, str) and name.isprintable() for name in outgoing.dropped):
        problem = f"names that no header could hold: {outgoing.dropped}"
    body = decode(outgoing.body)
    return Rendered(body, tuple(outgoing.dropped), "", problem, tuple(outgoing.warnings))


def _media_type(url: str) -> str:
    ends = [kind for end, kind in _MEDIA if url.lower().split("?")[0].endswith(end)]
    return ends[0] if ends else "image/png"
