"""Rerank requests in the typed middle, and answers with the members that both Cohere's and Jina's
clients read.

https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc (read 2026-11-24). Where the
client leaves `return_documents` open its documents come back, which is Jina's rule; Cohere's
clients do not mind.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.base_tasks import answer_of, bad, count
from oneapi.ir import Envelope, Extra, Usage
from oneapi.tasks import Ranked, RerankReply, RerankRequest
from oneapi.wire.json import JSON

NAME: Final = "rerank"
RERANK: Final = "rerank"
_KNOWN: Final = frozenset({"model", "query", "documents", "top_n", "return_documents"})


class Face:
    """See `TaskFace`."""

    NAME: Final = NAME

    def parse_request(self, body: JSON, envelope: Envelope) -> RerankRequest:
        if not isinstance(body, dict):
            raise bad("", "the request must be an object")
        query, documents = body.get("query"), body.get("documents")
        if isinstance(query, dict):  # Jina's multimodal models
            query = query.get("text")
        if not isinstance(query, str):
            raise bad("query", "must be a string")
        if not isinstance(documents, list) or not documents:
            raise bad("documents", "must be an array that is not empty")
        for index, document in enumerate(documents):
            if not isinstance(document, str | dict):
                raise bad(f"documents[{index}]", "must be a string or an object")
        top, wanted = body.get("top_n"), body.get("return_documents")
        if top is not None and (type(top) is not int or top < 1):
            raise bad("top_n", "must be a positive integer")
        if not isinstance(wanted, bool | None):
            raise bad("return_documents", "must be a boolean")
        return RerankRequest(
            envelope.model,
            query,
            documents,
            NAME,
            top_n=top,
            return_documents=wanted,
            extra={n: v for n, v in body.items() if n not in _KNOWN and v is not None},
        )

    def render_response(
        self, reply: RerankReply, request: RerankRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        found = reply.results if request.top_n is None else reply.results[: request.top_n]
        documents = request.return_documents is not False
        body: Extra = {
            "id": reply.id or stamp.id,
            "object": "list",
            "model": stamp.model or reply.model or request.model,
            "results": [_entry(place, documents) for place in found],
        }
        usage = reply.usage or Usage()
        billed: Extra = {}
        if usage.searches:
            billed["search_units"] = usage.searches
        if usage.input_tokens:
            billed["input_tokens"] = usage.input_tokens
        body["meta"] = {"api_version": {"version": "2"}, "billed_units": billed}
        body["usage"] = {
            "total_tokens": usage.input_tokens,
            "prompt_tokens": usage.input_tokens,
        }
        return answer_of(body)


def parse_usage(value: JSON) -> Usage | None:
    """What an answer of this shape says it used, wherever it stands: `usage` (Jina and most),
    `meta.billed_units` (Cohere), `meta.tokens` or `tokens` (SiliconFlow).
    """
    meta = _object(value, "meta")
    billed, usage = _object(meta, "billed_units"), _object(value, "usage")
    found = (
        count(usage, "total_tokens"),
        count(usage, "prompt_tokens"),
        count(_object(meta, "tokens"), "input_tokens"),
        count(billed, "input_tokens"),
        count(_object(value, "tokens"), "input_tokens"),
    )
    tokens = next((number for number in found if number is not None), None)
    units = count(billed, "search_units")
    if units is None:
        units = count(usage, "search_units")
    if tokens is None and units is None:
        return None
    return Usage(input=tokens or 0, searches=units or 0)


def _entry(place: Ranked, documents: bool) -> Extra:
    entry: Extra = {"index": place.index, "relevance_score": place.score}
    if documents and place.document is not None:
        given = place.document
        entry["document"] = {"text": given} if isinstance(given, str) else given
    return entry


def _object(value: JSON, name: str) -> JSON:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
