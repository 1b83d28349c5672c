"""What budgets and limits cost: the gateway without and with them, in turns, in one run.

Both processes live at once on one core, and every cell is a round of A B B A, so that whatever else
the machine does hits both alike. Ratios are medians over the rounds; the promise is 0.85 at least.
CPU time a request, which a busy machine changes least, stands beside them.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench import servers
from tests.bench.load import run
from tests.bench.servers import BOUNDED, Running, Server

LEAST: Final = 0.85
"""Requests a second with budgets and limits on, of those without."""
CELLS: Final = ((1, False), (32, False), (256, False), (32, True))
"""Connections, and whether answers are streamed."""


@dataclass(slots=True)
class Cell:
    """One kind of load: a ratio a round (with to without) and the figures it came from."""

    name: str
    ratios: list[float] = field(default_factory=list)
    rates: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    cpu_us: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios) if self.ratios else float("nan")

    @property
    def kept(self) -> bool:
        return self.ratio >= LEAST and not self.errors

    def line(self) -> str:
        without, with_ = (statistics.median(rates) for rates in self.rates)
        cpu = [statistics.median(times) for times in self.cpu_us]
        return (
            f"{'PASS' if self.kept else 'FAIL'}  {self.name:<26} {without:>10,.0f} {with_:>10,.0f}"
            f" {self.ratio:>7.2f}   {cpu[0]:>8,.0f} {cpu[1]:>8,.0f} {cpu[0] / cpu[1]:>7.2f}"
        )


def pair(folder: Path, upstream_port: int, pyz: Path | None) -> tuple[Server, Server]:
    """The gateway without and with budgets and limits."""
    return (
        servers.gateway(folder / "without", upstream_port, pyz, name="without"),
        servers.gateway(folder / "with", upstream_port, pyz, name="with", bounds=BOUNDED),
    )


async def measure(
    both: tuple[Server, Server], core: int | None, seconds: float, rounds: int
) -> list[Cell]:
    """Every cell, `rounds` times A B B A of `seconds` each."""
    running: list[Running] = []
    try:
        for server in both:
            running.append(await servers.start(server, core))
        cells = []
        for connections, stream in CELLS:
            cell = Cell(f"{'events' if stream else 'requests'}/s at {connections}")
            for one in running:
                await _load(one, connections, stream, min(seconds, 0.5))
            for _ in range(rounds):
                await _round(cell, running, connections, stream, seconds)
            cells.append(cell)
        return cells
    finally:
        for one in running:
            one.stop()


async def _round(
    cell: Cell, running: Sequence[Running], connections: int, stream: bool, seconds: float
) -> None:
    found: tuple[list[float], list[float]] = ([], [])
    for which in (0, 1, 1, 0):
        rate, cpu_us, errors = await _load(running[which], connections, stream, seconds)
        found[which].append(rate)
        cell.rates[which].append(rate)
        cell.cpu_us[which].append(cpu_us)
        cell.errors.update(errors)
    cell.ratios.append(sum(found[1]) / sum(found[0]) if sum(found[0]) else float("nan"))


async def _load(
    one: Running, connections: int, stream: bool, seconds: float
) -> tuple[float, float, Counter[str]]:
    """Requests or events a second, CPU microseconds for each, and what went wrong."""
    before = one.cpu_s()
    result = await run(one.server.plan(connections=connections, stream=stream, seconds=seconds))
    done = result.events if stream else result.ok
    rate = result.events_per_s if stream else result.requests_per_s
    cpu_us = (one.cpu_s() - before) / done * 1e6 if done else float("nan")
    return rate, cpu_us, result.errors


def report(cells: Sequence[Cell]) -> bool:
    """Print the figures; whether the promise is kept everywhere."""
    print(f"{'':<32} {'without':>10} {'with':>10} {'ratio':>7}   {'CPU us':>8} {'with':>8} ratio")
    for cell in cells:
        print(cell.line())
        for reason, times in cell.errors.most_common():
            print(f"ERROR {cell.name}: {times} x {reason}")
    return all(cell.kept for cell in cells)
