"""The library `anthropic` against providers of every other dialect."""

from __future__ import annotations

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
    joined,
    library,
    others,
    questions,
)
from tests.e2e.harness import KEY

anthropic: Any = library("anthropic")
JSON = Any

PROVIDERS = others("anthropic")
TOOLS = [{"name": TOOL, "description": "Asks the sky", "input_schema": SCHEMA}]


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with anthropic.Anthropic(api_key=KEY, base_url=world.base, max_retries=0) as found:
        yield found


def ask(client: Any, provider: str, content: JSON, *, stream: bool, **more: JSON) -> Any:
    """The message; `content` is a question, its blocks, or a list of messages."""
    turns = content if isinstance(content, list) and "role" in content[0] else None
    messages = turns or [{"role": "user", "content": content}]
    request = {"model": f"on-{provider}", "max_tokens": 4000, "messages": messages, **more}
    if not stream:
        return client.messages.create(**request)
    with client.messages.stream(**request) as events:
        text = "".join(events.text_stream)
        answer = events.get_final_message()
    assert text == text_of(answer)
    return answer


def text_of(answer: Any) -> str:
    return "".join(block.text for block in answer.content if block.type == "text")


def given(usage: Any) -> int:
    """All tokens of the prompt."""
    return int(usage.input_tokens) + (usage.cache_read_input_tokens or 0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("provider", "question"), questions("anthropic"))
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, question: str, stream: bool
) -> None:
    """Thinking is on, and all blocks go back as they came, signatures and all."""
    more: JSON = {
        "tools": TOOLS,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "system": [{"type": "text", "text": "Brief.", "cache_control": {"type": "ephemeral"}}],
    }
    messages: list[JSON] = [{"role": "user", "content": question}]
    answer = ask(client, provider, messages, stream=stream, **more)
    assert (answer.stop_reason, answer.model) == ("tool_use", f"on-{provider}")
    assert (given(answer.usage), answer.usage.output_tokens) == (FRESH + CACHED, MADE + 7)
    thoughts = [block.thinking for block in answer.content if block.type == "thinking"]
    assert thoughts == ([THOUGHT] if provider in THINKING and question == QUESTION else [])
    (call,) = (block for block in answer.content if block.type == "tool_use")
    assert (call.name, call.input) == (TOOL, ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": RESULT}
    messages.append({"role": "assistant", "content": [block.to_dict() for block in answer.content]})
    messages.append({"role": "user", "content": [result]})
    answer = ask(client, provider, messages, stream=stream, **more)
    assert (text_of(answer), answer.stop_reason) == (TOLD, "end_turn")
    check_replayed(world, provider)
    check_records(world, provider, "anthropic", True, False, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_tools_are_called_at_once(client: Any, provider: str, stream: bool) -> None:
    messages: list[JSON] = [{"role": "user", "content": "The weather in both?"}]
    answer = ask(client, provider, messages, stream=stream, tools=TOOLS)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": CITY}, {"city": SECOND}]
    results: list[JSON] = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "17"},
        {
            "type": "tool_result",
            "tool_use_id": calls[1].id,
            "content": [{"type": "text", "text": "16"}],
        },
    ]
    messages.append({"role": "assistant", "content": answer.content})
    messages.append({"role": "user", "content": results})
    answer = ask(client, provider, messages, stream=stream, tools=TOOLS)
    assert text_of(answer) == f"{TOOL} said 17; {TOOL} said 16"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_arrives_and_says_where_it_was_cut_off(client: Any, provider: str) -> None:
    answer = ask(client, provider, "du", stream=True)
    assert (text_of(answer), answer.stop_reason) == (f"{GREETING}du", "end_turn")
    answer = ask(client, provider, "du", stream=False, max_tokens=SHORT)
    assert answer.stop_reason == "max_tokens"


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != "responses"])
def test_stop_sequences_stop(client: Any, provider: str) -> None:
    answer = ask(client, provider, "Count", stream=True, stop_sequences=["three"])
    assert text_of(answer) == "One, two, "
    assert answer.stop_reason in ("stop_sequence", "end_turn")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_followed_and_read_back(client: Any, provider: str, stream: bool) -> None:
    form = {"format": {"type": "json_schema", "schema": PLACE}}
    answer = ask(client, provider, QUESTION, stream=stream, output_config=form)
    assert text_of(answer) == OBJECT


def source(media_type: str, data: bytes) -> JSON:
    return {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_is_seen(client: Any, provider: str) -> None:
    image = {"type": "image", "source": source("image/png", PNG)}
    answer = ask(client, provider, [image, {"type": "text", "text": "What?"}], stream=False)
    assert text_of(answer) == f"I see image/png {len(PNG)}"


@pytest.mark.parametrize("provider", ["chat", "responses", "gemini", "bedrock"])
def test_a_document_is_read(client: Any, provider: str) -> None:
    document = {"type": "document", "source": source("application/pdf", PDF)}
    answer = ask(client, provider, [document, {"type": "text", "text": "What?"}], stream=True)
    assert text_of(answer) == f"I see application/pdf {len(PDF)}"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_a_provider_cannot_be_told_is_named(client: Any, provider: str) -> None:
    """Only the vendor itself takes a context management or a container."""
    answer = client.messages.with_raw_response.create(
        model=f"on-{provider}",
        max_tokens=100,
        messages=[{"role": "user", "content": "du"}],
        extra_body={"inference_geo": "us"},
    )
    assert "inference_geo" in answer.headers["x-oneapi-dropped"].split(", ")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_refusals_are_the_librarys_own_errors(
    client: Any, provider: str, stream: bool
) -> None:
    with pytest.raises(anthropic.RateLimitError) as limited:
        ask(client, provider, "fail limited", stream=stream)
    assert limited.value.body["error"]["type"] == "rate_limit_error"
    with pytest.raises(anthropic.InternalServerError) as account:
        ask(client, provider, "fail account", stream=stream)
    assert (account.value.status_code, account.value.body["type"]) == (502, "error")
    with pytest.raises(anthropic.BadRequestError) as long:
        ask(client, provider, "fail too_long", stream=stream)
    assert long.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.InternalServerError) as overloaded:
        ask(client, provider, "fail overloaded", stream=stream)
    assert overloaded.value.status_code in (503, 529)


@pytest.mark.parametrize("question", ["break", "interrupt"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_breaks_raises_after_its_first_words(
    client: Any, provider: str, question: str
) -> None:
    seen: list[str] = []
    messages = [{"role": "user", "content": question}]
    with (
        pytest.raises(anthropic.APIError),
        client.messages.stream(model=f"on-{provider}", max_tokens=99, messages=messages) as events,
    ):
        seen.extend(events.text_stream)
    assert joined(seen).startswith(GREETING[:4])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_are_counted_before_asking(client: Any, provider: str) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    found = client.messages.count_tokens(model=f"on-{provider}", messages=messages, tools=TOOLS)
    assert 5 < found.input_tokens < 1000  # Claude reads some 350 more where there are tools


def test_models_are_listed_and_told(client: Any) -> None:
    names = [model.id for model in client.models.list()]
    assert {f"on-{provider}" for provider in PROVIDERS} <= set(names)
    assert client.models.retrieve("on-gemini").type == "model"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


def test_an_unknown_model_is_not_found(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError):
        ask(client, "nobody", "du", stream=False)


def test_a_wrong_key_is_an_authentication_error(world: World) -> None:
    with anthropic.Anthropic(api_key=WRONG_KEY, base_url=world.base, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            ask(client, "gemini", "du", stream=True)
        with pytest.raises(anthropic.AuthenticationError):
            client.models.list()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_betas_are_no_hindrance_elsewhere(client: Any, world: World, provider: str) -> None:
    """`?beta=true` and a list of betas, as programs of the vendor's send them always."""
    answer = client.beta.messages.create(
        model=f"on-{provider}",
        max_tokens=100,
        messages=[{"role": "user", "content": "du"}],
        betas=["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"],
    )
    assert text_of(answer) == f"{GREETING}du"
    assert world.asked.header("anthropic-beta") is None
