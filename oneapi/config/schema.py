"""The shape of the configuration: every table, every key, its default and what it is for.

Field descriptions are the editor's tooltips (`oneapi schema`). A key that does not stand here is an
error; a key that will stand here once its behaviour is built is refused by name (`unbuilt`).
Values arrive resolved: no `${…}`, `file:` or `cmd:` reaches this module.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from oneapi.config.values import (
    BaseUrl,
    Budgets,
    ChannelName,
    ChannelProxy,
    Dollars,
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
    Zone,
)

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


class Table(BaseModel):
    """A table of the file: frozen, and any key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Bounds(Table):
    """How much somebody or something may take."""

    budget: Budgets = Field(
        default=[], description="Most it may spend in a period: $5/month, 2M tokens/24h."
    )
    rpm: int = Field(default=0, ge=0, description="Requests a minute; 0: any number.")
    rpd: int = Field(default=0, ge=0, description="Requests a calendar day; 0: any number.")
    tpm: int = Field(default=0, ge=0, description="Tokens a minute; 0: any number.")
    tokens_count: Literal["all", "fresh", "billable"] = Field(
        default="all",
        description="Tokens that tpm and token budgets count: all, without cached ones (fresh), or "
        "cached ones as a tenth (billable).",
    )
    concurrency: int = Field(default=0, ge=0, description="Requests at once; 0: any number.")
    max_input: int = Field(default=0, ge=0, description="Largest input in tokens; 0: any.")
    queue_s: float = Field(
        default=0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds a request may wait for a limit to free.",
    )


class _Rates(Table):
    """Dollars per million tokens, where nothing else is said."""

    input: Dollars | None = Field(default=None, description="Fresh input.")
    output: Dollars | None = Field(default=None, description="Output.")
    cache_read: Dollars | None = Field(
        default=None, description="Input read from the provider's cache; by default as input."
    )
    cache_write: Dollars | None = Field(
        default=None, description="Input stored in the cache for 5 minutes; by default as input."
    )
    cache_write_1h: Dollars | None = Field(
        default=None, description="Input stored for an hour; by default as cache_write."
    )
    reasoning: Dollars | None = Field(
        default=None, description="Hidden thought; by default as output."
    )
    audio_input: Dollars | None = Field(
        default=None, description="Sound that is read; by default as input."
    )
    audio_output: Dollars | None = Field(
        default=None, description="Sound that is made; by default as output."
    )
    image_input: Dollars | None = Field(
        default=None, description="Pictures that are read; by default as input."
    )


class PriceTier(_Rates):
    """Other rates for requests with a longer input; what is not named stays as it is."""

    above: int = Field(ge=1, description="Tokens of input, cached ones included.")


class Price(_Rates):
    """Dollars per million tokens, or One API's ratios."""

    image: Dollars | dict[str, Dollars] | None = Field(
        default=None,
        description="Dollars an image; or by size, quality or both, as in 1024x1536 high, and *.",
    )
    second: Dollars | None = Field(default=None, description="Dollars a second of audio.")
    character: Dollars | None = Field(default=None, description="Dollars per million characters.")
    search: Dollars | None = Field(default=None, description="Dollars a hosted search.")
    request: Dollars | None = Field(default=None, description="Dollars a request.")
    tiers: list[PriceTier] = Field(default=[], description="Other rates for longer inputs.")
    ratio: Dollars | None = Field(
        default=None, description="One API's ratio instead: 1 is $0.002 per 1,000 tokens."
    )
    completion_ratio: Dollars | None = Field(
        default=None, description="With ratio: how many times dearer output is; by default 1."
    )


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


class Site(Table):
    currency: Literal["usd", "points"] = Field(
        default="usd", description="How money is shown: dollars, or One API's points."
    )
    points_per_usd: int = Field(default=500_000, ge=1, description="Points in a dollar.")
    timezone: Zone = Field(
        default="UTC", description="Where days, weeks and months of budgets begin."
    )
    unpriced: Literal["free", "reject"] = Field(
        default="free",
        description="Requests for models without a price: answered without a cost, or refused.",
    )
    default_price: Price | None = Field(
        default=None, description="The price of whatever has none of its own."
    )
    url: BaseUrl | None = Field(
        default=None, description="This gateway's own address, for links in messages."
    )


class Mail(Table):
    """The SMTP server for notices."""

    host: str = Field(min_length=1, description="Its name.")
    port: Port = Field(default=0, description="Its port; by default 465, 587 or 25.")
    security: Literal["tls", "starttls", "none"] = Field(
        default="starttls", description="How the connection is protected."
    )
    user: str = Field(default="", description="User name there.")
    password: str = Field(default="", repr=False, description="Its password.")
    sender: str = Field(alias="from", min_length=3, description="From whom mails come.")


class Webhook(Table):
    url: BaseUrl = Field(description="Gets each notice as JSON by POST.")
    secret: str | None = Field(
        default=None, repr=False, min_length=8, description="Signs it: HMAC-SHA256 of TIME.BODY."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, repr=False, description="Extra headers."
    )


class Pusher(Table):
    """A Message Pusher (songquanpeng/message-pusher)."""

    url: BaseUrl = Field(description="Its address, with /push/USER.")
    token: str = Field(default="", repr=False, description="Its token.")
    channel: str = Field(default="", description="The channel there; by default its own.")


class Template(Table):
    """Words of a notice; {placeholders} stand for its facts."""

    subject: str | None = Field(default=None, description="The subject or title.")
    text: str | None = Field(default=None, description="The text.")


class Alerts(Table):
    """Who hears when budgets run out."""

    thresholds: list[int] = Field(
        default=[80, 95, 100], description="Percent of a budget at which a notice goes out."
    )
    emails: list[str] = Field(default=[], description="Addresses that hear of every notice.")
    mail_users: bool = Field(
        default=False, description="Users hear of their own budgets, at their own address."
    )
    webhook: Webhook | None = Field(default=None, description="A program that hears of them.")
    pusher: Pusher | None = Field(default=None, description="A Message Pusher that hears of them.")
    templates: dict[Literal["budget", "quota", "test"], Template] = Field(
        default={}, description="Other words for the notices, by kind."
    )


class Invitations(Table):
    """What inviting brings."""

    inviter: Money | None = Field(default=None, description="Reward of who invited.")
    invited: Money | None = Field(default=None, description="Reward of who was invited.")
    most: int = Field(default=100, ge=0, description="Rewards that one inviter can get.")
    after_use: bool = Field(
        default=False, description="Pay once the invited has made a first real request."
    )


class Auth(Table):
    """Signing up, and what it brings."""

    group: str = Field(default="default", description="The group of registered users.")
    invitations: Invitations = Field(
        default=Invitations(), description="Rewards for inviting others."
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
