"""`oneapi reload`: waits for every running gateway and prints how it went."""

from __future__ import annotations

import argparse

from oneapi.cli.place import ask_all, config_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    failed = False
    for name, answer in ask_all(args.config, {"verb": "reload"}).items():
        ok = bool(answer.get("ok"))
        failed = failed or not ok
        words = "taken" if answer.get("changed") else "unchanged"
        print(f"{name}: {words if ok else 'not taken'}, revision {answer.get('revision', '?')}")
        messages = answer.get("messages")
        for message in messages if isinstance(messages, list) else []:
            print(f"  {message}")
    return 1 if failed else 0
