from __future__ import annotations

import copy
import json

import pytest

from oneapi.dialects.base import Hints
from oneapi.dialects.responses import CHAT_PROVIDER, NAME
from oneapi.dialects.responses_shapes import seal, unseal
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Media,
    Message,
    Opaque,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from oneapi.wire.json import JSON
from tests.dialects.responses_recorded import FACE, parsed

USER = Message("user", [Text("hi")])
TOOL = Tool("f", "d", {"type": "object", "properties": {"a": {}}})


def rendered(*messages: Message, **members: object) -> tuple[JSON, list[str]]:
    """The body for a provider, of a client of another dialect, and what was dropped."""
    chat = ChatRequest("m", list(messages) or [USER], "elsewhere", **members)  # type: ignore[arg-type]
    before = copy.deepcopy(chat)
    outgoing = CHAT_PROVIDER.render_request(chat, "real", Hints())
    assert chat == before
    return json.loads(outgoing.body), list(outgoing.dropped)


def items(*messages: Message) -> list[JSON]:
    body, dropped = rendered(*messages)
    assert not dropped
    return list(body["input"])


def refusal(*messages: Message, **members: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        rendered(*messages, **members)
    return caught.value


def test_a_plain_chat_is_stored_nowhere() -> None:
    assert rendered() == (
        {"model": "real", "input": [{"role": "user", "content": "hi"}], "store": False},
        [],
    )


def test_system_prompts_take_the_role_that_the_channel_wants() -> None:
    chat = ChatRequest("m", [Message("system", [Text("s")]), USER], "elsewhere")

    body = CHAT_PROVIDER.render_request(chat, "m", Hints(system_role="developer")).body

    assert json.loads(body)["input"][0] == {"role": "developer", "content": "s"}


def test_media_are_said_in_this_dialect() -> None:
    said = items(
        Message(
            "user",
            [
                Text("look"),
                Media("image", url="https://x.test/a.png", detail="high"),
                Media("image", data="QUJD", media_type="image/png"),
                Media("file", data="QUJD", media_type="application/pdf"),
                Media("file", file_id="file_1"),
                Media("file", text="plain", media_type="text/plain"),
            ],
        )
    )

    assert said[0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "high"},
        {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"},
        {
            "type": "input_file",
            "file_data": "data:application/pdf;base64,QUJD",
            "filename": "document.pdf",
        },
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_text", "text": "plain"},
    ]


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_sound_and_film_are_refused_by_name(kind: str) -> None:
    error = refusal(USER, Message("user", [Text("a"), Media(kind, data="QUJD")]))  # type: ignore[arg-type]

    assert (error.status, error.param) == (400, "messages[1].content[1]")


def test_calls_and_their_results_are_items() -> None:
    said = items(
        Message("assistant", [Text("a"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f")]),
        Message("tool", [ToolResult("c1", [Text("one")])]),
        Message(
            "tool", [ToolResult("c2", [Text("two"), Media("image", url="https://x.test/a.png")])]
        ),
    )

    assert said == [
        {"role": "assistant", "content": "a"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [
                {"type": "input_text", "text": "two"},
                {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
            ],
        },
    ]


def test_results_among_a_users_parts_keep_their_place() -> None:
    said = items(
        Message("assistant", [ToolCall("c1", "f")]),
        Message("user", [ToolResult("c1", [Text("one")]), Text("and?")]),
    )

    assert said[1:] == [
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {"role": "user", "content": "and?"},
    ]


def test_calls_without_ids_are_joined_to_their_results() -> None:
    said = items(
        Message("assistant", [ToolCall("", "f")]), Message("tool", [ToolResult("", [], "f")])
    )

    assert said[0]["call_id"] == said[1]["call_id"] != ""
    assert said[1]["output"] == ""


def test_custom_tools_are_known_here() -> None:
    body, dropped = rendered(
        USER,
        Message("assistant", [ToolCall("c", "g", "a text", custom=True)]),
        Message("tool", [ToolResult("c", [Text("ok")], custom=True)]),
        tools=[Tool("g", kind="custom", format={"type": "text"})],
        tool_choice=ToolChoice("required", ["g"]),
    )

    assert not dropped
    assert body["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "a text"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    assert body["tools"] == [{"type": "custom", "name": "g", "format": {"type": "text"}}]
    assert body["tool_choice"] == {"type": "custom", "name": "g"}


def test_functions_are_flat_and_no_stricter_than_they_were() -> None:
    body, _ = rendered(tools=[TOOL, Tool("g", strict=True)], tool_choice=ToolChoice("auto", ["f"]))

    assert body["tools"] == [
        {
            "type": "function",
            "name": "f",
            "description": "d",
            "parameters": {"type": "object", "properties": {"a": {}}},
            "strict": False,
        },
        {
            "type": "function",
            "name": "g",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    ]
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    }


def test_names_that_are_not_allowed_here_are_changed_everywhere() -> None:
    body, _ = rendered(
        Message("assistant", [ToolCall("c", "a.b")]),
        tools=[Tool("a.b")],
        tool_choice=ToolChoice("required", ["a.b"]),
    )

    name = body["tools"][0]["name"]
    assert name.startswith("a_b_")
    assert body["tool_choice"]["name"] == body["input"][0]["name"] == name


def test_how_to_answer_is_said_in_this_dialect() -> None:
    body, dropped = rendered(
        max_output=4,
        temperature=0.5,
        top_p=0.9,
        parallel_tools=False,
        tools=[TOOL],
        format=OutputFormat("json", {"type": "object"}, "n", strict=True),
        verbosity="low",
        thinking=Thinking("high", show=True),
        logprobs=True,
        top_logprobs=2,
        user="u",
        cache_key="k",
        stream=True,
    )

    assert not dropped
    assert body["max_output_tokens"] == 16
    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "n",
            "schema": {"type": "object"},
            "strict": True,
        },
        "verbosity": "low",
    }
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert (body["top_logprobs"], body["user"], body["prompt_cache_key"]) == (2, "u", "k")
    assert (body["parallel_tool_calls"], body["stream"]) == (False, True)


@pytest.mark.parametrize(
    ("budget", "effort"), [(512, "minimal"), (2048, "low"), (9000, "medium"), (30_000, "high")]
)
def test_a_budget_becomes_an_effort(budget: int, effort: str) -> None:
    body, _ = rendered(thinking=Thinking(budget=budget, enabled=True))

    assert body["reasoning"] == {"effort": effort}


def test_thinking_that_is_off_is_left_out_and_named() -> None:
    body, dropped = rendered(thinking=Thinking(enabled=False))

    assert "reasoning" not in body
    assert "include" not in body
    assert dropped == ["thinking"]


def test_what_cannot_be_said_is_named() -> None:
    _, dropped = rendered(
        Message("user", [Text("a", cache="5m", extra={"new": 1})], name="bob", extra={"x": 1}),
        Message("assistant", [Opaque("elsewhere", {}), Media("image", data="QQ=="), Text("b")]),
        Message("tool", [ToolResult("c", [Text("d")], error=True, cache="1h")]),
        stop=["x"],
        seed=1,
        top_k=3,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        extra={"logit_bias": {}},
        tools=[Tool("t", kind="hosted", dialect="elsewhere", data={}), Tool("f", cache="5m")],
    )

    assert set(dropped) == {
        "messages[0].name",
        "messages[0].x",
        "messages[0].content[0].new",
        "messages[0].content[0].cache_control",
        "messages[1].content[0]",
        "messages[1].content[1]",
        "messages[2].content[0].is_error",
        "messages[2].content[0].cache_control",
        "stop",
        "seed",
        "top_k",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "tools[0]",
        "tools[1].cache_control",
    }


def test_more_answers_than_one_are_refused() -> None:
    assert refusal(n=2).param == "n"
    assert refusal(modalities=["text", "audio"]).param == "modalities"
    assert rendered(n=1)[1] == []


def test_half_a_surrogate_pair_is_refused() -> None:
    assert refusal(Message("user", [Text("\ud800")])).status == 400


def test_thoughts_that_this_dialect_encrypted_go_back_with_what_followed_them() -> None:
    thought = Reasoning("sum", data="gAAA", summary=True, id="rs_1")

    said = items(Message("assistant", [thought, ToolCall("c", "f")]))

    assert said[0] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "sum"}],
        "encrypted_content": "gAAA",
    }
    assert said[1]["type"] == "function_call"


@pytest.mark.parametrize(
    "parts",
    [
        [Reasoning(data="gAAA")],
        [Reasoning("thought", signature="s"), Text("a")],
        [Reasoning("thought"), Text("a")],
    ],
)
def test_other_thoughts_are_dropped_by_name(parts: list[Part]) -> None:
    body, dropped = rendered(Message("assistant", parts))

    assert all(item.get("type") != "reasoning" for item in body["input"])
    assert len(dropped) == 1
    assert dropped[0].startswith("messages[0].")


def test_a_refusal_goes_back_as_one() -> None:
    assert items(Message("assistant", [Refusal("no")])) == [
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    ]


SEALED = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "shown"}],
    "encrypted_content": seal({"text": "thought", "signature": "s", "data": "d"}),
}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
NOTE = {"type": "reasoning", "summary": [], "id": "rs_2"} | {
    "encrypted_content": seal({"call": "c", "signature": "sig"})
}


def test_a_sealed_thought_is_its_makers_again() -> None:
    chat = parsed({"model": "m", "input": [SEALED, CALL]})

    assert chat.messages[0].parts[0] == Reasoning("thought", "s", "d")


@pytest.mark.parametrize("order", [[CALL, NOTE], [NOTE, CALL]])
def test_a_calls_signature_comes_back_to_it(order: list[JSON]) -> None:
    chat = parsed({"model": "m", "input": order})

    assert chat.messages[0].parts == [ToolCall("c", "f", "{}", signature="sig")]
    assert FACE.render_request(chat)["input"] == order


def test_our_own_notes_go_to_no_provider_of_this_dialect() -> None:
    chat = parsed({"model": "m", "input": [SEALED, CALL, NOTE]})
    outgoing = CHAT_PROVIDER.render_request(chat, "m", Hints())

    assert json.loads(outgoing.body)["input"] == [CALL]
    assert FACE.render_request(chat)["input"] == [SEALED, CALL, NOTE]


@pytest.mark.parametrize("text", ["gAAAA", "oneapi1.", "oneapi1.!!", "oneapi1.W10", ""])
def test_what_is_no_note_of_ours_is_left_alone(text: str) -> None:
    assert unseal(text) is None


def test_a_note_survives_its_seal() -> None:
    note = {"text": 'é\n"', "signature": "a/b+c=="}

    assert unseal(seal(note)) == note


def test_parts_that_were_put_in_leave_the_items_around_them_as_they_came() -> None:
    said = {"type": "message", "role": "assistant", "status": "completed", "id": "msg_1"}
    said["content"] = [{"type": "output_text", "text": "a", "annotations": []}]  # type: ignore[assignment]
    chat = parsed({"model": "m", "input": [said, CALL]})
    turn = chat.messages[0]
    turn.parts.insert(1, Reasoning(data="gAAA", id="rs_9"))

    body = json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body)

    thought = {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "gAAA"}
    assert body["input"] == [said, thought, CALL]


def test_a_medium_whose_bytes_were_fetched_is_said_anew() -> None:
    image = {"type": "input_image", "image_url": "https://x.test/a.png"}
    chat = parsed({"model": "m", "input": [{"role": "user", "content": [image]}, CALL]})
    chat.messages[0].parts[0] = Media("image", data="QUJD", media_type="image/png")

    body = json.loads(CHAT_PROVIDER.render_request(chat, "m", Hints()).body)

    assert body["input"][0]["content"][0]["image_url"] == "data:image/png;base64,QUJD"
    assert chat.source == NAME
