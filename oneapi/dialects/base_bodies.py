"""JSON that a renderer or a parser makes of parts that came from elsewhere; options for models."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from oneapi.errors import ApiError
from oneapi.wire.json import JSON, encode


def body_of(value: JSON) -> bytes:
    """The JSON. Raises `ApiError` 400 for text that is not Unicode: half of a surrogate pair."""
    try:
        return encode(value)
    except UnicodeEncodeError as error:
        raise ApiError(
            400, "a text of the request is not valid Unicode", code="invalid_unicode"
        ) from error


def encode_text(value: JSON) -> str:
    """A value as JSON text, half surrogate pairs replaced: it goes to a client, whatever it is."""
    try:
        return encode(value).decode()
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace").decode()


def applies(option: JSON, model: str) -> bool:
    """Whether a channel's option is on for a model: true for all, or patterns of names."""
    if isinstance(option, list):
        return any(isinstance(name, str) and fnmatchcase(model, name) for name in option)
    return option is True
