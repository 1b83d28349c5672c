"""`oneapi version`."""

from __future__ import annotations

import argparse
import platform

from oneapi import __version__


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    print(f"oneapi {__version__} (Python {platform.python_version()})")
    return 0
