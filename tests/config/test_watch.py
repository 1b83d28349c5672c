"""A save is noticed within a second, however the editor, the operator or Kubernetes saves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from oneapi.config.watch import changes

NOTICED_S = 3.0
"""The promise is a second; a loaded machine gets three before the test fails."""


@asynccontextmanager
async def watching(paths: Callable[[], Iterable[Path]]) -> AsyncIterator[asyncio.Queue[float]]:
    """A queue that gets the time of each change told."""
    told: asyncio.Queue[float] = asyncio.Queue()
    stop = asyncio.Event()

    async def follow() -> None:
        async for _ in changes(paths, stop=stop):
            told.put_nowait(asyncio.get_running_loop().time())

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.4)
    try:
        yield told
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


def save_and_wait(paths: Callable[[], Iterable[Path]], *saves: Callable[[], object]) -> list[float]:
    """Seconds from each save until it was told."""

    async def run() -> list[float]:
        took = []
        async with watching(paths) as told:
            for save in saves:
                start = asyncio.get_running_loop().time()
                save()
                took.append(await asyncio.wait_for(told.get(), NOTICED_S) - start)
        return took

    return asyncio.run(run())


def test_a_save_in_place_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "oneapi.toml"
    file.write_text("a = 1")
    took = save_and_wait(lambda: [file], lambda: file.write_text("a = 2"))
    assert took[0] < NOTICED_S


def test_saves_by_rename_are_noticed_again_and_again(tmp_path: Path) -> None:
    file, new = tmp_path / "oneapi.toml", tmp_path / "oneapi.toml.new"
    file.write_text("a = 1")

    def save() -> None:
        new.write_text("a = 2")
        new.rename(file)

    assert len(save_and_wait(lambda: [file], save, save, save)) == 3


def test_a_symlink_swap_as_kubernetes_does_it_is_noticed(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "oneapi.toml").write_text("a = 1")
    data, file = tmp_path / "..data", tmp_path / "oneapi.toml"
    data.symlink_to("..1")
    file.symlink_to("..data/oneapi.toml")

    def swap() -> None:
        (tmp_path / "..data_tmp").symlink_to("..2")
        (tmp_path / "..data_tmp").rename(data)

    assert len(save_and_wait(lambda: [file], swap)) == 1


def test_a_new_include_in_a_folder_made_later_is_noticed(tmp_path: Path) -> None:
    main, folder = tmp_path / "oneapi.toml", tmp_path / "conf.d"
    main.write_text("")

    def paths() -> list[Path]:
        return [main, folder, *sorted(folder.glob("*.toml"))]

    include = folder / "a.toml"
    saves = (
        folder.mkdir,
        lambda: include.write_text("a = 1"),
        lambda: include.write_text("a = 22"),
        include.unlink,
    )
    assert len(save_and_wait(paths, *saves)) == 4


def test_a_folder_that_is_made_again_is_still_watched(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "oneapi.toml"
    file.write_text("a = 1")

    def again() -> None:
        folder.rename(tmp_path / "old")
        folder.mkdir()
        file.write_text("a = 2")

    assert len(save_and_wait(lambda: [file], again, lambda: file.write_text("a = 3"))) == 2


def test_a_busy_database_in_the_same_folder_wakes_nobody(tmp_path: Path) -> None:
    file, database = tmp_path / "oneapi.toml", tmp_path / "oneapi.db"
    file.write_text("a = 1")

    async def run() -> int:
        async with watching(lambda: [file]) as told:
            for index in range(20):
                database.write_text(str(index))
                await asyncio.sleep(0.05)
            return told.qsize()

    assert asyncio.run(run()) == 0


def test_a_save_in_pieces_is_told_once_it_is_quiet(tmp_path: Path) -> None:
    file = tmp_path / "oneapi.toml"
    file.write_text("a = 1\n")

    async def run() -> str:
        async with watching(lambda: [file]) as told:
            file.write_text("")
            with file.open("a") as stream:
                for line in range(5):
                    stream.write(f"b{line} = 1\n")
                    stream.flush()
                    await asyncio.sleep(0.02)
            await asyncio.wait_for(told.get(), NOTICED_S)
            return file.read_text()

    assert asyncio.run(run()).count("\n") == 5


def test_a_file_that_never_stops_changing_is_told_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "oneapi.toml"
    file.write_text("a = 1")

    async def run() -> float:
        async with watching(lambda: [file]) as told:
            start, index = asyncio.get_running_loop().time(), 0
            while told.empty():
                index += 1
                file.write_text(f"a = {index}")
                await asyncio.sleep(0.03)
            return told.get_nowait() - start

    assert asyncio.run(run()) < NOTICED_S


def test_a_change_that_keeps_size_and_time_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "oneapi.toml"
    file.write_text("a = 1")
    status = file.stat()

    def save() -> None:
        file.write_text("a = 2")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert len(save_and_wait(lambda: [file], save)) == 1
