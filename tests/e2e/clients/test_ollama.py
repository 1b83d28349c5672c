"""The library `ollama` against providers of every other dialect."""

from __future__ import annotations

import contextlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import (
    CACHED,
    CITY,
    FRESH,
    GREETING,
    MADE,
    OBJECT,
    SECOND,
    SHORT,
    THOUGHT,
    VECTOR,
)
from tests.e2e.clients.world import (
    ARGUMENTS,
    PLACE,
    PNG,
    QUESTION,
    RESULT,
    SCHEMA,
    THINKING,
    TOLD,
    TOOL,
    WRONG_KEY,
    World,
    check_records,
    check_replayed,
    joined,
    library,
    others,
    questions,
)
from tests.e2e.harness import KEY

ollama: Any = library("ollama")
JSON = Any

PROVIDERS = others("ollama")
TOOLS = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]


def made(world: World, key: str = KEY) -> Any:
    return ollama.Client(host=world.base, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    found = made(world)
    yield found
    found.close()


def ask(client: Any, provider: str, messages: JSON, *, stream: bool, **more: JSON) -> list[Any]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    request = {"model": f"on-{provider}", "messages": messages, **more}
    return list(client.chat(**request, stream=True)) if stream else [client.chat(**request)]


def text_of(answers: list[Any]) -> str:
    return joined(answer.message.content for answer in answers)


def calls_of(answers: list[Any]) -> list[Any]:
    return [call for answer in answers for call in answer.message.tool_calls or ()]


def turn_of(answers: list[Any]) -> JSON:
    """The assistant's turn as programs keep it."""
    thought = joined(answer.message.thinking for answer in answers)
    return {
        "role": "assistant",
        "content": text_of(answers),
        "thinking": thought,
        "tool_calls": [call.model_dump() for call in calls_of(answers)],
    }


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("provider", "question"), questions("ollama"))
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, question: str, stream: bool
) -> None:
    """The library has neither ids of calls nor signatures; the gateway knows both."""
    more: JSON = {"tools": TOOLS, "think": "low", "options": {"num_predict": 4000}}
    messages = [{"role": "system", "content": "Brief."}, {"role": "user", "content": question}]
    answers = ask(client, provider, messages, stream=stream, **more)
    assert joined(answer.message.thinking for answer in answers) == (
        THOUGHT if provider in THINKING and question == QUESTION else ""
    )
    (call,) = calls_of(answers)
    assert (call.function.name, dict(call.function.arguments)) == (TOOL, ARGUMENTS)
    last = answers[-1]
    assert (last.done, last.done_reason, last.model) == (True, "stop", f"on-{provider}")
    assert (last.prompt_eval_count, last.eval_count) == (FRESH + CACHED, MADE + 7)
    assert last.total_duration > 0
    messages.append(turn_of(answers))
    messages.append({"role": "tool", "tool_name": TOOL, "content": RESULT})
    answers = ask(client, provider, messages, stream=stream, **more)
    assert text_of(answers) == TOLD
    check_replayed(world, provider)
    check_records(world, provider, "ollama", True, False, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_tools_are_called_at_once(client: Any, provider: str, stream: bool) -> None:
    messages: list[JSON] = [{"role": "user", "content": "The weather in both?"}]
    answers = ask(client, provider, messages, stream=stream, tools=TOOLS)
    cities = [dict(call.function.arguments) for call in calls_of(answers)]
    assert cities == [{"city": CITY}, {"city": SECOND}]
    messages.append(turn_of(answers))
    messages += [{"role": "tool", "tool_name": TOOL, "content": t} for t in ("17", "16")]
    answers = ask(client, provider, messages, stream=stream, tools=TOOLS)
    assert text_of(answers) == f"{TOOL} said 17; {TOOL} said 16"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_arrives_and_says_where_it_was_cut_off(client: Any, provider: str) -> None:
    answers = ask(client, provider, "du", stream=True)
    assert text_of(answers) == f"{GREETING}du"
    assert sum(answer.done for answer in answers) == 1
    (answer,) = ask(client, provider, "du", stream=False, options={"num_predict": SHORT})
    assert answer.done_reason == "length"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_prompt_is_completed(client: Any, provider: str, stream: bool) -> None:
    found = client.generate(model=f"on-{provider}", prompt="du", system="Salü", stream=stream)
    answers = list(found) if stream else [found]
    assert joined(answer.response for answer in answers) == f"{GREETING}Salü"
    assert answers[-1].done_reason == "stop"
    assert (answers[-1].prompt_eval_count, answers[-1].eval_count) == (FRESH + CACHED, MADE)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_followed_and_read_back(client: Any, provider: str, stream: bool) -> None:
    assert text_of(ask(client, provider, QUESTION, stream=stream, format=PLACE)) == OBJECT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_is_seen(client: Any, provider: str) -> None:
    message = {"role": "user", "content": "What?", "images": [b64encode(PNG).decode()]}
    answers = ask(client, provider, [message], stream=False)
    assert text_of(answers) == f"I see image/png {len(PNG)}"


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != "responses"])
def test_stop_sequences_stop(client: Any, provider: str) -> None:
    answers = ask(client, provider, "Count", stream=True, options={"stop": ["three"]})
    assert text_of(answers) == "One, two, "


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_refusals_are_the_librarys_own_errors(
    client: Any, provider: str, stream: bool
) -> None:
    for question, statuses in (
        ("fail limited", (429,)),
        ("fail account", (502,)),
        ("fail too_long", (400,)),
        ("fail overloaded", (503, 529)),
        ("fail unknown", (404,)),
    ):
        with pytest.raises(ollama.ResponseError) as caught:
            ask(client, provider, question, stream=stream)
        assert caught.value.status_code in statuses
        assert caught.value.error


@pytest.mark.parametrize("question", ["break", "interrupt"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_breaks_raises_after_its_first_words(
    client: Any, provider: str, question: str
) -> None:
    seen: list[str | None] = []
    messages = [{"role": "user", "content": question}]
    answers = client.chat(model=f"on-{provider}", messages=messages, stream=True)
    with pytest.raises(ollama.ResponseError):
        seen.extend(answer.message.content for answer in answers)
    assert joined(seen).startswith(GREETING[:4])


@pytest.mark.parametrize("provider", ["chat", "gemini", "cohere"])
def test_vectors_are_made(client: Any, provider: str) -> None:
    found = client.embed(model=f"embed-{provider}", input=["a", "ü"])
    assert [list(vector) for vector in found.embeddings] == [list(VECTOR), list(VECTOR)]
    old = client.embeddings(model=f"embed-{provider}", prompt="a")
    assert list(old.embedding) == list(VECTOR)


def test_models_are_listed_and_told(client: Any) -> None:
    names = {model.model for model in client.list().models}
    assert {f"on-{provider}" for provider in PROVIDERS} <= names
    shown = client.show("on-anthropic")
    assert "tools" in shown.capabilities
    assert shown.modelinfo["general.architecture"]
    assert client.ps().models is not None


def test_an_unknown_model_is_not_found(client: Any) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        ask(client, "nobody", "du", stream=False)
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError) as shown:
        client.show("nobody")
    assert shown.value.status_code == 404


def test_a_wrong_key_is_refused(world: World) -> None:
    with contextlib.closing(made(world, WRONG_KEY)) as client:
        with pytest.raises(ollama.ResponseError) as caught:
            ask(client, "chat", "du", stream=False)
    assert caught.value.status_code == 401


def test_models_are_not_changed_through_the_gateway(client: Any) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        client.pull("llama3")
    assert caught.value.status_code >= 400
