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


def test_a_dropped_thought_comes_back_before_all_that_it_stood_before() -> None:
    chat = remembering().restored(
        ALICE, request(Text("Let me see."), ToolCall("call_1", "look")), "anthropic"
    )
    assert [type(part) for part in chat.messages[0].parts] == [Reasoning, Text, ToolCall]
    assert chat.messages[0].parts[0] == THOUGHT


def test_a_dropped_thought_that_came_after_a_text_comes_back_there() -> None:
    recall = Recall()
    recall.remember(ALICE, answer(Text("Let me see."), THOUGHT, CALL))
    chat = recall.restored(
        ALICE, request(Text("Let me see."), ToolCall("call_1", "look")), "anthropic"
    )
    assert [type(part) for part in chat.messages[0].parts] == [Text, Reasoning, ToolCall]


def test_a_dropped_signature_comes_back_on_its_call() -> None:
    chat = remembering().restored(ALICE, request(ToolCall("call_1", "look")), "anthropic")
    call = chat.messages[0].parts[-1]
    assert isinstance(call, ToolCall)
    assert call.signature == "thought-sig"


def test_a_thought_that_the_client_kept_is_not_doubled() -> None:
    kept = request(THOUGHT, CALL)
    assert remembering().restored(ALICE, kept, "anthropic") is kept


def test_another_token_gets_nothing() -> None:
    theirs = request(ToolCall("call_1", "look"))
    assert remembering().restored(BOB, theirs, "anthropic") is theirs


def test_the_request_itself_is_not_changed() -> None:
    before = request(ToolCall("call_1", "look"))
    remembering().restored(ALICE, before, "anthropic")
    assert before == request(ToolCall("call_1", "look"))


def test_the_oldest_memory_goes_first() -> None:
    recall = remembering(entries=1)
    recall.remember(ALICE, answer(THOUGHT, ToolCall("call_2", "look")))
    assert recall.thoughts(ALICE, ToolCall("call_1", "look"), "anthropic") == ()
    assert recall.thoughts(ALICE, ToolCall("call_2", "look"), "anthropic") == (THOUGHT,)


def test_memory_is_bounded_in_characters() -> None:
    recall = remembering(characters=100)
    recall.remember(ALICE, answer(Reasoning("x" * 90), ToolCall("call_2", "look")))
    assert recall.thoughts(ALICE, ToolCall("call_1", "look"), "anthropic") == ()
    recall.remember(ALICE, answer(Reasoning("x" * 101), ToolCall("call_3", "look")))
    assert recall.thoughts(ALICE, ToolCall("call_3", "look"), "anthropic") == ()


def test_a_call_without_an_id_is_known_by_its_name_and_arguments() -> None:
    recall = Recall()
    recall.remember(ALICE, answer(THOUGHT, ToolCall("call_9", "look", '{"a":1,"b":[2]}')))
    chat = recall.restored(ALICE, request(ToolCall("", "look", '{"b": [2], "a": 1}')), "anthropic")
    assert chat.messages[0].parts[0] == THOUGHT
    other = request(ToolCall("", "look", '{"a": 2}'))
    assert recall.restored(ALICE, other, "anthropic") is other


def test_a_forgotten_call_is_not_found_by_its_arguments_either() -> None:
    recall = remembering(entries=1)
    recall.remember(ALICE, answer(THOUGHT, ToolCall("call_2", "other", "no object")))
    forgotten = request(ToolCall("", "look", "{}"))
    assert recall.restored(ALICE, forgotten, "anthropic") is forgotten
    chat = recall.restored(ALICE, request(ToolCall("", "other", "no object")), "anthropic")
    assert chat.messages[0].parts[0] == THOUGHT


def test_a_thought_that_came_back_unsigned_is_signed_again() -> None:
    bare = request(Reasoning(THOUGHT.text), Text("Let me see."), ToolCall("call_1", "look", "{}"))
    chat = remembering().restored(ALICE, bare, "anthropic")
    assert chat.messages[0].parts == [THOUGHT, Text("Let me see."), CALL]


def test_a_thought_that_nobody_signed_is_left_as_it_came() -> None:
    recall = Recall()
    recall.remember(ALICE, answer(Reasoning("Look."), ToolCall("call_1", "look", "{}")))
    came = request(Reasoning("Look, shortly."), ToolCall("call_1", "look", "{}"))
    assert recall.restored(ALICE, came, "anthropic") is came


def test_what_one_dialect_signed_is_nothing_to_another() -> None:
    bare = request(ToolCall("call_1", "look", "{}"))
    assert remembering().restored(ALICE, bare, "gemini") is bare
    nameless = request(ToolCall("", "look", "{}"))
    assert remembering().restored(ALICE, nameless, "gemini") is nameless


def test_another_call_of_the_same_id_gets_no_thought() -> None:
    recall = Recall()
    recall.remember(ALICE, answer(THOUGHT, ToolCall("look:0", "look", '{"q": 1.0}')))
    other = request(ToolCall("look:0", "look", '{"q": 2}'))
    assert recall.restored(ALICE, other, "anthropic") is other
    same = recall.restored(ALICE, request(ToolCall("look:0", "look", '{"q":1}')), "anthropic")
    assert same.messages[0].parts[0] == THOUGHT
