"""What spending is counted against: accounts, their periods, the budgets that bound them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal, TypeAlias, cast, get_args

from oneapi.ir import Usage

Scope: TypeAlias = Literal["user", "token", "group", "channel", "model"]
Unit: TypeAlias = Literal["nanousd", "tokens", "requests"]
Counting: TypeAlias = Literal["all", "fresh", "billable"]
"""Which tokens count: all; all but those a cache served (`fresh`); or weighted like money, a
cached one a tenth (`billable`)."""
PeriodKind: TypeAlias = Literal["total", "hour", "day", "week", "month", "rolling"]

GRANULES: Final = 60
"""Parts of a rolling window: what was spent leaves it in steps of one."""


@dataclass(frozen=True, slots=True)
class Period:
    """When counting begins anew: never (`total`), at calendar bounds, or, with `rolling`, not at
    all: then the last `seconds` count, cut into `GRANULES`.
    """

    kind: PeriodKind
    seconds: int = 0

    @property
    def key(self) -> str:
        """How the ledger names it: `month`, `rolling:86400`."""
        return f"rolling:{self.seconds}" if self.kind == "rolling" else self.kind

    @classmethod
    def from_key(cls, key: str) -> Period:
        """The period that was written as `key`. Raises `ValueError`."""
        kind, _, seconds = key.partition(":")
        if kind not in get_args(PeriodKind):
            raise ValueError(f"{key!r} is no period")
        return cls(cast(PeriodKind, kind), int(seconds or 0))

    @property
    def granule_ms(self) -> int:
        """Milliseconds of a part of a rolling window, a second at least."""
        return max(self.seconds * 1000 // GRANULES, 1000)

    def bucket(self, time_ms: int, zone: tzinfo) -> int:
        """The Unix millisecond at which the bucket begins that holds `time_ms`; 0 for `total`."""
        if self.kind == "total":
            return 0
        if self.kind == "rolling":
            return time_ms - time_ms % self.granule_ms
        return (
            int(_floor(self.kind, datetime.fromtimestamp(time_ms / 1000, zone)).timestamp()) * 1000
        )

    def since(self, time_ms: int, zone: tzinfo) -> int:
        """The first bucket that counts at `time_ms`. Of a rolling window the oldest part counts
        whole, so that never more than the limit falls into one.
        """
        if self.kind != "rolling":
            return self.bucket(time_ms, zone)
        return self.bucket(time_ms - self.seconds * 1000, zone)

    def ends(self, time_ms: int, zone: tzinfo) -> int:
        """When the bucket of `time_ms` stops counting; 0 for never."""
        if self.kind == "total":
            return 0
        if self.kind == "rolling":
            return self.bucket(time_ms, zone) + self.granule_ms + self.seconds * 1000
        start = _floor(self.kind, datetime.fromtimestamp(time_ms / 1000, zone))
        beyond = start + timedelta(days={"hour": 0, "day": 1, "week": 7, "month": 31}[self.kind])
        if self.kind == "hour":
            return int(start.timestamp()) * 1000 + 3_600_000
        return int(_floor(self.kind, beyond).timestamp()) * 1000


TOTAL: Final = Period("total")


@dataclass(frozen=True, slots=True)
class Account:
    """One sum that the ledger keeps. `name` is the thing's in its scope."""

    scope: Scope
    name: str
    unit: Unit
    period: Period = TOTAL
    counting: Counting = "all"
    key: str = field(init=False, repr=False, compare=False)
    """The same as text, for looking up each of a request's budgets: a dict hashes it in C."""
    _hash: int = field(init=False, repr=False, compare=False)  # asked for several times a request

    def __post_init__(self) -> None:
        parts = (self.scope, self.name, self.unit, self.period, self.counting)
        object.__setattr__(self, "key", repr(parts))
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    def amount(self, cost_nanousd: int, usage: Usage) -> int:
        """What a request adds to it."""
        match self.unit:
            case "nanousd":
                return cost_nanousd
            case "requests":
                return 1
            case "tokens":
                return counted_tokens(usage, self.counting)


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on an account in one period. `limit` is in the account's unit; with `credited` it
    is raised by what the account's book holds (top-ups, corrections).
    """

    account: Account
    limit: int
    credited: bool = False


def counted_tokens(usage: Usage, counting: Counting) -> int:
    """Tokens of a request as a limit counts them; negative counts are none."""
    spent = max(usage.input_tokens, 0) + max(usage.output_tokens, 0)
    if counting == "all":
        return spent
    cached = max(usage.cache_read, 0)
    return spent - cached if counting == "fresh" else spent - cached + -(-cached // 10)


_FLOORS: Final[dict[str, Callable[[datetime], datetime]]] = {
    "hour": lambda t: t.replace(minute=0, second=0, microsecond=0),
    "day": lambda t: t.replace(hour=0, minute=0, second=0, microsecond=0, fold=0),
    "week": lambda t: (t - timedelta(days=t.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0, fold=0
    ),
    "month": lambda t: t.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0),
}


def _floor(kind: str, moment: datetime) -> datetime:
    """The beginning of the calendar period in the moment's own zone; weeks begin on Monday."""
    return _FLOORS[kind](moment)
