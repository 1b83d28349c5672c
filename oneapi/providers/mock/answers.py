"""What the mock provider says: answers of OpenAI's shape that depend on the request alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from oneapi.estimate import tokens
from oneapi.providers.mock import media
from oneapi.providers.mock.base import (
    CREATED,
    Answer,
    Refused,
    Request,
    error,
    events,
    integer,
    pieces,
)
from oneapi.providers.mock.options import MockOptions
from oneapi.providers.mock.texts import chat, completions, edits
from oneapi.providers.preset import PATHS
from oneapi.wire.json import JSON, decode, encode

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def answer(path: str, content_type: str, body: bytes, options: MockOptions) -> Answer:
    """The answer to a request. Never raises: what is wrong is an answer too."""
    try:
        for operation in sorted(PATHS, key=lambda name: -len(PATHS[name])):
            if path.endswith(PATHS[operation]):
                return _HANDLERS[operation](_request(content_type, body, options))
        if path.endswith("/models"):
            return _models()
        raise Refused(404, f"the mock provider has no {path}", "not_found")
    except Refused as refused:
        return error(refused.status, str(refused), refused.code)
    except (TypeError, ValueError, AttributeError):
        # A field of the wrong type, or text that UTF-8 cannot hold: a demo needs no finer words.
        return error(400, "the mock provider cannot make sense of the request", None)


def _request(content_type: str, body: bytes, options: MockOptions) -> Request:
    digest = hashlib.sha256(body).hexdigest()
    if content_type.lower().startswith("multipart/"):
        fields, uploads = media.form(content_type, body)
        return Request(fields, uploads, digest, options)
    try:
        value = decode(body)
    except ValueError:
        raise Refused(400, "the request's body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "the request's body is not a JSON object")
    return Request(value, {}, digest, options)


def _models() -> Answer:
    model = {"id": "demo", "object": "model", "created": CREATED, "owned_by": "oneapi"}
    return Answer([encode({"object": "list", "data": [model]})])


def _embeddings(request: Request) -> Answer:
    given = request.fields.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise Refused(400, "`input` must be a text, a list of tokens or a list of those")
    texts = [g if isinstance(g, str) else " ".join(map(str, g)) for g in given]
    dimensions = integer(request.fields.get("dimensions"))
    if dimensions is not None and not 1 <= dimensions <= 8192:
        raise Refused(400, "`dimensions` must be between 1 and 8192")
    vectors: list[JSON] = [media.vector(t, dimensions) for t in texts]
    if request.fields.get("encoding_format") == "base64":
        vectors = [base64.b64encode(media.floats(v)).decode() for v in vectors]
    count = sum(tokens(g) if isinstance(g, str) else len(g) for g in given)
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)
        ],
        "model": request.model,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    }
    return Answer([encode(body)])


def _moderations(request: Request) -> Answer:
    given = request.fields.get("input", "")
    several = isinstance(given, list) and all(isinstance(g, str) for g in given)
    result = {
        "flagged": False,
        "categories": dict.fromkeys(_CATEGORIES, False),
        "category_scores": dict.fromkeys(_CATEGORIES, 0.0),
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }
    results = [result] * (len(given) if several else 1)
    body = {"id": f"modr-{request.digest[:24]}", "model": request.model, "results": results}
    return Answer([encode(body)])


def _images(request: Request) -> Answer:
    prompt = str(request.fields.get("prompt") or request.digest)
    data: list[JSON] = []
    for i in range(request.n):
        picture = base64.b64encode(media.png(f"{prompt} {i}")).decode()
        if request.fields.get("response_format") == "b64_json":
            data.append({"b64_json": picture})
        else:
            data.append({"url": f"data:image/png;base64,{picture}"})
    return Answer([encode({"created": CREATED, "data": data})])


def _speech(request: Request) -> Answer:
    said = request.fields.get("input")
    if not isinstance(said, str) or not said:
        raise Refused(400, "`input` must be a text")
    seconds = min(max(len(said) * 0.02, 0.1), 2.0)
    if request.fields.get("stream_format") == "sse":
        audio = base64.b64encode(media.wav(seconds)).decode()
        usage = {"input_tokens": tokens(said), "output_tokens": 0, "total_tokens": tokens(said)}
        return events(
            [
                {"type": "speech.audio.delta", "audio": audio},
                {"type": "speech.audio.done", "usage": usage},
            ],
            done=False,
        )
    if request.fields.get("response_format") == "pcm":
        return Answer([media.pcm(seconds)], content_type=b"audio/pcm")
    # Whatever else was asked for, what comes is a WAV file, and it says so.
    return Answer([media.wav(seconds)], content_type=b"audio/wav")


def _transcriptions(request: Request) -> Answer:
    heard = request.uploads.get("file")
    if heard is None:
        raise Refused(400, "the form has no `file`")
    seconds = max(1, round(len(heard) / (2 * media.RATE_HZ)))
    text = request.options.text or f"This is a made-up transcript of {len(heard)} bytes of sound."
    usage = {"type": "duration", "seconds": seconds}
    if request.streamed:
        deltas: list[JSON] = [{"type": "transcript.text.delta", "delta": p} for p in pieces(text)]
        return events([*deltas, {"type": "transcript.text.done", "text": text, "usage": usage}])
    form = request.fields.get("response_format") or "json"
    end = f"00:{seconds // 60:02}:{seconds % 60:02}"
    if form == "text":
        return _plain_text(f"{text}\n")
    if form == "srt":
        return _plain_text(f"1\n00:00:00,000 --> {end},000\n{text}\n\n")
    if form == "vtt":
        return _plain_text(f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{text}\n\n")
    body: dict[str, JSON] = {"text": text, "usage": usage}
    if form == "verbose_json":
        segment = {"id": 0, "seek": 0, "start": 0.0, "end": float(seconds), "text": text}
        scores = {"temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0}
        body |= {"task": "transcribe", "language": "english", "duration": float(seconds)}
        body["segments"] = [{**segment, **scores, "tokens": [], "no_speech_prob": 0.0}]
    return Answer([encode(body)])


def _plain_text(text: str) -> Answer:
    return Answer([text.encode()], content_type=b"text/plain; charset=utf-8")


_HANDLERS: Mapping[str, Callable[[Request], Answer]] = MappingProxyType(
    {
        "chat": chat,
        "completions": completions,
        "edits": edits,
        "embeddings": _embeddings,
        "moderations": _moderations,
        "images.generations": _images,
        "images.edits": _images,
        "images.variations": _images,
        "speech": _speech,
        "transcriptions": _transcriptions,
        "translations": _transcriptions,
    }
)
