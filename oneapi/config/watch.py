"""Noticing that the configuration's files may have changed.

Folders are watched, never files: a save by rename or by a symlink swap leaves a file's own watch
behind. Any event means: look again (FACTS 6). What decides is the files' state on disk, so a
database that is written in the same folder costs a few stat calls and wakes nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from watchfiles import awatch

logger = logging.getLogger(__name__)

QUIET_S = 0.1
"""Half of a save in place can be valid TOML: a change counts once nothing moved for this long."""
PATIENCE_S = 0.6
"""… or after this long, where it never stops moving."""
BELT_S = 1.0
"""The files are looked at this often, whatever the watch says."""

State = dict[Path, object]
"""Path → what tells one version of a file from another; None where there is none."""


async def changes(
    paths: Callable[[], Iterable[Path]], *, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Yields whenever the content of a file may have changed, until `stop`.

    `paths` names files and folders, asked anew each time; of a folder its list of names counts.
    Paths that do not exist are waited for. A change is told within a second.
    """
    wake = asyncio.Event()
    watch = _Watch(wake)
    try:
        seen = await asyncio.to_thread(_state, paths)
        while True:
            await watch.follow(seen)
            if not await _woken(wake, stop):
                return
            now = await asyncio.to_thread(_state, paths)
            if now == seen:
                continue
            seen = await _settled(now, paths)
            yield
    finally:
        await watch.end()


class _Watch:
    """Watches one set of folders at a time and sets `wake` at every event."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._wake = wake
        self._folders: frozenset[tuple[Path, int]] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def follow(self, state: State) -> None:
        """Watch the folders of these files; anew where one was added or made again."""
        folders = await asyncio.to_thread(_folders, state)
        alive = self._task is not None and not self._task.done()
        if folders == self._folders and (alive or not folders):
            return
        await self.end()
        self._folders, self._stop = folders, asyncio.Event()
        watching = self._run([path for path, _ in folders])
        self._task = asyncio.create_task(watching)  # `end` awaits it

    async def end(self) -> None:
        if self._task is None:
            return
        self._stop.set()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _run(self, folders: list[Path]) -> None:
        try:
            async for _ in awatch(
                *folders,
                watch_filter=None,
                recursive=False,
                step=50,
                debounce=200,
                stop_event=self._stop,
            ):
                self._wake.set()
        except (OSError, RuntimeError) as error:  # a folder just vanished, or no watches are left
            logger.warning("changes are noticed by looking every second: %s", error)


async def _woken(wake: asyncio.Event, stop: asyncio.Event) -> bool:
    """Wait for an event, or for the belt's turn; False once `stop` is set."""
    waits = [asyncio.create_task(event.wait()) for event in (wake, stop)]
    try:
        await asyncio.wait(waits, timeout=BELT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    wake.clear()
    return not stop.is_set()


async def _settled(now: State, paths: Callable[[], Iterable[Path]]) -> State:
    """The state once it has been still for `QUIET_S`, or after `PATIENCE_S`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while loop.time() < deadline:
        await asyncio.sleep(QUIET_S)
        later = await asyncio.to_thread(_state, paths)
        if later == now:
            break
        now = later
    return now


def _state(paths: Callable[[], Iterable[Path]]) -> State:
    return {path: _version(path) for path in paths()}


def _version(path: Path) -> object:
    """Links are followed: a swapped symlink is another file."""
    try:
        status = path.stat()
        if path.is_dir():
            return frozenset(entry.name for entry in path.iterdir())
    except (OSError, RuntimeError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _folders(state: State) -> frozenset[tuple[Path, int]]:
    """The folders to watch, each with its inode: a folder made again is another one."""
    found: set[tuple[Path, int]] = set()
    for path in state:
        with suppress(OSError, RuntimeError):  # RuntimeError: a link that leads to itself
            for place in (path, path.resolve()):
                folder = place if place.is_dir() else place.parent
                found.add((folder, folder.stat().st_ino))
    return frozenset(found)
