"""The library `openai`, chat completions, against providers of every other dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import CACHED, CITY, FRESH, GREETING, MADE, OBJECT, SECOND, SHORT
from tests.e2e.clients.world import (
    ARGUMENTS,
    PDF,
    PLACE,
    PNG,
    QUESTION,
    RESULT,
    SCHEMA,
    TOLD,
    TOOL,
    World,
    check_records,
    library,
    others,
)
from tests.e2e.harness import KEY

openai: Any = library("openai")
JSON = Any

PROVIDERS = others("chat")
TOOLS = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with openai.OpenAI(api_key=KEY, base_url=f"{world.base}/v1", max_retries=0) as found:
        yield found


def ask(client: Any, provider: str, messages: list[JSON], *, stream: bool, **more: JSON) -> Any:
    """The final message's choice and the usage, whether streamed or not."""
    request = {"model": f"on-{provider}", "messages": messages, **more}
    if not stream:
        answer = client.chat.completions.create(**request)
        assert answer.model == f"on-{provider}"
        return answer.choices[0], answer.usage
    with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as events:
        for _ in events:
            pass
        answer = events.get_final_completion()
    assert answer.model == f"on-{provider}"
    return answer.choices[0], answer.usage


def user(text: str) -> JSON:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, stream: bool
) -> None:
    """Thinking is asked for; the library forgets the thought, the gateway puts it back."""
    messages = [{"role": "system", "content": "Be brief."}, user(QUESTION)]
    more = {"tools": TOOLS, "reasoning_effort": "low", "max_completion_tokens": 4000}
    choice, usage = ask(client, provider, messages, stream=stream, **more)
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == (TOOL, ARGUMENTS)
    assert (usage.prompt_tokens, usage.completion_tokens) == (FRESH + CACHED, MADE + 7)
    called = {
        "id": call.id,
        "type": "function",
        "function": {"name": TOOL, "arguments": call.function.arguments},
    }
    messages += [
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": call.id, "content": RESULT},
    ]
    choice, usage = ask(client, provider, messages, stream=stream, **more)
    assert (choice.message.content, choice.finish_reason) == (TOLD, "stop")
    assert (usage.prompt_tokens, usage.completion_tokens) == (FRESH + CACHED, MADE)
    check_records(world, provider, "openai-chat", True, False, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_tools_are_called_at_once(client: Any, provider: str, stream: bool) -> None:
    messages = [user("The weather in both?")]
    choice, _ = ask(client, provider, messages, stream=stream, tools=TOOLS)
    calls = choice.message.tool_calls
    assert [json.loads(c.function.arguments) for c in calls] == [{"city": CITY}, {"city": SECOND}]
    assert len({call.id for call in calls}) == 2
    function = [{"name": c.function.name, "arguments": c.function.arguments} for c in calls]
    called = [
        {"id": c.id, "type": "function", "function": f} for c, f in zip(calls, function, strict=True)
    ]
    messages.append({"role": "assistant", "content": None, "tool_calls": called})
    for call, result in zip(calls, ("17", "16"), strict=True):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    choice, _ = ask(client, provider, messages, stream=stream, tools=TOOLS)
    assert choice.message.content == f"{TOOL} said 17; {TOOL} said 16"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_and_its_end_arrive(client: Any, provider: str, stream: bool) -> None:
    choice, _ = ask(client, provider, [user("du")], stream=stream)
    assert (choice.message.content, choice.finish_reason) == (f"{GREETING}du", "stop")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_that_was_cut_off_says_so(client: Any, provider: str) -> None:
    choice, _ = ask(client, provider, [user("du")], stream=False, max_completion_tokens=SHORT)
    assert choice.finish_reason == "length"
    with pytest.raises(openai.LengthFinishReasonError):
        ask(client, provider, [user("du")], stream=True, max_completion_tokens=SHORT)
