"""Requests of other dialects as Anthropic's: what surrounds the conversation.

https://docs.anthropic.com/en/api/messages and …/build-with-claude/extended-thinking (read
2026-11-24). Where the format demands more than the request says, or forbids what it says, the rules
here decide, and what is lost is named.
"""

from __future__ import annotations

from typing import Final

from oneapi.dialects.anthropic_forms import refuse
from oneapi.dialects.anthropic_schemas import closed
from oneapi.dialects.anthropic_turns import Turns
from oneapi.dialects.anthropic_write import write_choice
from oneapi.dialects.base import Hints
from oneapi.dialects.base_bodies import encode_text
from oneapi.dialects.base_calls import wire_name
from oneapi.ir import ChatRequest, Thinking, Tool, ToolChoice
from oneapi.wire.json import JSON

_MAX_TOKENS: Final = 4096
"""The limit where neither the client nor the catalog names one: the least of all models' mosts."""
_LEAST_BUDGET: Final = 1024
_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 65536,
}
_EFFORTS: Final = {name: "low" if name == "minimal" else name for name in _BUDGETS}
_ROOM: Final = 4096
"""Tokens for the answer beside a budget for thinking, where the limit is ours to choose."""
_LEAST_TOP_P: Final = 0.95
_MAX_USER: Final = 256
_JSON_ONLY: Final = "Answer with one JSON object and nothing else: no other text, no code fence."


class Foreign:
    """One request of another dialect, rendered when it is made: `body`, and what was lost."""

    def __init__(self, chat: ChatRequest, model: str, hints: Hints) -> None:
        _refuse(chat)
        keep = hints.options.get("system_inside") == "keep"
        self._chat = chat
        self._hints = hints
        self._turns = Turns(chat.messages, keep_system=keep)
        self.betas = self._turns.betas
        self.dropped = self._turns.dropped
        self.warnings: list[str] = []
        self.body: JSON = {"model": model, "max_tokens": self._max_tokens()}
        self._conversation()
        self._tools()
        self._format()
        self._thinking()
        self._sampling()
        self._rest()

    def _max_tokens(self) -> int:
        if self._chat.max_output is not None:
            return self._chat.max_output
        return self._hints.max_output or _MAX_TOKENS

    def _conversation(self) -> None:
        if self._turns.system is not None:
            self.body["system"] = self._turns.system
        turns = self._turns.turns
        if turns and turns[-1]["role"] == "assistant":  # a beginning that the model continues
            last = turns[-1]["content"][-1]
            if last["type"] == "text":
                last["text"] = last["text"].rstrip()
        self.body["messages"] = [_shortened(turn) for turn in turns]

    def _tools(self) -> None:
        chat, choice = self._chat, self._chat.tool_choice
        only = self._confined(choice)
        tools = []
        for index, tool in enumerate(chat.tools):
            if only is None or tool.name in only:
                tools += self._tool(tool, f"tools[{index}]")
        parallel = chat.parallel_tools
        if not tools and self._turns.calls:  # a history of calls demands tools
            names = dict.fromkeys(self._turns.calls)
            tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
            choice, parallel = ToolChoice("none"), None
        if not tools:
            if choice is not None and choice.mode == "required":
                self.dropped.append("tool_choice")
            return
        self.body["tools"] = tools
        if choice is not None:
            self._turns.drop(choice.extra, "tool_choice")
            one = choice.mode == "required" and len(choice.names) == 1
            name = self._wire_name(choice.names[0]) if one else ""
            choice = ToolChoice(choice.mode, [name] if one else [])
        if choice is not None and choice.mode == "none":
            parallel = None
        written = write_choice(choice, None if parallel else parallel)
        if written is not None:
            self.body["tool_choice"] = written

    def _confined(self, choice: ToolChoice | None) -> set[str] | None:
        """The tools that may be called, where the choice cannot say it; None for all."""
        if choice is None or choice.mode == "none" or not choice.names:
            return None
        if choice.mode == "required" and len(choice.names) == 1:
            return None
        return set(choice.names)

    def _wire_name(self, name: str) -> str:
        tool = next((tool for tool in self._chat.tools if tool.name == name), None)
        return wire_name(name, tool.namespace if tool is not None else "")

    def _tool(self, tool: Tool, where: str) -> list[JSON]:
        if tool.kind == "hosted":
            self.dropped.append(where)
            return []
        self._turns.drop(tool.extra, where)
        written: JSON = {"name": wire_name(tool.name, tool.namespace)}
        description = tool.description
        if tool.kind == "custom":
            description = _with_format(tool)
            written["input_schema"] = _FREE_TEXT
        else:
            written["input_schema"] = _object_schema(tool.schema)
        if description:
            written["description"] = description
        if tool.strict and tool.kind == "function":
            written["strict"] = True
            written["input_schema"] = closed(written["input_schema"])
        self._turns.mark(written, tool.cache, where)
        return [written]

    def _format(self) -> None:
        wanted = self._chat.format
        if wanted is None or wanted.kind == "text":
            return
        self._turns.drop(wanted.extra, "response_format")
        if isinstance(wanted.schema, dict):
            schema = closed(wanted.schema)
            self._config()["format"] = {"type": "json_schema", "schema": schema}
            return
        system = self.body.get("system")
        if isinstance(system, list):
            self.body["system"] = [*system, {"type": "text", "text": _JSON_ONLY}]
        else:
            self.body["system"] = f"{system}\n\n{_JSON_ONLY}" if system else _JSON_ONLY

    def _config(self) -> JSON:
        return self.body.setdefault("output_config", {})

    def _thinking(self) -> None:
        wanted = self._chat.thinking
        if wanted is None:
            return
        self._turns.drop(wanted.extra, "thinking")
        name = "reasoning_effort" if wanted.effort else "thinking"
        if wanted.enabled is False or wanted.effort == "none" or wanted.budget == 0:
            self.body["thinking"] = {"type": "disabled"}
            return
        if not (wanted.enabled or wanted.adaptive or wanted.effort or wanted.budget):
            return
        choice = self.body.get("tool_choice", {}).get("type")
        if choice in ("any", "tool"):  # a forced call is meant, a thought only wished for
            self.dropped.append(name)
            return
        by_budget = self._hints.options.get("thinking") == "budget"
        if by_budget:
            self._budget(wanted, name)
        else:
            self._adaptive(wanted)
        if "thinking" in self.body and wanted.show is not None:
            self.body["thinking"]["display"] = "summarized" if wanted.show else "omitted"

    def _adaptive(self, wanted: Thinking) -> None:
        self.body["thinking"] = {"type": "adaptive"}
        if wanted.show is None:  # models of 2026 leave thoughts out unless they are asked for
            self.body["thinking"]["display"] = "summarized"
        effort = _EFFORTS.get(wanted.effort, "")
        if not effort and wanted.budget is not None and wanted.budget > 0:
            effort = _effort_of(wanted.budget)
        if effort:
            self._config()["effort"] = effort

    def _budget(self, wanted: Thinking, name: str) -> None:
        budget = wanted.budget if wanted.budget is not None and wanted.budget > 0 else None
        if budget is None:
            budget = _BUDGETS.get(wanted.effort, _BUDGETS["medium"])
        budget = max(budget, _LEAST_BUDGET)
        if self._chat.max_output is None:
            most = self._hints.max_output or budget + _ROOM
            self.body["max_tokens"] = max(self.body["max_tokens"], min(most, budget + _ROOM))
        if budget >= self.body["max_tokens"]:
            budget = self.body["max_tokens"] // 2
        if budget < _LEAST_BUDGET or self._interrupted():
            self.dropped.append(name)
            return
        self.body["thinking"] = {"type": "enabled", "budget_tokens": budget}

    def _interrupted(self) -> bool:
        """Whether calls are being answered whose thought did not come back: with a budget the API
        demands it.
        """
        turns = self.body["messages"]
        if len(turns) < 2 or not isinstance(turns[-1]["content"], list):
            return False
        if turns[-1]["content"][0]["type"] != "tool_result":
            return False
        first = turns[-2]["content"]
        return not isinstance(first, list) or not first[0]["type"].endswith("thinking")

    def _sampling(self) -> None:
        chat, body = self._chat, self.body
        thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
        if chat.temperature is not None:
            if thinks and chat.temperature != 1:
                self.dropped.append("temperature")
            elif not 0 <= chat.temperature <= 1:
                body["temperature"] = min(max(chat.temperature, 0), 1)
                self.warnings.append(
                    f"temperature {chat.temperature} became {body['temperature']}: "
                    "this model takes 0 to 1"
                )
            else:
                body["temperature"] = chat.temperature
        if chat.top_p is not None and chat.top_p != 1:
            # Models since Claude 4.5 take one of the two.
            if "temperature" in body or (thinks and chat.top_p < _LEAST_TOP_P):
                self.dropped.append("top_p")
            else:
                body["top_p"] = chat.top_p
        if chat.top_k is not None:
            if thinks:
                self.dropped.append("top_k")
            else:
                body["top_k"] = chat.top_k
        stops = [stop for stop in chat.stop if stop.strip()]
        self.dropped += [f"stop[{i}]" for i, stop in enumerate(chat.stop) if not stop.strip()]
        if stops:
            body["stop_sequences"] = stops

    def _rest(self) -> None:
        chat, body = self._chat, self.body
        if chat.stream:
            body["stream"] = True
        if chat.user and len(chat.user) <= _MAX_USER:
            body["metadata"] = {"user_id": chat.user}
        elif chat.user:
            self.dropped.append("user")
        tiers = {"auto": "auto", "default": "standard_only"}
        if chat.service_tier in tiers:
            body["service_tier"] = tiers[chat.service_tier]
        elif chat.service_tier:
            self.dropped.append("service_tier")
        for name, value in (
            ("seed", chat.seed is not None),
            ("presence_penalty", chat.presence_penalty),
            ("frequency_penalty", chat.frequency_penalty),
            ("logprobs", chat.logprobs),
            ("top_logprobs", chat.top_logprobs),
            ("verbosity", chat.verbosity),
            ("prompt_cache_key", chat.cache_key),
        ):
            if value:
                self.dropped.append(name)
        self.dropped += [name for name, value in chat.extra.items() if value is not None]


_FREE_TEXT: Final[JSON] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def _refuse(chat: ChatRequest) -> None:
    """What must not be dropped without a word."""
    if chat.n is not None and chat.n > 1:
        raise refuse("n", "must be 1: this model gives one answer", "unsupported")
    for kind in chat.modalities:
        if kind != "text":
            raise refuse("modalities", f"must be text: this model makes no {kind}", "unsupported")


def _shortened(turn: JSON) -> JSON:
    """The turn with a string in the place of one plain text."""
    content = turn["content"]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        return {"role": turn["role"], "content": content[0]["text"]}
    return turn


def _object_schema(schema: JSON) -> JSON:
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    return schema if schema.get("type") == "object" else {**schema, "type": "object"}


def _with_format(tool: Tool) -> str:
    """A custom tool's description, its grammar told in words: nothing else can say it."""
    if not isinstance(tool.format, dict) or tool.format.get("type") == "text":
        return tool.description
    words = f"`input` is text in this format: {encode_text(tool.format)}"
    return f"{tool.description}\n\n{words}" if tool.description else words


def _effort_of(budget: int) -> str:
    return next((name for name, most in _BUDGETS.items() if budget <= most), "max").replace(
        "minimal", "low"
    )
