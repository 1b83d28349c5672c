"""The benchmark's table and its gates, from the figures of every round."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# Rounds on an idle machine differ by some 10 %.
_NOISY = 1.5
Figures = Mapping[str, float]


@dataclass(slots=True)
class Column:
    """One server's rounds: figures by the name of their row, and what went wrong."""

    name: str
    rounds: list[Figures] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def median(self, row: str) -> float:
        """NaN where the row was not measured."""
        values = [figures[row] for figures in self.rounds if row in figures]
        return statistics.median(values) if values else float("nan")

    def spread(self, row: str) -> float:
        """The best round over the worst; 1.0 where there is nothing to compare."""
        values = [figures[row] for figures in self.rounds if figures.get(row)]
        return max(values) / min(values) if values else 1.0


@dataclass(frozen=True, slots=True)
class Gate:
    """One promise: its words, the figure it is about (NaN: not measured), and what keeps it."""

    text: str
    value: float
    keeps: Callable[[float], bool]

    def verdict(self) -> str:
        if self.value != self.value:
            return "----"
        return "PASS" if self.keeps(self.value) else "FAIL"


ROWS = (
    "requests/s at 1", "p50 ms at 1", "p99 ms at 1",
    "requests/s at 32", "p50 ms at 32", "p99 ms at 32",
    "requests/s at 256", "p50 ms at 256", "p99 ms at 256",
    "streamed events/s at 32", "events/s, usage asked",
    "first chunk ms, p50", "first chunk ms, p99",
    "CPU us a request at 32", "CPU us an event",
    "resident MB", "start to answer, s",
)  # fmt: skip


def render_table(columns: Sequence[Column]) -> str:
    """Rows of medians, a column a server, and the gateway's ratio to stock and to nginx."""
    named = {column.name: column for column in columns}
    ratios = [other for other in ("stock", "nginx") if other in named and "gateway" in named]
    titles = ["median", *named, *(f"gateway/{other}" for other in ratios)]
    lines = [titles]
    for row in ROWS:
        ours = named["gateway"].median(row) if "gateway" in named else float("nan")
        compared = [_ratio(ours, named[other].median(row)) for other in ratios]
        lines.append([row, *(_number(column.median(row)) for column in columns), *compared])
    widths = [max(len(line[at]) for line in lines) for at in range(len(titles))]
    return "\n".join(_line(line, widths) for line in lines)


def render_noise(columns: Sequence[Column]) -> str:
    """Names the throughputs whose rounds disagree: their medians are not to be quoted."""
    rows = [row for row in ROWS if "/s" in row]
    return "\n".join(
        f"NOISE {column.name}: {row} differs {column.spread(row):.1f} times between rounds"
        for column in columns
        for row in rows
        if column.spread(row) > _NOISY
    )


def gates(gateway: Column, stock: Column, *, zipapp: bool, missing_records: float) -> list[Gate]:
    """The promises. `missing_records` is |requests - records|; only the zipapp's start counts."""

    def times_stock(row: str) -> float:
        return _over(gateway.median(row), stock.median(row))

    def at_least(times: float) -> Callable[[float], bool]:
        return lambda value: value >= times

    events = min(times_stock(row) for row in ("streamed events/s at 32", "events/s, usage asked"))
    start = gateway.median("start to answer, s")
    quick = Gate("second start of the zipapp under 0.7 s", start, lambda seconds: seconds < 0.7)
    resident = gateway.median("resident MB")
    return [
        Gate("at least 4 x stock's requests/s at 32", times_stock("requests/s at 32"), at_least(4)),
        Gate("at least 2 x stock's requests/s at 1", times_stock("requests/s at 1"), at_least(2)),
        Gate("at least 6 x stock's streamed events/s", events, at_least(6)),
        Gate("under 70 MB resident after the load", resident, lambda mb: mb < 70),
        Gate("no failed request", float(gateway.errors.total()), lambda failed: failed == 0),
        Gate("one record a request", missing_records, lambda missing: missing == 0),
        *([quick] if zipapp else []),
    ]


def render_gates(found: Sequence[Gate]) -> str:
    return "\n".join(f"{gate.verdict()}  {gate.text}: {_number(gate.value)}" for gate in found)


def _over(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else float("nan")


def _ratio(ours: float, theirs: float) -> str:
    times = _over(ours, theirs)
    return f"{times:,.2f}" if times == times else "-"


def _number(value: float) -> str:
    if value != value:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = zip(cells[1:], widths[1:], strict=True)
    return "  ".join([first, *(cell.rjust(width) for cell, width in rest)])
