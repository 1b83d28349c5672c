"""Thoughts that a client dropped come back with their calls."""

from __future__ import annotations

from oneapi.gateway.recall import Recall
from oneapi.ir import (
    ChatRequest,
    ChatResponse,
    Choice,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)

ALICE = ("alice", "laptop")
BOB = ("bob", "laptop")
THOUGHT = Reasoning("I must look it up.", signature="sig")
CALL = ToolCall("call_1", "look", "{}", signature="thought-sig")


def answer(*parts: Part) -> ChatResponse:
    return ChatResponse("r", "m", [Choice(list(parts), "tool_calls")], None, "anthropic")


def request(*parts: Part) -> ChatRequest:
    result = Message("tool", [ToolResult("call_1", [Text("found")])])
    return ChatRequest("m", [Message("assistant", list(parts)), result], "openai-chat")


def remembering(**bounds: int) -> Recall:
    recall = Recall(**bounds)
    recall.remember(ALICE, answer(THOUGHT, Text("Let me see."), CALL))
    return recall


def test_a_dropped_thought_comes_back_before_its_call() -> None:
    chat = remembering().restored(ALICE, request(Text("Let me see."), ToolCall("call_1", "look")))
    assert [type(part) for part in chat.messages[0].parts] == [Text, Reasoning, ToolCall]
    assert chat.messages[0].parts[1] == THOUGHT


def test_a_dropped_signature_comes_back_on_its_call() -> None:
    chat = remembering().restored(ALICE, request(ToolCall("call_1", "look")))
    call = chat.messages[0].parts[-1]
    assert isinstance(call, ToolCall)
    assert call.signature == "thought-sig"


def test_a_thought_that_the_client_kept_is_not_doubled() -> None:
    kept = request(THOUGHT, CALL)
    assert remembering().restored(ALICE, kept) is kept


def test_another_token_gets_nothing() -> None:
    theirs = request(ToolCall("call_1", "look"))
    assert remembering().restored(BOB, theirs) is theirs


def test_the_request_itself_is_not_changed() -> None:
    before = request(ToolCall("call_1", "look"))
    remembering().restored(ALICE, before)
    assert before == request(ToolCall("call_1", "look"))


def test_the_oldest_memory_goes_first() -> None:
    recall = remembering(entries=1)
    recall.remember(ALICE, answer(THOUGHT, ToolCall("call_2", "look")))
    assert recall.thoughts(ALICE, "call_1") == ()
    assert recall.thoughts(ALICE, "call_2") == (THOUGHT,)


def test_memory_is_bounded_in_characters() -> None:
    recall = remembering(characters=100)
    recall.remember(ALICE, answer(Reasoning("x" * 99), ToolCall("call_2", "look")))
    assert recall.thoughts(ALICE, "call_1") == ()
    recall.remember(ALICE, answer(Reasoning("x" * 101), ToolCall("call_3", "look")))
    assert recall.thoughts(ALICE, "call_3") == ()
