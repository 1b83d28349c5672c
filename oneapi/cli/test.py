"""`oneapi test [CHANNEL…]`: sends each channel a tiny request; prints its latency or its error.

Asks the providers directly, with the configuration as the file says it now; nothing is recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence

from oneapi.cli.place import config_argument, config_path, numbers, print_json, print_table
from oneapi.config.load import load
from oneapi.errors import ApiError, UsageError
from oneapi.gateway.build import build
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.globs import is_glob
from oneapi.gateway.snapshot import Channel, Snapshot
from oneapi.net.base import CarrierError, Timeouts
from oneapi.providers.calls import signed
from oneapi.providers.catalog import load_catalog, type_facts
from oneapi.providers.discover import discover
from oneapi.providers.probe import probe_call, read_probe

PATIENCE = Timeouts(connect=5.0, first_byte=60.0, idle=60.0)
COLUMNS = {"channel": "CHANNEL", "model": "MODEL", "result": "RESULT", "ms": "MS", "words": ""}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("channels", nargs="*", metavar="CHANNEL", help="which (default: all)")
    parser.add_argument("--model", help="the model to ask for (default: the channel's first)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    config_argument(parser)


def run(args: argparse.Namespace) -> int:
    catalog = load_catalog()
    loaded = load(config_path(args.config), types=type_facts(catalog), environ=os.environ)
    carriers = Carriers()
    snapshot = build(loaded, catalog, numbers, carriers)
    chosen = _chosen(snapshot, args.channels)
    results = asyncio.run(_all(chosen, args.model, carriers))
    if args.json:
        for result in results:
            print_json(result)
    else:
        print_table(results, COLUMNS)
    return 0 if all(r["result"] == "ok" for r in results) else 1


def _chosen(snapshot: Snapshot, names: Sequence[str]) -> list[Channel]:
    unknown = [name for name in names if name not in snapshot.channels]
    if unknown:
        raise UsageError(f"there is no channel {', '.join(unknown)}")
    return [snapshot.channels[name] for name in names or snapshot.channels]


async def _all(
    channels: Sequence[Channel], model: str | None, carriers: Carriers
) -> list[dict[str, object]]:
    try:
        return list(await asyncio.gather(*(_one(channel, model) for channel in channels)))
    finally:
        await carriers.aclose()


async def _one(channel: Channel, model: str | None) -> dict[str, object]:
    found: dict[str, object] = {"channel": channel.name, "model": model, "result": "error"}
    started = time.monotonic()
    key = channel.keys[0].secret
    try:
        name = model or await _first_model(channel)
        found["model"] = name
        call = probe_call(channel.account, key, channel.model_map.get(name, name))
        started = time.monotonic()
        call = await signed(channel.account, key, call)
        reply = await channel.carrier.send(channel.account.origin, call, PATIENCE)
        try:
            probe = await read_probe(reply, secrets=(key,))
        finally:
            await reply.aclose()
        found["result"] = "ok" if probe.ok else str(probe.status)
        found["words"] = probe.text
    except (CarrierError, ApiError, ValueError) as error:
        found["words"] = str(error)
    found["ms"] = round((time.monotonic() - started) * 1000)
    return found


async def _first_model(channel: Channel) -> str:
    """The first model the channel is said, or found, to serve. Raises `ValueError`,
    `CarrierError`.
    """
    if channel.models is not None and channel.models.names:
        return channel.models.names[0]
    named = [name for name in channel.model_map if not is_glob(name)]
    if named:
        return named[0]
    names = await discover(
        channel.carrier, channel.account, channel.keys[0].secret, timeouts=PATIENCE
    )
    served = [n for n in names if channel.serves(n, frozenset(names))]
    if not served:
        raise ValueError("it serves no model; name one with --model")
    return served[0]
