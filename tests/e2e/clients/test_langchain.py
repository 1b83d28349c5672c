"""LangChain's packages for OpenAI and Anthropic against providers of other dialects."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import CACHED, FRESH, GREETING, MADE, THOUGHT, VECTOR
from tests.e2e.clients.world import (
    ARGUMENTS,
    PLACE,
    QUESTION,
    RESULT,
    SCHEMA,
    TOLD,
    TOOL,
    WRONG_KEY,
    World,
    check_records,
    check_replayed,
    data_url,
    library,
)
from tests.e2e.clients.world import PNG as PICTURE
from tests.e2e.harness import KEY

messages: Any = library("langchain_core.messages")
for_openai: Any = library("langchain_openai")
for_anthropic: Any = library("langchain_anthropic")
openai: Any = library("openai")
anthropic: Any = library("anthropic")
JSON = Any

TOOLS = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
CHATS = ("chat", "responses", "anthropic")
FOREIGN = [
    ("chat", "anthropic"),
    ("chat", "gemini"),
    ("chat", "bedrock"),
    ("chat", "responses"),
    ("responses", "chat"),
    ("responses", "anthropic"),
    ("responses", "gemini"),
    ("anthropic", "chat"),
    ("anthropic", "responses"),
    ("anthropic", "gemini"),
    ("anthropic", "ollama"),
]
"""How LangChain speaks, and what the provider does."""
DIALECTS = {"chat": "openai-chat", "responses": "openai-responses", "anthropic": "anthropic"}


def made(world: World, kind: str, provider: str, *, key: str = KEY, **more: JSON) -> Any:
    """LangChain's model of one kind, thinking."""
    model = f"on-{provider}"
    if kind == "anthropic":
        more = {"thinking": {"type": "enabled", "budget_tokens": 1024}, **more}
        return for_anthropic.ChatAnthropic(
            model=model, api_key=key, base_url=world.base, max_tokens=4000, max_retries=0, **more
        )
    if kind == "responses":
        reasoning = {"effort": "low", "summary": "auto"}
        sealed = {"include": ["reasoning.encrypted_content"], "store": False}
        more = {"use_responses_api": True, "reasoning": reasoning, **sealed, **more}
    else:
        more = {"use_responses_api": False, "reasoning_effort": "low", **more}
    return for_openai.ChatOpenAI(
        model=model,
        api_key=key,
        base_url=f"{world.base}/v1",
        max_retries=0,
        max_tokens=4000,
        stream_usage=True,
        **more,
    )


def ask(model: Any, turns: list[Any], *, stream: bool) -> Any:
    """The answer; of a stream the sum of its chunks, as an agent keeps it."""
    return reduce(add, list(model.stream(turns))) if stream else model.invoke(turns)


def tokens(answer: Any) -> tuple[int, int]:
    used = answer.usage_metadata
    return used["input_tokens"], used["output_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_a_tool_is_called_and_its_result_told(
    world: World, kind: str, provider: str, stream: bool
) -> None:
    model = made(world, kind, provider).bind_tools(TOOLS)
    turns = [messages.SystemMessage("Be brief."), messages.HumanMessage(QUESTION)]
    answer = ask(model, turns, stream=stream)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == (TOOL, ARGUMENTS)
    assert tokens(answer) == (FRESH + CACHED, MADE + 7)
    turns += [answer, messages.ToolMessage(RESULT, tool_call_id=call["id"])]
    last = ask(model, turns, stream=stream)
    assert last.text == TOLD
    assert tokens(last) == (FRESH + CACHED, MADE)
    check_replayed(world, provider)
    check_records(world, provider, DIALECTS[kind], True, False, stream=stream)


@pytest.mark.parametrize(
    ("kind", "provider"), [("responses", "anthropic"), ("anthropic", "gemini")]
)
def test_a_thought_is_shown(world: World, kind: str, provider: str) -> None:
    answer = ask(made(world, kind, provider), [messages.HumanMessage("du")], stream=True)
    assert answer.text == f"{GREETING}du"
    thoughts = [block for block in answer.content_blocks if block["type"] == "reasoning"]
    assert "".join(block.get("reasoning", "") for block in thoughts) == THOUGHT


@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_a_structured_answer_is_an_object(world: World, kind: str, provider: str) -> None:
    schema = {"title": "place", "description": "A place", **PLACE}
    more: JSON = {"thinking": None} if kind == "anthropic" else {}
    model = made(world, kind, provider, **more)
    found = model.with_structured_output(schema, method="json_schema").invoke(QUESTION)
    assert found == {"city": "Zürich", "celsius": 17}


@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_a_picture_is_seen(world: World, kind: str, provider: str) -> None:
    data = data_url("image/png", PICTURE).partition(",")[2]
    block = {"type": "image", "base64": data, "mime_type": "image/png"}
    turn = messages.HumanMessage([{"type": "text", "text": "What?"}, block])
    answer = ask(made(world, kind, provider), [turn], stream=False)
    assert answer.text == f"I see image/png {len(PICTURE)}"


@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_errors_are_those_of_the_libraries_below(world: World, kind: str, provider: str) -> None:
    below = anthropic if kind == "anthropic" else openai
    model = made(world, kind, provider)
    with pytest.raises(below.RateLimitError):
        model.invoke("fail limited")
    with pytest.raises(below.BadRequestError):
        list(model.stream("fail too_long"))
    with pytest.raises(below.AuthenticationError):
        made(world, kind, provider, key=WRONG_KEY).invoke("du")


@pytest.mark.parametrize("provider", ["gemini", "ollama", "cohere"])
def test_vectors_are_made(world: World, provider: str) -> None:
    """Without its own counting of tokens, for which it would fetch a table."""
    embeddings = for_openai.OpenAIEmbeddings(
        model=f"embed-{provider}",
        api_key=KEY,
        base_url=f"{world.base}/v1",
        max_retries=0,
        check_embedding_ctx_length=False,
    )
    assert embeddings.embed_documents(["a", "ü"]) == [list(VECTOR), list(VECTOR)]
    assert embeddings.embed_query("a") == list(VECTOR)
