"""What a request asks for is read in either spelling, and edited to the letter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneapi.dialects.gemini import OPERATIONS, WATCHED, edit_request, peek
from oneapi.errors import ApiError
from oneapi.ir import Envelope
from oneapi.wire.json import JSON, encode, members

GENERATE = OPERATIONS["generate"]
COUNT = OPERATIONS["gemini.count_tokens"]
BATCH = OPERATIONS["gemini.batch_embed"]


def peeked(body: JSON, model: str | None = "m", name: str = "generate") -> Envelope:
    return peek(OPERATIONS[name], members(encode(body), WATCHED), model)


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"maxOutputTokens": 7, "candidateCount": 2}},
        {"generation_config": {"max_output_tokens": 7.0, "candidate_count": "2"}},
    ],
)
def test_the_envelope_is_read_in_either_spelling(config: JSON) -> None:
    found = peeked({"contents": [], **config})
    assert found == Envelope("m", max_output=7, n=2, wants_usage=True)


@pytest.mark.parametrize("path", ["m", "models/m", "publishers/google/models/m"])
def test_the_model_is_the_paths_without_its_prefix(path: str) -> None:
    assert peeked({"contents": None}, path).model == "m"


def test_the_body_may_name_the_same_model() -> None:
    inner: JSON = {"generateContentRequest": {"model": "models/m"}}
    assert peeked(inner, name="gemini.count_tokens").model == "m"
    batch: JSON = {"requests": [{"model": "models/m"}, {}]}
    assert peeked(batch, name="gemini.batch_embed").model == "m"
    assert peeked({"model": "models/m"}, None).model == "m"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "other"}, "model"),
        ({"generateContentRequest": {"model": "models/other"}}, "generateContentRequest.model"),
        ({"requests": [{"model": "models/m"}, {"model": "x"}]}, "requests[1].model"),
        ({"generationConfig": 3}, "generationConfig"),
        ({"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"candidateCount": 999}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"maxOutputTokens": "x"}}, "generationConfig.maxOutputTokens"),
        ({"generationConfig": {}, "generation_config": {}}, "generationConfig"),
    ],
)
def test_what_contradicts_or_is_malformed_is_refused(body: JSON, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        peeked(body)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("path", [None, "", "x" * 257, "a\nb"])
def test_a_path_without_a_model_is_refused(path: str | None) -> None:
    with pytest.raises(ApiError):
        peeked({"contents": []}, path)


def test_nothing_changes_where_the_body_names_no_model() -> None:
    assert edit_request(members(b'{"contents":[]}'), model="new", include_usage=True) is None


def test_a_batch_names_the_new_model_in_every_request() -> None:
    body = b'{"requests":[{"model": "models/old","content" : {"a":1.0E+2}},{"x":1}]}'
    assert edit_request(members(body), model="new") == (
        b'{"requests":[{"model":"models/new","content":{"a":1.0E+2}},{"x":1}]}'
    )
    assert edit_request(members(body.replace(b"old", b"new")), model="new") != body


def test_a_request_to_be_counted_names_the_new_model() -> None:
    body = b'{"generate_content_request":{"model":"models/old","contents":[ ]}}'
    assert edit_request(members(body), model="new") == (
        b'{"generate_content_request":{"model":"models/new","contents":[ ]}}'
    )


def test_members_are_set_and_dropped_in_either_spelling() -> None:
    body = b'{"contents":[1.0E+2],"safety_settings":[],"tool_config":{}}'
    edited = edit_request(members(body), set={"safetySettings": [1]}, drop=["toolConfig"])
    assert edited == b'{"contents":[1.0E+2],"safety_settings":[1]}'
    assert edit_request(members(body), set={"safetySettings": []}) is None
    assert json.loads(edit_request(members(body), set={"labels": {}}) or b"")["labels"] == {}


NAMES = st.sampled_from(
    "model contents requests generationConfig generation_config maxOutputTokens candidateCount "
    "generateContentRequest".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_request_is_read_or_refused(body: JSON) -> None:
    found = members(encode(body))
    edit_request(found, model="new", set={"contents": []}, drop=["model"])
    try:
        envelope = peek(GENERATE, found, "m")
    except ApiError:
        return
    assert envelope.model == "m"


def test_operations_name_their_tasks() -> None:
    assert (GENERATE.task, COUNT.task, BATCH.task) == ("chat", "count_tokens", "embeddings")
    assert GENERATE.streams
    assert GENERATE.ends
