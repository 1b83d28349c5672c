"""Pictures as predictions.

https://replicate.com/docs/reference/http (read 2026-11-24), input schemas of its picture models and
recordings. Each model names its inputs itself: the channel's option `inputs` tells names that
differ (`n`, `size`, `width`, `height`, `output_format`), "" for an input that the model lacks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from oneapi.dialects.base import FollowUp, Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import nearest_ratio, no_answer, parse_error, picture, size_of
from oneapi.dialects.replicate_answers import follow_up, parse_response
from oneapi.dialects.replicate_shapes import NAME, PREDICT, VERSION
from oneapi.ir import Extra, Media, Text, Usage
from oneapi.tasks import ImageReply, ImageRequest, Picture

_VERSION: Final = re.compile(r"(?:[^:]+:)?([0-9a-f]{64})")
_RATIOS: Final = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_INPUTS: Final[Mapping[str, str]] = {
    "n": "num_outputs",
    "size": "aspect_ratio",
    "width": "",
    "height": "",
    "output_format": "output_format",
}
_FORMATS: Final[Mapping[str, str]] = {"jpeg": "jpg"}


class Images:
    """See `TaskProvider` and `AnswersLater`. What else the client says goes to the model as it is:
    its inputs are unknown here, and it refuses by name what it does not take.
    """

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (PREDICT, VERSION)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        given, names = hints.options.get("inputs"), dict(_INPUTS)
        if isinstance(given, Mapping):
            names.update({n: v for n, v in given.items() if n in names and isinstance(v, str)})
        inputs: Extra = {}
        defaults = hints.options.get("defaults")
        if isinstance(defaults, Mapping):
            inputs.update(defaults)
        inputs["prompt"] = request.prompt
        unsaid = ("quality", "style", "background", "user")
        dropped = [name for name in unsaid if getattr(request, name)]
        _put_size(request, names, inputs, dropped)
        word = _FORMATS.get(request.file_format, request.file_format)
        for name, value in (("n", request.n if request.n > 1 else None), ("output_format", word)):
            if value and names[name]:
                inputs[names[name]] = value
            elif value:
                dropped.append(name)
        inputs.update(request.extra)
        version = _VERSION.fullmatch(model)
        body: Extra = (
            {"input": inputs}
            if version is None
            else {
                "version": version[1],
                "input": inputs,
            }
        )
        return Outgoing(
            PREDICT if version is None else VERSION,
            body_of(body),
            streams=False,
            headers=((b"prefer", b"wait"),),
            dropped=dropped,
        )

    def follow_up(self, body: bytes) -> FollowUp | None:
        return follow_up(body)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        reply = parse_response(body, Stamp(""))
        made: list[Picture] = []
        for part in reply.choices[0].parts:
            if isinstance(part, Media) and part.url:
                made.append(Picture(url=part.url))
            elif isinstance(part, Text) and part.text.startswith(("data:image/", "https://")):
                found = picture(part.text)
                made += [found] if found is not None else []
        if not made:
            raise no_answer("picture")
        usage = reply.usage or Usage()
        usage.images = len(made)
        return ImageReply(made, usage=usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _put_size(
    request: ImageRequest, names: Mapping[str, str], inputs: Extra, dropped: list[str]
) -> None:
    """As width and height where the model has such inputs, else as the nearest ratio."""
    size = size_of(request)
    if size is None:
        return
    if names["width"] and names["height"]:
        inputs[names["width"]], inputs[names["height"]] = size
    elif names["size"]:
        inputs[names["size"]] = nearest_ratio(size, _RATIOS)
    else:
        dropped.append("size")
