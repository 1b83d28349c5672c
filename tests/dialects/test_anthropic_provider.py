from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import pytest

from oneapi.dialects.anthropic import CHAT_PROVIDER, FACES
from oneapi.dialects.anthropic_forms import wrap
from oneapi.dialects.base import Hints, Outgoing
from oneapi.errors import ApiError
from oneapi.ir import (
    ChatRequest,
    Envelope,
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
from tests.dialects.anthropic_judge import judged_request
from tests.dialects.anthropic_recorded import EXCHANGES, Exchange, cases

USER = Message("user", [Text("hi")])
LOOK = Tool("look", "Looks.", {"type": "object", "properties": {"q": {"type": "string"}}})


def outgoing(*messages: Message, hints: Hints | None = None, **members: Any) -> Outgoing:
    chat = ChatRequest("asked", list(messages) or [USER], "openai-chat", **members)
    return CHAT_PROVIDER.render_request(chat, "claude", hints or Hints())


def body(*messages: Message, hints: Hints | None = None, **members: Any) -> JSON:
    """The rendered body, which the vendor's own types have accepted."""
    value = json.loads(outgoing(*messages, hints=hints, **members).body)
    judged_request(value)
    return value


def dropped(*messages: Message, **members: Any) -> Sequence[str]:
    return outgoing(*messages, **members).dropped


def user(*parts: Part) -> Message:
    return Message("user", list(parts))


def assistant(*parts: Part) -> Message:
    return Message("assistant", list(parts))


def tool(*parts: Part) -> Message:
    return Message("tool", list(parts))


def result(call_id: str, text: str) -> ToolResult:
    return ToolResult(call_id, [Text(text)])


@pytest.mark.parametrize("exchange", cases(EXCHANGES))
def test_a_recorded_request_goes_out_as_it_was(exchange: Exchange) -> None:
    chat = FACES["messages"].parse_request(exchange.request, Envelope("m"))
    out = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert json.loads(out.body) == {**exchange.request, "model": "m"}
    assert out.streams is bool(exchange.request.get("stream"))
    assert list(out.dropped) == []


def test_the_least_request() -> None:
    out = outgoing()
    assert json.loads(out.body) == {
        "model": "claude",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert (out.operation, out.headers) == ("messages", [(b"anthropic-version", b"2023-06-01")])


def test_the_models_own_limit_is_taken_where_the_client_has_none() -> None:
    assert body(hints=Hints(max_output=9000))["max_tokens"] == 9000
    assert body(hints=Hints(max_output=9000), max_output=5)["max_tokens"] == 5


def test_system_prompts_stand_apart() -> None:
    made = body(Message("system", [Text("a")]), Message("developer", [Text("b", cache="1h")]), USER)
    assert made["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]


def test_one_system_prompt_is_a_string() -> None:
    assert body(Message("system", [Text("a")]), USER)["system"] == "a"


def test_a_system_message_inside_the_conversation_is_the_users_text() -> None:
    made = body(USER, Message("system", [Text("be brief")]), assistant(Text("ok")), USER)
    assert made["messages"][0]["content"] == [
        {"type": "text", "text": "hi"},
        {"type": "text", "text": "<system>\nbe brief\n</system>"},
    ]


def test_it_stays_where_the_option_says_so() -> None:
    hints = Hints(options={"system_inside": "keep"})
    made = body(USER, Message("system", [Text("be brief")]), hints=hints)
    assert made["messages"][1] == {"role": "system", "content": "be brief"}


def test_an_own_system_message_can_be_made_the_users_text() -> None:
    request = {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}
    chat = FACES["messages"].parse_request({**request, "system": "s"}, Envelope("m"))
    hints = Hints(options={"system_inside": "user"})
    made = json.loads(CHAT_PROVIDER.render_request(chat, "m", hints).body)
    assert made["system"] == "s"
    assert made["messages"][1] == {"role": "user", "content": "<system>\nb\n</system>"}


def test_a_conversation_of_system_prompts_alone_is_the_users() -> None:
    made = body(Message("system", [Text("tell me")]))
    assert made["messages"] == [{"role": "user", "content": "tell me"}]
    assert "system" not in made


def test_turns_of_one_role_become_one() -> None:
    made = body(user(Text("a")), user(Text("b")), assistant(Text("c")), assistant(Text("d")), USER)
    assert [m["role"] for m in made["messages"]] == ["user", "assistant", "user"]


def test_results_come_first_in_one_turn() -> None:
    made = body(
        USER,
        assistant(ToolCall("a", "look", "{}"), ToolCall("b", "look", "")),
        tool(result("a", "1")),
        user(Text("also")),
        tool(result("b", "2")),
        tools=[LOOK],
    )
    assert [b["type"] for b in made["messages"][1]["content"]] == ["tool_use", "tool_use"]
    assert [b.get("tool_use_id") for b in made["messages"][2]["content"]] == ["a", "b", None]


def test_empty_texts_and_turns_are_left_out() -> None:
    made = body(user(Text(""), Text("a")), assistant(Text(" ")), user(Text("b")))
    assert made["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ]


def test_an_assistant_that_begins_gets_a_word_before_it() -> None:
    made = body(assistant(Text("hello")), USER)
    assert [m["role"] for m in made["messages"]] == ["user", "assistant", "user"]


def test_a_beginning_to_be_continued_ends_without_space() -> None:
    assert body(USER, assistant(Text("so: ")))["messages"][-1]["content"] == "so:"


def test_arguments_become_objects_and_ids_few_letters() -> None:
    made = body(
        USER,
        assistant(ToolCall("call|é.1", "my.tool", "not json")),
        tool(ToolResult("call|é.1", [Text("r")], error=True)),
        tools=[Tool("my.tool")],
    )
    call, answer = made["messages"][1]["content"][0], made["messages"][2]["content"][0]
    assert call["input"] == {"input": "not json"}
    assert call["name"] == made["tools"][0]["name"] != "my.tool"
    assert call["id"] == answer["tool_use_id"]
    assert set(call["id"] + call["name"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert answer["is_error"] is True


def test_calls_without_ids_are_joined_to_their_results() -> None:
    made = body(
        USER,
        assistant(ToolCall("", "look")),
        tool(ToolResult("", [Text("r")], name="look")),
        tools=[LOOK],
    )
    assert (
        made["messages"][1]["content"][0]["id"]
        == made["messages"][2]["content"][0]["tool_use_id"]
        == "call_1"
    )


def test_a_history_of_calls_without_tools_gets_their_names() -> None:
    made = body(USER, assistant(ToolCall("a", "look")), tool(result("a", "1")))
    assert made["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert made["tool_choice"] == {"type": "none"}


def test_results_hold_images() -> None:
    parts: list[Part] = [Text("see"), Media("image", data="iVBORw0", media_type="image/png")]
    made = body(USER, assistant(ToolCall("a", "look")), tool(ToolResult("a", parts)), tools=[LOOK])
    assert [b["type"] for b in made["messages"][2]["content"][0]["content"]] == ["text", "image"]


PDF = "JVBERi0xLjQ="


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Media("image", url="https://e.org/a"),
            {"type": "image", "source": {"type": "url", "url": "https://e.org/a"}},
        ),
        (
            Media("image", data="/9j/4AA"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AA"},
            },
        ),
        (
            Media("file", data=PDF, filename="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            },
        ),
        (
            Media("file", data=b64encode(b"words").decode(), media_type="text/csv"),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "words"},
            },
        ),
        (
            Media("file", file_id="file_1"),
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
    ],
)
def test_media_become_blocks(part: Media, block: JSON) -> None:
    made = json.loads(outgoing(user(part, Text("?"))).body)
    assert made["messages"][0]["content"][0] == block


def test_files_need_their_beta() -> None:
    headers = dict(outgoing(user(Media("file", file_id="f"))).headers)
    assert headers[b"anthropic-beta"] == b"files-api-2025-04-14"


@pytest.mark.parametrize(
    "part",
    [
        Media("audio", data="aGk=", media_type="audio/wav"),
        Media("video", url="https://e.org/v"),
        Media("image", url="gs://bucket/a.png"),
        Media("file", data="aGk=", media_type="application/zip"),
    ],
)
def test_media_it_cannot_take_are_refused_by_name(part: Media) -> None:
    with pytest.raises(ApiError) as caught:
        outgoing(user(Text("a"), part))
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content[1]")


def test_addresses_are_fetched_only_for_hosts_that_take_none() -> None:
    chat = ChatRequest("m", [user(Media("image", url="https://e.org/a"))], "openai-chat")
    assert list(CHAT_PROVIDER.fetches(chat, Hints())) == []
    hints = Hints(options={"fetch_urls": True})
    assert list(CHAT_PROVIDER.fetches(chat, hints)) == ["https://e.org/a"]


def test_thoughts_go_back_only_where_something_vouches_for_them() -> None:
    message = assistant(
        Reasoning("a", signature="sig"),
        Reasoning(data="enc"),
        Reasoning("b"),
        Reasoning("c", data="enc", id="rs_1"),
        Text("ok"),
    )
    out = outgoing(USER, message, USER)
    blocks = json.loads(out.body)["messages"][1]["content"]
    assert [b["type"] for b in blocks] == ["thinking", "redacted_thinking", "text"]
    assert list(out.dropped) == ["messages[1].content[2]", "messages[1].content[3]"]


def test_another_providers_thought_does_not_go_to_this_one() -> None:
    thought = {"type": "thinking", "thinking": "t", "signature": wrap(Reasoning("t", data="e"))}
    request = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": [thought]},
        ]
    }
    chat = FACES["messages"].parse_request(request, Envelope("m"))
    out = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert len(json.loads(out.body)["messages"]) == 2
    assert list(out.dropped) == ["messages[1].content[0]", "messages[2].content[0]"]


@pytest.mark.parametrize(
    ("choice", "parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("required"), None, {"type": "any"}),
        (
            ToolChoice("required", ["look"]),
            False,
            {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_choices_of_tools(choice: ToolChoice | None, parallel: bool | None, written: JSON) -> None:
    made = body(USER, tools=[LOOK], tool_choice=choice, parallel_tools=parallel)
    assert made.get("tool_choice") == written


def test_a_choice_among_several_confines_the_tools() -> None:
    made = body(
        USER,
        tools=[LOOK, Tool("a"), Tool("b")],
        tool_choice=ToolChoice("required", ["a", "b"]),
    )
    assert [t["name"] for t in made["tools"]] == ["a", "b"]
    assert made["tool_choice"] == {"type": "any"}


def test_a_custom_tool_takes_one_string() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    made = body(USER, tools=[Tool("patch", "Patches.", kind="custom", format=grammar)])
    assert made["tools"][0]["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert "lark" in made["tools"][0]["description"]


def test_strict_tools_are_closed_and_hosted_ones_named() -> None:
    hosted = Tool("web_search", kind="hosted", dialect="openai-responses", data={})
    strict = Tool("a", schema={"type": "object", "properties": {}}, strict=True)
    out = outgoing(USER, tools=[hosted, strict])
    (made,) = json.loads(out.body)["tools"]
    assert (made["strict"], made["input_schema"]["additionalProperties"]) == (True, False)
    assert list(out.dropped) == ["tools[0]"]


def test_a_schema_of_the_answer_is_closed_and_its_limits_told() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    made = body(USER, format=OutputFormat("json", schema, "answer", strict=True))
    assert made["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": '{"minimum":1}'}},
            "additionalProperties": False,
        },
    }
    assert schema["properties"] == {"n": {"type": "integer", "minimum": 1}}


def test_any_json_is_asked_for_in_words() -> None:
    made = body(Message("system", [Text("s")]), USER, format=OutputFormat("json"))
    assert made["system"].startswith("s\n\nAnswer with one JSON object")


def test_an_effort_is_adaptive_thought() -> None:
    made = body(USER, thinking=Thinking(effort="minimal"), temperature=0.3, top_k=5)
    assert made["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert made["output_config"] == {"effort": "low"}
    assert {"temperature", "top_k"}.isdisjoint(made)


def test_no_effort_is_no_thought() -> None:
    assert body(USER, thinking=Thinking(effort="none"))["thinking"] == {"type": "disabled"}


BUDGET = Hints(options={"thinking": "budget"})


@pytest.mark.parametrize(
    ("thinking", "limit", "budget", "max_tokens"),
    [
        (Thinking(effort="low"), None, 2048, 6144),
        (Thinking(effort="high"), 4000, 2000, 4000),
        (Thinking(budget=100), None, 1024, 5120),
        (Thinking(effort="low"), 1500, None, 1500),
    ],
)
def test_a_budget_stays_within_its_limits(
    thinking: Thinking, limit: int | None, budget: int | None, max_tokens: int
) -> None:
    made = body(USER, thinking=thinking, max_output=limit, hints=BUDGET)
    assert made.get("thinking", {}).get("budget_tokens") == budget
    assert made["max_tokens"] == max_tokens


def test_a_forced_call_leaves_no_room_for_thought() -> None:
    out = outgoing(
        USER, thinking=Thinking(effort="high"), tools=[LOOK], tool_choice=ToolChoice("required")
    )
    assert "thinking" not in json.loads(out.body)
    assert list(out.dropped) == ["reasoning_effort"]


def test_a_budget_needs_the_thought_before_the_calls_being_answered() -> None:
    turns = [USER, assistant(ToolCall("a", "look")), tool(result("a", "1"))]
    thought = [USER, assistant(Reasoning("t", "sig"), ToolCall("a", "look")), turns[2]]
    wanted: JSON = {"thinking": Thinking(effort="low"), "tools": [LOOK], "hints": BUDGET}
    assert "thinking" not in body(*turns, **wanted)
    assert "thinking" in body(*thought, **wanted)


def test_numbers_are_kept_within_the_format() -> None:
    out = outgoing(USER, temperature=1.7)
    assert json.loads(out.body)["temperature"] == 1
    assert len(out.warnings) == 1


def test_of_temperature_and_top_p_one_is_taken() -> None:
    assert body(USER, top_p=0.5)["top_p"] == 0.5
    assert list(dropped(USER, top_p=0.5, temperature=0.2)) == ["top_p"]
    assert list(dropped(USER, top_p=1.0, temperature=0.2)) == []


def test_stops_of_white_space_are_dropped_by_name() -> None:
    out = outgoing(USER, stop=["\n", "END", ""])
    assert json.loads(out.body)["stop_sequences"] == ["END"]
    assert list(out.dropped) == ["stop[0]", "stop[2]"]


def test_what_the_format_cannot_say_is_named() -> None:
    message = Message("user", [Text("a", extra={"odd": 1}), Refusal("b")], name="bob")
    assert sorted(
        dropped(
            message,
            seed=1,
            presence_penalty=0.5,
            frequency_penalty=0.5,
            logprobs=True,
            top_logprobs=2,
            verbosity="low",
            cache_key="k",
            service_tier="flex",
            extra={"logit_bias": {"1": 2}, "store": None},
            tools=[Tool("t", extra={"odd": 1})],
        )
    ) == sorted(
        [
            *("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
            *("verbosity", "prompt_cache_key", "service_tier", "logit_bias", "tools[0].odd"),
            *("messages[0].name", "messages[0].content[0].odd"),
        ]
    )


@pytest.mark.parametrize(
    ("members", "param"),
    [({"n": 2}, "n"), ({"modalities": ["text", "audio"]}, "modalities")],
)
def test_what_must_not_be_dropped_is_refused(members: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        outgoing(USER, **members)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_users_and_tiers_have_their_own_words() -> None:
    made = body(USER, user="u1", service_tier="default", stream=False, n=1)
    assert (made["metadata"], made["service_tier"]) == ({"user_id": "u1"}, "standard_only")


def test_of_more_than_four_marks_the_last_stay() -> None:
    texts = [Text(str(n), cache="5m") for n in range(6)]
    out = outgoing(user(*texts))
    marked = ["cache_control" in b for b in json.loads(out.body)["messages"][0]["content"]]
    assert marked == [False, False, True, True, True, True]
    assert list(out.dropped) == [f"messages[0].content[{n}].cache_control" for n in (0, 1)]


def test_blocks_of_the_format_pass_from_wherever_they_come() -> None:
    made = json.loads(
        outgoing(user(Opaque("anthropic", {"type": "container_upload", "file_id": "f"}))).body
    )
    assert made["messages"][0]["content"] == [{"type": "container_upload", "file_id": "f"}]
    assert list(dropped(user(Text("a"), Opaque("gemini", {})))) == ["messages[0].content[1]"]


def test_a_request_is_not_changed_by_rendering_it() -> None:
    chat = ChatRequest(
        "m",
        [Message("system", [Text("s")]), USER, Message("system", [Text("t", cache="5m")])],
        "openai-chat",
        tools=[Tool("a", schema={"type": "object"}, strict=True)],
        format=OutputFormat("json"),
    )
    before = repr(chat)
    first = CHAT_PROVIDER.render_request(chat, "m", Hints())
    assert repr(chat) == before
    assert CHAT_PROVIDER.render_request(chat, "m", Hints()).body == first.body


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        outgoing(user(Text("\ud800")))
    assert caught.value.status == 400
