"""The library `openai`, responses, against providers of every other dialect."""

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
    THOUGHT,
)
from tests.e2e.clients.world import (
    ARGUMENTS,
    PDF,
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
    data_url,
    library,
    others,
    questions,
)
from tests.e2e.harness import KEY

openai: Any = library("openai")
JSON = Any

PROVIDERS = others("responses")
TOOLS = [{"type": "function", "name": TOOL, "parameters": SCHEMA, "strict": True}]


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with openai.OpenAI(api_key=KEY, base_url=f"{world.base}/v1", max_retries=0) as found:
        yield found


def ask(client: Any, provider: str, items: JSON, *, stream: bool, **more: JSON) -> Any:
    """The response; of a stream what its events add up to, which its last event must hold."""
    request = {"model": f"on-{provider}", "input": items, **more}
    if not stream:
        return client.responses.create(**request)
    text, arguments, numbers = "", "", []
    with client.responses.stream(**request) as events:
        for event in events:
            numbers.append(event.sequence_number)
            text += event.delta if event.type == "response.output_text.delta" else ""
            if event.type == "response.function_call_arguments.delta":
                arguments += event.delta
        answer = events.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert answer.output_text == text
    calls = [item.arguments for item in answer.output if item.type == "function_call"]
    assert "".join(calls) == arguments
    return answer


def calls_of(answer: Any) -> list[Any]:
    return [item for item in answer.output if item.type == "function_call"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("provider", "question"), questions("responses"))
def test_a_tool_is_called_and_its_result_told_without_a_store(
    client: Any, world: World, provider: str, question: str, stream: bool
) -> None:
    """All items go back as they came, encrypted thoughts among them."""
    more: JSON = {
        "tools": TOOLS,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "instructions": "Be brief.",
        "max_output_tokens": 4000,
    }
    items: list[JSON] = [{"role": "user", "content": question}]
    answer = ask(client, provider, items, stream=stream, **more)
    (call,) = calls_of(answer)
    assert (answer.status, answer.model) == ("completed", f"on-{provider}")
    assert (call.name, json.loads(call.arguments)) == (TOOL, ARGUMENTS)
    assert answer.usage.input_tokens == FRESH + CACHED
    assert answer.usage.output_tokens == MADE + 7
    thoughts = [item for item in answer.output if item.type == "reasoning"]
    texts = [part.text for t in thoughts for part in [*t.summary, *(t.content or [])]]
    assert texts == ([THOUGHT] if provider in THINKING and question == QUESTION else [])
    items += [item.to_dict() for item in answer.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": RESULT})
    answer = ask(client, provider, items, stream=stream, **more)
    assert (answer.output_text, answer.status) == (TOLD, "completed")
    check_replayed(world, provider)
    check_records(world, provider, "openai-responses", True, False, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_conversation_goes_on_from_a_stored_response(
    client: Any, provider: str, stream: bool
) -> None:
    more: JSON = {"tools": TOOLS, "reasoning": {"effort": "low"}, "max_output_tokens": 4000}
    answer = ask(client, provider, "The weather in both?", stream=stream, **more)
    calls = calls_of(answer)
    assert [json.loads(call.arguments) for call in calls] == [{"city": CITY}, {"city": SECOND}]
    outputs = [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(calls, ("17", "16"), strict=True)
    ]
    last = ask(client, provider, outputs, stream=stream, previous_response_id=answer.id, **more)
    assert last.output_text == f"{TOOL} said 17; {TOOL} said 16"
    kept = client.responses.retrieve(last.id)
    assert (kept.output_text, kept.model) == (last.output_text, f"on-{provider}")
    client.responses.delete(last.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(last.id)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_arrives_and_says_where_it_was_cut_off(client: Any, provider: str) -> None:
    answer = ask(client, provider, "du", stream=True)
    assert answer.output_text == f"{GREETING}du"
    answer = ask(client, provider, "du", stream=False, max_output_tokens=SHORT)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_followed_and_read_back(client: Any, provider: str, stream: bool) -> None:
    form = {"type": "json_schema", "name": "place", "schema": PLACE, "strict": True}
    answer = ask(client, provider, QUESTION, stream=stream, text={"format": form})
    assert answer.output_text == OBJECT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_is_seen(client: Any, provider: str) -> None:
    image = {"type": "input_image", "image_url": data_url("image/png", PNG), "detail": "auto"}
    content = [{"type": "input_text", "text": "What?"}, image]
    answer = ask(client, provider, [{"role": "user", "content": content}], stream=False)
    assert answer.output_text == f"I see image/png {len(PNG)}"


@pytest.mark.parametrize("provider", ["chat", "anthropic", "gemini", "bedrock"])
def test_a_document_is_read(client: Any, provider: str) -> None:
    data = data_url("application/pdf", PDF)
    file = {"type": "input_file", "filename": "a.pdf", "file_data": data}
    content = [file, {"type": "input_text", "text": "What?"}]
    answer = ask(client, provider, [{"role": "user", "content": content}], stream=False)
    assert answer.output_text == f"I see application/pdf {len(PDF)}"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_refusals_are_the_librarys_own_errors(
    client: Any, provider: str, stream: bool
) -> None:
    with pytest.raises(openai.RateLimitError):
        ask(client, provider, "fail limited", stream=stream)
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, provider, "fail account", stream=stream)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_auth")
    with pytest.raises(openai.BadRequestError):
        ask(client, provider, "fail too_long", stream=stream)
    with pytest.raises(openai.InternalServerError):
        ask(client, provider, "fail overloaded", stream=stream)


@pytest.mark.parametrize("question", ["break", "interrupt"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_breaks_ends_with_a_failure(
    client: Any, provider: str, question: str
) -> None:
    """This dialect's way: `response.failed`, or an `error` that the library raises."""
    text, failed = "", False
    try:
        for event in client.responses.create(model=f"on-{provider}", input=question, stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
            failed = failed or event.type in ("response.failed", "error")
            assert event.type != "response.completed"
    except openai.APIError:
        failed = True
    assert failed
    assert text.startswith(GREETING[:4])


def test_input_is_counted(client: Any) -> None:
    counted = client.responses.input_tokens.count(model="on-anthropic", input=QUESTION)
    assert counted.input_tokens > 0


def test_what_does_not_exist_is_not_found(client: Any) -> None:
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as caught:
        ask(client, "nobody", "du", stream=False)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.APIStatusError) as missing:
        ask(client, "gemini", "du", stream=False, previous_response_id="resp_none")
    assert missing.value.code == "previous_response_not_found"


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    with (
        openai.OpenAI(api_key=WRONG_KEY, base_url=f"{world.base}/v1", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        ask(client, "anthropic", "du", stream=False)
