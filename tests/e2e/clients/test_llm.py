"""Simon Willison's `llm`: its OpenAI plugin, told of the gateway in extra-openai-models.yaml."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients.speakers.base import CACHED, CITY, FRESH, GREETING, MADE, OBJECT
from tests.e2e.clients.world import (
    PLACE,
    PNG,
    PROVIDERS,
    QUESTION,
    RESULT,
    TOLD,
    WRONG_KEY,
    World,
    check_records,
    check_replayed,
    library,
)
from tests.e2e.harness import KEY

llm: Any = library("llm")
JSON = Any

FOREIGN = [("chat", p) for p in PROVIDERS if p != "chat"] + [
    ("responses", p) for p in PROVIDERS if p != "responses"
]
"""How the plugin speaks, and what the provider does."""


@pytest.fixture(scope="module")
def user_path(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The program's own folder: its list of models and its keys."""
    folder = tmp_path_factory.mktemp("llm")
    entries = [
        {
            "model_id": f"{kind}-{provider}",
            "model_name": f"on-{provider}",
            "api_base": f"{world.base}/v1",
            "api_key_name": "gateway",
            "supports_tools": True,
            "supports_schema": True,
            "vision": True,
            "reasoning": True,
            "responses": kind == "responses",
        }
        for kind, provider in FOREIGN
    ]
    (folder / "extra-openai-models.yaml").write_text(json.dumps(entries))  # JSON is YAML
    (folder / "keys.json").write_text(json.dumps({"gateway": KEY, "wrong": WRONG_KEY}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_USER_PATH", str(folder))
        yield folder


def get_weather(city: str) -> str:
    """Asks the sky."""
    return RESULT if city == CITY else f"nothing of {city}"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_a_chain_calls_the_tool_and_tells_its_result(
    world: World, user_path: Path, kind: str, provider: str, stream: bool
) -> None:
    model = llm.get_model(f"{kind}-{provider}")
    chain = model.chain(QUESTION, tools=[get_weather], stream=stream, key=KEY)
    assert chain.text() == TOLD
    first, second = chain._responses
    assert [call.name for call in first.tool_calls()] == ["get_weather"]
    thinks = (kind, provider) == ("responses", "gemini")  # asked for summaries, without an effort
    assert (first.usage().input, first.usage().output) == (FRESH + CACHED, MADE + 7 * thinks)
    assert (second.usage().input, second.usage().output) == (FRESH + CACHED, MADE)
    check_replayed(world, provider if provider == "gemini" else "")
    dialect = "openai-chat" if kind == "chat" else "openai-responses"
    check_records(world, provider, dialect, thinks, False, stream=stream)


@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_a_conversation_goes_on(user_path: Path, kind: str, provider: str) -> None:
    conversation = llm.get_model(f"{kind}-{provider}").conversation()
    assert conversation.prompt("du", key=KEY).text() == f"{GREETING}du"
    assert conversation.prompt("Sie", key=KEY, stream=False).text() == f"{GREETING}Sie"


@pytest.mark.parametrize(("kind", "provider"), FOREIGN)
def test_schemas_and_pictures(user_path: Path, kind: str, provider: str) -> None:
    model = llm.get_model(f"{kind}-{provider}")
    assert model.prompt(QUESTION, schema=PLACE, key=KEY).text() == OBJECT
    picture = llm.Attachment(content=PNG, type="image/png")
    seen = model.prompt("What?", attachments=[picture], key=KEY, stream=False).text()
    assert seen == f"I see image/png {len(PNG)}"


def run(user_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program itself, which takes its key from its own folder."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(user_path), "LLM_USER_PATH": str(user_path)}
    command = [sys.executable, "-m", "llm", "prompt", "--no-log", *arguments]
    return subprocess.run(
        command,
        env={**environ, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_program_prints_the_answer(user_path: Path) -> None:
    done = run(user_path, "-m", "chat-anthropic", "-s", "Salü", "du")
    assert (done.returncode, done.stdout) == (0, f"{GREETING}Salü\n"), done.stderr


@pytest.mark.parametrize("words", [["-m", "chat-gemini", "fail too_long"], ["--key", "wrong"]])
def test_the_program_says_what_went_wrong(user_path: Path, words: list[str]) -> None:
    done = run(user_path, *(words if len(words) > 2 else ["-m", "chat-gemini", *words, "du"]))
    assert done.returncode == 1
    assert "Error" in done.stderr
    assert ("exceeds the maximum" in done.stderr) == (len(words) > 2)
