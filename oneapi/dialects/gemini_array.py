"""Gemini's dialect where a stream is one JSON array: the same but for errors and silence."""

from __future__ import annotations

from typing import Final

from oneapi.dialects.base import Headers
from oneapi.dialects.gemini import (
    NAME,
    OPERATIONS,
    WATCHED,
    edit_request,
    error_status,
    parse_answer,
    peek,
    rename_response,
    render_error,
    response_text,
    tap,
)
from oneapi.dialects.gemini import array_error as stream_error

HEADERS: Final[Headers] = ()
PING: Final = b""
"""An array has no comments; white space would do, but not before its bracket in every reader."""

__all__ = [
    "HEADERS",
    "NAME",
    "OPERATIONS",
    "PING",
    "WATCHED",
    "edit_request",
    "error_status",
    "parse_answer",
    "peek",
    "rename_response",
    "render_error",
    "response_text",
    "stream_error",
    "tap",
]
