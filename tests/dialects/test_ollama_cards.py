from __future__ import annotations

import json

import pytest

from oneapi.dialects.ollama import ModelCard, ps, refusal, show, show_name, tags, version
from oneapi.errors import ApiError
from oneapi.wire.json import JSON

CARD = ModelCard(
    "qwen/qwen3:8b",
    family="qwen3",
    context=40_960,
    max_output=8192,
    modalities=("text", "image"),
    efforts=("low", "high"),
    size=5_000_000_000,
    modified_at=1_790_000_000,
    parameters=8_200_000_000,
)
CARDS = [CARD, ModelCard("gpt-5"), ModelCard("嵌入", capabilities=("embedding",))]


def nulls(value: JSON) -> list[JSON]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in inner if item is None] + [n for item in inner for n in nulls(item)]


@pytest.mark.parametrize("card", CARDS)
def test_vs_code_finds_what_it_reads(card: ModelCard) -> None:
    shown = json.loads(show(card))
    info = shown["model_info"]
    assert info[f"{info['general.architecture']}.context_length"] > 4096
    assert info["general.basename"] == card.name
    assert isinstance(shown["details"]["family"], str)
    assert set(shown) >= {"license", "modelfile", "parameters", "template", "modified_at"}
    assert "completion" in shown["capabilities"] or "embedding" in shown["capabilities"]


def test_nothing_is_ever_null() -> None:
    bodies = [tags(CARDS), ps(CARDS), *map(show, CARDS)]
    assert [nulls(json.loads(body)) for body in bodies] == [[]] * len(bodies)


def test_what_is_known_is_shown() -> None:
    shown = json.loads(show(CARD))
    assert shown["capabilities"] == ["completion", "tools", "vision", "thinking"]
    assert shown["model_info"]["qwen3.context_length"] == 40_960
    assert shown["details"]["parameter_size"] == "8.2B"
    assert shown["supportedReasoningEfforts"] == ["low", "high"]
    assert "num_predict 8192" in shown["parameters"]


def test_tags_name_models_twice_and_digest_them() -> None:
    (first, second, _) = json.loads(tags(CARDS))["models"]
    assert first["name"] == first["model"] == "qwen/qwen3:8b"
    assert first["modified_at"] == "2026-09-21T14:13:20Z"
    assert len(first["digest"]) == 64
    assert first["digest"] != second["digest"]
    assert json.loads(tags(CARDS)) == json.loads(tags(CARDS))


def test_the_vendors_models_accept_them() -> None:
    ollama = pytest.importorskip("ollama")
    assert [m.model for m in ollama.ListResponse.model_validate_json(tags(CARDS)).models] == [
        card.name for card in CARDS
    ]
    running = ollama.ProcessResponse.model_validate_json(ps(CARDS)).models[0]
    assert (running.context_length, running.size_vram) == (40_960, 5_000_000_000)
    shown = ollama.ShowResponse.model_validate_json(show(CARD))
    assert shown.modelinfo["general.architecture"] == "qwen3"


@pytest.mark.parametrize(
    ("ours", "told"),
    [
        ("0.6.4", "0.6.4"),
        ("1.0.0", "1.0.0"),
        ("0.10.0", "0.10.0"),
        ("0.2.0", "0.12.6"),
        ("0.6.3", "0.12.6"),
        ("0.2.0+build.9", "0.12.6"),
        ("", "0.12.6"),
        ("dev", "0.12.6"),
    ],
)
def test_a_version_is_one_that_clients_talk_to(ours: str, told: str) -> None:
    assert json.loads(version(ours)) == {"version": told}


@pytest.mark.parametrize("verb", ["pull", "push", "create", "copy", "delete", "blobs", "other"])
def test_changes_are_refused_in_words(verb: str) -> None:
    error = refusal(verb)
    assert error.status == 403
    assert "configuration" in error.message


def test_a_model_is_named_by_either_word() -> None:
    assert show_name({"model": "a", "name": "b"}) == "a"
    assert show_name({"name": "b"}) == "b"
    with pytest.raises(ApiError, match="model is required"):
        show_name({"model": 1})
