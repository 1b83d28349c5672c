"""The environment: `.env` beside the file, our own variables and the original's."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from oneapi.errors import Problem

PREFIX = "ONEAPI_"
NESTED = "__"

HONOURED: Mapping[str, tuple[str, str]] = {
    "PORT": ("server", "port"),
    "SQLITE_PATH": ("state", "path"),
    "RELAY_PROXY": ("server", "proxy"),
}
"""The original's variables that act here, and the key each one sets."""

_REPLACED: Mapping[str, str] = {
    "GIN_MODE": 'logs.level = "debug" replaces it',
    "DEBUG": 'logs.level = "debug" replaces it; it logs no bodies and lifts no limits',
    "DEBUG_SQL": "it has no use here",
    "SESSION_SECRET": "it has no use here: there is no cookie-signing key to set",
    "SQL_DSN": "it has no use here: the ledger is SQLite, at state.path",
    "LOG_SQL_DSN": "it has no use here: records are in the ledger, at state.path",
    "SQLITE_BUSY_TIMEOUT": "it has no use here: one thread writes",
    "SQL_MAX_IDLE_CONNS": "it has no use here: the ledger is embedded",
    "SQL_MAX_OPEN_CONNS": "it has no use here: the ledger is embedded",
    "SQL_MAX_LIFETIME": "it has no use here: the ledger is embedded",
    "SQL_CONN_MAX_LIFETIME": "it has no use here: the ledger is embedded",
    "REDIS_CONN_STRING": "it has no use here: nothing needs Redis",
    "REDIS_PASSWORD": "it has no use here: nothing needs Redis",
    "REDIS_MASTER_NAME": "it has no use here: nothing needs Redis",
    "MEMORY_CACHE_ENABLED": "it has no use here: the file is always in memory",
    "SYNC_FREQUENCY": "it has no use here: a saved file takes effect at once",
    "NODE_TYPE": "it has no use here: every process is equal",
    "FRONTEND_BASE_URL": "it has no use here: every process is equal",
    "CHANNEL_TEST_FREQUENCY": "it has no use here; `oneapi test` tests the channels",
    "CHANNEL_UPDATE_FREQUENCY": "it has no use here",
    "POLLING_INTERVAL": "it has no use here; `oneapi test` tests the channels",
    "BATCH_UPDATE_ENABLED": "it has no use here: records are always committed in groups",
    "BATCH_UPDATE_INTERVAL": "it has no use here: records are committed before the answer ends",
    "GLOBAL_API_RATE_LIMIT": "server.key_attempts_per_minute bounds unknown keys",
    "GLOBAL_WEB_RATE_LIMIT": "server.key_attempts_per_minute bounds unknown keys",
    "RELAY_TIMEOUT": "channels.NAME.timeouts replaces it",
    "USER_CONTENT_REQUEST_PROXY": "it has no use here: images in requests are not fetched",
    "USER_CONTENT_REQUEST_TIMEOUT": "it has no use here: images in requests are not fetched",
    "GEMINI_SAFETY_SETTING": "channels.NAME.set replaces it",
    "GEMINI_VERSION": "channels.NAME.api_version replaces it",
    "HTTP_PROXY": "server.proxy replaces it",
    "HTTPS_PROXY": "server.proxy replaces it",
    "THEME": "it has no use here: there are no themes",
    "ENABLE_METRIC": "it has no use here: /metrics is always there",
    "METRIC_QUEUE_SIZE": "it has no use here: /metrics is always there",
    "METRIC_SUCCESS_RATE_THRESHOLD": "it has no use here: /metrics is always there",
    "METRIC_SUCCESS_CHAN_SIZE": "it has no use here: /metrics is always there",
    "METRIC_FAIL_CHAN_SIZE": "it has no use here: /metrics is always there",
    "INITIAL_ROOT_ACCESS_TOKEN": "it has no use here; INITIAL_ROOT_TOKEN sets the first API key",
    "ONLY_ONE_LOG_FILE": "logs.rotate and logs.keep_files replace it",
    "ENFORCE_INCLUDE_USAGE": "it has no use here: usage is always asked for",
    "TEST_PROMPT": "it has no use here",
    "TIKTOKEN_CACHE_DIR": "it has no use here: tokens are estimated offline",
    "DATA_GYM_CACHE_DIR": "it has no use here: tokens are estimated offline",
}


def named_variables(environ: Mapping[str, str]) -> list[str]:
    """One sentence for each of the original's variables that is set and does not act here."""
    return [
        f"{name} is set: {words}"
        for name, words in _REPLACED.items()
        if environ.get(name, "") != ""
    ]


@dataclass(frozen=True)
class Environment:
    """The variables in force: the process's own, and those `.env` adds. It never overrides."""

    values: Mapping[str, str] = field(repr=False)
    file: Path
    problems: tuple[Problem, ...] = ()


def read_environment(folder: Path, environ: Mapping[str, str]) -> Environment:
    """`environ` with what the folder's `.env` adds; a wide or broken file is named (D39)."""
    file = folder / ".env"
    try:
        text = file.read_text(encoding="utf-8-sig")
        mode = file.stat().st_mode
    except FileNotFoundError:
        return Environment(dict(environ), file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problem = Problem(f"cannot be read: {reason}", file=str(file))
        return Environment(dict(environ), file, (problem,))
    problems: list[Problem] = []
    if os.name == "posix" and mode & 0o077:
        problems.append(
            Problem(
                "others on this machine can read it or write to it",
                file=str(file),
                hint=f"chmod 600 {file}",
                severity="warning",
            )
        )
    found: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(
                Problem(
                    "is not NAME=value",
                    file=str(file),
                    line=binding.original.line + _blank_lines(binding.original.string),
                    column=1,
                )
            )
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    return Environment({**found, **environ}, file, tuple(problems))


def _blank_lines(statement: str) -> int:
    """Lines before a statement's first word: the parser counts them to the statement."""
    return statement[: len(statement) - len(statement.lstrip())].count("\n")
