"""The library `openai`, chat completions, against providers of every other dialect."""

from __future__ import annotations

import json
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
    VECTOR,
)
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
    WINDOW,
    WRONG_KEY,
    World,
    check_records,
    check_replayed,
    data_url,
    joined,
    library,
    others,
    questions,
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
    with client.chat.completions.stream(
        **request, stream_options={"include_usage": True}
    ) as events:
        for _ in events:
            pass
        answer = events.get_final_completion()
    assert answer.model == f"on-{provider}"
    return answer.choices[0], answer.usage


def user(text: str) -> JSON:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("provider", "question"), questions("chat"))
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, question: str, stream: bool
) -> None:
    """Thinking is asked for; the library forgets the thought, the gateway puts it back."""
    messages = [{"role": "system", "content": "Be brief."}, user(question)]
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
    check_replayed(world, provider)
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
        {"id": c.id, "type": "function", "function": f}
        for c, f in zip(calls, function, strict=True)
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


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_followed_and_read_back(client: Any, provider: str, stream: bool) -> None:
    form = {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": PLACE, "strict": True},
    }
    choice, _ = ask(client, provider, [user(QUESTION)], stream=stream, response_format=form)
    assert choice.message.content == OBJECT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_is_seen(client: Any, provider: str) -> None:
    url = {"url": data_url("image/png", PNG), "detail": "low"}
    content = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": url}]
    choice, _ = ask(client, provider, [{"role": "user", "content": content}], stream=False)
    assert choice.message.content == f"I see image/png {len(PNG)}"


@pytest.mark.parametrize("provider", ["responses", "anthropic", "gemini", "bedrock"])
def test_a_document_is_read(client: Any, provider: str) -> None:
    file = {"filename": "a b.pdf", "file_data": data_url("application/pdf", PDF)}
    content = [{"type": "file", "file": file}, {"type": "text", "text": "What?"}]
    choice, _ = ask(client, provider, [{"role": "user", "content": content}], stream=True)
    assert choice.message.content == f"I see application/pdf {len(PDF)}"


@pytest.mark.parametrize("provider", ["ollama", "cohere"])
def test_a_document_that_cannot_be_said_is_refused_or_named(client: Any, provider: str) -> None:
    file = {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}
    content = [{"type": "file", "file": file}, {"type": "text", "text": "What?"}]
    messages = [{"role": "user", "content": content}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=f"on-{provider}", messages=messages)
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != "responses"])
def test_stop_sequences_stop(client: Any, provider: str) -> None:
    choice, _ = ask(client, provider, [user("Count")], stream=True, stop=["three"])
    assert (choice.message.content, choice.finish_reason) == ("One, two, ", "stop")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_cannot_be_told_is_named(client: Any, provider: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=f"on-{provider}", messages=[user("du")], logit_bias={"50256": -100}, seed=7
    )
    dropped = answer.headers["x-oneapi-dropped"].split(", ")
    assert "logit_bias" in dropped
    assert answer.parse().choices[0].message.content == f"{GREETING}du"


def test_what_was_changed_on_the_way_is_said(client: Any) -> None:
    create = client.chat.completions.with_raw_response.create
    hot = create(model="on-anthropic", messages=[user("du")], temperature=1.5)
    assert hot.headers["x-oneapi-warning"].startswith("temperature 1.5 became 1")
    long = create(model="on-ollama", messages=[user("du " * 2 * WINDOW)])
    assert "its beginning will be cut" in long.headers["x-oneapi-warning"]
    assert "x-oneapi-warning" not in create(model="on-ollama", messages=[user("du")]).headers


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_limit_is_the_librarys_rate_limit_error(
    client: Any, provider: str, stream: bool
) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, provider, [user("fail limited")], stream=stream)
    assert caught.value.status_code == 429
    if provider != "bedrock":  # says nothing about when
        assert caught.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refused_account_is_no_fault_of_the_clients(client: Any, provider: str) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, provider, [user("fail account")], stream=False)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_auth")
    assert "up-key" not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_prompt_that_is_too_long_is_a_bad_request(client: Any, provider: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, provider, [user("fail too_long")], stream=True)
    assert any(word in str(caught.value) for word in ("long", "max", "most"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_overloaded_provider_is_a_server_error(client: Any, provider: str) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, provider, [user("fail overloaded")], stream=False)
    assert caught.value.status_code in (503, 529)


@pytest.mark.parametrize("question", ["break", "interrupt"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_breaks_raises_after_its_first_words(
    client: Any, world: World, provider: str, question: str
) -> None:
    seen: list[str | None] = []
    chunks = client.chat.completions.create(
        model=f"on-{provider}", messages=[user(question)], stream=True
    )
    with pytest.raises(openai.APIError):
        seen.extend(choice.delta.content for chunk in chunks for choice in chunk.choices)
    assert joined(seen).startswith(GREETING[:4])
    assert world.last()[0]["error_code"] in ("upstream_error", "closed", "stream_unfinished")


def test_an_unknown_model_is_not_found(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, "nobody", [user("du")], stream=False)
    assert caught.value.code == "model_not_found"


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    with openai.OpenAI(api_key=WRONG_KEY, base_url=f"{world.base}/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            ask(client, "anthropic", [user("du")], stream=False)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


@pytest.mark.parametrize("provider", ["gemini", "ollama", "cohere"])
def test_vectors_come_in_the_form_that_the_library_asks_for(
    client: Any, world: World, provider: str
) -> None:
    """By itself it asks for base64, which it takes apart."""
    found = client.embeddings.create(model=f"embed-{provider}", input=["a", "ü"])
    assert [entry.embedding for entry in found.data] == [list(VECTOR), list(VECTOR)]
    assert [entry.index for entry in found.data] == [0, 1]
    record = world.last()[0]
    assert (record["status"], record["settlement"]) == (200, "complete")
    assert record["input"] == (4 if provider != "gemini" else record["input"])


def test_models_are_listed(client: Any) -> None:
    names = {model.id for model in client.models.list()}
    assert {f"on-{provider}" for provider in PROVIDERS} <= names
    assert client.models.retrieve("on-ollama").id == "on-ollama"
