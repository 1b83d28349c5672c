"""Requests from any dialect as Bedrock's Converse wants them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-24)
and recordings. Of other dialects: system messages go where Converse has them, turns of one role are
joined, tools that the conversation used are declared, and what Converse cannot say is named. A
request of Converse itself is rendered as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from oneapi.dialects.base import Hints, Outgoing
from oneapi.dialects.base_bodies import body_of
from oneapi.dialects.base_calls import plainly_named
from oneapi.dialects.base_turns import linked
from oneapi.dialects.bedrock_content import BUCKET, Contents, tool_name
from oneapi.dialects.bedrock_requests import SYSTEM
from oneapi.dialects.bedrock_schemas import closed_schema, tool_schema
from oneapi.dialects.bedrock_shapes import NAME, OPERATION, STREAMED
from oneapi.dialects.bedrock_thinking import Family, Thought, family_of, render_thinking
from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, Media, Message, Part, Tool, ToolCall, ToolResult
from oneapi.wire.json import JSON

_FIRST: Final = "(start)"
"""What the user says in a conversation that the assistant begins."""

_OPTIONS: Final = (
    "guardrailConfig",
    "performanceConfig",
    "requestMetadata",
    "additionalModelRequestFields",
)
"""Members that a channel may set for all of its requests."""

_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})

_UNSAID: Final = (
    ("seed", "seed"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("verbosity", "verbosity"),
    ("user", "user"),
    ("cache_key", "prompt_cache_key"),
)
"""Fields that Converse has nothing for, and what clients call them."""


def fetches(chat: ChatRequest) -> list[str]:
    """URLs of media: Converse takes bytes, or objects in the account's own buckets."""
    return [
        part.url
        for message in chat.messages
        for part in _parts(message.parts)
        if isinstance(part, Media) and part.url and not part.url.startswith(BUCKET)
    ]


def _parts(parts: list[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        if isinstance(part, ToolResult):
            yield from part.parts


def render_request(chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
    """Raises `ApiError` 400 naming what Converse cannot do and must not be dropped."""
    request = _Request(chat if chat.source == NAME else plainly_named(chat), model, hints)
    try:
        body = body_of(request.body())
    except RecursionError as error:
        raise ApiError(400, "the request is nested too deeply", code="invalid_value") from error
    return Outgoing(
        STREAMED if chat.stream else OPERATION,
        body,
        chat.stream,
        dropped=list(dict.fromkeys(request.contents.dropped)),
    )


class _Request:
    def __init__(self, chat: ChatRequest, model: str, hints: Hints) -> None:
        self.chat = chat
        self.own = chat.source == NAME
        self.contents = Contents(own=self.own)
        self._family: Family = family_of(model)
        self._hints = hints
        self._messages = chat.messages if self.own else linked(chat.messages)

    def body(self) -> JSON:
        chat = self.chat
        body: dict[str, JSON] = dict(chat.extra) if self.own else {}
        system, messages = self._system(), self._turns()
        if not self.own:
            system, messages = _begun(system, messages)
        if messages:
            body["messages"] = messages
        if system:
            body["system"] = system
        tools = self._tools()
        if tools:
            body["toolConfig"] = {**body.get("toolConfig", {}), **tools}
        if self.own:
            return self._own(body)
        thought = self._thought()
        body |= self._inference(thought)
        body |= self._output(thought)
        if chat.service_tier in _TIERS:
            body["serviceTier"] = {"type": chat.service_tier}
        elif chat.service_tier not in ("", "auto"):
            self._drop("service_tier")
        fields = self._fields(thought)
        if fields:
            body["additionalModelRequestFields"] = fields
        if chat.stop:
            body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]
        self._unsaid()
        return self._with_options(body)

    def _own(self, body: dict[str, JSON]) -> JSON:
        chat = self.chat
        inference = self._inference(Thought()).get("inferenceConfig")
        if inference:
            body["inferenceConfig"] = {**(body.get("inferenceConfig") or {}), **inference}
        if chat.format is not None:
            body["outputConfig"] = chat.format.extra["outputConfig"]
        if chat.service_tier:
            body["serviceTier"] = {"type": chat.service_tier}
        return self._with_options(body)

    def _with_options(self, body: dict[str, JSON]) -> JSON:
        options: Mapping[str, JSON] = self._hints.options
        for name in _OPTIONS:
            wanted, said = options.get(name), body.get(name)
            if isinstance(wanted, dict):
                body[name] = {**wanted, **said} if isinstance(said, dict) else wanted
        return body

    def _drop(self, name: str) -> None:
        self.contents.dropped.append(name)

    def _system(self) -> list[JSON]:
        """The system prompt. Those in mid-conversation join it: a later place is not known here."""
        blocks: list[JSON] = []
        for i, message in enumerate(self._messages):
            if not self._is_system(message):
                continue
            found = self.contents.blocks(message.parts, f"messages[{i}].content")
            if not self.own:
                self._named(message, i)
                unsaid = [b for b in found if "text" not in b and "cachePoint" not in b]
                self.contents.dropped += [f"messages[{i}].content"] * bool(unsaid)
                found = [b for b in found if b not in unsaid]
            blocks += found
        return blocks

    def _is_system(self, message: Message) -> bool:
        if self.own:
            return SYSTEM in message.extra
        return message.role in ("system", "developer")

    def _turns(self) -> list[JSON]:
        turns: list[JSON] = []
        for i, message in enumerate(self._messages):
            if self._is_system(message):
                continue
            content = self.contents.blocks(message.parts, f"messages[{i}].content")
            if self.own:
                turns.append({**message.extra, "role": message.role, "content": content})
                continue
            self._named(message, i)
            role = "assistant" if message.role == "assistant" else "user"
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += content
            elif content:
                turns.append({"role": role, "content": content})
        for turn in turns:
            if not self.own and turn["role"] == "user":
                turn["content"] = _results_first(turn["content"])
        return turns

    def _named(self, message: Message, i: int) -> None:
        if message.name:
            self._drop(f"messages[{i}].name")
        self.contents.drop_extra(message.extra, f"messages[{i}]")

    def _tools(self) -> dict[str, JSON]:
        chat, choice = self.chat, self.chat.tool_choice
        used = [] if self.own else self._used()
        if choice is not None and choice.mode == "none" and not self.own:
            self._drop("tool_choice")
            if not used:
                return {}
        entries: list[JSON] = []
        for i, tool in enumerate(chat.tools):
            if not self.own and choice and choice.names and tool.name not in choice.names:
                continue
            entries += self._tool(tool, f"tools[{i}]")
        if not entries and not self.own:
            entries = [_declared(name) for name in used]
        if not entries and not self.own:
            return {}
        config: dict[str, JSON] = {"tools": entries} if entries else {}
        said = self._choice()
        if said is not None:
            config["toolChoice"] = said
        return config

    def _used(self) -> list[str]:
        """Names of the tools that the conversation used: they must be declared."""
        calls = (
            p for m in self._messages for p in m.parts if isinstance(p, (ToolCall, ToolResult))
        )
        return list(dict.fromkeys(call.name or "tool" for call in calls))

    def _choice(self) -> JSON:
        choice = self.chat.tool_choice
        if choice is None:
            return None
        if self.own:
            return choice.extra.get("toolChoice", {choice.mode: {}})
        if choice.mode != "required":
            return None
        if len(choice.names) == 1:
            return {"tool": {"name": tool_name(choice.names[0], "tool_choice")}}
        return {"any": {}}

    def _tool(self, tool: Tool, where: str) -> list[JSON]:
        if tool.kind == "hosted":
            if tool.dialect != NAME:
                self._drop(where)
                return []
            entry: JSON = tool.data
        else:
            entry = {"toolSpec": self._spec(tool, where)}
        point = self.contents.cache_point(tool.cache, tool) if tool.cache else None
        return [entry, {"cachePoint": point}] if point else [entry]

    def _spec(self, tool: Tool, where: str) -> JSON:
        spec: dict[str, JSON] = {"name": tool_name(tool.name, f"{where}.name")}
        if self.own:
            spec |= {k: v for k, v in tool.extra.items() if k != "cachePoint"}
        else:
            self.contents.drop_extra(tool.extra, where)
        if tool.description:
            spec["description"] = tool.description
        if not self.own:
            schema, lost = tool_schema(tool)
            self.contents.dropped += [f"{where}.parameters.{name}" for name in lost]
            spec["inputSchema"] = {"json": schema}
        elif tool.schema is not None:
            spec["inputSchema"] = {"json": tool.schema}
        if tool.strict or (self.own and tool.strict is not None):
            spec["strict"] = tool.strict
        return spec

    def _thought(self) -> Thought:
        limit = self.chat.max_output or self._hints.max_output
        thought = render_thinking(self.chat, self._messages, self._family, limit)
        self.contents.dropped += thought.dropped
        return thought

    def _inference(self, thought: Thought) -> dict[str, JSON]:
        chat = self.chat
        config: dict[str, JSON] = {
            "maxTokens": chat.max_output,
            "temperature": chat.temperature,
            "topP": chat.top_p,
            "stopSequences": list(chat.stop) or None,
        }
        if not self.own:
            self._bound(config, thought)
        config = {name: value for name, value in config.items() if value is not None}
        return {"inferenceConfig": config} if config else {}

    def _bound(self, config: dict[str, JSON], thought: Thought) -> None:
        """What the family does not take, or not while it thinks, is left out and named."""
        heat, share = config["temperature"], config["topP"]
        if heat is not None and (heat > 1 or (heat != 1 and thought.strict) or thought.bare):
            config["temperature"] = 1.0 if heat > 1 and not thought.bare else None
            self._drop("temperature")
        if share is not None:
            both = self._family.either_or and heat is not None
            if both or thought.bare or (thought.strict and share < 0.95):
                config["topP"] = None
                self._drop("top_p")
        if thought.bare and config["maxTokens"] is not None:
            config["maxTokens"] = None
            self._drop("max_tokens")
        stops = config["stopSequences"] or []
        kept = [stop for stop in stops if stop.strip()]
        if len(kept) < len(stops):  # refused: "must contain non-whitespace"
            config["stopSequences"] = kept or None
            self._drop("stop")

    def _output(self, thought: Thought) -> dict[str, JSON]:
        config: dict[str, JSON] = {}
        if thought.effort:
            config["effort"] = thought.effort
        wanted = self.chat.format
        if wanted is not None and wanted.kind == "json":
            if isinstance(wanted.schema, dict):
                config["textFormat"] = _text_format(
                    closed_schema(wanted.schema), wanted.name, wanted.description
                )
            else:
                self._drop("response_format")
        return {"outputConfig": config} if config else {}

    def _fields(self, thought: Thought) -> dict[str, JSON]:
        fields = dict(thought.fields)
        if self.chat.top_k is None:
            return fields
        if not self._family.top_k or thought.strict or thought.bare:
            self._drop("top_k")
            return fields
        *outer, last = self._family.top_k
        place: JSON = fields
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = self.chat.top_k
        return fields

    def _unsaid(self) -> None:
        chat = self.chat
        for name, called in _UNSAID:
            value = getattr(chat, name)
            if value or (name == "seed" and value is not None):
                self._drop(called)
        if chat.n is not None and chat.n > 1:
            self._drop("n")
        if chat.parallel_tools is False and chat.tools:
            self._drop("parallel_tool_calls")
        if any(mode != "text" for mode in chat.modalities):
            self._drop("modalities")
        self.contents.dropped += [name for name, value in chat.extra.items() if value is not None]


def _begun(system: list[JSON], turns: list[JSON]) -> tuple[list[JSON], list[JSON]]:
    """The conversation begun by the user, as it must be; instructions alone are the user's."""
    if not turns:
        return [], [{"role": "user", "content": system}] if system else []
    if turns[0]["role"] == "assistant":
        turns = [{"role": "user", "content": [{"text": _FIRST}]}, *turns]
    return system, turns


def _results_first(content: list[JSON]) -> list[JSON]:
    """The user's blocks, results of calls before all others; cache points stay behind theirs."""
    groups: list[list[JSON]] = []
    for block in content:
        if "cachePoint" in block and groups:
            groups[-1].append(block)
        else:
            groups.append([block])
    groups.sort(key=lambda group: "toolResult" not in group[0])
    return [block for group in groups for block in group]


def _declared(name: str) -> JSON:
    """A tool that is known by its use alone."""
    schema = {"type": "object", "properties": {}}
    return {"toolSpec": {"name": tool_name(name, "messages"), "inputSchema": {"json": schema}}}


def _text_format(schema: JSON, name: str, description: str) -> JSON:
    spec: dict[str, JSON] = {"schema": body_of(schema).decode()}
    if name:
        spec["name"] = name
    if description:
        spec["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": spec}}
