"""The benchmark: one run, one table, the gateway beside nginx and a stock proxy of the same parts.

    python -m tests.bench.run [--quick] [--gate] [--pyz [FILE]] [--seconds S]
                              [--rounds N] [--only NAME…] [--limits]

Each round starts every server anew, one after the other, alone on one core; the scripted upstream
and the load share another. The rounds are interleaved, so that a noisy minute hits all columns,
and the table holds medians. `direct` is the load against the upstream with nothing between them:
what the harness itself can do. The first chunk is timed on streams of 20 events, 5 ms apart, 8 at
once. CPU time (user and system) is what noise touches least: a machine that others use, too, still
tells it. `--gate` ends with 1 where a promise is broken or could not be measured. With `--limits`
the gateway runs against itself instead: without and with budgets and limits on (`limits`).
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.bench import limits, servers
from tests.bench.load import Result, run
from tests.bench.report import Column, gates, render_gates, render_noise, render_table
from tests.bench.servers import ROOT, Running, Server


@dataclass(slots=True)
class Bench:
    """What one run knows. `ledger` is the gateway's [requests sent, records found] so far."""

    seconds: float
    server_core: int | None
    columns: dict[str, Column] = field(default_factory=dict)
    ledger: list[int] = field(default_factory=lambda: [0, 0])
    first_start_s: float | None = None

    def column(self, server: Server) -> Column:
        return self.columns.setdefault(server.name, Column(server.name))

    async def round(self, server: Server) -> None:
        """Starts a server (`direct` has no process), loads it in every way, weighs and stops it."""
        column = self.column(server)
        if not server.command:
            await _load(Round(server, self.seconds), column)
            return
        before = await _records(server, 0)
        running = await servers.start(server, self.server_core)
        try:
            await self._measure(running, column, before)
        finally:
            running.stop()

    async def first_start(self, server: Server) -> None:
        """A zipapp's first start unpacks it; the rounds measure the starts after that."""
        running = await servers.start(server, self.server_core)
        self.first_start_s = running.start_s
        running.stop()

    async def _measure(self, running: Running, column: Column, before: int) -> None:
        this = Round(running.server, self.seconds, running)
        await _load(this, column)
        this.figures["resident MB"] = running.resident_mb()
        this.figures["start to answer, s"] = running.start_s
        if running.server.database is not None:
            sent = this.sent + running.probes
            self.ledger[0] += sent
            self.ledger[1] += await _records(running.server, before + sent) - before


@dataclass(slots=True)
class Round:
    """One server's turn: what was sent to it and what was found."""

    server: Server
    seconds: float
    running: Running | None = None
    sent: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)

    async def plain(self, connections: int) -> None:
        result, cpu_s = await self._cell(connections=connections)
        self.figures[f"requests/s at {connections}"] = result.requests_per_s
        self.figures[f"p50 ms at {connections}"] = result.latency_ms(50)
        self.figures[f"p99 ms at {connections}"] = result.latency_ms(99)
        if connections == 32 and result.ok:
            self.figures["CPU us a request at 32"] = cpu_s / result.ok * 1e6

    async def stream(self, row: str, *, usage: bool) -> None:
        result, cpu_s = await self._cell(connections=32, stream=True, usage=usage)
        self.figures[row] = result.events_per_s
        if not usage and result.events:
            self.figures["CPU us an event"] = cpu_s / result.events * 1e6

    async def paced(self) -> None:
        result, _ = await self._cell(paced=True, connections=8, stream=True)
        self.figures["first chunk ms, p50"] = result.first_chunk_ms(50)
        self.figures["first chunk ms, p99"] = result.first_chunk_ms(99)

    async def warm_up(self) -> None:
        await self._cell(connections=32, seconds=min(0.5, self.seconds))

    async def _cell(self, *, paced: bool = False, **plan: float | bool) -> tuple[Result, float]:
        """One load and the server's CPU seconds in it, NaN where nobody tells."""
        before = self.running.cpu_s() if self.running else float("nan")
        result = await run(self.server.plan(paced=paced, **{"seconds": self.seconds, **plan}))
        self.sent += result.sent
        self.errors.update(result.errors)
        return result, (self.running.cpu_s() if self.running else float("nan")) - before


async def _records(server: Server, expected: int) -> int:
    """What the server's ledger holds, after a wait where that is less than expected."""
    if server.database is None:
        return 0
    return max(0, await servers.count_records(server.database, expected))


async def _load(this: Round, column: Column) -> None:
    """Every cell in turn; the figures join the column once they are all there."""
    await this.warm_up()
    for connections in (1, 32, 256):
        await this.plain(connections)
    await this.stream("streamed events/s at 32", usage=False)
    await this.stream("events/s, usage asked", usage=True)
    await this.paced()
    column.rounds.append(this.figures)
    column.errors.update(this.errors)


def _contenders(options: argparse.Namespace, folder: Path, port: int) -> list[Server]:
    """The columns that can be had here; what is missing is said on stderr."""
    found: list[Server | None] = [Server("direct", port), servers.nginx(folder, port)]
    if found[-1] is None:
        _say("nginx is missing, so is its column: apt-get install nginx")
    found.append(servers.stock(folder, port))
    if options.pyz is not None and not options.pyz.exists():
        _say(f"{options.pyz} is missing, so is the gateway's column: ./build_zipapp.sh")
    elif options.pyz is None and not (ROOT / "oneapi" / "__main__.py").exists():
        _say("oneapi/__main__.py is missing, so is the gateway's column")
    else:
        found.append(servers.gateway(folder, port, options.pyz))
    wanted = options.only or ["direct", "nginx", "stock", "gateway"]
    return [server for server in found if server is not None and server.name in wanted]


async def _run(options: argparse.Namespace, bench: Bench, contenders: list[Server]) -> None:
    for number in range(options.rounds):
        for server in contenders:
            _say(f"round {number + 1} of {options.rounds}: {server.name}")
            try:
                if number == 0 and options.pyz is not None and server.database is not None:
                    await bench.first_start(server)
                await bench.round(server)
            except (RuntimeError, OSError) as error:  # the others' columns are still worth having
                _say(str(error))
                bench.column(server).errors["round lost"] += 1


def _report(bench: Bench, *, zipapp: bool) -> bool:
    """Prints everything; whether all promises are kept."""
    columns = bench.columns
    print(render_table(list(columns.values())))
    if noise := render_noise(list(columns.values())):
        print(noise)
    for column in columns.values():
        for reason, times in column.errors.most_common():
            print(f"ERROR {column.name}: {times} x {reason}")
    if "gateway" not in columns:
        return False
    sent, records = bench.ledger
    print(f"\nledger: {sent:,} requests, {records:,} records")
    if bench.first_start_s is not None:
        print(f"first start of the zipapp: {bench.first_start_s:.2f} s")
    stock = columns.get("stock", Column("stock"))
    missing = float(abs(sent - records)) if sent else float("nan")
    found = gates(columns["gateway"], stock, zipapp=zipapp, missing_records=missing)
    print(render_gates(found))
    return all(gate.verdict() == "PASS" for gate in found)


def _parse_flags() -> argparse.Namespace:
    flags = argparse.ArgumentParser(description="The gateway beside nginx and a stock proxy.")
    flags.add_argument("--quick", action="store_true", help="1 second a cell instead of 3")
    flags.add_argument("--seconds", type=float, help="seconds a cell")
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--gate", action="store_true", help="exit with 1 where a promise is broken")
    flags.add_argument(
        "--pyz", type=Path, nargs="?", const=ROOT / "oneapi.pyz", help="the built zipapp"
    )
    flags.add_argument("--limits", action="store_true", help="what budgets and limits cost")
    flags.add_argument("--only", nargs="+", help="of direct nginx stock gateway")
    options = flags.parse_args()
    options.seconds = options.seconds or (1.0 if options.quick else 3.0)
    return options


def _cores() -> tuple[int | None, int | None]:
    """(the server's core, the load's core); None where cores cannot be had for each."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        _say("fewer than two cores to pin to: the figures hold the load's own cost")
        return None, None
    return cores[0], cores[1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    options = _parse_flags()
    server_core, load_core = _cores()
    bench = Bench(options.seconds, server_core)
    with (
        tempfile.TemporaryDirectory(prefix="oneapi-bench-") as name,
        servers.pinned(load_core),
        servers.upstream(load_core) as port,
    ):
        if options.limits:
            pair = limits.pair(Path(name), port, options.pyz)
            gc.freeze()
            cells = uvloop.run(limits.measure(pair, server_core, options.seconds, options.rounds))
            return 1 if not limits.report(cells) and options.gate else 0
        contenders = _contenders(options, Path(name), port)
        gc.freeze()
        uvloop.run(_run(options, bench, contenders))
    kept = _report(bench, zipapp=options.pyz is not None)
    return 1 if options.gate and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
