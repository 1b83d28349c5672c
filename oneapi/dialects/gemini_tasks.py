"""Pictures and speech by Gemini's models: through `generateContent`, Imagen's through `predict`.

https://ai.google.dev/gemini-api/docs/image-generation, …/imagen and …/speech-generation (read
2026-11-24). Options: `images` is "predict" for Imagen's models; `voices` are names that clients
know and the vendor's own for them.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from struct import pack
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import (
    bad,
    nearest_ratio,
    no_answer,
    object_of,
    parse_error,
    several,
    size_of,
)
from oneapi.dialects.gemini_answers import block_reason
from oneapi.dialects.gemini_usage import parse_usage
from oneapi.errors import UpstreamError
from oneapi.ir import Extra, Usage
from oneapi.tasks import ImageReply, ImageRequest, Picture, SpeechReply, SpeechRequest
from oneapi.wire.json import JSON

NAME: Final = "gemini"
GENERATE: Final = "generate"
PREDICT: Final = "gemini.predict"
_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_IMAGEN: Final = ("1:1", "3:4", "4:3", "9:16", "16:9")
_LARGE: Final = 1700
"""Pixels of the longer side from which a picture is one of the next size."""
_RATE: Final = re.compile(r"rate=(\d{4,6})")
_USUAL_RATE: Final = 24_000


class Images:
    """See `TaskProvider`."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (GENERATE, PREDICT)

    def render_request(self, request: ImageRequest, model: str, hints: Hints) -> Outgoing:
        names = ("quality", "style", "background", "user")
        dropped = [name for name in names if getattr(request, name)] + list(request.extra)
        size = size_of(request)
        if hints.options.get("images") == "predict":
            return Outgoing(
                PREDICT, body_of(_imagen(request, size)), streams=False, dropped=dropped
            )
        if request.file_format:
            dropped.append("output_format")
        config: Extra = {"responseModalities": ["TEXT", "IMAGE"]}
        if size is not None:
            config["imageConfig"] = {"aspectRatio": nearest_ratio(size, _RATIOS), **_large(size)}
        body: Extra = {
            "contents": [{"role": "user", "parts": [{"text": request.prompt}]}],
            "generationConfig": config,
        }
        if hints.safety:
            body["safetySettings"] = list(hints.safety)
        return several(GENERATE, [body] * request.n, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: ImageRequest) -> ImageReply:
        value = object_of(body, "picture")
        if "predictions" in value:
            made, why = _predicted(value["predictions"])
            usage = None
        else:
            made = [Picture(data=data, media_type=kind) for kind, data in _inline(value, "image/")]
            why = _why(value)
            usage = parse_usage(value.get("usageMetadata"))
        if not made:
            raise _withheld(why) if why else no_answer("picture")
        usage = usage or Usage()
        usage.images = len(made)
        return ImageReply(made, usage=usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


class Speech:
    """See `TaskProvider`. The vendor's sound is 16-bit PCM: told as it is, or as a WAV file."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (GENERATE,)

    def render_request(self, request: SpeechRequest, model: str, hints: Hints) -> Outgoing:
        if request.file_format not in ("", "wav", "pcm"):
            words = "must be wav or pcm: this provider makes no other sound"
            raise bad("response_format", words, "unsupported_value")
        dropped = [*request.extra, *(["speed"] if request.speed not in (None, 1) else [])]
        spoken = (
            f"{request.instructions}:\n{request.text}" if request.instructions else request.text
        )
        config: Extra = {"responseModalities": ["AUDIO"]}
        if request.voice:
            voices = hints.options.get("voices")
            known = voices.get(request.voice) if isinstance(voices, Mapping) else None
            voice = {"prebuiltVoiceConfig": {"voiceName": known or request.voice}}
            config["speechConfig"] = {"voiceConfig": voice}
        body: Extra = {
            "contents": [{"role": "user", "parts": [{"text": spoken}]}],
            "generationConfig": config,
        }
        return Outgoing(GENERATE, body_of(body), streams=False, dropped=dropped)

    def parse_response(self, content_type: str, body: bytes, request: SpeechRequest) -> SpeechReply:
        value = object_of(body, "sound")
        found = list(_inline(value, "audio/"))
        if not found:
            why = _why(value)
            raise _withheld(why) if why else no_answer("sound")
        kind = found[0][0]
        try:
            sound = b"".join(b64decode(data, validate=True) for _, data in found)
        except ValueError:
            raise no_answer("sound") from None
        usage = parse_usage(value.get("usageMetadata"))
        if usage is not None:
            usage.audio_out, usage.output = usage.audio_out + usage.output, 0
        if not kind.lower().startswith(("audio/l16", "audio/pcm")):
            return SpeechReply(sound, kind, usage)
        if request.file_format == "pcm":
            return SpeechReply(sound, "audio/pcm", usage)
        return SpeechReply(_wav(sound, kind), "audio/wav", usage)

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)


def _imagen(request: ImageRequest, size: tuple[int, int] | None) -> Extra:
    parameters: Extra = {"sampleCount": request.n}
    if size is not None:
        parameters["aspectRatio"] = nearest_ratio(size, _IMAGEN)
        if found := _large(size):
            parameters["sampleImageSize"] = found["imageSize"]
    if request.file_format:
        parameters["outputOptions"] = {"mimeType": f"image/{request.file_format}"}
    return {"instances": [{"prompt": request.prompt}], "parameters": parameters}


def _large(size: tuple[int, int]) -> Extra:
    """The vendor's word for a size above its usual one, which only some models know."""
    longer = max(size)
    if longer < _LARGE:
        return {}
    return {"imageSize": "2K" if longer < 2 * _LARGE else "4K"}


def _inline(value: dict[str, JSON], kind: str) -> Iterator[tuple[str, str]]:
    """Media type and base64 of the parts that are of a kind; thoughts are not the answer."""
    candidates = value.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        content = candidate.get("content") if isinstance(candidate, dict) else None
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict) or part.get("thought") is True:
                continue
            inner = part.get("inlineData") or part.get("inline_data")
            if not isinstance(inner, dict) or not isinstance(inner.get("data"), str):
                continue
            told = inner.get("mimeType") or inner.get("mime_type")
            if isinstance(told, str) and told.lower().startswith(kind) and inner["data"]:
                yield told, inner["data"]


def _predicted(predictions: JSON) -> tuple[list[Picture], str]:
    """Imagen's pictures, and why there are none."""
    made: list[Picture] = []
    why = ""
    for item in predictions if isinstance(predictions, list) else ():
        if not isinstance(item, dict):
            continue
        data, kind = item.get("bytesBase64Encoded"), item.get("mimeType")
        prompt, reason = item.get("prompt"), item.get("raiFilteredReason")
        if isinstance(data, str) and data:
            made.append(
                Picture(
                    data=data,
                    media_type=kind if isinstance(kind, str) else "",
                    revised_prompt=prompt if isinstance(prompt, str) else "",
                )
            )
        elif isinstance(reason, str):
            why = reason
    return made, why


def _why(value: dict[str, JSON]) -> str:
    """Why an answer holds nothing that was asked for, "" where it does not say."""
    blocked = block_reason(value)
    if blocked:
        return str(blocked)
    candidates = value.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    if not isinstance(first, dict):
        return ""
    for name in ("finishMessage", "finishReason"):
        reason = first.get(name)
        if isinstance(reason, str) and reason not in ("", "STOP"):
            return reason
    return ""


def _withheld(why: str) -> UpstreamError:
    """The provider's filters, which another target may not have."""
    return UpstreamError(
        400,
        f"the provider made nothing: {why}",
        code="content_filter",
        kind="invalid_request_error",
        retryable=False,
        original_status=200,
    )


def _wav(sound: bytes, kind: str) -> bytes:
    """16-bit mono PCM in a WAV file."""
    match = _RATE.search(kind)
    rate = int(match[1]) if match else _USUAL_RATE
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    data = pack("<4sI", b"data", len(sound)) + sound
    return pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data
