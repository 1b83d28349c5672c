"""Requests: what counts in them, what bounds them, and how near recordings they come."""

from __future__ import annotations

import json
import time
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi import estimate
from oneapi.wire.json import JSON
from tests.estimate.recorded import counted, error
from tests.estimate.table import LONG, errors
from tests.estimate.texts import COUNTED, ENGLISH
from tests.translation.recordings import FOLDER

TOOL = {
    "name": "weather",
    "description": "The weather at a place",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
}


def said(text: str, **more: JSON) -> dict[str, JSON]:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_messages_and_requests_have_a_frame_of_their_own() -> None:
    family = estimate.family("qwen")
    one = estimate.message_tokens(said(""), "qwen")
    assert one == family.request + family.message
    assert estimate.message_tokens({"input": "hello"}) == estimate.tokens("hello")
    chat = estimate.counter().message_tokens({"input": "hello"}, chat=True)
    assert chat == estimate.message_tokens(said("hello"))


def test_the_arguments_of_calls_count_with_their_names() -> None:
    call = {"type": "tool_use", "id": "x", "name": "weather", "input": {"place": "Oslo", "days": 3}}
    text = 'weather\n{"place":"Oslo","days":3}'
    found = estimate.message_tokens({"messages": [{"role": "assistant", "content": [call]}]})
    assert found == estimate.message_tokens(said(text))


@pytest.mark.parametrize(
    "tools",
    [
        [{"type": "function", "function": TOOL}],
        [TOOL],
        [{"functionDeclarations": [TOOL]}],
    ],
)
def test_a_tool_counts_the_same_in_every_dialect(tools: JSON) -> None:
    found = estimate.message_tokens({"tools": tools}, "mistral")
    family = estimate.family("mistral")
    bare = estimate.tokens(json.dumps(TOOL, separators=(",", ":")), "mistral")
    assert abs(found - family.tools - family.schema * bare) <= 1


def test_tools_cost_what_their_provider_says_about_them() -> None:
    tools = [{"type": "function", "function": TOOL}]
    costs = {
        name: estimate.message_tokens(said("hi", tools=tools), name)
        - estimate.message_tokens(said("hi"), name)
        for name in ("o200k", "claude", "deepseek")
    }
    assert costs["o200k"] < 60 < 200 < costs["deepseek"] < costs["claude"]


def test_the_schema_of_an_answer_is_read_too() -> None:
    schema = {"type": "object", "properties": {"capital": {"type": "string"}}}
    asked = said("hi", response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    assert estimate.message_tokens(asked) > estimate.message_tokens(said("hi")) + 8


def test_signatures_and_ids_are_no_text() -> None:
    thought = {"type": "thinking", "thinking": "", "signature": "q" * 5_000, "id": "i" * 500}
    found = estimate.message_tokens({"messages": [{"role": "assistant", "content": [thought]}]})
    assert found == estimate.message_tokens(said(""))


MEDIA = ("fileData", "file_data", "inlineData", "inline_data", "images", "type")
"""Members that make a medium of their object, which no length bounds: hypothesis knows them."""


@given(
    st.recursive(
        st.text() | st.integers(),
        lambda x: (
            st.lists(x) | st.dictionaries(st.text().filter(lambda name: name not in MEDIA), x)
        ),
    )
)
def test_a_length_bounds_requests_of_text(value: JSON) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": value}]}).encode()
    for name in estimate.families():
        assert estimate.message_tokens(json.loads(body), name) <= estimate.at_most(len(body))


@pytest.mark.parametrize("text", [text for text, _ in COUNTED.values()])
def test_the_bound_holds_for_tokenizers_too(text: str) -> None:
    counts = next(counts for found, counts in COUNTED.values() if found == text)
    assert max(counts.values()) <= estimate.at_most(json.dumps(said(text)).encode())


def test_pictures_by_an_address_are_in_the_bound() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y"}}
    body = {"messages": [{"role": "user", "content": [image] * 20}]}
    rule = estimate.MediaRule(base=2833, each=5667)
    bound = estimate.at_most(json.dumps(body).encode(), rule)
    assert bound > estimate.message_tokens(body, "o200k", rule) > 20 * 8_000


def test_a_counter_counts_as_the_functions_do() -> None:
    counter = estimate.counter("gemini")
    assert counter.tokens(ENGLISH) == estimate.tokens(ENGLISH, "gemini")
    assert counter.message_tokens(said("hi")) == estimate.message_tokens(said("hi"), "gemini")
    assert counter.medium_tokens(estimate.Medium("image")) == 765


recordings = pytest.mark.skipif(not FOLDER.is_dir(), reason="no recordings beside the tree")


@recordings
def test_recorded_inputs_are_met_within_a_tenth_at_the_median() -> None:
    rows = [row for found in errors().values() for row in found]
    assert len(rows) > 250
    assert median(abs(off) for _, _, off in rows) < 0.10
    assert median(abs(off) for found, _, off in rows if found.truth >= LONG) < 0.08
    assert abs(median(off for _, _, off in rows)) < 0.03


@recordings
@pytest.mark.parametrize("provider", sorted({found.provider for found in counted()}))
def test_every_providers_recordings_are_met(provider: str) -> None:
    off = [abs(off) for _, _, off in errors()[provider]]
    assert median(off) < 0.25


def test_an_error_of_few_tokens_is_divided_by_three() -> None:
    assert (error(2, 1), error(11, 10)) == (1 / 3, 0.1)


PART: JSON = {"type": "text", "text": "a few words of text"}
MANY: dict[str, JSON] = {
    "parts": {"messages": [{"role": "user", "content": [PART] * 50_000}]},
    "strings": {"messages": [{"role": "user", "content": ["a few words of text"] * 50_000}]},
    "members": {"input": [{str(n): "a few words of text" for n in range(50_000)}]},
    "tools": {"tools": [{"functionDeclarations": [TOOL] * 50_000}]},
    "pictures": {"messages": [], "images": [""] * 50_000},
}


@pytest.mark.parametrize("name", MANY)
def test_what_is_too_many_to_be_looked_at_counts_all_the_same(name: str) -> None:
    assert estimate.message_tokens(MANY[name]) >= 50_000 * 4


def test_tokens_that_are_numbers_are_not_looked_at_one_by_one() -> None:
    numbers = [7] * 5_000_000
    spent = []
    for _ in range(5):
        started = time.thread_time()
        assert estimate.message_tokens({"input": numbers}) == 5_000_000
        spent.append(time.thread_time() - started)
    assert min(spent) < 0.1  # 0.3 ms; one by one: 0.4 s
