"""The application behind a real socket, in this process: small limits, and its insides in reach."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from oneapi.gateway.gateway import Gateway
from oneapi.gateway.logs import Hit
from oneapi.ledger.record import Record
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.net.front import Front, FrontLimits, bind
from oneapi.server import Options, Reader
from oneapi.web.app import App
from tests.e2e.harness import people

T = TypeVar("T")

ADMIN = "sk-" + "admi" * 12
MOCK = (
    '[channels.demo]\ntype = "mock"\nmodels = ["demo", "a/b"]\nmodel_map = { mapped = "demo" }\n'
    '[models.fast]\nroutes = [{ channel = "demo", model = "demo" }]\n'
    + people()
    + people(name="admin", key=ADMIN, role="admin")
)


@dataclass
class Served:
    """A running application. `hits` are the access lines of what left no record."""

    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    port: int = 0
    records: list[Record] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the application's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)


async def _serve(front: Front, sockets: list[Any]) -> None:
    await front.listen(sockets)


async def _stop(front: Front, gateway: Gateway) -> None:
    await front.drain(0.2)
    await gateway.aclose()


@contextlib.contextmanager
def served(folder: Path, text: str = MOCK, limits: FrontLimits | None = None) -> Iterator[Served]:
    """The application over `folder`/oneapi.toml."""
    path = folder / "oneapi.toml"
    path.write_text(text)
    store = SqliteStore(folder / "oneapi.db")
    store.open()
    reader = Reader(path, Options(environ={}, folder=folder))
    records: list[Record] = []
    hits: list[Hit] = []
    loop = asyncio.new_event_loop()
    gateway = Gateway(
        reader(), read=reader, catalog=reader.catalog, store=store, access=records.append
    )
    front = Front(App(gateway, hits.append), limits=limits or FrontLimits())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = Served(gateway, loop, records=records, hits=hits)
    try:
        sockets = bind("127.0.0.1", 0)
        found.port = sockets[0].getsockname()[1]
        found.run(_serve(front, sockets))
        yield found
        found.run(_stop(front, gateway))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
