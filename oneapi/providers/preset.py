"""What the gateway knows of a provider: facts, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneapi.estimate import MediaRule
from oneapi.providers.operations import PATHS
from oneapi.wire.json import JSON

__all__ = [
    "PATHS",
    "AuthError",
    "Derived",
    "KeyAddress",
    "Layout",
    "ModelDialects",
    "ModelMedia",
    "Preset",
    "Quirk",
]


@dataclass(frozen=True, slots=True)
class Layout:
    """How addresses are made for channels whose base_url looks like `base`.

    `base` is a pattern for host and path (`*` is anything), `version` one for the API's version;
    `path` goes between the base's path and an operation's of OpenAI's dialect, `query` behind it.
    `paths` are whole paths of single operations, with their own query. All may hold {model} and
    {api_version}, whose default is `api_version` where the preset's own means nothing there.
    """

    base: str = "*"
    version: str = "*"
    api_version: str = ""
    path: str = ""
    query: str = ""
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthError:
    """An answer that means a bad key or account although its status does not say so (D17).

    All that is given must hold: `code` is the error's code, `message` how its text begins, for
    providers that give a bad key no code of its own.
    """

    status: int
    code: str = ""
    message: str = ""

    def matches(self, status: int, code: str, message: str) -> bool:
        if status != self.status or (self.code and code != self.code):
            return False
        return message.startswith(self.message)


@dataclass(frozen=True, slots=True)
class Derived:
    """A placeholder whose value follows from another's: `values`, else `otherwise` filled in."""

    of: str
    otherwise: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyAddress:
    """The address of keys that end in `ends`."""

    ends: str
    base_url: str


@dataclass(frozen=True, slots=True)
class ModelDialects:
    """The dialects of models whose names match `models`, preferred first."""

    models: str
    dialects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelMedia:
    """What models whose own names match `models` count for pictures, sound and files."""

    models: str
    rule: MediaRule


@dataclass(frozen=True, slots=True)
class Quirk:
    """What a provider does otherwise in `dialect`, for models that match `models`, and for one
    `task` alone where it names one (images).

    In requests that the gateway renders and in clients' own: `rename` fields, `drop` them, `set`
    them, keep numbers within `clamp`, in this order. `values` gives single values of a field the
    provider's word. `options` tell the dialect itself how to render (`operations.OPTIONS`).
    """

    models: str = "*"
    dialect: str = "openai-chat"
    task: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    set: Mapping[str, JSON] = field(default_factory=dict)
    clamp: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider: a host, a way to sign in and its dialects' names. A table of `catalog.toml`.

    title          its name for people
    number         the original's channel type, None where it has none
    base_url       its address with the version path, {names} filled from `vars`; "": the
                   channel gives it
    short_url      the address where a placeholder of base_url has no value
    defaults       values of placeholders that a channel need not give; "" for none
    derived        placeholders that follow from others
    key_addresses  addresses by the ends of keys, for providers that tell accounts so
    bare           path of a channel's base_url that is a bare host; default: base_url's path
    layouts        how addresses are made, by base_url; default: base_url + operation
    host_env       environment variable that holds its address by its users' custom
    api_version    default of the channel's `api_version`
    auth           bearer | plain (Authorization: KEY) | scheme:NAME (Authorization: NAME KEY) |
                   header:NAME | aws:SERVICE | google | none
    needs_key      whether a channel must have keys
    headers        sent with every call; the channel's own win
    local          runs on the user's machine and costs nothing
    scripted       answers in this process, and takes `mock` options
    dialects       the wire formats it speaks, preferred first
    model_dialects which of them single models speak; the first match counts, default: all
    wrap           how Anthropic's format is transported: bedrock-invoke | vertex | "" as it is
    operations     what it offers of OpenAI's dialect, and single ones of no dialect (ocr);
                   default: all of PATHS
    lacks          what it does not offer of its other dialects
    paths          operation = its path, where that is not the usual one
    model_slashes  a model's name keeps its slashes in a path
    models_path    where GET lists its models, relative to the base; "../" goes up one step
    models_headers sent with that call alone
    models_prefix  taken off the listed names
    discover       whether models_path answers
    models         its models, where they are few and stable
    limit_field    the request field that limits a chat's output
    system_role    the role that system prompts take
    include_usage  whether `stream_options.include_usage` may be asked
    output_excludes_reasoning  completion_tokens does not count reasoning_tokens
    quirks         what else it does otherwise
    price_books    vendored price lists that say what it costs, in their order; default: its own
    deployments    its models' names are the user's own: vendored prices go by the asked name too
    betas          patterns of Anthropic's betas that it takes; others are not passed on
    refuses        members of Anthropic's format that it refuses, as paths: `tools[].strict`
    replays        it demands the thoughts before a call back with the call
    window         tokens that its models read where a request does not say how many: longer chats
                   go in its first dialect, which can say; 0: no such limit
    media          what its models count for pictures, sound and files; the first match counts, and
                   holds for its models wherever they are served (`media.media_rule`)
    follow_hosts   patterns of other hosts that its answers send the gateway to
    auth_statuses  statuses that speak of the channel's own account
    auth_errors    other answers that do
    retry_statuses statuses another target may do better on, besides 408, 429 and 5xx
    """

    name: str
    title: str
    number: int | None = None
    base_url: str = ""
    short_url: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, Derived] = field(default_factory=dict)
    key_addresses: tuple[KeyAddress, ...] = ()
    bare: str = ""
    layouts: tuple[Layout, ...] = (Layout(),)
    host_env: str = ""
    api_version: str = ""
    auth: str = "bearer"
    needs_key: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
    scripted: bool = False
    dialects: tuple[str, ...] = ("openai-chat",)
    model_dialects: tuple[ModelDialects, ...] = ()
    wrap: str = ""
    operations: frozenset[str] = frozenset(PATHS)
    lacks: frozenset[str] = frozenset()
    paths: Mapping[str, str] = field(default_factory=dict)
    model_slashes: bool = False
    models_path: str = "/models"
    models_headers: Mapping[str, str] = field(default_factory=dict)
    models_prefix: str = ""
    discover: bool = False
    models: tuple[str, ...] = ()
    limit_field: str = "max_tokens"
    system_role: str = "system"
    include_usage: bool = True
    output_excludes_reasoning: bool = False
    quirks: tuple[Quirk, ...] = ()
    price_books: tuple[str, ...] = ()
    deployments: bool = False
    betas: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    replays: bool = False
    window: int = 0
    media: tuple[ModelMedia, ...] = ()
    follow_hosts: tuple[str, ...] = ()
    auth_statuses: frozenset[int] = frozenset({401, 402, 403})
    auth_errors: tuple[AuthError, ...] = ()
    retry_statuses: frozenset[int] = frozenset()
