"""Calls and results are joined where a dialect does not say how."""

from __future__ import annotations

import gc
import time

from oneapi.dialects.base_turns import as_url, data_url, linked
from oneapi.ir import Media, Message, Part, ToolCall, ToolResult


def ids(*parts: Part) -> list[tuple[str, str]]:
    """(id, name) of calls and results after linking."""
    found = linked([Message("assistant", list(parts))])[0].parts
    return [
        (part.id if isinstance(part, ToolCall) else part.call_id, part.name)
        for part in found
        if isinstance(part, ToolCall | ToolResult)
    ]


def test_results_without_ids_go_to_calls_of_their_name_in_order() -> None:
    calls = (ToolCall("", "a"), ToolCall("", "b"), ToolCall("", "a"))
    results = (ToolResult("", [], "a"), ToolResult("", [], "a"), ToolResult("", [], "b"))
    made = ids(*calls, *results)
    assert made[3:] == [made[0], made[2], made[1]]


def test_a_result_without_a_name_goes_to_the_first_call_that_waits() -> None:
    assert ids(ToolCall("x", "a"), ToolCall("y", "b"), ToolResult("x", []), ToolResult("", [])) == [
        ("x", "a"),
        ("y", "b"),
        ("x", "a"),
        ("y", "b"),
    ]


def test_ids_are_the_same_at_every_turn() -> None:
    turn = (ToolCall("", "a"), ToolResult("", [], "a"))
    assert ids(*turn, *turn)[:2] == ids(*turn)


def test_linking_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        parts: list[Part] = [ToolCall("", "a") for _ in range(count)]
        parts += [ToolResult("", [], "other") for _ in range(count)]
        gc.disable()  # how long a collection takes is the whole process's affair
        try:
            start = time.perf_counter()
            ids(*parts)
            return time.perf_counter() - start
        finally:
            gc.enable()

    assert any(seconds(20_000) < 12 * seconds(5_000) for _ in range(6))


def test_a_data_url_is_read_and_written() -> None:
    assert data_url("data:image/png;base64,AAAA") == ("image/png", "AAAA")
    assert data_url("data:text/plain;charset=utf-8,hi%20you") == ("text/plain", "aGkgeW91")
    assert data_url("https://example.com/x.png") is None
    assert as_url(Media("image", data="AAAA", media_type="image/png")) == (
        "data:image/png;base64,AAAA"
    )
