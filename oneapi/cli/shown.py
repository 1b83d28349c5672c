"""What the verbs that show records share: the site's money and zone, periods, progress."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from oneapi.cli.place import loaded_offline, since_ms
from oneapi.errors import ConfigError
from oneapi.ledger.exports import Look

Progress = Callable[[int, int], None]


def look(config: str | None) -> Look:
    """As `[site]` says; as by default where the file does not load at the moment."""
    try:
        site = loaded_offline(config).settings.site
    except ConfigError:
        return Look()
    return Look(ZoneInfo(site.timezone), site.currency, site.points_per_usd)


def period_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", help="7d, 12h, or a date: from then on")
    parser.add_argument("--until", help="likewise: before then")


def period(args: argparse.Namespace, shown: Look) -> tuple[int | None, int | None]:
    """Its beginning and its end as they were asked for, Unix ms. Raises `UsageError`."""
    return _moment(args.since, shown), _moment(args.until, shown)


def _moment(text: str | None, shown: Look) -> int | None:
    """A date without a zone is the site's."""
    with contextlib.suppress(ValueError, TypeError):
        moment = datetime.fromisoformat(text or "")
        if moment.tzinfo is None:
            return since_ms(moment.replace(tzinfo=shown.zone).isoformat())
    return since_ms(text)


def progress(shown: Look) -> Progress | None:
    """Tells a terminal how far a long search has come; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    said = [time.monotonic()]

    def tell(time_ms: int, count: int) -> None:
        if time.monotonic() - said[0] > 0.5:
            said[0] = time.monotonic()
            print(f"\r\033[K{count:,} records, {shown.time(time_ms)[:19]}", end="\r",
                  file=sys.stderr, flush=True)  # fmt: skip

    return tell
