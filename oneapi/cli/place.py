"""What several verbs need: the configuration in force, its database, the gateways that run over
it.
"""

from __future__ import annotations

import argparse
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice, takewhile
from pathlib import Path

from oneapi.config.find import DATABASE_NAME, find, state_path
from oneapi.config.load import Loaded, load
from oneapi.errors import ConfigError, UsageError
from oneapi.gateway.control import ask, sockets
from oneapi.ledger.exports import printable
from oneapi.providers.catalog import load_catalog, type_facts

SPANS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: looked up)")


def config_path(config: str | None) -> Path:
    """The file in force. Raises `UsageError` where there is none."""
    path = find(config, os.environ, Path.cwd())
    if path is None:
        raise UsageError("there is no oneapi.toml here; name one with --config")
    return path


def loaded_offline(config: str | None, *, secrets: bool = False) -> Loaded:
    """The configuration without its secrets, unless they are asked for. Raises `ConfigError`."""
    return load(
        config_path(config), types=type_facts(load_catalog()), environ=os.environ, secrets=secrets
    )


def database_path(config: str | None) -> Path:
    """Where the database is. A file that does not load at the moment has it at the usual place."""
    try:
        loaded = loaded_offline(config)
    except ConfigError:
        return _stated_path(config_path(config).absolute())
    return state_path(loaded, loaded.environ)


def _stated_path(config: Path) -> Path:
    """The database of a file that does not load: what its [state] or the environment says of it."""
    lines = iter(config.read_text("utf-8", "replace").splitlines())
    table = "".join(
        f"{line}\n"
        for line in takewhile(
            lambda line: not line.lstrip().startswith("["),
            islice(dropwhile(lambda line: line.strip() != "[state]", lines), 1, None),
        )
    )
    try:
        said = tomllib.loads(table).get("path")
    except tomllib.TOMLDecodeError:
        said = None
    given = os.environ.get("ONEAPI_STATE__PATH") or os.environ.get("SQLITE_PATH")
    if given:
        return Path(given).absolute()
    return config.parent / Path(str(said or DATABASE_NAME)).expanduser()


def database(config: str | None) -> Path:
    """The database in use; raises `UsageError` where there is none yet."""
    path = database_path(config)
    if not path.exists():
        raise UsageError(f"there is no database at {path} yet: has the gateway run?")
    return path


def numbers(kind: str, names: Mapping[str, str | None]) -> dict[str, int]:
    """Ids for a snapshot that serves nobody."""
    return {name: i for i, name in enumerate(names, 1)}


def ask_all(config: str | None, request: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The answer of every gateway that runs over this database, by its socket's name.

    Raises `UsageError` where none runs.
    """
    answers: dict[str, dict[str, object]] = {}
    for path in sockets(database_path(config)):
        try:
            answers[path.name] = ask(path, request)
        except OSError:
            continue  # left behind by a gateway that was killed
    if not answers:
        raise UsageError("no gateway is running over this database")
    return answers


def since_ms(
    text: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> int | None:
    """Unix ms of `7d`, `12h`, `30m` ago, or of a date such as 2026-11-24. Raises `UsageError`."""
    if text is None:
        return None
    try:
        if text[:-1].isascii() and text[:-1].isdigit() and text[-1] in SPANS:
            moment = now() - timedelta(seconds=int(text[:-1]) * SPANS[text[-1]])
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is neither a span such as 7d nor a date such as 2026-11-24"
        ) from None
    return max(0, int(moment.timestamp() * 1000))


def count(text: str) -> int:
    """How many lines are asked for, as an option says. Raises `ValueError`."""
    found = int(text)
    if not 0 < found <= 1_000_000_000:
        raise ValueError(text)
    return found


def dollars(nano: object) -> str:
    """Nano-dollars as dollars; "?" where the price is not known."""
    return "?" if nano is None else f"${int(str(nano)) / 1e9:,.6f}"


def print_table(rows: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> None:
    """Rows as aligned columns; `columns` maps a row's key to its heading. Control characters,
    which others may have written, are shown as such.
    """
    cells = [list(columns.values())]
    cells += [
        ["" if row.get(c) is None else printable(row.get(c)) for c in columns] for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def print_json(value: object, *, flush: bool = False) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=flush)
