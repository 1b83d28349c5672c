"""The library `openai` as it speaks to Azure: deployments in the path, a version in the query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import GREETING, VECTOR
from tests.e2e.clients.world import (
    ARGUMENTS,
    QUESTION,
    RESULT,
    SCHEMA,
    TOLD,
    TOOL,
    WRONG_KEY,
    World,
    check_records,
    check_replayed,
    library,
)
from tests.e2e.harness import KEY

openai: Any = library("openai")
JSON = Any

TOOLS = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
PROVIDERS = ["chat", "anthropic", "gemini"]


def made(world: World, key: str = KEY, **more: str) -> Any:
    return openai.AzureOpenAI(
        azure_endpoint=world.base, api_key=key, api_version="2024-10-21", max_retries=0, **more
    )


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with made(world) as found:
        yield found


def ask(client: Any, provider: str, messages: list[JSON], *, stream: bool) -> Any:
    request = {"model": f"on-{provider}", "messages": messages, "tools": TOOLS}
    if not stream:
        return client.chat.completions.create(**request).choices[0].message
    with client.chat.completions.stream(**request) as events:
        return events.get_final_completion().choices[0].message


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, stream: bool
) -> None:
    messages: list[JSON] = [{"role": "user", "content": QUESTION}]
    answer = ask(client, provider, messages, stream=stream)
    (call,) = answer.tool_calls
    assert json.loads(call.function.arguments) == ARGUMENTS
    function = {"name": TOOL, "arguments": call.function.arguments}
    called = {"id": call.id, "type": "function", "function": function}
    messages.append({"role": "assistant", "tool_calls": [called]})
    messages.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
    assert ask(client, provider, messages, stream=stream).content == TOLD
    if provider != "chat":
        check_replayed(world, provider if provider == "gemini" else "")
        check_records(world, provider, "openai-chat", False, False, stream=stream)


def test_a_deployment_may_be_named_once_for_all(world: World) -> None:
    """Azure does not look at the body's model."""
    with made(world, azure_deployment="on-anthropic") as client:
        messages = [{"role": "user", "content": "du"}]
        answer = client.chat.completions.create(model="whatever", messages=messages)
    assert answer.choices[0].message.content == f"{GREETING}du"
    assert world.last()[0]["model"] == "on-anthropic"


def test_vectors_are_made(client: Any) -> None:
    found = client.embeddings.create(model="embed-gemini", input=["a"])
    assert found.data[0].embedding == list(VECTOR)


def test_responses_are_asked_for_at_azures_path(client: Any) -> None:
    assert client.responses.create(model="on-gemini", input="du").output_text == f"{GREETING}du"


def test_errors_are_the_librarys_own(client: Any, world: World) -> None:
    messages = [{"role": "user", "content": "fail limited"}]
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="on-anthropic", messages=messages)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nobody", messages=messages)
    with made(world, WRONG_KEY) as stranger, pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="on-anthropic", messages=messages)
