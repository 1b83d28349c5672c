"""What a request's input is, about, for whatever client and in a few milliseconds."""

from __future__ import annotations

import time

from oneapi.gateway.counting import input_tokens
from oneapi.ir import ChatRequest, Media, Message, Opaque, Part, Text, Tool


def chat(count: int, *parts: Part, tools: int = 0) -> ChatRequest:
    message = Message("user", list(parts) or [Text("hello hello hello hello hello")])
    tool = Tool("look", "Looks something up.", {"type": "object"})
    return ChatRequest("m", [message] * count, "openai-chat", tools=[tool] * tools)


def test_many_messages_count_as_many() -> None:
    few, many = input_tokens(chat(1000)), input_tokens(chat(100_000))
    assert abs(many / few - 100) < 2


def test_many_tools_count_as_many() -> None:
    few, many = input_tokens(chat(1, tools=1000)), input_tokens(chat(1, tools=100_000))
    assert abs(many / few - 100) < 2


def test_a_hundred_thousand_messages_take_no_longer_than_two_thousand() -> None:
    long = chat(100_000)
    began = time.perf_counter()
    input_tokens(long)
    assert time.perf_counter() - began < 0.1


def test_a_picture_counts_as_one() -> None:
    assert 700 < input_tokens(chat(1, Media("image", url="https://example.com/a.png"))) < 900


def test_half_a_surrogate_is_counted_and_not_an_accident() -> None:
    odd = Opaque("openai-chat", {"type": "odd", "text": "\ud800"})
    assert input_tokens(chat(1, Text("\ud800"), odd)) > 0
