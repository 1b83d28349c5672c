"""`oneapi [serve]`: the gateway itself."""

from __future__ import annotations

import argparse

from oneapi.cli.version import run as print_version
from oneapi.server import Options
from oneapi.server import run as run_server


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration (default: looked up)")
    parser.add_argument("--port", type=int, help="port to listen on (server.port)")
    parser.add_argument("--host", help="address to listen on (server.host)")
    parser.add_argument("--log-dir", metavar="DIR", help="folder of the log files (logs.dir)")
    parser.add_argument("--version", "-V", action="store_true", help="print the version and exit")


def run(args: argparse.Namespace) -> int:
    if args.version:
        return print_version(args)
    flags = {"server.port": args.port, "server.host": args.host, "logs.dir": args.log_dir}
    return run_server(Options(config=args.config, flags=flags))
