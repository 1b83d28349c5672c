"""The library `google-genai` against providers of every other dialect."""

from __future__ import annotations

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

genai: Any = library("google.genai")
types: Any = genai.types
errors: Any = genai.errors
JSON = Any

PROVIDERS = others("gemini")
DECLARED = {"name": TOOL, "description": "Asks the sky", "parameters_json_schema": SCHEMA}
TOOLS = [{"function_declarations": [DECLARED]}]
VERSIONS = ["v1", "v1beta"]


def made(world: World, key: str = KEY, version: str = "v1beta") -> Any:
    options = types.HttpOptions(base_url=world.base, api_version=version)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    with made(world) as found:
        yield found


def ask(client: Any, provider: str, contents: JSON, *, stream: bool, **config: JSON) -> list[Any]:
    """The answers: one, or the chunks of a stream."""
    request = {"model": f"on-{provider}", "contents": contents, "config": config}
    if not stream:
        return [client.models.generate_content(**request)]
    return list(client.models.generate_content_stream(**request))


def parts_of(answers: list[Any]) -> list[Any]:
    return [
        part
        for answer in answers
        for candidate in answer.candidates or ()
        for part in (candidate.content.parts or () if candidate.content else ())
    ]


def text_of(answers: list[Any]) -> str:
    return joined(part.text for part in parts_of(answers) if not part.thought)


def end_of(answers: list[Any]) -> str | None:
    ends = [c.finish_reason for answer in answers for c in answer.candidates or ()]
    return next((end.name for end in reversed(ends) if end is not None), None)


def calls_of(answers: list[Any]) -> list[Any]:
    return [p.function_call for p in parts_of(answers) if p.function_call is not None]


def response_to(call: Any, result: str) -> Any:
    answer = types.FunctionResponse(id=call.id, name=call.name, response={"result": result})
    return types.Part(function_response=answer)


def told(*results: str) -> str:
    """What a provider makes of results, which are objects here."""
    return "; ".join(f'{TOOL} said {{"result":"{result}"}}' for result in results)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("provider", "question"), questions("gemini"))
def test_a_tool_is_called_and_its_result_told(
    client: Any, world: World, provider: str, question: str, stream: bool
) -> None:
    """All parts go back as they came, thought signatures and all."""
    config: JSON = {
        "tools": TOOLS,
        "thinking_config": {"include_thoughts": True, "thinking_budget": 1024},
        "system_instruction": "Be brief.",
        "max_output_tokens": 4000,
        "automatic_function_calling": {"disable": True},
    }
    contents = [types.Content(role="user", parts=[types.Part(text=question)])]
    answers = ask(client, provider, contents, stream=stream, **config)
    assert answers[-1].model_version == f"on-{provider}"
    thoughts = joined(part.text for part in parts_of(answers) if part.thought)
    assert thoughts == (THOUGHT if provider in THINKING and question == QUESTION else "")
    (call,) = calls_of(answers)
    assert (call.name, call.args, end_of(answers)) == (TOOL, ARGUMENTS, "STOP")
    usage = answers[-1].usage_metadata
    assert usage.prompt_token_count == FRESH + CACHED
    assert usage.candidates_token_count + (usage.thoughts_token_count or 0) == MADE + 7
    contents.append(types.Content(role="model", parts=parts_of(answers)))
    contents.append(types.Content(role="user", parts=[response_to(call, RESULT)]))
    answers = ask(client, provider, contents, stream=stream, **config)
    assert RESULT in text_of(answers)
    assert text_of(answers).startswith(TOLD.partition(" said ")[0])
    check_replayed(world, provider)
    check_records(world, provider, "gemini", True, False, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_two_tools_are_called_at_once(client: Any, provider: str, stream: bool) -> None:
    config: JSON = {"tools": TOOLS, "automatic_function_calling": {"disable": True}}
    contents = [types.Content(role="user", parts=[types.Part(text="The weather in both?")])]
    answers = ask(client, provider, contents, stream=stream, **config)
    calls = calls_of(answers)
    assert [call.args for call in calls] == [{"city": CITY}, {"city": SECOND}]
    contents.append(types.Content(role="model", parts=parts_of(answers)))
    answered = [response_to(call, result) for call, result in zip(calls, ("17", "16"), strict=True)]
    contents.append(types.Content(role="user", parts=answered))
    text = text_of(ask(client, provider, contents, stream=stream, **config))
    assert (text.index("17") < text.index("16"), text.count(TOOL)) == (True, 2)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_function_is_called_by_the_library_itself(client: Any, provider: str) -> None:
    """Automatic function calling: a Python function, its schema made by the library."""
    asked = []

    def get_weather(city: str) -> str:
        """Asks the sky."""
        asked.append(city)
        return RESULT

    answers = ask(client, provider, QUESTION, stream=False, tools=[get_weather])
    assert asked == [CITY]
    assert RESULT in text_of(answers)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_text_arrives_below_either_version(world: World, provider: str, version: str) -> None:
    with made(world, version=version) as client:
        answers = ask(client, provider, "du", stream=True)
        assert (text_of(answers), end_of(answers)) == (f"{GREETING}du", "STOP")
        answers = ask(client, provider, "du", stream=False, max_output_tokens=SHORT)
        assert end_of(answers) == "MAX_TOKENS"


@pytest.mark.parametrize("provider", [p for p in PROVIDERS if p != "responses"])
def test_stop_sequences_stop(client: Any, provider: str) -> None:
    answers = ask(client, provider, "Count", stream=True, stop_sequences=["three"])
    assert (text_of(answers), end_of(answers)) == ("One, two, ", "STOP")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_is_followed_and_read_back(client: Any, provider: str, stream: bool) -> None:
    form = {"response_mime_type": "application/json", "response_json_schema": PLACE}
    assert text_of(ask(client, provider, QUESTION, stream=stream, **form)) == OBJECT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_schema_in_the_librarys_own_words_is_followed(client: Any, provider: str) -> None:
    schema = types.Schema(
        type="OBJECT",
        properties={"city": types.Schema(type="STRING"), "celsius": types.Schema(type="INTEGER")},
        required=["city", "celsius"],
    )
    form = {"response_mime_type": "application/json", "response_schema": schema}
    assert text_of(ask(client, provider, QUESTION, stream=False, **form)) == OBJECT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_is_seen(client: Any, provider: str) -> None:
    contents = [types.Part.from_bytes(data=PNG, mime_type="image/png"), "What?"]
    answers = ask(client, provider, contents, stream=False)
    assert text_of(answers) == f"I see image/png {len(PNG)}"


@pytest.mark.parametrize("provider", ["chat", "responses", "anthropic", "bedrock"])
def test_a_document_is_read(client: Any, provider: str) -> None:
    contents = [types.Part.from_bytes(data=PDF, mime_type="application/pdf"), "What?"]
    answers = ask(client, provider, contents, stream=False)
    assert text_of(answers) == f"I see application/pdf {len(PDF)}"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_providers_refusals_are_the_librarys_own_errors(
    client: Any, provider: str, stream: bool
) -> None:
    for question, kind, codes, words in (
        ("fail limited", errors.ClientError, (429,), "RESOURCE_EXHAUSTED"),
        ("fail account", errors.ServerError, (502,), ""),
        ("fail too_long", errors.ClientError, (400,), "INVALID_ARGUMENT"),
        ("fail overloaded", errors.ServerError, (503, 529), "UNAVAILABLE"),
        ("fail unknown", errors.ClientError, (404,), "NOT_FOUND"),
    ):
        with pytest.raises(kind) as caught:
            ask(client, provider, question, stream=stream)
        assert caught.value.code in codes
        assert caught.value.status == (words or caught.value.status)


@pytest.mark.parametrize("question", ["break", "interrupt"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_that_breaks_raises_after_its_first_words(
    client: Any, provider: str, question: str
) -> None:
    seen: list[str | None] = []
    answers = client.models.generate_content_stream(model=f"on-{provider}", contents=question)
    with pytest.raises(errors.APIError):
        seen.extend(answer.text for answer in answers)
    assert joined(seen).startswith(GREETING[:4])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_are_counted_before_asking(world: World, provider: str, version: str) -> None:
    with made(world, version=version) as client:
        counted = client.models.count_tokens(model=f"on-{provider}", contents=QUESTION)
    assert 3 < counted.total_tokens < 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("provider", ["chat", "ollama", "cohere"])
def test_vectors_are_made(world: World, provider: str, version: str) -> None:
    config = {"output_dimensionality": 3}
    with made(world, version=version) as client:
        found = client.models.embed_content(
            model=f"embed-{provider}", contents=["a", "ü"], config=config
        )
    assert [entry.values for entry in found.embeddings] == [list(VECTOR), list(VECTOR)]


@pytest.mark.parametrize("version", VERSIONS)
def test_models_are_listed_and_told(world: World, version: str) -> None:
    with made(world, version=version) as client:
        names = {model.name for model in client.models.list(config={"page_size": 5})}
        assert {f"models/on-{provider}" for provider in PROVIDERS} <= names
        assert client.models.get(model="on-anthropic").name == "models/on-anthropic"
        with pytest.raises(errors.ClientError) as caught:
            client.models.get(model="nobody")
    assert caught.value.code == 404


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_unknown_model_is_not_found(client: Any, stream: bool) -> None:
    with pytest.raises(errors.ClientError) as caught:
        ask(client, "nobody", "du", stream=stream)
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_key_is_refused(world: World, version: str) -> None:
    with made(world, WRONG_KEY, version) as client:
        with pytest.raises(errors.ClientError) as caught:
            ask(client, "chat", "du", stream=False)
        with pytest.raises(errors.ClientError):
            client.models.list()
    assert caught.value.code in (400, 401)
