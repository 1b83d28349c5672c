"""Pictures from words in OpenAI's format: the client's side, and providers that are nearly so.

https://platform.openai.com/docs/api-reference/images (read 2026-11-24). Providers with the same
fields are relayed as they are; here are those that take the size otherwise (`image_size` among a
channel's options: "width_height" or "aspect_ratio") or answer with `images` for `data`. What they
only call otherwise is the catalog's to rename.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import (
    answer_of,
    bad,
    count,
    image_format,
    json_of,
    nearest_ratio,
    no_answer,
    object_of,
    parse_error,
    picture,
    size_of,
)
from oneapi.dialects.openai_usage import parse_usage_value
from oneapi.ir import Envelope, Extra, Usage
from oneapi.tasks import ImageReply, ImageRequest, Picture
from oneapi.wire.json import JSON

NAME: Final = "openai-chat"
OTHER: Final = "images.other"
RATIOS: Final = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "1:2", "2:1")
MOST: Final = 10
_TEXTS: Final = ("size", "quality", "style", "background", "user")
_KNOWN: Final = frozenset(
    {"model", "prompt", "n", "response_format", "output_format", "stream", *_TEXTS}
)


class Face:
    """See `TaskFace`."""

    NAME: Final = NAME

    def parse_request(self, body: JSON, envelope: Envelope) -> ImageRequest:
        if not isinstance(body, dict):
            raise bad("", "the request must be an object")
        for name in ("prompt", "response_format", "output_format", *_TEXTS):
            if not isinstance(body.get(name), str | None):
                raise bad(name, "must be a string")
        if not body.get("prompt"):
            raise bad("prompt", "is missing", "missing_required_parameter")
        number = body.get("n")
        if number is not None and (type(number) is not int or not 1 <= number <= MOST):
            raise bad("n", f"must be between 1 and {MOST}", "invalid_value")
        return ImageRequest(
            envelope.model,
            body["prompt"],
            NAME,
            n=number or 1,
            want=_want(body.get("response_format")),
            file_format=body.get("output_format") or "",
            stream=envelope.stream,
            extra={n: v for n, v in body.items() if n not in _KNOWN and v is not None},
            **{name: body.get(name) or "" for name in _TEXTS},
        )

    def render_response(
        self, reply: ImageReply, request: ImageRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        created = reply.created or stamp.created
        usage = None if reply.usage is None else _usage(reply.usage)
        if request.stream:
            events = [_event(made, request, created, usage) for made in reply.pictures]
            return b"text/event-stream", b"".join(events)
        body: Extra = {
            "created": created,
            "data": [_entry(made, request.want) for made in reply.pictures],
        }
        if usage is not None:
            body["usage"] = usage
        return answer_of(body)


class Provider:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (OTHER,)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        body: Extra = {"model": model, "prompt": request.prompt}
        if request.n != 1:
            body["n"] = request.n
        for name in _TEXTS:
            if getattr(request, name):
                body[name] = getattr(request, name)
        if request.want:
            body["response_format"] = request.want
        if request.file_format:
            body["output_format"] = request.file_format
        dropped = [] if request.source == NAME else list(request.extra)
        if request.source == NAME:
            body.update(request.extra)
        form = hints.options.get("image_size")
        if form is not None:
            size = size_of(request)
            body.pop("size", None)
            if size is not None and form == "width_height":
                body["width"], body["height"] = size
            elif size is not None:
                body["aspect_ratio"] = nearest_ratio(size, RATIOS)
        return Outgoing(OTHER, body_of(body), streams=False, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        value = object_of(body, "picture")
        items = value.get("data") or value.get("images") or value.get("output")
        made = [found for item in _list(items) if (found := picture(item)) is not None]
        if not made:
            raise no_answer("picture")
        usage = parse_usage_value(value.get("usage")) or Usage()
        usage.images = len(made)
        return ImageReply(made, count(value, "created") or 0, usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _want(form: JSON) -> Literal["", "url", "b64_json"]:
    match form:
        case None | "":
            return ""
        case "url":
            return "url"
        case "b64_json" | "base64":  # the word of some providers
            return "b64_json"
    raise bad("response_format", "must be url or b64_json", "invalid_value")


def _list(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


def _entry(made: Picture, want: str) -> Extra:
    """A picture that exists as data alone is a `data:` address where one was asked for."""
    entry: Extra = {}
    if made.data and want == "url":
        entry["url"] = f"data:{made.media_type or 'image/png'};base64,{made.data}"
    elif made.data:
        entry["b64_json"] = made.data
    else:
        entry["url"] = made.url
    if made.revised_prompt:
        entry["revised_prompt"] = made.revised_prompt
    return entry


def _event(made: Picture, request: ImageRequest, created: int, usage: JSON) -> bytes:
    """The event that completes a picture."""
    kind = "image_generation.completed"
    event: Extra = {
        "type": kind,
        "b64_json": made.data,
        "created_at": created,
        "size": request.size or "auto",
        "quality": request.quality or "auto",
        "background": request.background or "auto",
        "output_format": image_format(made.media_type) or request.file_format or "png",
        "usage": usage,
    }
    return b"event: " + kind.encode() + b"\ndata: " + json_of(event) + b"\n\n"


def _usage(usage: Usage) -> JSON:
    """Tokens, where the provider counts them; None where it counts pictures alone."""
    given, made = usage.input_tokens, usage.output_tokens
    if not given and not made:
        return None
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "text_tokens": given - usage.image_in,
            "image_tokens": usage.image_in,
        },
        "output_tokens": made,
        "total_tokens": given + made,
    }
