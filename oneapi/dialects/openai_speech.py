"""Speech in OpenAI's format: the client's side, and providers that wrap the sound in JSON.

https://platform.openai.com/docs/api-reference/audio/createSpeech (read 2026-11-24). Providers that
answer with the sound itself are relayed as they are.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from oneapi.dialects.base import Headers, Hints, Outgoing, Stamp
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_tasks import bad, no_answer, object_of, parse_error
from oneapi.dialects.openai_usage import parse_usage_value, spoken
from oneapi.ir import Envelope, Extra
from oneapi.tasks import SpeechReply, SpeechRequest
from oneapi.wire.json import JSON, encode

NAME: Final = "openai-chat"
OTHER: Final = "speech.other"
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "wav": "audio/wav",
        "pcm": "audio/pcm",
    }
)
_KNOWN: Final = frozenset(
    {"model", "input", "voice", "response_format", "speed", "instructions", "stream_format"}
)


class Face:
    """See `TaskFace`. `stream_format: "sse"` gets the whole sound as one event."""

    NAME: Final = NAME

    def parse_request(self, body: JSON, envelope: Envelope) -> SpeechRequest:
        if not isinstance(body, dict):
            raise bad("", "the request must be an object")
        for name in ("input", "response_format", "instructions", "stream_format"):
            if not isinstance(body.get(name), str | None):
                raise bad(name, "must be a string")
        if not body.get("input"):
            raise bad("input", "is missing", "missing_required_parameter")
        voice = body.get("voice")
        if isinstance(voice, dict):  # one of the client's own
            voice = voice.get("id")
        if not isinstance(voice, str | None):
            raise bad("voice", "must be a voice's name")
        speed = body.get("speed")
        if isinstance(speed, bool) or not isinstance(speed, int | float | None):
            raise bad("speed", "must be a number")
        return SpeechRequest(
            envelope.model,
            body["input"],
            NAME,
            voice=voice or "",
            file_format=body.get("response_format") or "",
            speed=speed,
            instructions=body.get("instructions") or "",
            stream=body.get("stream_format") == "sse",
            extra={n: v for n, v in body.items() if n not in _KNOWN and v is not None},
        )

    def render_response(
        self, reply: SpeechReply, request: SpeechRequest, stamp: Stamp
    ) -> tuple[bytes, bytes]:
        if not request.stream:
            return reply.media_type.encode("latin-1", "replace"), reply.audio
        sound: Extra = {
            "type": "speech.audio.delta",
            "audio": b64encode(reply.audio).decode(),
        }
        given = reply.usage.input_tokens if reply.usage is not None else 0
        made = reply.usage.output_tokens if reply.usage is not None else 0
        usage = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
        done: Extra = {"type": "speech.audio.done", "usage": usage}
        events = b"data: " + encode(sound) + b"\n\ndata: " + encode(done) + b"\n\n"
        return b"text/event-stream", events


class Provider:
    """See `TaskProvider`: `{"audio_data": base64}` for the sound."""

    NAME: Final = NAME
    OPERATIONS: Final[Sequence[str]] = (OTHER,)

    def render_request(self, request: SpeechRequest, model: str, hints: Hints) -> Outgoing:
        body: Extra = {"model": model, "input": request.text}
        if request.voice:
            body["voice"] = request.voice
        if request.file_format:
            body["response_format"] = request.file_format
        if request.speed is not None:
            body["speed"] = request.speed
        if request.instructions:
            body["instructions"] = request.instructions
        body.update(request.extra)
        return Outgoing(OTHER, body_of(body), streams=False)

    def parse_response(self, content_type: str, body: bytes, request: SpeechRequest) -> SpeechReply:
        if content_type.startswith("audio/"):
            return SpeechReply(body, content_type)
        value = object_of(body, "sound")
        data = value.get("audio_data") or value.get("audio")
        if isinstance(data, dict):
            data = data.get("data")
        try:
            audio = b64decode(data, validate=True) if isinstance(data, str) else b""
        except ValueError:
            audio = b""
        if not audio:
            raise no_answer("sound")
        usage = parse_usage_value(value.get("usage"))
        kind = MEDIA_TYPES.get(request.file_format or "mp3", "application/octet-stream")
        return SpeechReply(audio, kind, None if usage is None else spoken(usage))

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        return parse_error(status, headers, body)
