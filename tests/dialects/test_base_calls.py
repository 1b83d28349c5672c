from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.base_calls import Restorer, wire_name
from oneapi.ir import (
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Text,
    Tool,
    ToolCall,
)

TOOLS = [
    Tool("plain"),
    Tool("my.tool"),
    Tool("inner", namespace="space"),
    Tool("patch", kind="custom"),
    Tool("web", kind="hosted", dialect="x"),
]


@given(st.text(max_size=200), st.text(max_size=20))
def test_a_wire_name_has_few_letters(name: str, namespace: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wire_name(name, namespace, most=64))


def test_a_name_that_fits_stays_and_others_stay_apart() -> None:
    assert wire_name("get-weather_2") == "get-weather_2"
    assert wire_name("tool", "space") == "space__tool"
    assert len({wire_name(name) for name in ("a.b", "a_b", "a b", "", "é")}) == 5


def test_events_of_calls_are_the_clients_own_again() -> None:
    events: list[Event] = [
        BlockStart(0, ToolCall("1", wire_name("my.tool"))),
        Delta(0, "{}"),
        BlockStop(0),
        BlockStart(1, ToolCall("2", "space__inner")),
        BlockStop(1),
        BlockStart(2, ToolCall("3", "patch")),
        Delta(2, '{"inp'),
        Delta(2, 'ut":"*** x\\n"}'),
        BlockStop(2),
        BlockStart(3, Text("")),
        Delta(3, "t"),
    ]
    assert Restorer(TOOLS).feed(events) == [
        BlockStart(0, ToolCall("1", "my.tool")),
        Delta(0, "{}"),
        BlockStop(0),
        BlockStart(1, ToolCall("2", "inner", namespace="space")),
        BlockStop(1),
        BlockStart(2, ToolCall("3", "patch", custom=True)),
        Delta(2, "*** x\n"),
        BlockStop(2),
        BlockStart(3, Text("")),
        Delta(3, "t"),
    ]


def test_a_whole_answer_is_too() -> None:
    parts = [ToolCall("1", "patch", '{"input":"x"}'), ToolCall("2", "plain", "{}")]
    reply = ChatResponse("r", "m", [Choice([*parts], "tool_calls")], None, "anthropic")
    restored = Restorer(TOOLS).restored(reply)
    assert restored.choices[0].parts == [ToolCall("1", "patch", "x", custom=True), parts[1]]


def test_a_custom_call_that_came_as_one_is_left_alone() -> None:
    call = BlockStart(0, ToolCall("3", "patch", custom=True))
    events: list[Event] = [call, Delta(0, "free"), BlockStop(0)]
    assert Restorer(TOOLS).feed(events) == events


def test_plain_tools_need_no_restoring() -> None:
    assert not Restorer([Tool("plain")]).needed
    assert Restorer(TOOLS).needed
