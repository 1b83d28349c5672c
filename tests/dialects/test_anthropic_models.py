from __future__ import annotations

import json

import pytest

from oneapi.dialects.anthropic import count_tokens_answer, model_entry, models_list


def test_a_list_of_models_is_one_page() -> None:
    page = json.loads(models_list([("a", "x"), ("b", "y")], {"b": {"max_tokens": 9}}))
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("a", "b", False)
    assert [m["id"] for m in page["data"]] == ["a", "b"]
    assert page["data"][1]["max_tokens"] == 9


def test_an_empty_list_is_one_too() -> None:
    assert json.loads(models_list([])) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_the_clients_library_reads_an_entry() -> None:
    types = pytest.importorskip("anthropic.types")
    facts = {"max_input_tokens": 200_000, "max_tokens": 64_000}
    model = types.ModelInfo.model_validate_json(model_entry("a", "x", facts))
    assert (model.id, model.max_input_tokens) == ("a", 200_000)


def test_a_count_is_what_it_says() -> None:
    assert count_tokens_answer(14) == b'{"input_tokens":14}'
