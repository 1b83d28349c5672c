"""Every error the gateway raises on purpose.

OneApiError
├── ApiError               one request is refused: a status, a code and words for the client
│   └── UpstreamError      the provider refused or failed; may another target be tried?
├── ConfigError            the configuration does not load: every `Problem`, with its place
├── StoreError             the database cannot be opened, written or migrated
└── UsageError             a command line that cannot be carried out (exit 2)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


class OneApiError(Exception):
    """Root of the tree."""


class ApiError(OneApiError):
    """One request is refused.

    `status` is an HTTP status, `code` a stable word for programs (OpenAI's where it has one),
    `kind` OpenAI's `type`, `param` the field of the request that was wrong. `headers` go out
    with the answer (`retry-after`, `x-should-retry`). The message is for the client: it never
    holds a secret, an address of ours or a traceback.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})


class UpstreamError(ApiError):
    """The provider refused or failed before any content reached the client.

    `retryable` says whether the next key or channel may be tried (D20, D21); `original_status`
    is what the provider answered, 0 when it never did. `body` is the provider's own answer,
    cleaned of keys and organisations, to be passed on when no other target is left.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "upstream_error",
        retryable: bool,
        original_status: int = 0,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, code=code, kind=kind, headers=headers)
        self.retryable = retryable
        self.original_status = original_status
        self.body = body
        self.content_type = content_type


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration, and where.

    `line` and `column` count from 1 and are 0 where no place exists (an environment variable).
    `key` is the dotted path of the key. `hint` says what would be right, or "did you mean …".
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    key: str = ""
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        parts = [p for p in (place, self.key, self.message) if p]
        text = ": ".join(parts)
        return f"{text} ({self.hint})" if self.hint else text


@dataclass(eq=False)
class ConfigError(OneApiError):
    """The configuration does not load. All problems at once, in the order of their places."""

    problems: Sequence[Problem] = field(default_factory=tuple)

    def __str__(self) -> str:
        return "\n".join(str(p) for p in self.problems)


class StoreError(OneApiError):
    """The database cannot be opened, migrated, read or written. The message names the file."""


class UsageError(OneApiError):
    """A command line that cannot be carried out; the message says what to type instead."""
