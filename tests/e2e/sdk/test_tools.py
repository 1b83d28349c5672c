"""Tool calls of the current OpenAI library: whole, in pieces, several at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.e2e.sdk.stage import (
    Stage,
    check_usage,
    chunks,
    json_of,
    key_of,
    recorded,
    replay,
    whole,
)

JSON = Any


def calls_of(completion: ChatCompletion) -> list[tuple[str, str, JSON]]:
    """Id, name and arguments of every call."""
    calls = completion.choices[0].message.tool_calls or []
    functions = [(c.id, c.function) for c in calls if c.type == "function"]
    return [(i, f.name, json.loads(f.arguments)) for i, f in functions]


def assembled(pieces: list[ChatCompletionChunk]) -> list[tuple[str, str, JSON]]:
    """The same from a stream's pieces, joined by their index."""
    calls: dict[int, list[str]] = {}
    for choice in (c for piece in pieces for c in piece.choices):
        for part in choice.delta.tool_calls or []:
            call = calls.setdefault(part.index, ["", "", ""])
            call[0] += part.id or ""
            if part.function is not None:
                call[1] += part.function.name or ""
                call[2] += part.function.arguments or ""
    assert list(calls) == list(range(len(calls)))
    return [(i, name, json.loads(arguments)) for i, name, arguments in calls.values()]


def finish_of(pieces: list[ChatCompletionChunk]) -> str | None:
    reasons = [c.finish_reason for piece in pieces for c in piece.choices if c.finish_reason]
    return reasons[-1] if reasons else None


@pytest.mark.parametrize(
    ("provider", "identity", "wanted"),
    [
        (
            "openai",
            "openai-cbec067f25",
            [
                ("call_jpE40AW1quMaiDYWNV4Aob6D", "get_current_weather", "San Francisco"),
                ("call_AZ51gEeXi37kKhFpXrcJzNQl", "get_current_weather", "Japan"),
            ],
        ),
        (
            "openai",
            "openai-d9a2631e01",
            [("call_PkRGedQNRFUzJp2R7dO7avWR", "get_user_country", "")],
        ),
    ],
    ids=["two calls", "one call"],
)
def test_recorded_calls_come_whole(
    stage: Stage, provider: str, identity: str, wanted: list[tuple[str, str, str]]
) -> None:
    exchange = recorded(provider, identity)
    stage.play(replay(exchange))
    found = whole(stage.client, exchange)
    assert calls_of(found) == [(i, n, {"location": x} if x else {}) for i, n, x in wanted]
    assert found.choices[0].finish_reason == "tool_calls"
    assert found.to_dict() == json_of(exchange)
    assert stage.asked.json()["tools"] == exchange.asks()["tools"]
    check_usage(stage.record(found._request_id), found.usage)


@pytest.mark.parametrize(
    ("provider", "identity", "names", "finish"),
    [
        ("openai", "openai-fcc71bc5c9", ["__mirascope_formatted_output_tool__"], "stop"),
        ("openai", "openai-45580dad78", ["get_book_info"], "tool_calls"),
        ("openai", "openai-f80701dd13", ["get_weather", "get_product_name"], "tool_calls"),
        (
            "openai_compat_other",
            "openai_compat_other-43e4981efb",
            ["add", "multiply"],
            "tool_calls",
        ),
        ("openrouter", "openrouter-b26562acd9", ["alpha", "beta"], "tool_calls"),
    ],
)
@pytest.mark.parametrize("piece", [1, 97, 100_000])
def test_recorded_calls_come_in_pieces_that_fit_together(
    stage: Stage, provider: str, identity: str, names: list[str], finish: str, piece: int
) -> None:
    exchange = recorded(provider, identity)
    stage.play(replay(exchange, piece))
    client = stage.client.with_options(api_key=key_of(provider))
    found = chunks(client, exchange)
    calls = assembled(found)
    assert [name for _, name, _ in calls] == names
    assert len({i for i, _, _ in calls}) == len(names)
    assert all(f'"{i}"' in exchange.body.decode() for i, _, _ in calls)
    assert finish_of(found) == finish
    if exchange.asks().get("stream_options"):
        check_usage(stage.record(), found[-1].usage)


def test_recorded_arguments_are_assembled_to_the_letter(stage: Stage) -> None:
    exchange = recorded("openrouter", "openrouter-b26562acd9")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("openrouter"))
    found = chunks(client, exchange)
    assert [arguments for _, _, arguments in assembled(found)] == [
        {"value": "red"},
        {"value": "blue"},
    ]


def test_the_stream_helper_assembles_parallel_calls(stage: Stage) -> None:
    exchange = recorded("openai", "openai-f80701dd13")
    stage.play(replay(exchange))
    asks = exchange.asks()
    helper = stage.client.chat.completions.stream(
        model=asks["model"],
        messages=asks["messages"],
        tools=asks["tools"],
        tool_choice="required",
        stream_options={"include_usage": True},
    )
    with helper as stream:
        done = [e.name for e in stream if e.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert done == ["get_weather", "get_product_name"]
    assert [name for _, name, _ in calls_of(final)] == done
    assert final.choices[0].finish_reason == "tool_calls"
    check_usage(stage.record(), final.usage)


def test_results_of_tools_reach_the_provider(stage: Stage) -> None:
    exchange = recorded("openai_compat_other", "openai_compat_other-8b14f6d8b6")
    stage.play(replay(exchange))
    client = stage.client.with_options(api_key=key_of("openai_compat_other"))
    found = whole(client, exchange)
    assert stage.asked.json()["messages"] == exchange.asks()["messages"]
    assert found.choices[0].finish_reason == "stop"
    assert found.choices[0].message.content == json_of(exchange)["choices"][0]["message"]["content"]
