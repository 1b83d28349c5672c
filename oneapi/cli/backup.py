"""`oneapi backup FILE`: a copy of the database that is whole, made while the gateway writes
(D41).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from oneapi.cli.place import config_argument, database
from oneapi.ledger.backup import backup


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="the copy; must not exist yet")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    backup(database(args.config), Path(args.target))
    print(args.target)
    return 0
