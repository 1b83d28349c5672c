"""What Codex CLI sends and understands, as its own client has it (openai/codex, 2026-11-24)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.e2e.harness import Answer

JSON = Any

HEADERS: Mapping[str, str] = {
    "accept": "text/event-stream",
    "originator": "codex_cli_rs",
    "user-agent": "codex_cli_rs/0.153.4 (Linux; x86_64)",
    "session_id": "0199a213-81c0-7800-8aa1-bbab2a035a53",
    "conversation_id": "0199a213-81c0-7800-8aa1-bbab2a035a53",
}
TOOLS: Sequence[JSON] = (
    {
        "type": "function",
        "name": "exec_command",
        "description": "Runs a command in a PTY.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"cmd": {"type": "string"}, "workdir": {"type": "string"}},
            "required": ["cmd"],
            "additionalProperties": False,
        },
    },
    {
        "type": "custom",
        "name": "apply_patch",
        "description": "Edits files. The input is a patch, not JSON.",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
    },
    {
        "type": "namespace",
        "name": "mcp__tracker",
        "description": "The tracker's tools.",
        "tools": [
            {
                "type": "function",
                "name": "find_issue",
                "description": "Finds an issue.",
                "strict": False,
                "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
            }
        ],
    },
    {"type": "web_search", "external_web_access": False},
)


def message(role: str, text: str) -> JSON:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def first_input(question: str) -> list[JSON]:
    return [
        message("developer", "<permissions instructions>sandbox: read-only</permissions>"),
        message("user", "<environment_context>\n  <cwd>/src</cwd>\n</environment_context>"),
        message("user", question),
    ]


def request(model: str, items: Sequence[JSON]) -> JSON:
    """A turn: nothing stored, everything replayed, thoughts asked for encrypted."""
    return {
        "model": model,
        "instructions": "You are Codex, a coding agent.",
        "input": list(items),
        "tools": list(TOOLS),
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
        "text": {"verbosity": "low"},
        "client_metadata": {"x-codex-installation-id": "5f2c"},
    }


def events(answer: Answer) -> list[JSON]:
    """The events of a stream; each one's name stands in its data too."""
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"].startswith("text/event-stream")
    found: list[JSON] = []
    for block in answer.body.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        value = json.loads(lines["data"])
        assert lines["event"] == value["type"]
        found.append(value)
    return found


def items_done(answer: Answer) -> list[JSON]:
    """The output items as Codex takes them: from `response.output_item.done` alone; the turn counts
    once `response.completed` has come.
    """
    found = events(answer)
    assert found[0]["type"] == "response.created"
    assert found[-1]["type"] == "response.completed"
    return [event["item"] for event in found if event["type"] == "response.output_item.done"]


def replayed(items: Sequence[JSON]) -> list[JSON]:
    """The items in the next request's input: without ids and states, as nothing is stored."""
    left_out = {"id", "status", "annotations", "logprobs"}
    return [{k: v for k, v in item.items() if k not in left_out} for item in items]
