"""Everything of the current OpenAI library that is no chat: models, vectors, pictures, sound."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Received, Reply, json_reply, sse_reply
from tests.e2e.sdk.stage import Stage, floats_as_base64, json_of, key_of, recorded, replay

JSON = Any
VECTOR = [0.0123456789, -1.5, 3.0e-05, 0.25]
SOUND = b"RIFF" + bytes(range(256)) * 20
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
SPEECH_USAGE = {"input_tokens": 5, "output_tokens": 9, "total_tokens": 14}


def event(value: Mapping[str, JSON], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def field(request: Received, name: str) -> bytes:
    """A field's value in the form that the upstream received."""
    kind = request.header("content-type") or ""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    for part in request.body.split(b"--" + boundary):
        head, _, value = part.partition(b"\r\n\r\n")
        if f'name="{name}"'.encode() in head:
            return value.removesuffix(b"\r\n")
    raise KeyError(name)


def test_models_are_listed_and_found_by_name(stage: Stage) -> None:
    names = [model.id for model in stage.client.models.list()]
    assert {"fast", "gpt-4o", "dall-e-2"} <= set(names)
    assert "*" not in names
    assert len(names) == len(set(names))
    one = stage.client.models.retrieve("gpt-4o")
    assert (one.id, one.object) == ("gpt-4o", "model")
    assert stage.record(one._request_id)["endpoint"] == "models"


def vectors_for(request: Received) -> Reply:
    """As OpenAI answers: base64 where it is asked for."""
    packed = request.json().get("encoding_format") == "base64"
    shown = floats_as_base64(VECTOR) if packed else VECTOR
    data = [{"object": "embedding", "index": i, "embedding": shown} for i in range(2)]
    usage = {"prompt_tokens": 6, "total_tokens": 6}
    return json_reply({"object": "list", "model": "e", "data": data, "usage": usage})


@pytest.mark.parametrize("explicit", [False, True], ids=["base64", "float"])
def test_vectors_arrive_as_the_provider_made_them(stage: Stage, explicit: bool) -> None:
    stage.upstream.script = vectors_for
    create = stage.client.embeddings.create
    words = ["a", "b"]
    if explicit:
        found = create(model="e", input=words, encoding_format="float")
    else:
        found = create(model="e", input=words)
    asked = "float" if explicit else "base64"
    assert stage.asked.json() == {"model": "e", "input": words, "encoding_format": asked}
    wanted = VECTOR if explicit else list(struct.unpack("<4f", struct.pack("<4f", *VECTOR)))
    assert [v.embedding for v in found.data] == [wanted, wanted]
    record = stage.record(found._request_id)
    assert (record["endpoint"], record["input"], record["output"]) == ("embeddings", 6, 0)
    assert record["cost_nanousd"] == 12_000


def test_recorded_vectors_of_a_provider_without_base64_pass(stage: Stage) -> None:
    exchange = recorded("openai_compat_other", "openai_compat_other-79fa7e608b")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("openai_compat_other"))
    found = client.embeddings.create(model=exchange.model, input="x")
    assert found.data[0].embedding == json_of(exchange)["data"][0]["embedding"]
    assert len(found.data[0].embedding) > 1_000


def test_a_recorded_completion_is_read_as_it_was_recorded(stage: Stage) -> None:
    exchange = recorded("openai", "openai-f4b707aec5")
    stage.play(replay(exchange))
    asks = dict(exchange.asks())
    found = stage.client.completions.create(**asks)
    assert found.to_dict() == json_of(exchange)
    assert stage.asked.json() == asks
    assert found.usage is not None
    record = stage.record(found._request_id)
    assert record["endpoint"] == "completions"
    sides = (record["input"], record["output"])
    assert sides == (found.usage.prompt_tokens, found.usage.completion_tokens)


def test_a_completion_is_streamed(stage: Stage) -> None:
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "t"}
    pieces = [{**head, "choices": [{"index": 0, "text": w}]} for w in ("Once", " upon")]
    usage = {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}
    end = event({**head, "choices": [], "usage": usage})
    stage.play(sse_reply(*map(event, pieces), end, b"data: [DONE]\n\n"))
    stream = stage.client.completions.create(model="t", prompt="Tell", stream=True)
    assert [c.choices[0].text for c in stream] == ["Once", " upon"]
    record = stage.record()
    assert (record["input"], record["output"], record["usage_source"]) == (2, 2, "upstream")


def test_a_recorded_moderation_is_read_as_it_was_recorded(stage: Stage) -> None:
    exchange = recorded("openai", "openai-d03faea459")
    stage.play(replay(exchange))
    asks = exchange.asks()
    found = stage.client.moderations.create(model=asks["model"], input=asks["input"])
    assert found.to_dict()["results"] == json_of(exchange)["results"] != []
    assert stage.asked.json() == asks
    assert stage.record(found._request_id)["endpoint"] == "moderations"


def test_a_recorded_picture_is_made(stage: Stage) -> None:
    exchange = recorded("openai", "openai-73b4093c5e")
    stage.play(replay(exchange))
    asks = exchange.asks()
    found = stage.client.images.generate(
        prompt=asks["prompt"], model=asks["model"], n=1, size=asks["size"]
    )
    assert found.to_dict() == json_of(exchange)
    record = stage.record(found._request_id)
    assert (record["endpoint"], record["images"], record["status"]) == ("images", 1, 200)


def test_a_picture_grows_in_a_stream(stage: Stage) -> None:
    kind = "image_generation"
    usage = {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43}
    stage.play(
        sse_reply(
            event({"type": f"{kind}.partial_image", "b64_json": "QUE="}, f"{kind}.partial_image"),
            event(
                {"type": f"{kind}.completed", "b64_json": "QUFB", "usage": usage},
                f"{kind}.completed",
            ),
        )
    )
    stream = stage.client.images.generate(
        prompt="x", model="gpt-image-1", stream=True, partial_images=1
    )
    assert [e.b64_json for e in stream] == ["QUE=", "QUFB"]
    record = stage.record()
    assert (record["input"], record["output"], record["usage_source"]) == (3, 40, "upstream")


def test_pictures_are_edited_from_a_form(stage: Stage) -> None:
    exchange = recorded("openai", "openai-4a70f51dac")
    stage.play(replay(exchange))
    found = stage.client.images.edit(
        model="gpt-image-1",
        prompt="Turn it blue ü",
        image=[("a.png", PICTURE), ("b.png", PICTURE[::-1])],
        mask=("mask.png", b"mask"),
    )
    wanted = json_of(exchange)
    assert found.data is not None
    assert found.data[0].b64_json == wanted["data"][0]["b64_json"]
    assert field(stage.asked, "prompt") == "Turn it blue ü".encode()
    assert field(stage.asked, "mask") == b"mask"
    assert stage.asked.body.count(PICTURE) == stage.asked.body.count(PICTURE[::-1]) == 1
    record = stage.record(found._request_id)
    assert (record["input"], record["image_in"], record["output"]) == (44, 388, 4160)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's, of its own methods
def test_variations_of_a_picture_need_no_model(stage: Stage) -> None:
    stage.play(json_reply({"created": 1, "data": [{"url": "https://x.example/a"}] * 2}))
    found = stage.client.images.create_variation(image=("a.png", PICTURE), n=2)
    assert found.data is not None
    assert len(found.data) == 2
    assert (stage.asked.path, field(stage.asked, "image")) == ("/v1/images/variations", PICTURE)
    record = stage.record(found._request_id)
    assert (record["model"], record["images"]) == ("dall-e-2", 2)


def test_recorded_speech_is_written_to_a_file(stage: Stage, tmp_path: Path) -> None:
    exchange = recorded("openai", "openai-665c7dd509")
    stage.play(replay(exchange))
    asks = exchange.asks()
    speech = stage.client.audio.speech.with_streaming_response
    with speech.create(
        model=asks["model"], voice=asks["voice"], input=asks["input"], speed=1.0
    ) as response:
        response.stream_to_file(tmp_path / "speech.mp3")
    assert (tmp_path / "speech.mp3").read_bytes() == exchange.body != b""
    assert response.headers["content-type"] == "audio/mpeg"
    record = stage.record(response.headers["x-request-id"])
    assert (record["endpoint"], record["characters"]) == ("speech", len(asks["input"]))


def test_speech_without_a_length_comes_whole(stage: Stage) -> None:
    parts = [SOUND[at : at + 999] for at in range(0, len(SOUND), 999)]
    stage.play(Reply(200, (("content-type", "audio/mpeg"),), parts))
    found = stage.client.audio.speech.create(model="tts-1", voice="alloy", input="Ünicode")
    assert found.content == SOUND
    assert stage.record()["characters"] == 7


def test_speech_comes_as_events_where_they_are_asked_for(stage: Stage) -> None:
    done = {"type": "speech.audio.done", "usage": SPEECH_USAGE}
    stage.play(sse_reply(event({"type": "speech.audio.delta", "audio": "QUE="}), event(done)))
    speech = stage.client.audio.speech.with_streaming_response
    with speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="hi", stream_format="sse"
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert [json.loads(line.removeprefix("data: "))["type"] for line in lines] == [
        "speech.audio.delta",
        "speech.audio.done",
    ]
    record = stage.record()
    assert (record["stream"], record["usage_source"]) == (1, "upstream")
    assert record["input"] == 5
    assert record["output"] + record["audio_out"] == 9


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's, of its own methods
def test_a_recorded_transcription_is_read_and_the_file_arrives(stage: Stage) -> None:
    exchange = recorded("openai", "openai-e997f25c03")
    stage.play(replay(exchange))
    found = stage.client.audio.translations.create(model="whisper-1", file=("a.mp3", SOUND))
    assert found.text == json_of(exchange)["text"]
    assert (stage.asked.path, field(stage.asked, "file")) == ("/v1/audio/translations", SOUND)
    assert stage.record(found._request_id)["endpoint"] == "translations"


def test_a_transcription_counts_its_seconds(stage: Stage) -> None:
    usage = {"type": "duration", "seconds": 7}
    stage.play(json_reply({"text": "Hi.", "usage": usage}))
    found = stage.client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", SOUND), language="en"
    )
    assert found.text == "Hi."
    assert (field(stage.asked, "model"), field(stage.asked, "language")) == (b"whisper-1", b"en")
    record = stage.record(found._request_id)
    assert (record["audio_ms"], record["usage_source"]) == (7_000, "upstream")


def test_a_transcription_comes_as_text(stage: Stage) -> None:
    kind = (("content-type", "text/plain; charset=utf-8"),)
    stage.play(Reply(200, kind, "Grüß dich.\n".encode()))
    found: JSON = stage.client.audio.transcriptions.create(
        model="whisper-1", file=("a.wav", SOUND), response_format="text"
    )
    assert found == "Grüß dich.\n"
    assert field(stage.asked, "response_format") == b"text"


def test_a_transcription_comes_with_its_segments(stage: Stage) -> None:
    whole = {"task": "transcribe", "language": "english", "duration": 2.5, "text": "Hi."}
    word = {"word": "Hi", "start": 0.0, "end": 0.5}
    stage.play(json_reply({**whole, "segments": [], "words": [word]}))
    found = stage.client.audio.transcriptions.create(
        model="whisper-1",
        file=("a.wav", SOUND),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (found.duration, found.words and found.words[0].word) == (2.5, "Hi")
    assert stage.asked.body.count(b'name="timestamp_granularities[]"') == 2


def test_a_recorded_transcription_is_streamed(stage: Stage) -> None:
    exchange = recorded("openai", "openai-35e8b8c696")
    stage.play(replay(exchange, 31))
    stream = stage.client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize", file=("ruby.wav", SOUND), stream=True
    )
    *_, last = list(stream)
    assert last.type == "transcript.text.done"
    assert last.text.startswith("Ruby is a programming language")
    record = stage.record()
    assert (record["stream"], record["audio_in"], record["input"]) == (1, 37, 0)
    assert record["output"] == 145


def test_a_large_file_passes_whole(stage: Stage) -> None:
    stage.play(json_reply({"text": "Long."}))
    sound = SOUND * 600
    found = stage.client.audio.transcriptions.create(model="whisper-1", file=("a.wav", sound))
    assert found.text == "Long."
    assert len(sound) > 3_000_000
    assert field(stage.asked, "file") == sound
