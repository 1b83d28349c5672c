"""Bedrock's Converse: its operations, its words, and what its answers say they used.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and the types of
AWS's SDK for Python (read 2026-11-24), and recordings.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from oneapi.dialects.base import Operation
from oneapi.ir import Stop, Usage
from oneapi.wire.json import JSON

NAME: Final = "bedrock-converse"
OPERATION: Final = "converse"
STREAMED: Final = "converse.stream"

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        OPERATION: Operation(OPERATION, "/model/{model}/converse", task="chat"),
        STREAMED: Operation(
            STREAMED, "/model/{model}/converse-stream", streams=True, ends=True, task="chat"
        ),
    }
)

Kind = Literal["image", "audio", "video", "file"]
BLOCK_OF: Final[Mapping[Kind, str]] = MappingProxyType(
    {"image": "image", "video": "video", "audio": "audio", "file": "document"}
)
"""The block that holds a medium of this kind."""
KIND_OF: Final[Mapping[str, Kind]] = MappingProxyType({v: k for k, v in BLOCK_OF.items()})

MEDIA_TYPES: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {
        "image": {n: f"image/{n}" for n in ("png", "jpeg", "gif", "webp")},
        "video": {
            "mkv": "video/x-matroska",
            "mov": "video/quicktime",
            "mp4": "video/mp4",
            "webm": "video/webm",
            "flv": "video/x-flv",
            "mpeg": "video/mpeg",
            "mpg": "video/mpg",
            "wmv": "video/x-ms-wmv",
            "three_gp": "video/3gpp",
        },
        "audio": {
            "mp3": "audio/mpeg",
            "opus": "audio/opus",
            "wav": "audio/wav",
            "aac": "audio/aac",
            "flac": "audio/flac",
            "mp4": "audio/mp4",
            "m4a": "audio/m4a",
            "ogg": "audio/ogg",
            "mkv": "audio/x-matroska",
            "mka": "audio/mka",
            "mpeg": "audio/x-mpeg",
            "mpga": "audio/mpga",
            "pcm": "audio/pcm",
            "webm": "audio/webm",
            "x-aac": "audio/x-aac",
        },
        "file": {
            "pdf": "application/pdf",
            "csv": "text/csv",
            "doc": "application/msword",
            "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "xls": "application/vnd.ms-excel",
            "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "html": "text/html",
            "txt": "text/plain",
            "md": "text/markdown",
        },
    }
)
"""Formats by their media types, one of each: a format is known again by it."""

_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "jpg": "jpeg",
        "pjpeg": "jpeg",
        "x-png": "png",
        "x-wav": "wav",
        "wave": "wav",
        "vnd.wave": "wav",
        "mp3": "mp3",
        "3gp": "three_gp",
        "x-m4a": "m4a",
        "htm": "html",
        "text": "txt",
        "log": "txt",
        "json": "txt",
        "xml": "txt",
    }
)
_MAGIC: Final = (
    ("iVBORw0KGgo", "png"),
    ("/9j/", "jpeg"),
    ("R0lGOD", "gif"),
    ("UklGR", "webp"),
    ("JVBER", "pdf"),
)
"""How the base64 of files begins."""


def format_of(kind: Kind, media_type: str, filename: str, data: str) -> str:
    """The format's word, "" for one that the API does not know.

    What the media type says counts; then the data's first bytes, then the file's name.
    """
    formats = MEDIA_TYPES[kind]
    plain = media_type.partition(";")[0].strip().lower()
    found = next((name for name, type_ in formats.items() if type_ == plain), "")
    if found:
        return found
    extension = filename.rpartition(".")[2].lower() if "." in filename else ""
    magic = next((name for start, name in _MAGIC if data.startswith(start)), "")
    for word in (plain.rpartition("/")[2], magic, extension):
        word = _ALIASES.get(word, word)
        if word in formats:
            return word
    return "txt" if kind == "file" and plain.startswith("text/") else ""


# A tool's name is `[a-zA-Z0-9_-]{1,64}` here. Any other letter becomes its code point in hex,
# between `_x` and `_`; where a name looks so by itself, its first underscore does. So every name
# can be told from its spelling, without a memory of the request.
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]|_(?=x[0-9a-f]{2,6}_)")
_SPELT = re.compile(r"_x([0-9a-f]{2,6})_")
_PLAIN = re.compile(r"[a-zA-Z0-9_-]*")
LONGEST_NAME: Final = 64


def spell_name(name: str) -> str:
    """A tool's name in the letters that are allowed. It may still be too long."""
    return _FOREIGN.sub(lambda found: f"_x{ord(found[0]):02x}_", name)


def read_name(name: str) -> str:
    """The tool's name as the client spelt it."""
    return _SPELT.sub(_letter, name) if "_x" in name else name


def _letter(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return found[0]
    letter = chr(code)
    return letter if letter == "_" or not _PLAIN.fullmatch(letter) else found[0]


_BLOB: Final = "blob:"
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_-]+")


def read_redacted(blob: str) -> str:
    """An encrypted thought as the model's vendor has it: text, which travels in base64 here.

    So it fits the vendor's own address too. Bytes of any other vendor stay as they came.
    """
    try:
        text = b64decode(blob, validate=True).decode("ascii")
    except ValueError:
        return _BLOB + blob
    same = b64encode(text.encode()).decode() == blob
    return text if same and _BASE64.fullmatch(text) else _BLOB + blob


def write_redacted(data: str) -> str:
    """The reverse."""
    if data.startswith(_BLOB):
        return data[len(_BLOB) :]
    return b64encode(data.encode("utf-8", "replace")).decode()


_STOPS: Final[Mapping[str, Stop]] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "malformed_model_output": "error",
        "malformed_tool_use": "error",
        "refusal": "refusal",
        "pause_turn": "pause",
    }
)


def stop_of(reason: JSON, *, called: bool) -> Stop:
    """`stopReason` in the middle's words; one that is not known is a plain end."""
    usual: Stop = "tool_calls" if called else "stop"
    return _STOPS.get(reason, usual) if isinstance(reason, str) else usual


def parse_usage(value: JSON) -> Usage | None:
    """`usage` in disjoint buckets, None for what is none.

    `inputTokens` leaves out what the cache served or stored, `outputTokens` holds the reasoning,
    which is not counted apart. `cacheDetails` splits what was stored by its lifetime.
    """
    if not isinstance(value, dict):
        return None
    written = _count(value, "cacheWriteInputTokens")
    hour = min(written, _stored(value.get("cacheDetails"), "1h"))
    return Usage(
        input=_count(value, "inputTokens"),
        cache_read=_count(value, "cacheReadInputTokens"),
        cache_write_5m=written - hour,
        cache_write_1h=hour,
        output=_count(value, "outputTokens"),
    )


_MOST: Final = 10**12
"""Counts above it are nonsense and are not believed."""


def _stored(details: JSON, ttl: str) -> int:
    if not isinstance(details, list):
        return 0
    found = (d for d in details if isinstance(d, dict) and d.get("ttl") == ttl)
    return sum(_count(detail, "inputTokens") for detail in found)


def _count(value: JSON, name: str) -> int:
    number = value.get(name)
    if isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= _MOST:
        return int(number)
    return 0


ERRORS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "validationexception": 400,
        "servicequotaexceededexception": 400,
        "accessdeniedexception": 403,
        "unrecognizedclientexception": 403,
        "invalidsignatureexception": 403,
        "resourcenotfoundexception": 404,
        "modeltimeoutexception": 408,
        "modelerrorexception": 424,
        "modelstreamerrorexception": 424,
        "throttlingexception": 429,
        "modelnotreadyexception": 429,
        "internalserverexception": 500,
        "serviceunavailableexception": 503,
    }
)
"""Statuses of errors by their names in lower case: a stream writes them `throttlingException`."""
