"""The control socket: `oneapi reload`, `ps` and `cancel` speak to the running gateway over it.

A Unix socket beside the database, named after the port, 0600: whoever may open it may use it (D10).
One JSON object a line in, one out: `{"verb": "reload"}` → `{"ok": true, …}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from oneapi.gateway.gateway import Gateway

log = logging.getLogger("oneapi.control")

MAX_SOCKET_PATH = 100
"""Bytes of the longest path a socket may have everywhere (108 on Linux, 104 on macOS)."""
MAX_LINE = 64 * 1024


def socket_path(database: Path, port: int) -> Path:
    """Where the gateway on `port` over `database` listens."""
    return socket_folder(database) / f"{_stem(database)}.{port}.sock"


def socket_folder(database: Path) -> Path:
    """Beside the database; where that path is too long, a private run-time folder."""
    beside = database.absolute().parent
    if len(os.fsencode(beside / f"{database.name}.65535.sock")) <= MAX_SOCKET_PATH:
        return beside
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"oneapi-{os.getuid()}"


def sockets(database: Path) -> list[Path]:
    """The sockets of all gateways that run, or ran, over this database."""
    return sorted(socket_folder(database).glob(f"{_stem(database)}.*.sock"))


def _stem(database: Path) -> str:
    if socket_folder(database) == database.absolute().parent:
        return database.name
    return hashlib.sha256(os.fsencode(database.absolute())).hexdigest()[:16]


def ask(path: Path, request: Mapping[str, object], timeout_s: float = 60.0) -> dict[str, object]:
    """One request to one gateway, blocking. Raises `OSError` when nobody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout_s)
        peer.connect(str(path))
        peer.sendall(json.dumps(request).encode() + b"\n")
        with peer.makefile("rb") as answers:
            answer: dict[str, object] = json.loads(answers.readline() or b"{}")
            return answer


class Control:
    """The listening end."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self._gateway = gateway
        self._path = path
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Listen; a socket that a killed gateway left behind is replaced."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.name == f"oneapi-{os.getuid()}" and not _is_private(folder):
            log.error("no control socket: %s belongs to others, or is open to them", folder)
            return
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with _umask(0o177):
            self._server = await asyncio.start_unix_server(
                self._serve, str(self._path), limit=MAX_LINE
            )

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline() or b"{}")
            answer = await self._answer(request)
        except (ValueError, ConnectionError) as error:
            answer = {"ok": False, "messages": [f"not understood: {error}"]}
        except Exception:
            log.exception("the control socket failed")
            answer = {"ok": False, "messages": ["failed; the gateway's log says why"]}
        with contextlib.suppress(ConnectionError):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, request: Mapping[str, object]) -> dict[str, object]:
        gateway = self._gateway
        match request.get("verb"):
            case "reload":
                return (await gateway.reload("socket", rerun_commands=True)).as_dict()
            case "look":
                await gateway.look()
                return {"ok": True}
            case "ps":
                return {"ok": True, "requests": list(gateway.state.in_flight())}
            case "cancel":
                return self._cancel(request.get("id"))
            case verb:
                return {"ok": False, "messages": [f"unknown verb {verb!r}"]}

    def _cancel(self, wanted: object) -> dict[str, object]:
        """Cancel by our id or by the request id that the client knows."""
        flights = self._gateway.state.flights.values()
        found = [f for f in flights if wanted in (f.id, str(f.id), f.request_id)]
        for flight in found:
            flight.cancel("admin")
        return {"ok": bool(found), "cancelled": [f.request_id for f in found]}


def _is_private(folder: Path) -> bool:
    """Whether a folder in a shared place is ours alone, and no link to another (D10)."""
    status = folder.lstat()
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.getuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)
