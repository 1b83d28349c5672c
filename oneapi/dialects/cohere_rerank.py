"""Rerank in Cohere's format, version 2.

https://docs.cohere.com/reference/rerank (read 2026-11-24) and a recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import count, object_of, parse_error, plain_documents, ranked
from oneapi.dialects.cohere_shapes import NAME, parse_usage
from oneapi.ir import Extra, Usage
from oneapi.tasks import RerankReply, RerankRequest

RERANK: Final = "cohere.rerank"
_OWN: Final = ("max_tokens_per_doc", "priority")
"""Members of this format that clients of the rerank endpoints may know."""


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (RERANK,)

    def render_request(self, request: RerankRequest, model: str, hints: Hints) -> Outgoing:
        body: Extra = {
            "model": model,
            "query": request.query,
            "documents": plain_documents(request),
        }
        if request.top_n is not None:
            body["top_n"] = request.top_n
        body.update({name: request.extra[name] for name in _OWN if name in request.extra})
        dropped = [name for name in request.extra if name not in _OWN]
        return Outgoing(RERANK, body_of(body), streams=False, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: RerankRequest) -> RerankReply:
        value = object_of(body, "ranking")
        name, meta = value.get("id"), value.get("meta")
        usage = parse_usage(meta)
        billed = meta.get("billed_units") if isinstance(meta, dict) else None
        units = count(billed, "search_units")
        if units is not None:
            usage = usage or Usage()
            usage.searches = units
        results = ranked(request, value.get("results"))
        return RerankReply(results, name if isinstance(name, str) else "", usage=usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)
