"""Thoughts that a client dropped are put back, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.openai import restore_reasoning
from oneapi.dialects.openai_chat_shapes import Thought
from oneapi.ir import Reasoning, ToolCall

CALL = '{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}'
ASKED = '{ "role":"user", "content":"h\\u0069",  "weight":1.0E+2 }'
THINKING = '[{"type": "thinking"}]'
THOUGHT = ', "reasoning_content": %s'


def assistant(more: str = "", call: str = CALL) -> str:
    return f'{{ "role": "assistant", "content": null, "tool_calls": [{call}]{more} }}'


def restore(messages: str, *thoughts: Reasoning) -> str | None:
    def lookup(call: ToolCall) -> Sequence[Reasoning] | None:
        return thoughts if call == ToolCall("c1", "f", "{}") else None

    out = restore_reasoning(messages.encode(), lookup)
    return None if out is None else out.decode()


def test_a_thought_is_put_back_and_other_messages_keep_every_byte() -> None:
    out = restore(f"[{ASKED}, {assistant()}]", Reasoning("t"))
    assert out is not None
    assert out.startswith(f"[{ASKED},")
    assert json.loads(out)[1]["reasoning_content"] == "t"
    assert CALL in out


def test_signatures_come_back_as_details() -> None:
    out = restore(f"[{assistant()}]", Reasoning("t", "s"), Reasoning(data="d"))
    message = json.loads(out or "")[0]
    assert message["reasoning_content"] == "t"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "t", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "d"},
    ]


def test_a_thought_goes_back_where_it_came_from() -> None:
    detail = {"type": "reasoning.text", "format": "f", "index": 3}
    out = restore(f"[{assistant()}]", Thought("t", "s", member="reasoning", detail=detail))
    message = json.loads(out or "")[0]
    assert message["reasoning"] == "t"
    assert message["reasoning_details"] == [{**detail, "text": "t", "signature": "s"}]


@pytest.mark.parametrize(
    "messages",
    [
        "[]",
        f"[{ASKED}]",
        f"[{assistant(call=CALL.replace('c1', 'c2'))}]",
        "[" + assistant(THOUGHT % '"t"') + "]",
        "[" + assistant(', "reasoning_details": [1]') + "]",
        f"[{assistant().replace('assistant', 'user')}]",
        f"[{assistant().replace('null', THINKING)}]",
        '[{"role":"assistant","tool_calls":null}]',
        '[{"role":"assistant","tool_calls":3}]',
        "not JSON, but tool_calls",
        '{"tool_calls": 1}',
    ],
)
def test_nothing_changes_where_nothing_is_missing_or_known(messages: str) -> None:
    assert restore(messages, Reasoning("t")) is None


@pytest.mark.parametrize("empty", ["null", '""', "[]"])
def test_an_empty_thought_is_a_missing_one(empty: str) -> None:
    out = restore(f"[{assistant(THOUGHT % empty)}]", Reasoning("t"))
    assert json.loads(out or "")[0]["reasoning_content"] == "t"


@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(noise: bytes) -> None:
    messages = b'[{"role":"assistant","tool_calls":[{"id":"c1"}],' + noise + b"}]"
    restore_reasoning(messages, lambda _: [Reasoning("t")])
