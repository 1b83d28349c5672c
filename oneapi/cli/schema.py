"""`oneapi schema`: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse
import json

from oneapi.config.jsonschema import schema


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
