"""What the gateway asks of wire formats: of those that clients speak, and those of providers.

A dialect is a set of pure functions: no I/O, no clock, no configuration, no provider's name.

The byte and edit lanes relay a client's own format and need a `ClientDialect`: what a request asks
for, a tap that reads along, errors. The translate lane goes through `oneapi.ir`: the client's side
of a chat is a `ChatFace`, the provider's a `ChatProvider`. Files of one dialect share their first
word; siblings never import each other, `base_*` is for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from oneapi.errors import ApiError
from oneapi.ir import ChatRequest, ChatResponse, Envelope, Event, Usage
from oneapi.wire.json import JSON, Raw

Headers = Sequence[tuple[bytes, bytes]]

Q = TypeVar("Q")
A = TypeVar("A", contravariant=True)
Q_in = TypeVar("Q_in", contravariant=True)
A_out = TypeVar("A_out", covariant=True)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a dialect can ask for. Names are unique over all dialects.

    `path` follows the provider's base address. `form` says that requests may be multipart forms,
    `streams` that answers may be event streams, `default_model` what is meant where none is named,
    `usage_option` that a stream's usage is asked for by an option of the request, `ends` that a
    stream says when it is complete: by a finish reason or a terminal event. `task` is what it is
    for, whatever the dialect: chat, embeddings, rerank …; "" where no other operation can stand in.
    `limits` are the members that limit an answer's tokens, the usual one first, a dot before what
    stands inside another; `budget` is the one that counts thoughts within that limit.
    """

    name: str
    path: str
    form: bool = False
    streams: bool = False
    default_model: str | None = None
    usage_option: bool = False
    ends: bool = False
    task: str = ""
    limits: tuple[str, ...] = ()
    budget: str = ""


class Tap(Protocol):
    """Reads along while a stream is relayed, and decides which bytes may go to the client when.

    Until the first content nothing that could be retried elsewhere is released; from the terminal
    event on (`done`) everything is held for `close`.
    """

    error: JSON
    content_seen: bool
    done: bool
    events: int

    @property
    def usage(self) -> Usage | None:
        """What the stream said so far that it used."""
        ...

    @property
    def finished(self) -> bool:
        """Whether the stream said that it is complete."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """What may go to the client now. Raises ValueError when an event outgrows every bound."""
        ...

    def close(self) -> bytes:
        """At the end of the provider's stream: what was held back, the terminal event with it."""
        ...

    def sample(self) -> str:
        """Text of what was relayed, for estimating; bounded."""
        ...

    def output_estimate(self, count: Callable[[str], int] = ...) -> int:
        """About how many tokens were relayed, for a stream that did not count them."""
        ...


class ClientDialect(Protocol):
    """A wire format that clients speak: what the byte and edit lanes need of it."""

    @property
    def NAME(self) -> str: ...

    @property
    def OPERATIONS(self) -> Mapping[str, Operation]:
        """By name."""
        ...

    @property
    def WATCHED(self) -> frozenset[str]:
        """Top-level members that decide about a request: doubled ones are refused."""
        ...

    @property
    def HEADERS(self) -> Headers:
        """What its requests must have in headers: added where the client sends none of the name."""
        ...

    @property
    def PING(self) -> bytes:
        """What keeps a silent stream alive, b"" where the format has nothing for it."""
        ...

    def peek(
        self, operation: Operation, members: Mapping[str, Raw], path_model: str | None
    ) -> Envelope:
        """What routing must know, its types checked. Raises `ApiError` 400 naming the parameter."""
        ...

    def edit_request(
        self,
        members: Mapping[str, Raw],
        *,
        model: str | None = None,
        include_usage: bool = False,
        set: Mapping[str, JSON] | None = None,
        drop: Sequence[str] = (),
    ) -> bytes | None:
        """The request with single members changed, every other byte kept; None: nothing changes."""
        ...

    def tap(
        self,
        operation: Operation,
        *,
        asked: str | None = None,
        withhold_usage: bool = False,
        output_excludes_reasoning: bool = False,
        secrets: Sequence[str] = (),
    ) -> Tap:
        """Reads along with one stream. `asked` is the model's name to put back, where the gateway
        changed it.
        """
        ...

    def parse_answer(
        self,
        operation: Operation,
        status: int,
        content_type: str,
        body: bytes,
        *,
        output_excludes_reasoning: bool = False,
    ) -> tuple[str | None, Usage | None]:
        """Why a whole successful answer is not what was asked for, None where it is; and what it
        says it used. Raises nothing.
        """
        ...

    def rename_response(self, body: bytes, asked: str) -> bytes:
        """A whole answer with the asked model's name, every other byte kept."""
        ...

    def response_text(self, body: bytes) -> str:
        """Text of a whole answer, for estimating."""
        ...

    def error_status(self, error: ApiError) -> int:
        """The status that this format's client libraries expect for the error."""
        ...

    def render_error(self, error: ApiError, request_id: str = "") -> bytes:
        """The body that makes this format's own client libraries raise the right error."""
        ...

    def stream_error(self, error: ApiError, request_id: str = "") -> bytes:
        """The same inside a stream whose status has gone out."""
        ...


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a rendered answer needs and no pure function can know.

    `id` is the call's own, 16 or more of [0-9a-z]; `created` Unix seconds; `model` the name that
    the client is to see, "" for the provider's own; `elapsed_ns` tells nanoseconds since the
    request came.
    """

    id: str
    created: int = 0
    model: str = ""
    elapsed_ns: Callable[[], int] = lambda: 0


class StreamRenderer(Protocol):
    """Events of one answer as a stream of the client's dialect."""

    def render(self, events: Iterable[Event]) -> bytes:
        """The bytes that these events are. A `Failed` among them is rendered as `fail` does."""
        ...

    def fail(self, error: ApiError) -> bytes:
        """The dialect's own error event, which ends the stream."""
        ...

    def close(self) -> bytes:
        """What ends a complete stream: open blocks, the finish, usage, the terminal event."""
        ...


class ChatFace(Protocol):
    """The client's side of a chat operation in the translate lane."""

    @property
    def NAME(self) -> str:
        """The dialect's: `ChatRequest.source` of what it parses."""
        ...

    @property
    def CONTENT_TYPE(self) -> bytes:
        """Of a streamed answer."""
        ...

    def parse_request(self, body: JSON, envelope: Envelope) -> ChatRequest:
        """Raises `ApiError` 400 naming the parameter (`messages[2].content`) where a member that
        the middle must understand is malformed. Never another exception, whatever the JSON.
        """
        ...

    def render_request(self, chat: ChatRequest) -> JSON:
        """The request in this dialect again, what `parse_request` was given up to listed
        normalisations; used where the same dialect is rendered with changes.
        """
        ...

    def render_response(self, reply: ChatResponse, chat: ChatRequest, stamp: Stamp) -> bytes:
        """The body of a whole answer. Blocks, finish and usage the client's library expects."""
        ...

    def stream_renderer(self, chat: ChatRequest, stamp: Stamp) -> StreamRenderer: ...


@dataclass(frozen=True, slots=True)
class Hints:
    """What the catalog and the channel know beyond the request.

    `max_output` is the model's most, for formats that must name a limit (0: unknown), `context` its
    window in tokens. `limit_field` is the member that limits a chat's output, `system_role` the
    role that system prompts take, where the format leaves a choice. `safety` are Gemini's settings.
    `options` are the channel's own for this format (`num_ctx`, `keep_alive`, `api_version` …).
    """

    max_output: int = 0
    context: int = 0
    limit_field: str = "max_tokens"
    system_role: str = "system"
    include_usage: bool = True
    output_excludes_reasoning: bool = False
    safety: Sequence[JSON] = ()
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(slots=True)
class Outgoing:
    """A request as a provider's dialect wants it.

    `operation` names it among the account's operations, whose path it takes; `query` is added to
    that path (`alt=sse`), `headers` are the format's own. `streams` says that a stream of events
    will answer. `dropped` names, as the client calls them, members of the request that this format
    cannot say (`logit_bias`, `tools[1].cache_control`), for `x-oneapi-dropped`; `warnings` are
    whole sentences, for `x-oneapi-warning`. `more` are bodies of further calls to the same place,
    for a task whose provider takes less at once than the client gave: their answers are joined.
    """

    operation: str
    body: bytes
    streams: bool
    query: str = ""
    headers: Headers = ()
    dropped: Sequence[str] = ()
    warnings: Sequence[str] = ()
    more: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A provider that answers later is asked again: `url` is absolute (its path is used, its host
    never), `wait_s` how long to wait before. `streams` says that events will answer.
    """

    url: str
    wait_s: float = 0.0
    method: bytes = b"GET"
    streams: bool = False
    headers: Headers = ()


class StreamParser(Protocol):
    """One provider's stream as events, sans I/O, whatever the cuts between chunks."""

    done: bool
    """The terminal event has come: nothing that follows counts."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Never raises: what cannot be read becomes a `Failed`."""
        ...

    def close(self) -> list[Event]:
        """At the end of the body: what was incomplete; blocks still open are stopped."""
        ...


class ChatProvider(Protocol):
    """The provider's side of chat in the translate lane."""

    @property
    def NAME(self) -> str: ...

    @property
    def OPERATION(self) -> str:
        """The account's operation that answers chats, or the usual one of several."""
        ...

    def fetches(self, chat: ChatRequest, hints: Hints) -> Sequence[str]:
        """URLs of media whose bytes it needs: the gateway fetches them and puts them in."""
        ...

    def render_request(self, chat: ChatRequest, model: str, hints: Hints) -> Outgoing:
        """Raises `ApiError` 400 naming what the format cannot do and must not be dropped."""
        ...

    def follow_up(self, body: bytes) -> FollowUp | None:
        """What to ask next where this answer is a promise; None: it is the answer."""
        ...

    def parse_response(self, body: bytes, hints: Hints, stamp: Stamp) -> ChatResponse:
        """Raises `UpstreamError` 502 for what is no answer, the provider's own error where a
        successful status holds one. Never another exception.
        """
        ...

    def stream_parser(self, hints: Hints, stamp: Stamp) -> StreamParser: ...

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """Message, code and kind of a provider's refusal, "" where it does not say."""
        ...


class TaskFace(Protocol[Q, A]):
    """The client's side of a task that is answered whole: embeddings, rerank, images …

    `Q` and `A` are the task's question and answer in the typed middle (`oneapi.tasks`).
    """

    @property
    def NAME(self) -> str: ...

    def parse_request(self, body: JSON, envelope: Envelope) -> Q:
        """Raises `ApiError` 400 naming the parameter."""
        ...

    def render_response(self, reply: A, request: Q, stamp: Stamp) -> tuple[bytes, bytes]:
        """Content type and body."""
        ...


class TaskProvider(Protocol[Q_in, A_out]):
    """The provider's side of such a task."""

    @property
    def NAME(self) -> str: ...

    @property
    def OPERATIONS(self) -> Sequence[str]:
        """The account's operations that it may use: an account needs one of them."""
        ...

    def render_request(self, request: Q_in, model: str, hints: Hints) -> Outgoing:
        """Raises `ApiError` 400 naming what the format cannot do and must not be dropped."""
        ...

    def parse_response(self, content_type: str, body: bytes, request: Q_in) -> A_out:
        """Raises `UpstreamError` 502 for what is no answer."""
        ...

    def parse_error(self, status: int, headers: Headers, body: bytes) -> tuple[str, str, str]:
        """Message, code and kind of a provider's refusal, "" where it does not say."""
        ...


@runtime_checkable
class AnswersLater(Protocol):
    """A `TaskProvider` whose answers may be promises."""

    def follow_up(self, body: bytes) -> FollowUp | None:
        """What to ask next where this answer is a promise; None: it is the answer."""
        ...
