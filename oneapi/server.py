"""The process: sockets, signals, watcher, an orderly start and an orderly end.

Start: find or write the file → load → open the store → build → bind → serve. End: SIGTERM or SIGINT
drains (bounded by `server.drain_s`), a second one ends now; SIGHUP reloads.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from oneapi import __version__
from oneapi.config.commands import Commands
from oneapi.config.environ import named_variables, read_environment
from oneapi.config.find import find, state_path
from oneapi.config.load import Loaded, LoadError, load
from oneapi.config.starter import write_starter
from oneapi.config.watch import changes
from oneapi.errors import ConfigError, OneApiError, Problem, StoreError, UsageError
from oneapi.gateway.control import Control, socket_path
from oneapi.gateway.gateway import Gateway
from oneapi.gateway.logs import Logs
from oneapi.ledger.store_sqlite import SqliteStore
from oneapi.net.front import Front, bind, tls_context
from oneapi.people.passwords import hash_password
from oneapi.providers.catalog import load_catalog, type_facts
from oneapi.web.app import App

log = logging.getLogger("oneapi.server")

EXIT_CONFIG = 3


@dataclass(frozen=True)
class Options:
    """What the command line asked for. `flags` are dotted keys of the configuration."""

    config: str | None = None
    flags: Mapping[str, object] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path = field(default_factory=Path.cwd)


class Reader:
    """Reads the configuration, again and again: remembers what `cmd:` printed and what to watch."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.catalog = load_catalog()
        self.fingerprint_key = b""
        self._types = type_facts(self.catalog)
        self._options = options
        self._commands = Commands()
        self._watched: list[Path] = [path]

    def __call__(self, rerun_commands: bool = False) -> Loaded:
        """Raises `ConfigError`."""
        if rerun_commands:
            self._commands.forget()
        try:
            loaded = load(
                self.path,
                types=self._types,
                environ=self._options.environ,
                flags=self._options.flags,
                commands=self._commands,
                fingerprint_key=self.fingerprint_key,
            )
        except LoadError as error:
            if error.sources is not None:
                self._watched = error.sources.watched()
            raise
        self._watched = loaded.sources.watched()
        return loaded

    def watched(self) -> list[Path]:
        return self._watched


def run(options: Options) -> int:
    """Serve until told to stop; returns the exit status (0, 1, or 3 for a refused
    configuration).
    """
    os.umask(0o077)
    logs = Logs()
    logs.start()
    try:
        return _runner()(_serve(options, logs))
    except ConfigError as error:
        logs.close()
        for problem in error.problems:
            print(f"oneapi: {problem}", file=sys.stderr)
        return EXIT_CONFIG
    except OneApiError as error:
        logs.close()
        print(f"oneapi: {error}", file=sys.stderr)
        return 1
    finally:
        logs.close()


def _runner() -> Callable[..., int]:
    """uvloop's where it is installed (10 to 25 % faster), asyncio's elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


async def _serve(options: Options, logs: Logs) -> int:
    path = find(options.config, options.environ, options.folder)
    starter = None
    if path is None:
        environ = read_environment(options.folder, options.environ).values
        token = environ.get("INITIAL_ROOT_TOKEN")
        starter = write_starter(options.folder, root_token=token, hash_password=hash_password)
        path = starter.path
    try:
        process = _prepare(path, options, logs)
    except OneApiError:
        if starter is not None:  # nobody has seen its secrets: the next start is the first again
            starter.path.unlink(missing_ok=True)
        raise
    if starter is not None:
        starter.announce(process.address)
    try:
        return await process.run()
    finally:
        process.close()


def _prepare(path: Path, options: Options, logs: Logs) -> _Process:
    """All that can fail at a start: the file, the database, the certificate, the port."""
    reader = Reader(path, options)
    loaded = reader()
    database = state_path(loaded, options.environ)
    store = SqliteStore(database)
    store.open()
    try:
        reader.fingerprint_key = store.fingerprint_key()
        loaded = reader()
        tls = _tls(loaded)
        sockets = _bind(loaded)
        gateway = Gateway(
            loaded, read=reader, catalog=reader.catalog, store=store, access=logs.access
        )
    except BaseException:
        store.close()
        raise
    _apply_logs(logs, loaded)
    _announce(loaded, sockets)
    return _Process(gateway, reader, logs, sockets, tls)


def _tls(loaded: Loaded) -> ssl.SSLContext | None:
    tls = loaded.settings.server.tls
    if tls is None:
        return None
    try:
        return tls_context(loaded.beside(tls.cert), loaded.beside(tls.key))
    except OSError as error:
        words = f"{tls.cert} and {tls.key} cannot be used: {error.strerror or error}"
        problem = Problem(words, file=str(loaded.path), key="server.tls")
        raise ConfigError([problem]) from error


def _bind(loaded: Loaded) -> list[socket.socket]:
    server = loaded.settings.server
    try:
        return bind(server.host, server.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {server.port} on {server.host} is taken by another program; "
                "choose another one with --port"
            ) from error
        raise UsageError(f"cannot listen on {server.host}:{server.port}: {error}") from error


def _apply_logs(logs: Logs, loaded: Loaded) -> None:
    table = loaded.settings.logs
    logs.apply(level=table.level, json_lines=table.format == "json", access=table.access)
    folder = loaded.beside(table.dir) if table.dir else None
    reason = logs.open_file(folder, rotate=table.rotate, keep=table.keep_files)
    if reason:
        log.warning("logging to stderr alone: %s", reason)


def _announce(loaded: Loaded, sockets: list[socket.socket]) -> None:
    server = loaded.settings.server
    log.info("One API %s, configuration %s (%s)", __version__, loaded.path, loaded.revision)
    for problem in loaded.problems:
        log.warning("%s", problem)
    for words in named_variables(loaded.environ):
        log.warning("%s", words)
    log.info("listening on %s", _address(loaded, sockets))
    if server.host not in ("127.0.0.1", "localhost", "::1"):
        log.warning("server.host = %r: open to the network", server.host)


def _address(loaded: Loaded, sockets: list[socket.socket]) -> str:
    scheme = "https" if loaded.settings.server.tls else "http"
    host, port = sockets[0].getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


class _Process:
    """The running gateway: what happens between the start and the end."""

    def __init__(
        self,
        gateway: Gateway,
        reader: Reader,
        logs: Logs,
        sockets: list[socket.socket],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._gateway = gateway
        self._reader = reader
        self._logs = logs
        self._sockets = sockets
        self._tls = tls
        self.address = _address(gateway.loaded, sockets)
        self._front = Front(App(gateway, logs.access))
        self._control = Control(
            gateway, socket_path(gateway.store.path, sockets[0].getsockname()[1])
        )
        self._stop = asyncio.Event()
        self._now = asyncio.Event()

    async def run(self) -> int:
        await self._front.listen(self._sockets, self._tls)
        await self._control.start()
        self._signals()
        gc.collect()
        gc.freeze()  # what was built stays: the collector need not walk it (FACTS 8)
        gc.set_threshold(50_000, 20, 20)
        async with self._background():
            await self._stop.wait()
            await self._drain()
        if self._now.is_set():  # a thread that still reads the file must not hold the process
            self._logs.close()
            os._exit(0)
        return 0

    def close(self) -> None:
        self._gateway.store.close()

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._gateway.run()),
            asyncio.create_task(self._watch()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._control.aclose()
            await self._gateway.aclose()

    async def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                async for _ in changes(self._reader.watched, stop=self._stop):
                    await self._reload("watcher")
            except Exception:
                log.exception("the watcher failed; it begins anew")
                await asyncio.sleep(1)

    async def _reload(self, origin: str, *, rerun_commands: bool = False) -> None:
        try:
            await self._gateway.reload(origin, rerun_commands=rerun_commands)
            _apply_logs(self._logs, self._gateway.loaded)
        except Exception:
            log.exception("the reload failed")

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        self._reloads: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        task = asyncio.create_task(self._reload("signal", rerun_commands=True))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            self._now.set()
        self._stop.set()

    async def _drain(self) -> None:
        """Finish what runs, within the deadline; a second signal cuts it short."""
        self._gateway.draining = True
        seconds = self._gateway.snapshot.settings.server.drain_s
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        running = self._front.requests_in_flight
        log.info("stopping: %d requests may finish within %g s", running, seconds)
        draining = asyncio.create_task(self._front.drain(seconds))
        hurry = asyncio.create_task(self._now.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not draining.done():
            draining.cancel()
            await asyncio.gather(draining, return_exceptions=True)
            await self._front.abort()
        await self._gateway.departures.ended(0 if self._now.is_set() else ends - loop.time())
        try:
            await self._gateway.store.flush()
        except StoreError as error:
            log.error("the last records may not be written: %s", error)
        log.info("stopped")
