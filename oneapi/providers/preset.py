"""What the gateway knows of a provider: facts, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

PATHS: Mapping[str, str] = MappingProxyType(
    {
        "chat": "/chat/completions",
        "completions": "/completions",
        "edits": "/edits",
        "embeddings": "/embeddings",
        "moderations": "/moderations",
        "images.generations": "/images/generations",
        "images.edits": "/images/edits",
        "images.variations": "/images/variations",
        "speech": "/audio/speech",
        "transcriptions": "/audio/transcriptions",
        "translations": "/audio/translations",
    }
)
"""Where OpenAI's dialect has its operations, below the version path."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How addresses are made for channels whose base_url looks like `base`.

    `base` is a pattern for host and path (`*` is anything); `path` goes between the base's path and
    the operation's, `query` behind it. Both may hold {model}, `query` also {api_version}.
    """

    base: str = "*"
    path: str = ""
    query: str = ""


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
class Preset:
    """A provider: a host, a way to sign in and a dialect's name. A table of `catalog.toml`.

    title          its name for people
    number         the original's channel type, None where it has none
    base_url       its address with the version path, {names} filled from `vars`; "": the
                   channel gives it
    bare           path of a channel's base_url that is a bare host; default: base_url's path
    layouts        how addresses are made, by base_url; default: base_url + operation
    host_env       environment variable that holds its address by its users' custom
    api_version    default of the channel's `api_version`
    auth           bearer | plain (Authorization: KEY) | header:NAME | none
    needs_key      whether a channel must have keys
    headers        sent with every call; the channel's own win
    local          runs on the user's machine and costs nothing
    scripted       answers in this process, and takes `mock` options
    dialect        the wire format it speaks
    operations     what it offers; default: all of PATHS
    paths          operation = its path, where that is not PATHS'
    models_path    where GET lists its models, relative to the base; "../" goes up one step
    models_prefix  taken off the listed names
    discover       whether models_path answers
    models         its models, where they are few and stable
    limit_field    the request field that limits a chat's output
    include_usage  whether `stream_options.include_usage` may be asked
    output_excludes_reasoning  completion_tokens does not count reasoning_tokens
    auth_statuses  statuses that speak of the channel's own account
    auth_errors    other answers that do
    retry_statuses statuses another target may do better on, besides 408, 429 and 5xx
    """

    name: str
    title: str
    number: int | None = None
    base_url: str = ""
    bare: str = ""
    layouts: tuple[Layout, ...] = (Layout(),)
    host_env: str = ""
    api_version: str = ""
    auth: str = "bearer"
    needs_key: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    local: bool = False
    scripted: bool = False
    dialect: str = "openai-chat"
    operations: frozenset[str] = frozenset(PATHS)
    paths: Mapping[str, str] = field(default_factory=dict)
    models_path: str = "/models"
    models_prefix: str = ""
    discover: bool = False
    models: tuple[str, ...] = ()
    limit_field: str = "max_tokens"
    include_usage: bool = True
    output_excludes_reasoning: bool = False
    auth_statuses: frozenset[int] = frozenset({401, 402, 403})
    auth_errors: tuple[AuthError, ...] = ()
    retry_statuses: frozenset[int] = frozenset()
