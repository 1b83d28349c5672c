"""litellm as a client, in an interpreter of its own: its pins agree with nobody else's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import CACHED, FRESH, MADE, OBJECT, VECTOR
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
    library,
)
from tests.e2e.harness import KEY, REPO

library("anthropic")  # this folder's environment, though another interpreter does the work
JSON = Any

PYTHON = REPO / ".build" / "litellm" / "bin" / "python"
FOREIGN = [
    ("openai", "anthropic"),
    ("openai", "gemini"),
    ("openai", "bedrock"),
    ("anthropic", "chat"),
    ("anthropic", "responses"),
    ("anthropic", "gemini"),
]
"""How litellm speaks, and what the provider does."""

PROGRAM = """\
import json, sys
import litellm
given = json.load(sys.stdin)
litellm.suppress_debug_info = True
seen = {}
def ask(prefix, provider, messages, stream, **more):
    base = given["base"] + ("/v1" if prefix == "openai" else "")
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = litellm.completion(
        model=f"{prefix}/on-{provider}", messages=messages, stream=stream, api_base=base,
        api_key=given["key"], num_retries=0, max_tokens=4000, **options, **more)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer), messages=messages)
    return answer
def refused(prefix, provider, question, **more):
    try:
        ask(prefix, provider, [{"role": "user", "content": question}], False, **more)
    except Exception as error:
        return [type(error).__name__, getattr(error, "status_code", None)]
def turns(prefix, provider, stream):
    messages = [{"role": "user", "content": given["question"]}]
    first = ask(prefix, provider, messages, stream, tools=given["tools"])
    call, = first.choices[0].message.tool_calls
    messages += [first.choices[0].message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": given["result"]}]
    last = ask(prefix, provider, messages, stream, tools=given["tools"])
    return {
        "call": [call.function.name, json.loads(call.function.arguments)],
        "finish": [first.choices[0].finish_reason, last.choices[0].finish_reason],
        "used": [first.usage.prompt_tokens, first.usage.completion_tokens],
        "text": last.choices[0].message.content,
    }
def tell(name, call):
    try:
        seen[name] = call()
    except Exception as error:
        seen[name] = f"{type(error).__name__}: {error}"
for prefix, provider in given["foreign"]:
    name = f"{prefix} {provider}"
    for stream in (False, True):
        tell(f"{name} {stream}", lambda: turns(prefix, provider, stream))
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": given["place"]}}
    tell(f"{name} schema", lambda: ask(prefix, provider,
        [{"role": "user", "content": "du"}], False, response_format=form
        ).choices[0].message.content)
    tell(f"{name} limited", lambda: refused(prefix, provider, "fail limited"))
    tell(f"{name} too_long", lambda: refused(prefix, provider, "fail too_long"))
    tell(f"{name} account", lambda: refused(prefix, provider, "fail account"))
    tell(f"{name} unknown", lambda: refused(prefix, "nobody", "du"))
tell("vectors", lambda: [entry["embedding"] for entry in litellm.embedding(
    model="openai/embed-gemini", input=["a", "b"], api_base=given["base"] + "/v1",
    api_key=given["key"]).data])
given["key"] = given["wrong"]
for prefix, provider in given["foreign"]:
    tell(f"{prefix} {provider} key", lambda: refused(prefix, provider, "du"))
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, JSON]:
    """What litellm made of it all, in one run: its import takes seconds."""
    if not PYTHON.exists():
        pytest.skip("the environment of litellm is made by tests/run")
    given = {
        "base": world.base,
        "key": KEY,
        "wrong": WRONG_KEY,
        "question": QUESTION,
        "result": RESULT,
        "tools": [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}],
        "place": PLACE,
        "foreign": FOREIGN,
    }
    return run(PYTHON, tmp_path_factory.mktemp("litellm"), given)


def run(python: Path, home: Path, given: dict[str, JSON]) -> dict[str, JSON]:
    """The program in a clean environment, in which litellm fetches no price list."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONUTF8": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_TELEMETRY": "False",
    }
    done = subprocess.run(
        [python, "-c", PROGRAM],
        input=json.dumps(given),
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, JSON] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("prefix", "provider"), FOREIGN)
def test_a_tool_is_called_and_its_result_told(
    seen: dict[str, JSON], prefix: str, provider: str, stream: bool
) -> None:
    assert seen[f"{prefix} {provider} {stream}"] == {
        "call": [TOOL, ARGUMENTS],
        "finish": ["tool_calls", "stop"],
        "used": [FRESH + CACHED, MADE],
        "text": TOLD,
    }


@pytest.mark.parametrize(("prefix", "provider"), FOREIGN)
def test_a_schema_is_followed(seen: dict[str, JSON], prefix: str, provider: str) -> None:
    """As Anthropic's, litellm makes a tool of it, and of the call's arguments the answer."""
    found = seen[f"{prefix} {provider} schema"]
    assert found == OBJECT if prefix == "openai" else json.loads(found) == ARGUMENTS


@pytest.mark.parametrize(("prefix", "provider"), FOREIGN)
def test_errors_are_its_own(seen: dict[str, JSON], prefix: str, provider: str) -> None:
    name = f"{prefix} {provider}"
    assert seen[f"{name} limited"] == ["RateLimitError", 429]
    assert seen[f"{name} too_long"][1] == 400
    assert seen[f"{name} account"][1] in (500, 502, 503)
    assert seen[f"{name} unknown"] == ["NotFoundError", 404]
    assert seen[f"{name} key"] == ["AuthenticationError", 401]


def test_vectors_are_made(seen: dict[str, JSON]) -> None:
    assert seen["vectors"] == [list(VECTOR), list(VECTOR)]
