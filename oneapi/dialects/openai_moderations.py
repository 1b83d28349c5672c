"""Moderation in OpenAI's format: the client's side, and providers that leave the verdict out.

https://platform.openai.com/docs/api-reference/moderations (read 2026-11-24). Providers whose
answers say `flagged` are relayed as they are; where it is missing, any category that applies flags.
Categories are the provider's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import answer_of, bad, no_answer, object_of, parse_error
from oneapi.dialects.base_turns import as_url, data_url
from oneapi.dialects.openai_usage import parse_usage_value
from oneapi.ir import Envelope, Extra, Media
from oneapi.tasks import Judgement, ModerationReply, ModerationRequest
from oneapi.wire.json import JSON

NAME: Final = "openai-chat"
OTHER: Final = "moderations.other"
_RESULT: Final = frozenset({"flagged", "categories", "category_scores"})


class Face:
    """See `TaskFace`."""

    NAME: Final = NAME

    def parse_request(self, body: JSON, envelope: Envelope) -> ModerationRequest:
        if not isinstance(body, dict):
            raise bad("", "the request must be an object")
        given = body.get("input")
        if given is None:
            raise bad("input", "is missing", "missing_required_parameter")
        if not isinstance(given, str | list) or not given:
            raise bad("input", "must be a string or an array that is not empty")
        single = isinstance(given, str)
        items = [given] if single else given
        return ModerationRequest(
            envelope.model,
            [_input(item, f"input[{index}]") for index, item in enumerate(items)],
            NAME,
            single=single,
            extra={n: v for n, v in body.items() if n not in ("model", "input")},
        )

    def render_response(
        self, reply: ModerationReply, request: ModerationRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        body = {
            "id": reply.id or f"modr-{stamp.id}",
            "model": stamp.model or reply.model or request.model,
            "results": [
                {
                    "flagged": result.flagged,
                    "categories": result.categories,
                    "category_scores": result.scores,
                    **result.extra,
                }
                for result in reply.results
            ],
        }
        return answer_of(body)


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (OTHER,)

    def render_request(self, request: ModerationRequest, model: str, hints: Hints) -> Outgoing:
        inputs = [_output(item) for item in request.inputs]
        single = request.single and len(inputs) == 1
        body: Extra = {"model": model, "input": inputs[0] if single else inputs, **request.extra}
        return Outgoing(OTHER, body_of(body), streams=False)

    def parse_response(
        self, content_type: str, body: bytes, request: ModerationRequest
    ) -> ModerationReply:
        value = object_of(body, "verdict")
        results = value.get("results")
        if not isinstance(results, list):
            raise no_answer("verdict")
        judged = [_judgement(result) for result in results]
        name, model = value.get("id"), value.get("model")
        return ModerationReply(
            judged,
            name if isinstance(name, str) else "",
            model if isinstance(model, str) else "",
            parse_usage_value(value.get("usage")),
        )

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _input(item: JSON, at: str) -> str | Media:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        raise bad(at, "must be a string or a part")
    if isinstance(item.get("text"), str):
        return Media("file", text=item["text"], media_type="text/plain")
    image = item.get("image_url")
    address = image.get("url") if isinstance(image, dict) else image
    if not isinstance(address, str) or not address:
        raise bad(f"{at}.image_url", "must be an address")
    inside = data_url(address)
    if inside is None:
        return Media("image", url=address)
    return Media("image", data=inside[1], media_type=inside[0])


def _output(item: str | Media) -> JSON:
    if isinstance(item, str):
        return item
    if item.text:
        return {"type": "text", "text": item.text}
    return {"type": "image_url", "image_url": {"url": as_url(item)}}


def _judgement(result: JSON) -> Judgement:
    categories = result.get("categories") if isinstance(result, dict) else None
    if not isinstance(categories, dict):
        raise no_answer("verdict")
    scores = result.get("category_scores")
    flagged = result.get("flagged")
    return Judgement(
        flagged if isinstance(flagged, bool) else any(v is True for v in categories.values()),
        categories,
        scores if isinstance(scores, dict) else {},
        {name: value for name, value in result.items() if name not in _RESULT},
    )
