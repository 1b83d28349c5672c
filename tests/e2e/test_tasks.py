"""What is not chat, through the whole gateway, between dialects that are not the same."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import (
    Answer,
    Received,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
)

JSON = Any
PIXEL = base64.b64encode(b"\x89PNG pixel").decode()


def toml(url: str) -> str:
    """A channel for each provider; the model's name tells which answers."""

    def channel(name: str, kind: str, models: str, more: str = "", base: str = "") -> str:
        return (
            f'[channels.{name}]\ntype = "{kind}"\nbase_url = "{url}{base}"\n'
            f"models = [{models}]\n{more}\n"
        )

    key = 'keys = ["up-key-0123456789"]'
    signed = 'keys = ["AKIDEXAMPLE:secretsecretsecret"]\nvars = { region = "us-east-1" }'
    return (
        channel("openai", "openai-compatible", '"plain"', key, "/v1")
        + channel("cohere", "cohere", '"c-embed", "c-rank"', key + '\ndialects = ["cohere"]')
        + channel("gemini", "gemini", '"g-embed", "g-image", "imagen-4", "g-tts"', key, "/v1beta")
        + channel("ollama", "ollama", '"o-embed"', 'dialects = ["ollama"]', "/v1")
        + channel("bedrock", "bedrock", '"amazon.titan-embed-text-v2:0"', signed)
        + channel("dashscope", "dashscope-native", '"d-embed", "d-rank", "d-image"', key)
        + channel("mistral", "mistral", '"m-voice", "m-mod", "m-ocr"', key, "/v1")
        + channel("together", "together", '"t-image"', key, "/v1")
        + channel("jina", "jina", '"j-rank"', key, "/v1")
        + channel(
            "vertex",
            "vertex",
            '"text-embedding-005"',
            'keys = ["AIzaExpressKey0123456789"]',
            "/v1",
        )
        + people()
    )


@dataclass
class World:
    gateway: Running
    upstream: Upstream

    def ask(self, path: str, body: JSON, *replies: JSON) -> Answer:
        """Asks once; the upstream gives its answers in turn, the last one again and again."""
        self.upstream.received.clear()
        rest = [r if isinstance(r, Reply) else json_reply(r) for r in replies]
        self.upstream.script = lambda _: rest.pop(0) if len(rest) > 1 else rest[0]
        return self.gateway.post(path, body)

    def seen(self) -> list[Received]:
        return self.upstream.received

    def record(self) -> Mapping[str, Any]:
        return self.gateway.records()[-1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        scripted_upstream(lambda _: json_reply({})) as upstream,
        gateway(tmp_path_factory.mktemp("tasks"), toml(upstream.url)) as running,
    ):
        yield World(running, upstream)


VECTOR = [0.5, -1.25]
PACKED = base64.b64encode(struct.pack("<2f", *VECTOR)).decode()
Asked = Callable[[Received], JSON]
TEXTS: Mapping[str, tuple[str, JSON, Asked]] = {
    "c-embed": (
        "/v2/embed",
        {"embeddings": {"float": [VECTOR]}, "meta": {"billed_units": {"input_tokens": 3}}},
        lambda r: r.json()["texts"],
    ),
    "g-embed": (
        "/v1beta/models/g-embed:batchEmbedContents",
        {"embeddings": [{"values": VECTOR}]},
        lambda r: [q["content"]["parts"][0]["text"] for q in r.json()["requests"]],
    ),
    "o-embed": (
        "/api/embed",
        {"model": "o-embed", "embeddings": [VECTOR], "prompt_eval_count": 3},
        lambda r: [r.json()["input"]],
    ),
    "amazon.titan-embed-text-v2:0": (
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        {"embedding": VECTOR, "inputTextTokenCount": 3},
        lambda r: [r.json()["inputText"]],
    ),
    "d-embed": (
        "/api/v1/services/embeddings/text-embedding/text-embedding",
        {
            "output": {"embeddings": [{"text_index": 0, "embedding": VECTOR}]},
            "usage": {"total_tokens": 3},
        },
        lambda r: r.json()["input"]["texts"],
    ),
    "text-embedding-005": (
        "/v1/publishers/google/models/text-embedding-005:predict",
        {"predictions": [{"embeddings": {"values": VECTOR, "statistics": {"token_count": 3}}}]},
        lambda r: [instance["content"] for instance in r.json()["instances"]],
    ),
}


@pytest.mark.parametrize("model", TEXTS)
@pytest.mark.parametrize("form", ["float", "base64"])
def test_openais_embeddings_come_from_any_provider(world: World, model: str, form: str) -> None:
    path, reply, asked = TEXTS[model]
    body = {"model": model, "input": "seven words", "encoding_format": form}
    answer = world.ask("/v1/embeddings", body, reply)
    assert (world.seen()[0].path, asked(world.seen()[0])) == (path, ["seven words"])
    value = answer.json()
    given = PACKED if form == "base64" else VECTOR
    assert value["data"] == [{"object": "embedding", "index": 0, "embedding": given}]
    used, source = (2, "estimated") if model == "g-embed" else (3, "upstream")
    assert (value["model"], value["usage"]["prompt_tokens"]) == (model, used)
    assert (world.record()["usage_source"], world.record()["input"]) == (source, used)


@pytest.mark.parametrize("model", TEXTS)
def test_tokens_are_refused_by_name_where_only_text_is_read(world: World, model: str) -> None:
    answer = world.ask("/v1/embeddings", {"model": model, "input": [[1, 2], [3]]}, {})
    assert (answer.status, answer.json()["error"]["param"]) == (400, "input[0]")
    assert world.seen() == []


def test_dimensions_are_said_in_every_providers_words(world: World) -> None:
    def said(model: str) -> JSON:
        body = {"model": model, "input": "x", "dimensions": 2, "user": "u"}
        assert world.ask("/v1/embeddings", body, TEXTS[model][1]).status == 200
        return world.seen()[0].json()

    assert said("c-embed")["output_dimension"] == 2
    assert said("g-embed")["requests"][0]["outputDimensionality"] == 2
    assert said("o-embed")["dimensions"] == 2
    assert said("amazon.titan-embed-text-v2:0")["dimensions"] == 2
    assert said("d-embed")["parameters"]["dimension"] == 2
    assert said("text-embedding-005")["parameters"]["outputDimensionality"] == 2


def test_what_a_provider_cannot_be_told_is_named(world: World) -> None:
    body = {"model": "c-embed", "input": "x", "user": "u", "odd": 1}
    answer = world.ask("/v1/embeddings", body, TEXTS["c-embed"][1])
    assert answer.headers["x-oneapi-dropped"] == "user, odd"


def test_a_provider_that_takes_one_text_is_asked_for_each(world: World) -> None:
    model = "amazon.titan-embed-text-v2:0"
    replies = [{"embedding": [float(n)], "inputTextTokenCount": n} for n in (1, 2, 3)]
    answer = world.ask("/v1/embeddings", {"model": model, "input": ["a", "b", "c"]}, *replies)
    assert [r.json()["inputText"] for r in world.seen()] == ["a", "b", "c"]
    assert [item["embedding"] for item in answer.json()["data"]] == [[1.0], [2.0], [3.0]]
    assert answer.json()["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert all(r.header("authorization") for r in world.seen())


def test_a_refusal_of_a_later_part_refuses_the_whole(world: World) -> None:
    model = "amazon.titan-embed-text-v2:0"
    replies = [TEXTS[model][1], json_reply({"message": "too long"}, 400)]
    answer = world.ask("/v1/embeddings", {"model": model, "input": ["a", "b"]}, *replies)
    assert (answer.status, answer.json()["error"]["message"].startswith("too long")) == (400, True)


def test_too_few_vectors_are_no_answer(world: World) -> None:
    body = {"model": "c-embed", "input": ["a", "b"]}
    answer = world.ask("/v1/embeddings", body, TEXTS["c-embed"][1])
    assert (answer.status, answer.json()["error"]["code"]) == (502, "bad_upstream_answer")


OPENAI = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": VECTOR}],
    "model": "plain",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


def test_a_gemini_client_gets_an_openai_providers_embedding(world: World) -> None:
    body = {
        "content": {"parts": [{"text": "hello"}]},
        "taskType": "RETRIEVAL_QUERY",
        "outputDimensionality": 2,
    }
    answer = world.ask("/v1beta/models/plain:embedContent", body, OPENAI)
    assert world.seen()[0].path == "/v1/embeddings"
    assert world.seen()[0].json() == {"model": "plain", "input": "hello", "dimensions": 2}
    assert answer.json()["embedding"] == {"values": VECTOR}
    assert answer.headers["x-oneapi-dropped"] == "taskType"
    assert (world.record()["endpoint"], world.record()["input"]) == ("embeddings", 4)


def test_a_gemini_clients_batch_reaches_vertex(world: World) -> None:
    content = {"parts": [{"text": "a"}]}
    request = {"model": "models/text-embedding-005", "content": content, "title": "t"}
    body = {"requests": [request, {**request, "taskType": "FACT_VERIFICATION"}]}
    one = TEXTS["text-embedding-005"][1]["predictions"][0]
    path = "/v1beta/models/text-embedding-005:batchEmbedContents"
    answer = world.ask(path, body, {"predictions": [one, one]})
    assert world.seen()[0].json()["instances"] == [
        {"content": "a", "title": "t"},
        {"content": "a", "task_type": "FACT_VERIFICATION", "title": "t"},
    ]
    assert answer.json()["embeddings"] == [{"values": VECTOR}] * 2


def test_an_ollama_client_gets_an_openai_providers_embedding(world: World) -> None:
    answer = world.ask("/api/embed", {"model": "plain", "input": ["hello"]}, OPENAI)
    assert world.seen()[0].json() == {"model": "plain", "input": ["hello"]}
    value = answer.json()
    assert (value["embeddings"], value["prompt_eval_count"]) == ([VECTOR], 4)


DOCUMENTS = ["paris", "ruby", "rails"]
RANK = {"model": "c-rank", "query": "ruby", "documents": DOCUMENTS, "top_n": 2}
RANKED = {
    "id": "r-1",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 2, "relevance_score": 0.5}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
}


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_rerank_at_cohere(world: World, path: str) -> None:
    answer = world.ask(path, RANK, RANKED)
    assert (world.seen()[0].path, world.seen()[0].json()) == ("/v2/rerank", RANK)
    value = answer.json()
    assert [(r["index"], r["relevance_score"]) for r in value["results"]] == [(1, 0.9), (2, 0.5)]
    assert value["results"][0]["document"] == {"text": "ruby"}
    assert value["meta"]["billed_units"] == {"search_units": 1}
    assert (value["model"], value["id"]) == ("c-rank", "r-1")
    assert world.record()["searches"] == 1


def test_rerank_at_dashscope(world: World) -> None:
    reply = {
        "output": {"results": RANKED["results"]},
        "usage": {"total_tokens": 12},
        "request_id": "q",
    }
    body = {**RANK, "model": "d-rank", "return_documents": False}
    answer = world.ask("/v1/rerank", body, reply)
    assert world.seen()[0].path == "/api/v1/services/rerank/text-rerank/text-rerank"
    assert world.seen()[0].json()["input"] == {"query": "ruby", "documents": DOCUMENTS}
    assert "document" not in answer.json()["results"][0]
    assert answer.json()["usage"]["total_tokens"] == 12


def test_rerank_in_jinas_shape_goes_through_as_it_is(world: World) -> None:
    reply = {"model": "j-rank", "results": [], "usage": {"total_tokens": 7}, "object": "list"}
    answer = world.ask("/v1/rerank", {**RANK, "model": "j-rank", "odd": [1.0]}, reply)
    assert world.seen()[0].path == "/v1/rerank"
    assert world.seen()[0].json()["odd"] == [1.0]
    assert (answer.json(), world.record()["input"]) == (reply, 7)


def test_refusals_of_rerank_speak_to_both_kinds_of_client(world: World) -> None:
    answer = world.ask("/v2/rerank", {"model": "c-rank", "query": "q", "documents": []}, {})
    assert answer.status == 400
    assert answer.json()["message"] == answer.json()["detail"]
    assert answer.json()["param"] == "documents"
    answer = world.ask("/v2/rerank", RANK, json_reply({"id": "x", "message": "no such"}, 404))
    assert (answer.status, answer.json()["message"]) == (404, "no such")


def image(parts: JSON) -> JSON:
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 5,
            "candidatesTokenCount": 1290,
            "totalTokenCount": 1295,
        },
    }


def test_pictures_by_gemini(world: World) -> None:
    reply = image([{"text": "here"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}])
    body = {"model": "g-image", "prompt": "a cat", "size": "1024x1536", "n": 2}
    answer = world.ask("/v1/images/generations", body, reply)
    sent = world.seen()[0].json()
    assert world.seen()[0].path == "/v1beta/models/g-image:generateContent"
    assert sent["generationConfig"]["imageConfig"] == {"aspectRatio": "2:3"}
    assert [item["b64_json"] for item in answer.json()["data"]] == [PIXEL, PIXEL]
    assert answer.json()["usage"]["output_tokens"] == 2580
    assert (len(world.seen()), world.record()["images"]) == (2, 2)


def test_pictures_by_imagen(world: World) -> None:
    reply = {"predictions": [{"bytesBase64Encoded": PIXEL, "mimeType": "image/png"}]}
    body = {"model": "imagen-4", "prompt": "a cat", "response_format": "url"}
    answer = world.ask("/v1/images/generations", body, reply)
    assert world.seen()[0].path == "/v1beta/models/imagen-4:predict"
    assert answer.json()["data"] == [{"url": f"data:image/png;base64,{PIXEL}"}]


def test_a_picture_that_is_withheld_is_the_clients_error(world: World) -> None:
    reply = {"candidates": [{"finishReason": "IMAGE_SAFETY"}]}
    answer = world.ask("/v1/images/generations", {"model": "g-image", "prompt": "x"}, reply)
    error = answer.json()["error"]
    assert (answer.status, error["code"]) == (400, "content_filter")
    assert "IMAGE_SAFETY" in error["message"]


def test_pictures_of_a_task_are_asked_for_until_they_are_there(world: World) -> None:
    task = {"task_id": "t-1", "task_status": "PENDING"}
    made = {"task_id": "t-1", "task_status": "SUCCEEDED", "results": [{"url": "https://x.test/p"}]}
    body = {"model": "d-image", "prompt": "a cat", "size": "1024x1024"}
    answer = world.ask("/v1/images/generations", body, {"output": task}, {"output": made})
    first, second = world.seen()
    assert first.header("x-dashscope-async") == "enable"
    assert first.json()["parameters"] == {"n": 1, "size": "1024*1024"}
    assert (second.method, second.path) == ("GET", "/api/v1/tasks/t-1")
    assert second.header("authorization") == "Bearer up-key-0123456789"
    assert answer.json()["data"] == [{"url": "https://x.test/p"}]


def test_a_picture_is_streamed_to_a_client_that_waits_for_events(world: World) -> None:
    reply = image([{"inlineData": {"mimeType": "image/jpeg", "data": PIXEL}}])
    body = {"model": "g-image", "prompt": "a cat", "stream": True}
    answer = world.ask("/v1/images/generations", body, reply)
    assert answer.headers["content-type"] == "text/event-stream"
    event, data = answer.body.decode().strip().split("\n")
    assert event == "event: image_generation.completed"
    value = json.loads(data.removeprefix("data: "))
    assert (value["b64_json"], value["output_format"]) == (PIXEL, "jpeg")


def test_speech_by_gemini_is_a_wav_file(world: World) -> None:
    sound = base64.b64encode(b"\x01\x00\x02\x00").decode()
    reply = image([{"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": sound}}])
    body = {"model": "g-tts", "input": "hello", "voice": "alloy", "instructions": "Slowly"}
    answer = world.ask("/v1/audio/speech", body, reply)
    config = world.seen()[0].json()["generationConfig"]["speechConfig"]["voiceConfig"]
    assert config == {"prebuiltVoiceConfig": {"voiceName": "Kore"}}
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.body[:4] + answer.body[-4:] == b"RIFF\x01\x00\x02\x00"
    assert world.record()["audio_out"] == 1290


def test_speech_that_comes_in_json_is_unpacked_for_who_wants_sound(world: World) -> None:
    reply = {"audio_data": base64.b64encode(b"ID3 sound").decode()}
    body = {"model": "m-voice", "input": "hello"}
    assert world.ask("/v1/audio/speech", body, reply).json() == reply
    sound = {"accept": "application/octet-stream"}
    answer = world.gateway.post("/v1/audio/speech", body, headers=sound)
    assert (answer.headers["content-type"], answer.body) == ("audio/mpeg", b"ID3 sound")
    assert world.record()["characters"] == 5


def test_pictures_go_as_bytes_unless_the_request_says_what_is_said_otherwise(world: World) -> None:
    reply = {"data": [{"b64_json": PIXEL, "timings": {}}], "id": "x"}
    own = {"model": "t-image", "prompt": "p", "width": 512, "response_format": "base64"}
    assert world.ask("/v1/images/generations", own, reply).json() == reply
    assert world.seen()[0].json() == own
    body = {"model": "t-image", "prompt": "p", "size": "512x256", "response_format": "b64_json"}
    answer = world.ask("/v1/images/generations", body, reply)
    assert world.seen()[0].json() == {
        "model": "t-image",
        "prompt": "p",
        "width": 512,
        "height": 256,
        "response_format": "base64",
    }
    assert answer.json()["data"] == [{"b64_json": PIXEL}]


def test_a_verdict_is_made_where_the_provider_gives_none(world: World) -> None:
    result = {
        "categories": {"pii": True, "sexual": False},
        "category_scores": {"pii": 0.9, "sexual": 0.1},
    }
    reply = {"id": "mod", "model": "m-mod", "results": [result]}
    answer = world.ask("/v1/moderations", {"model": "m-mod", "input": "x"}, reply)
    assert answer.json()["results"] == [{"flagged": True, **result}]


def test_ocr_goes_through_as_it_is(world: World) -> None:
    body = {"model": "m-ocr", "document": {"type": "document_url", "document_url": "https://x"}}
    reply = {"pages": [{"index": 0, "markdown": "# A"}], "usage_info": {"pages_processed": 1}}
    answer = world.ask("/v1/ocr", body, reply)
    assert (world.seen()[0].path, world.seen()[0].json()) == ("/v1/ocr", body)
    assert answer.json() == reply
