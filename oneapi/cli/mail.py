"""`oneapi mail test ADDRESS` sends one mail now, as notices are sent.

`oneapi mail outbox` shows the last notices, and why some were not sent.
"""

from __future__ import annotations

import argparse
import ssl
import time
from dataclasses import asdict
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from oneapi.cli.place import (
    config_argument,
    count,
    database,
    loaded_offline,
    print_json,
    print_table,
)
from oneapi.errors import UsageError
from oneapi.gateway import notify_mail, notify_text
from oneapi.ledger.outbox import Sent, last

COLUMNS = {
    "time": "TIME (UTC)",
    "state": "STATE",
    "way": "WAY",
    "address": "TO",
    "attempts": "TRIES",
    "subject": "SUBJECT",
    "error": "ERROR",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    test = verbs.add_parser("test", help="send a test mail", allow_abbrev=False)
    test.add_argument("address", metavar="ADDRESS", help="to whom")
    config_argument(test)
    outbox = verbs.add_parser("outbox", help="the last notices", allow_abbrev=False)
    outbox.add_argument("--limit", type=count, default=50, help="how many (default: 50)")
    outbox.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(outbox)


def run(args: argparse.Namespace) -> int:
    if args.action == "outbox":
        return _show(last(database(args.config), args.limit), as_json=args.json)
    settings = loaded_offline(args.config, secrets=True).settings
    if settings.mail is None:
        raise UsageError("the configuration has no [mail]: add it with the SMTP server")
    zone = UTC if settings.site.timezone == "UTC" else ZoneInfo(settings.site.timezone)
    facts = notify_text.general(settings.site, time.time_ns() // 1_000_000, zone)
    said = notify_text.written("test", facts, settings)
    tls = ssl.create_default_context()
    words = str(said["subject"]), str(said["text"])
    notify_mail.send(settings.mail, args.address, *words, tls=tls)
    print(f"sent to {args.address} by {settings.mail.host}")
    return 0


def _show(notices: list[Sent], *, as_json: bool) -> int:
    if as_json:
        for notice in notices:
            print_json(asdict(notice))
        return 0
    rows = []
    for notice in notices:
        moment = datetime.fromtimestamp(notice.created_ms / 1000, UTC)
        rows.append({**asdict(notice), "time": f"{moment:%Y-%m-%d %H:%M:%S}"})
    print_table(rows, COLUMNS)
    return 0
