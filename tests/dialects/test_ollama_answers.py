from __future__ import annotations

import json
from dataclasses import replace

import pytest

from oneapi.dialects.ollama import FACES, load_answer
from oneapi.dialects.ollama_shapes import CHAT, GENERATE
from oneapi.ir import (
    ChatResponse,
    Choice,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Usage,
)
from oneapi.wire.json import JSON
from tests.dialects.ollama_recorded import STAMP, parsed

AT = "2026-09-21T14:13:21.500000000Z"


def reply(*parts: Part, **members: JSON) -> ChatResponse:
    return ChatResponse(
        id="x",
        model="served",
        choices=[Choice(list(parts), "stop", native_stop="end_turn")],
        usage=Usage(input=7, output=3),
        source="another",
        raw_usage={"total": 10},
        extra={"system_fingerprint": "f"},
        **members,
    )


def rendered(answer: ChatResponse, operation: str = CHAT) -> JSON:
    return json.loads(FACES[operation].render_response(answer, parsed({"model": "m"}), STAMP))


def test_a_foreign_answer_has_ollamas_members_alone() -> None:
    parts: list[Part] = [Reasoning("hm"), Text("Hi"), Refusal("!"), ToolCall("c", "f", '{"x":1}')]
    assert rendered(reply(*parts, Opaque("another", {}))) == {
        "model": "served",
        "created_at": AT,
        "message": {
            "role": "assistant",
            "content": "Hi!",
            "thinking": "hm",
            "tool_calls": [
                {"id": "c", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}}
            ],
        },
        "done": True,
        "done_reason": "stop",
        "total_duration": 1_500_000_000,
        "load_duration": 0,
        "prompt_eval_count": 7,
        "prompt_eval_duration": 0,
        "eval_count": 3,
        "eval_duration": 1_500_000_000,
    }


def test_generate_says_response() -> None:
    found = rendered(reply(Text("Hi"), Media("image", data="QUJD")), GENERATE)
    assert (found["response"], found["image"], "message" in found) == ("Hi", "QUJD", False)
    assert "images" not in rendered(reply(Media("image", data="QUJD")))["message"]


def test_without_usage_there_are_no_counts() -> None:
    found = rendered(replace(reply(Text("Hi")), usage=None))
    assert "eval_count" not in found
    assert found["total_duration"] == 1_500_000_000


def test_an_answer_without_choices_is_empty() -> None:
    found = rendered(replace(reply(), choices=[]))
    assert (found["message"]["content"], found["done_reason"]) == ("", "stop")


def test_the_asked_name_is_shown() -> None:
    face = FACES[CHAT]
    stamp = replace(STAMP, model="asked")
    body = face.render_response(reply(Text("Hi")), parsed({"model": "m"}), stamp)
    assert json.loads(body)["model"] == "asked"


def test_log_probabilities_are_a_list() -> None:
    listed = [{"token": "Hi", "logprob": -0.1}]
    answer = reply(Text("Hi"))
    answer.choices[0].logprobs = {"content": listed}
    assert rendered(answer)["logprobs"] == listed


@pytest.mark.parametrize(
    ("unload", "generate", "content"),
    [
        (False, False, {"message": {"role": "assistant", "content": ""}}),
        (True, True, {"response": ""}),
    ],
)
def test_a_load_is_answered(unload: bool, generate: bool, content: JSON) -> None:
    assert json.loads(load_answer("m", STAMP, unload=unload, generate=generate)) == {
        "model": "m",
        "created_at": AT,
        **content,
        "done": True,
        "done_reason": "unload" if unload else "load",
    }
