"""Several gateway processes over one store, each with a file and a port of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneapi.ledger.queries import records
from tests.e2e.harness import Running, gateway

JSON = Any


@dataclass(frozen=True, slots=True)
class Fleet:
    """`members` share `database`."""

    members: list[Running]
    database: Path

    @property
    def ports(self) -> list[int]:
        return [member.port for member in self.members]

    def records(self, **where: Any) -> list[dict[str, JSON]]:
        """The common ledger, oldest first."""
        return list(records(self.database, **{"limit": None, "newest_first": False, **where}))


@contextlib.contextmanager
def fleet(folder: Path, toml_text: str, count: int) -> Iterator[Fleet]:
    """Start `count` gateways at once; at the end each must stop in order."""
    database = folder / "oneapi.db"
    text = f'{toml_text}\n[state]\npath = "{database}"\n'
    starts = [gateway(folder / f"member{number}", text) for number in range(count)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        members = list(pool.map(stack.enter_context, starts))
        yield Fleet(members, database)
