"""`oneapi cancel REQUEST`: ends a request under way; its client gets an error, its use is
settled.
"""

from __future__ import annotations

import argparse

from oneapi.cli.place import ask_all, config_argument
from oneapi.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    config_argument(parser)
    parser.add_argument("request", help="the request id, as `oneapi ps` shows it")


def run(args: argparse.Namespace) -> int:
    answers = ask_all(args.config, {"verb": "cancel", "id": args.request})
    cancelled = [a for a in answers.values() if a.get("ok")]
    if not cancelled:
        raise UsageError(f"no request {args.request!r} is under way")
    print(f"cancelled {args.request}")
    return 0
