"""Thoughts written into the text become blocks of their own, wherever the stream is cut."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.dialects.base_gather import gather, replay
from oneapi.dialects.base_think import MAX_BLANK, ThinkSplitter, split_response
from oneapi.ir import (
    Annotation,
    BlockStart,
    BlockStop,
    ChatResponse,
    Choice,
    Delta,
    Event,
    Finish,
    Part,
    Reasoning,
    Spent,
    Start,
    Text,
    ToolCall,
    Usage,
)

THOUGHT = "<think>\nI think\n</think>\n\nAn answer"
TEXTS = [
    ("no tag", [Text("no tag")]),
    (THOUGHT, [Reasoning("\nI think\n"), Text("An answer")]),
    ("\n <think>a</think>b", [Reasoning("a"), Text("b")]),
    ("<think>\n\n</think>\n\nb", [Text("b")]),
    ("<think>never closed", [Reasoning("never closed")]),
    ("<think>a</think>", [Reasoning("a")]),
    ("<thinking>a", [Text("<thinking>a")]),
    ("a <think>b</think>", [Text("a <think>b</think>")]),
    ("<think>a</think>b <think>c</think>", [Reasoning("a"), Text("b <think>c</think>")]),
    ("<think>a</thin", [Reasoning("a</thin")]),
    ("<think>a </b> < / think></think>c", [Reasoning("a </b> < / think>"), Text("c")]),
    ("<thi", [Text("<thi")]),
    ("  ", [Text("  ")]),
    ("", [Text("")]),
]


def stream(pieces: Iterable[str]) -> list[Event]:
    deltas: list[Event] = [Delta(0, piece) for piece in pieces]
    head: list[Event] = [Start("1", "m"), BlockStart(0, Text(""))]
    return [*head, *deltas, BlockStop(0), Finish("stop")]


def parts_of(events: Iterable[Event], splitter: ThinkSplitter) -> list[Part]:
    out = [new for event in events for new in splitter.feed([event])]
    return gather([*out, *splitter.close()], "d").choices[0].parts


def reply(text: str) -> ChatResponse:
    return ChatResponse("1", "m", [Choice([Text(text)], "stop")], None, "d")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_thought_is_taken_out_however_it_is_cut(
    text: str, expected: list[Part], size: int
) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert parts_of(stream(pieces), ThinkSplitter()) == expected


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_a_whole_answer_is_split_like_a_stream(text: str, expected: list[Part]) -> None:
    assert split_response(reply(text)).choices[0].parts == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I think</think>\n\nb", [Reasoning("I think"), Text("b")]),
        ("<think>I think</think>b", [Reasoning("I think"), Text("b")]),
        ("cut off", [Reasoning("cut off")]),
    ],
)
def test_a_template_may_have_written_the_opening_tag(text: str, expected: list[Part]) -> None:
    assert parts_of(stream(text), ThinkSplitter(implicit_open=True)) == expected
    assert split_response(reply(text), implicit_open=True).choices[0].parts == expected


def test_other_tags_may_be_named() -> None:
    splitter = ThinkSplitter("<reasoning>", "</reasoning>")
    parts = parts_of(stream("<reasoning>a</reasoning>b"), splitter)
    assert parts == [Reasoning("a"), Text("b")]


def test_blocks_that_follow_are_numbered_anew() -> None:
    events = stream([THOUGHT])
    call: list[Event] = [BlockStart(1, ToolCall("c", "f")), Delta(1, "{}"), BlockStop(1)]
    out = ThinkSplitter().feed([*events[:-1], *call, events[-1]])
    starts = [(e.index, type(e.part)) for e in out if isinstance(e, BlockStart)]
    assert starts == [(0, Reasoning), (1, Text), (2, ToolCall)]
    assert gather(out, "d").choices[0].parts[2] == ToolCall("c", "f", "{}")


def test_choices_are_split_apart_from_each_other() -> None:
    events: list[Event] = [
        Start("1", "m"),
        BlockStart(0, Text(""), 0),
        BlockStart(1, Text(""), 1),
        Delta(0, "<think>a</th"),
        Delta(1, "b"),
        Delta(0, "ink>c"),
        BlockStop(0),
        BlockStop(1),
        Finish("stop", 0),
        Finish("stop", 1),
    ]
    splitter = ThinkSplitter()
    found = gather([*splitter.feed(events), *splitter.close()], "d")
    assert [c.parts for c in found.choices] == [[Reasoning("a"), Text("c")], [Text("b")]]


def test_log_probabilities_and_citations_are_kept() -> None:
    events: list[Event] = [
        Start("1", "m"),
        BlockStart(0, Text("")),
        Delta(0, "<thi", logprobs={"content": [1]}),
        Delta(0, "nk>a</think>b", logprobs={"content": [2]}),
        Annotation(0, {"url": "u"}),
        BlockStop(0),
        Finish("stop"),
        Spent(Usage(input=1)),
    ]
    choice = gather(ThinkSplitter().feed(events), "d").choices[0]
    assert choice.logprobs == {"content": [1, 2]}
    assert choice.parts[1] == Text("b", annotations=[{"url": "u"}])


def test_text_that_a_broken_stream_left_comes_at_the_end() -> None:
    splitter = ThinkSplitter()
    out = splitter.feed(stream(["<think>a</thi"])[:-2])
    assert [e.text for e in out if isinstance(e, Delta)] == ["a"]
    rest = splitter.close()
    assert [e.text for e in rest if isinstance(e, Delta)] == ["</thi"]
    assert isinstance(rest[-1], BlockStop)


def test_white_space_is_not_held_back_for_ever() -> None:
    splitter = ThinkSplitter()
    out = splitter.feed(stream([" "] * (MAX_BLANK + 1))[:-2])
    assert sum(len(e.text) for e in out if isinstance(e, Delta)) == MAX_BLANK + 1


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", " ", "\n", "a", "</th"])),
    st.booleans(),
)
def test_a_stream_says_what_the_whole_answer_says(pieces: list[str], implicit: bool) -> None:
    whole = split_response(reply("".join(pieces)), implicit_open=implicit)
    parts = parts_of(stream(pieces), ThinkSplitter(implicit_open=implicit))
    assert said(parts) == said(whole.choices[0].parts)


def said(parts: list[Part]) -> list[tuple[type[Part], str]]:
    return [(type(p), p.text) for p in parts if isinstance(p, (Text, Reasoning)) and p.text]


def test_an_answer_without_tags_is_left_as_it_is() -> None:
    events = list(replay(reply("plain")))
    assert ThinkSplitter().feed(events) == events
