"""`oneapi [VERB] [OPTIONS]`: finds the verb, runs it, turns its errors into words and an exit
status.

0 fine, 1 failed, 2 a command line that cannot be carried out, 3 `serve` refuses the configuration.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol

from oneapi import __version__
from oneapi.errors import ConfigError, OneApiError, UsageError

VERBS = {
    "serve": "serve the gateway (the default)",
    "check": "check the configuration, offline",
    "schema": "print the configuration's JSON Schema, for editors",
    "reload": "make the running gateway read its configuration again",
    "ps": "list the requests under way",
    "cancel": "end a request under way",
    "token": "make API keys: for the file, or issued in the store",
    "user": "register users; top up, correct and show balances",
    "code": "make, list, switch off and redeem codes worth money",
    "password": "make the line for a user's password",
    "usage": "sum up what was used",
    "logs": "show the records of requests",
    "audit": "compute every bill again, and tell of differences",
    "providers": "list the providers: formats, addresses, sign-in, models",
    "prices": "show what models cost, and which line says so",
    "mail": "send a test mail, or show the notices that were sent",
    "test": "send each channel a tiny request",
    "backup": "copy the database while it is in use",
    "version": "print the version",
}


class Verb(Protocol):
    """A module of this package: `arguments` declares its options, `run` does it."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    verb, rest = _split(words)
    parser = _parser(verb)
    module: Verb = importlib.import_module(f"oneapi.cli.{verb}")
    module.arguments(parser)
    args = parser.parse_args(rest)
    try:
        return module.run(args)
    except UsageError as error:
        print(f"oneapi: {error}", file=sys.stderr)
        return 2
    except ConfigError as error:
        for problem in error.problems:
            print(f"oneapi: {problem}", file=sys.stderr)
        return 1
    except OneApiError as error:
        print(f"oneapi: {error}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:  # an argument that is not UTF-8, a terminal that is ASCII
        character = ascii(error.object[error.start : error.end])
        print(f"oneapi: {character} cannot be written as {error.encoding}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130


def _split(words: list[str]) -> tuple[str, list[str]]:
    """The verb, which comes first where there is one, and the rest."""
    if words and words[0] in VERBS:
        return words[0], words[1:]
    if words and not words[0].startswith("-"):
        _top_parser().error(f"unknown command {words[0]!r}; see --help")
    if words and words[0] in ("--version", "-V"):
        return "version", words[1:]
    return "serve", words


def _parser(verb: str) -> argparse.ArgumentParser:
    if verb == "serve":
        return _top_parser()
    return argparse.ArgumentParser(
        prog=f"oneapi {verb}", description=VERBS[verb], allow_abbrev=False
    )


def _top_parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:<10} {words}" for name, words in VERBS.items())
    return argparse.ArgumentParser(
        prog="oneapi",
        usage="oneapi [VERB] [OPTIONS]",
        description=f"One API {__version__}: one address in front of every large-model provider.",
        epilog=f"verbs:\n{verbs}\n\n`oneapi VERB --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
