"""The shape of the configuration: every table, every key, its default and what it is for.

Field descriptions are the editor's tooltips (`oneapi schema`). A key that does not stand here is an
error; a key that will stand here once its behaviour is built is refused by name (`unbuilt`).
Values arrive resolved: no `${…}`, `file:` or `cmd:` reaches this module.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from oneapi.config.schema_money import (
    Alerts,
    Auth,
    Bounds,
    Mail,
    Price,
    PriceTier,
    Pusher,
    Site,
    Table,
    Webhook,
)
from oneapi.config.values import (
    BaseUrl,
    Budgets,
    ChannelName,
    ChannelProxy,
    Duration,
    Glob,
    HarmCategory,
    HeaderName,
    HeaderValue,
    KeepAlive,
    ModelName,
    Moment,
    Money,
    Name,
    Port,
    Proxy,
    Ratio,
    Seconds,
    Size,
    Subnet,
    TagName,
    TokenHash,
    UserName,
)

__all__ = ["Alerts", "Bounds", "Mail", "Price", "PriceTier", "Pusher", "Site", "Webhook"]

Endpoint = Literal[
    "chat",
    "completions",
    "edits",
    "embeddings",
    "moderations",
    "images",
    "speech",
    "transcriptions",
    "translations",
    "rerank",
    "ocr",
    "responses",
    "messages",
    "count_tokens",
    "models",
    "proxy",
    "pin",
]
HarmThreshold = Literal[
    "OFF",
    "BLOCK_NONE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_LOW_AND_ABOVE",
    "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
]
"""Gemini's words. https://ai.google.dev/api/generate-content#harmblockthreshold (2026-11-24)."""
ORDINARY_ENDPOINTS: frozenset[str] = frozenset(
    {
        "chat",
        "completions",
        "edits",
        "embeddings",
        "moderations",
        "images",
        "speech",
        "transcriptions",
        "translations",
        "rerank",
        "ocr",
        "responses",
        "messages",
        "count_tokens",
        "models",
    }
)
"""What a policy allows that names no endpoints; `proxy` and `pin` must be named (D36)."""


class Tls(Table):
    cert: str = Field(description="The certificate chain, PEM; relative to this file.")
    key: str = Field(description="The private key, PEM; relative to this file.")


class Server(Table):
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; 0.0.0.0 opens it to the network.",
    )
    port: Port = Field(default=3000, description="Port to listen on.")
    hosts: list[str] = Field(
        default=[],
        description="Further Host names that keyless calls answer to, besides localhost.",
    )
    anonymous: str | None = Field(
        default=None,
        description="Policy of keyless calls from this machine; none: a key is needed.",
    )
    trusted_proxies: list[Subnet] = Field(
        default=[], description="Networks whose forwarding headers are believed."
    )
    proxy: Proxy | None = Field(
        default=None,
        repr=False,
        description="Outbound proxy of every channel: http, https, socks5.",
    )
    max_body: Size = Field(default=64_000_000, description="Largest request body.")
    retry_body: Size = Field(
        default=1_000_000,
        description="Bodies up to this size are held, to be tried again elsewhere.",
    )
    drain_s: float = Field(
        default=30,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that streams may finish in at a stop.",
    )
    tls: Tls | None = Field(default=None, description="Serve https with this certificate.")
    debug_headers: Literal["admins", "always", "never"] = Field(
        default="admins",
        description="Who gets the x-oneapi-channel, -model, -attempts and -cost headers.",
    )
    on_disconnect: Literal["cancel", "drain"] = Field(
        default="cancel",
        description="When a client leaves: end the provider's call, or read it to its end.",
    )
    exact_tokens: bool = Field(
        default=False, description="Count tokens exactly, by the optional package `oneapi[exact]`."
    )
    key_attempts_per_minute: int = Field(
        default=60, ge=1, description="Unknown keys an address may try in a minute."
    )


class State(Table):
    path: str | None = Field(
        default=None,
        min_length=1,
        description="The database; by default oneapi.db beside this file.",
    )
    revisions: int = Field(
        default=50, ge=1, le=10_000, description="Revisions of the configuration that are kept."
    )


class Bodies(Table):
    """Bodies of requests and answers, for policies that have them kept."""

    path: str | None = Field(
        default=None, min_length=1, description="Their file; by default beside the database."
    )
    keep: Duration = Field(default=7 * 86400, description="How long they are kept.")
    max_size: Size = Field(default=1_000_000_000, description="Largest size of their file.")
    max_body: Size = Field(default=256_000, description="Longer bodies are cut to this.")


class Logs(Table):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    format: Literal["human", "json"] = Field(
        default="human", description="Lines for people, or JSON lines."
    )
    dir: str = Field(
        default="./logs", description='Folder of the rotated log files; "" for stderr only.'
    )
    rotate: Size = Field(default=20_000_000, description="A log file is rotated at this size.")
    keep_files: int = Field(default=10, ge=1, description="Rotated log files that are kept.")
    access: bool = Field(default=True, description="One line a request.")
    keep: Duration | None = Field(
        default=None, description="How long records are kept; by default for ever."
    )
    max_size: Size | None = Field(
        default=None, description="The oldest records go where the database outgrows this."
    )
    bodies: Bodies = Field(default=Bodies(), description="Where bodies are kept, where they are.")


class Admin(Table):
    metrics_token: str | None = Field(
        default=None,
        repr=False,
        min_length=8,
        description="Bearer token that opens /metrics and the details of /readyz.",
    )


class _Credential(Table):
    """A table whose `key` may stand alone as a string."""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"key": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


class Key(_Credential):
    """A key of the user's account at a provider."""

    key: str = Field(repr=False, description="The provider's key.")
    until: Moment | None = Field(
        default=None, description="The key is not used from this moment on."
    )


class TokenKey(_Credential):
    """One of a token's keys, for rotation without downtime."""

    key: TokenHash = Field(description="sha256: of the key, as `oneapi token new` prints it.")
    until: Moment | None = Field(
        default=None, description="The key is refused from this moment on."
    )


class Timeouts(Table):
    connect_s: Seconds = Field(default=5, description="Seconds to connect in.")
    first_byte_s: Seconds = Field(
        default=600, description="Seconds from the sent request to the answer's head."
    )
    idle_s: Seconds = Field(default=120, description="Seconds between two chunks.")


class MockToolCall(Table):
    name: str = Field(min_length=1, description="The function's name.")
    arguments: dict[str, JsonValue] = Field(default={}, description="Its arguments.")


class MockError(Table):
    status: int = Field(ge=400, le=599, description="The HTTP status to answer with.")
    code: str | None = Field(default=None, description="The error's code.")
    message: str | None = Field(default=None, description="The error's text.")
    every: int = Field(default=1, ge=1, description="Fail one request in this many.")
    count: int | None = Field(
        default=None, ge=1, description="Stop failing after this many failures."
    )


class MockOptions(Table):
    """What the built-in mock provider does."""

    latency_ms: int = Field(default=0, ge=0, description="Milliseconds before the answer.")
    chunk_ms: int = Field(default=0, ge=0, description="Milliseconds between two chunks.")
    tokens: int = Field(default=32, ge=0, description="Length of the answer in tokens.")
    text: str | None = Field(
        default=None, description="The answer; by default it is made from the request."
    )
    tool_calls: list[MockToolCall] = Field(
        default=[], description="Tool calls to answer with, where tools are offered."
    )
    error: MockError | None = Field(default=None, description="Answer with this error.")
    cut_after: int | None = Field(
        default=None, ge=0, description="Cut the connection after this many events of a stream."
    )


class Channel(Bounds):
    """The user's account at a provider."""

    type: str = Field(description="The provider: a name of the catalog.")
    title: str | None = Field(default=None, description="A name for people.")
    base_url: BaseUrl | None = Field(
        default=None, description="The provider's address; by default the catalog's."
    )
    keys: list[Key] = Field(default=[], description="The account's keys, used in turn.")
    models: list[Glob] | None = Field(
        default=None, description="Names and globs it serves; by default known or discovered."
    )
    model_map: dict[str, str] = Field(
        default={}, description="Asked model name = the provider's name for it."
    )
    priority: int = Field(default=0, description="Higher is tried first.")
    weight: int = Field(default=1, ge=0, description="Share among channels of one priority.")
    groups: list[str] = Field(default=[], description="Groups that may use it; empty: all.")
    enabled: bool = Field(default=True, description="Whether it is used.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, repr=False, description="Extra headers sent to the provider."
    )
    set: dict[str, JsonValue] = Field(default={}, description="Request fields set to these values.")
    drop: list[str] = Field(default=[], description="Request fields taken out.")
    proxy: ChannelProxy | None = Field(
        default=None, repr=False, description='Its outbound proxy; "none" for no proxy.'
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait for it.")
    api_version: str | None = Field(
        default=None,
        description="API version, where the provider has several (Azure, Gemini).",
    )
    dialects: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Wire formats it speaks, preferred first; by default the catalog's.",
    )
    think_tags: bool | TagName = Field(
        default=False,
        description="Its models write reasoning into the text, between <think> or such tags.",
    )
    safety: dict[HarmCategory, HarmThreshold] = Field(
        default={}, description="Gemini's safety settings: category = threshold."
    )
    num_ctx: int | None = Field(
        default=None, ge=1, description="Ollama's context window in tokens; by default computed."
    )
    keep_alive: KeepAlive | None = Field(
        default=None, description="How long Ollama keeps the model loaded."
    )
    options: dict[str, JsonValue] = Field(
        default={}, description="Settings of the provider's own format, for requests without them."
    )
    discover: bool | None = Field(
        default=None, description="Ask the provider for its models; by default the catalog's."
    )
    mock: MockOptions | None = Field(default=None, description="What the mock provider does.")
    prices: dict[str, Price] = Field(
        default={}, description="Prices of its models, by name or glob, before all others."
    )
    on_disconnect: Literal["cancel", "drain"] | None = Field(
        default=None, description="As the server's, for this channel."
    )
    vars: dict[str, str] = Field(
        default={}, description="Values of the {placeholders} in the provider's address."
    )
    was: str | None = Field(default=None, description="Its former name: history is carried over.")


class Route(Table):
    """One way to serve a model."""

    channel: str = Field(description="The channel.")
    model: str | None = Field(
        default=None, min_length=1, description="The model's name there; by default the same."
    )
    weight: int | None = Field(
        default=None, ge=0, description="Share within its priority; by default the channel's."
    )
    priority: int | None = Field(
        default=None, description="Higher is tried first; by default the channel's."
    )


class Model(Table):
    """A name that clients may ask for."""

    routes: list[Route] = Field(min_length=1, description="Who serves it.")
    groups: list[str] = Field(default=[], description="Groups that may use it; empty: all.")
    think_tags: bool | TagName = Field(
        default=False, description="As the channel's: reasoning is taken out of its texts."
    )
    budget: Budgets = Field(default=[], description="Most that all may spend on it in a period.")
    enabled: bool = Field(default=True, description="Whether it is offered.")
    was: str | None = Field(default=None, description="Its former name: history is carried over.")


class Group(Table):
    ratio: Ratio = Field(default=Decimal(1), description="Multiplies every price.")
    may_issue: list[str] = Field(
        default=[], description="Policies under which its users may issue tokens."
    )
    budget: Budgets = Field(
        default=[], description="Most that its users together may spend in a period."
    )
    grant: Money | None = Field(
        default=None, description="What registered users begin with; by default nothing."
    )
    each: Bounds = Field(
        default=Bounds(), description="Limits of each of its users that sets none itself."
    )
    was: str | None = Field(default=None, description="Its former name: history is carried over.")


class User(Bounds):
    role: Literal["user", "admin", "root"] = Field(
        default="user", description="What the user may manage."
    )
    password: str | None = Field(
        default=None, repr=False, min_length=1, description="As `oneapi password` makes it."
    )
    group: str = Field(default="default", description="The user's group.")
    quota: Money | None = Field(
        default=None,
        description="What the user may spend in all, beside top-ups; by default no limit.",
    )
    email: str | None = Field(default=None, description="Where notices go.")
    enabled: bool = Field(default=True, description="Whether the user and its tokens work.")
    was: str | None = Field(default=None, description="The former name: history is carried over.")


class Policy(Bounds):
    """What a token may do."""

    models: list[Glob] = Field(default=["*"], description="Models it may ask for.")
    channels: list[Glob] = Field(default=["*"], description="Channels it may be served by.")
    endpoints: list[Endpoint] | None = Field(
        default=None, description="Endpoints; by default all but proxy and pin."
    )
    subnets: list[Subnet] = Field(default=[], description="Networks it may call from; empty: any.")
    in_path: bool = Field(
        default=False, description="Its tokens may stand in the path: /key/SECRET/api/chat."
    )
    store_responses: bool = Field(
        default=False, description="Stored responses of the Responses API are kept on disk."
    )
    store_responses_ttl: Duration = Field(default=30 * 86400, description="How long they are kept.")
    log_bodies: bool = Field(
        default=False, description="Bodies of requests and answers are kept, secrets masked."
    )
    expires: Moment | None = Field(default=None, description="It ends at this moment.")
    enabled: bool = Field(default=True, description="Whether it allows anything.")
    was: str | None = Field(default=None, description="Its former name: history is carried over.")


class Token(Table):
    user: str = Field(description="Who pays.")
    policy: str = Field(description="What it may do.")
    key: TokenHash | None = Field(
        default=None, description="sha256: of the key, as `oneapi token new` prints it."
    )
    keys: list[TokenKey] = Field(
        default=[], description="Several keys, each with its end: rotation without downtime."
    )
    quota: Money | None = Field(
        default=None, description="What it may spend in all; by default no limit of its own."
    )
    expires: Moment | None = Field(default=None, description="It ends at this moment.")
    enabled: bool = Field(default=True, description="Whether it works.")
    was: str | None = Field(default=None, description="Its former name: history is carried over.")


class Settings(Table):
    """The whole configuration."""

    include: list[str] = Field(
        default=[], description="Further files, relative to this one; globs allowed."
    )
    server: Server = Field(default=Server(), description="Where and how it serves.")
    state: State = Field(default=State(), description="What is remembered.")
    logs: Logs = Field(default=Logs(), description="What is logged.")
    admin: Admin = Field(default=Admin(), description="Who may look inside.")
    site: Site = Field(default=Site(), description="Money and time, as they are shown.")
    auth: Auth = Field(default=Auth(), description="Registered users.")
    mail: Mail | None = Field(default=None, description="The mail server.")
    alerts: Alerts = Field(default=Alerts(), description="Who hears when budgets run out.")
    channels: dict[ChannelName, Channel] = Field(default={}, description="Accounts at providers.")
    models: dict[ModelName, Model] = Field(
        default={}, description="Names that clients may ask for."
    )
    groups: dict[Name, Group] = Field(
        default={}, description="Groups of users; default exists by itself."
    )
    users: dict[UserName, User] = Field(default={}, description="People and programs.")
    policies: dict[Name, Policy] = Field(default={}, description="What tokens may do.")
    tokens: dict[Name, Token] = Field(default={}, description="API keys.")
    prices: dict[str, Price] = Field(default={}, description="Prices of models, by name or glob.")
