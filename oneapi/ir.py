"""The typed middle: what every dialect is parsed to and rendered from.

A request is a `ChatRequest`, messages made of parts; an answer is a `ChatResponse` or a stream of
events, whose grammar is the finest of all dialects. The gateway itself needs less of a request: its
`Envelope`; and of an answer its `Usage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Literal, TypeAlias

from oneapi.errors import ApiError
from oneapi.wire.json import JSON


@dataclass(slots=True)
class Usage:
    """What one call used, in disjoint buckets: no token is counted twice.

    Tokens: `input` is fresh text, `cache_read`, `cache_write_5m` and `cache_write_1h` are the
    parts of the prompt that a cache served or stored; `output` is text, `reasoning` hidden
    thought. `audio_*` and `image_in` are tokens of those media. Units for what is not tokens:
    `images` made, `audio_ms` of speech heard or spoken, `characters` of speech input,
    `searches` of hosted tools.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    audio_in: int = 0
    image_in: int = 0
    output: int = 0
    reasoning: int = 0
    audio_out: int = 0
    images: int = 0
    audio_ms: int = 0
    characters: int = 0
    searches: int = 0

    @property
    def input_tokens(self) -> int:
        """All tokens of the prompt, cached ones included."""
        return (
            self.input
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_in
            + self.image_in
        )

    @property
    def output_tokens(self) -> int:
        """All tokens of the answer, reasoning included."""
        return self.output + self.reasoning + self.audio_out

    def as_tuple(self) -> tuple[int, ...]:
        """The buckets in the order of their fields, as the ledger stores them."""
        return _ALL(self)


USAGE_BUCKETS: tuple[str, ...] = tuple(f.name for f in fields(Usage))
_ALL: Callable[[Usage], tuple[int, ...]] = attrgetter(*USAGE_BUCKETS)


@dataclass(slots=True)
class Envelope:
    """What the gateway must know of a request before it chooses a target.

    `size` is the body's length in bytes, `max_output` the client's own limit in tokens (0 when
    it gave none), `n` how many answers it asked for, `wants_usage` whether a streaming client
    asked for the usage chunk, `usage_option` whether its operation has that option at all.
    """

    model: str
    stream: bool = False
    size: int = 0
    max_output: int = 0
    n: int = 1
    wants_usage: bool = False
    usage_option: bool = False


# What a request to a chat model is made of. None and "" mean: not said.
#
# `extra`, wherever it stands, holds the members that the source's dialect has there beyond the
# middle, as they were. They return to the wire where the same dialect is rendered (`source` says
# which one that is) and are dropped, by name, elsewhere.

Extra = dict[str, JSON]


@dataclass(slots=True)
class Text:
    """Plain text. `cache` marks the end of a prefix to be cached: its lifetime "5m" or "1h".

    `annotations` are citations as the source's dialect has them.
    """

    text: str
    cache: str = ""
    annotations: list[JSON] = field(default_factory=list)
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Refusal:
    """The model's own no, where its dialect tells it from text."""

    text: str
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Reasoning:
    """Hidden thought.

    `signature` vouches for `text` at the provider that made it; `data` is an encrypted form, the
    whole of it where `text` is empty. `summary` says that the text is a summary of the thought.
    `id` names it where its dialect does.
    """

    text: str = ""
    signature: str = ""
    data: str = ""
    summary: bool = False
    id: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Media:
    """An image, sound, film or document: by `url` (never a data: URL), as base64 `data`, or by a
    provider's `file_id`.

    `media_type` is "" where nothing says it, `detail` OpenAI's word for an image's resolution. A
    document given as plain text has it in `text`.
    """

    kind: Literal["image", "audio", "video", "file"]
    url: str = ""
    data: str = ""
    file_id: str = ""
    media_type: str = ""
    filename: str = ""
    detail: str = ""
    text: str = ""
    cache: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ToolCall:
    """The model calls a tool.

    `arguments` is text as the model wrote it: a JSON object for a function ("" where it wrote
    none), anything for a custom tool. `id` joins it to its result, "" where the dialect has no
    ids. `signature` is a thought signature that must be replayed with the call. `item_id` is the
    Responses item's own id beside its call id.
    """

    id: str
    name: str
    arguments: str = ""
    custom: bool = False
    namespace: str = ""
    signature: str = ""
    cache: str = ""
    item_id: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ToolResult:
    """What a tool answered. `name` is the tool's and `call_id` the call's, "" where the dialect
    does not say it; `base_turns.linked` finds them.
    """

    call_id: str
    parts: list[Part]
    name: str = ""
    error: bool = False
    custom: bool = False
    cache: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Opaque:
    """A part that only `dialect` knows, as it stands there: passed on to that dialect alone."""

    dialect: str
    data: JSON


Part: TypeAlias = Text | Refusal | Reasoning | Media | ToolCall | ToolResult | Opaque

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(slots=True)
class Message:
    """One turn. Tool results stand in messages of role `tool`, or among a user's parts where the
    dialect has them there. A system prompt that a dialect keeps apart is the first message.
    """

    role: Role
    parts: list[Part]
    name: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Tool:
    """A tool the model may call.

    `schema` is the JSON Schema of a function's arguments, None where none is given; a custom tool
    has a `format` instead (None: free text). A `hosted` tool is the provider's own: `data` is its
    whole entry as it stands in `dialect`, `name` its type there. A function's `data` are members as
    they stood in `dialect`, where that writes schemas in a way of its own.
    """

    name: str
    description: str = ""
    schema: JSON = None
    strict: bool | None = None
    kind: Literal["function", "custom", "hosted"] = "function"
    format: JSON = None
    namespace: str = ""
    dialect: str = ""
    data: JSON = None
    cache: str = ""
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ToolChoice:
    """`names` confine the choice; one name with `required` means that tool and no other."""

    mode: Literal["auto", "none", "required"] = "auto"
    names: list[str] = field(default_factory=list)
    custom: bool = False
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class OutputFormat:
    """`json` without a `schema` is any JSON object.

    Where the source's dialect writes schemas in a way of its own, `schema` is JSON Schema and
    `data` holds the members as they stood in `dialect`.
    """

    kind: Literal["text", "json"]
    schema: JSON = None
    name: str = ""
    description: str = ""
    strict: bool | None = None
    extra: Extra = field(default_factory=dict)
    dialect: str = ""
    data: JSON = None


@dataclass(slots=True)
class Thinking:
    """How much to think, and what of it to show.

    `effort` is none, minimal, low, medium, high, xhigh or max; `budget` counts tokens. `show` says
    whether thoughts or their summaries are wanted, `summary` how long a summary (auto, concise,
    detailed), `encrypted` that encrypted thoughts are wanted for replaying.
    """

    effort: str = ""
    budget: int | None = None
    enabled: bool | None = None
    adaptive: bool = False
    show: bool | None = None
    summary: str = ""
    encrypted: bool = False
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ChatRequest:
    """One request to a chat model. `source` is the client's dialect (`ChatFace.NAME`).

    Renderers never change a request: it may be rendered again for another target.
    """

    model: str
    messages: list[Message]
    source: str
    stream: bool = False
    wants_usage: bool = False
    tools: list[Tool] = field(default_factory=list)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = field(default_factory=list)
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: OutputFormat | None = None
    thinking: Thinking | None = None
    verbosity: str = ""
    user: str = ""
    service_tier: str = ""
    cache_key: str = ""
    modalities: list[str] = field(default_factory=list)
    extra: Extra = field(default_factory=dict)


Stop: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"
]
"""Why an answer ended. A `stop_sequence` that was met is a `stop` that names it; `refusal` is the
model's own no (Anthropic's), `pause` a turn that the client must send back to be continued."""


@dataclass(slots=True)
class Choice:
    """One answer. `native_stop` is the provider's own word for `stop`."""

    parts: list[Part]
    stop: Stop | None
    index: int = 0
    native_stop: str = ""
    stop_sequence: str | None = None
    logprobs: JSON = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class ChatResponse:
    """A whole answer.

    `source` is the provider's dialect, `created` Unix seconds (0: unknown), `raw_usage` the usage
    as it stood there, for a client of the same dialect.
    """

    id: str
    model: str
    choices: list[Choice]
    usage: Usage | None
    source: str
    created: int = 0
    service_tier: str = ""
    raw_usage: JSON = None
    extra: Extra = field(default_factory=dict)


# A streamed answer is a sequence of events:
#
#     Start  { BlockStart  { Delta | Signature | Annotation }  BlockStop }  Finish …
#
# Every block has an `index` of its own, counted from 0 in the order in which blocks begin, over all
# choices of the answer; several may be open at once. Each choice ends with one Finish. Spent may
# come anywhere and again: the last one counts. Failed ends a stream instead of what would follow.


@dataclass(slots=True)
class Start:
    """The answer begins. Once, before everything else but Spent.

    `source` is the provider's dialect, as in `ChatResponse`: whose `extra` and `raw` the events of
    this answer carry; "" where its parser does not say.
    """

    id: str
    model: str
    created: int = 0
    service_tier: str = ""
    extra: Extra = field(default_factory=dict)
    source: str = ""


@dataclass(slots=True)
class BlockStart:
    """A part begins. Of a tool call, id and name are known; texts, arguments and base64 data come
    as deltas, so the part's own are empty. Opaque and finished media stand in it whole.
    """

    index: int
    part: Part
    choice: int = 0


@dataclass(slots=True)
class Delta:
    """More of a block: text, arguments, or base64 of a medium."""

    index: int
    text: str
    logprobs: JSON = None
    extra: Extra | None = None


@dataclass(slots=True)
class Signature:
    """What vouches for a block of reasoning, or must be replayed with a call; `data` is the
    encrypted form of a thought.
    """

    index: int
    signature: str = ""
    data: str = ""


@dataclass(slots=True)
class Annotation:
    """A citation of a text block, as the source's dialect has it."""

    index: int
    annotation: JSON


@dataclass(slots=True)
class BlockStop:
    """A block is complete. `extra` is what became known at its end alone."""

    index: int
    extra: Extra | None = None


@dataclass(slots=True)
class Finish:
    """A choice is complete."""

    stop: Stop
    choice: int = 0
    native_stop: str = ""
    stop_sequence: str | None = None
    extra: Extra = field(default_factory=dict)


@dataclass(slots=True)
class Spent:
    """What the answer used so far, cumulative; `raw` as the source's dialect has it."""

    usage: Usage
    raw: JSON = None


@dataclass(slots=True)
class Aside:
    """An event that only `dialect` knows: passed on to clients of that dialect alone."""

    dialect: str
    data: JSON


@dataclass(slots=True)
class Failed:
    """The provider's error in mid-stream."""

    error: ApiError


Event: TypeAlias = (
    Start
    | BlockStart
    | Delta
    | Signature
    | Annotation
    | BlockStop
    | Finish
    | Spent
    | Aside
    | Failed
)
