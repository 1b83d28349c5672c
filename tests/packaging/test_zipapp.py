"""The finished oneapi.pyz, run as a user runs it. `SHIV_INTERPRETER` makes it a plain Python."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pack
import pytest

REPO = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "anyio, httptools, httpx, hypercorn.asyncio, msgspec, pydantic, pydantic_settings, socksio, "
    "sqlite_utils, starlette.applications, tomli_w, uvloop, watchfiles"
)


@pytest.fixture(scope="module")
def unpacked(zipapp: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SHIV_ROOT into which this version is unpacked and compiled."""
    root = tmp_path_factory.mktemp("unpacked")
    python(zipapp, root, "pass")
    return root


def environment(root: Path) -> dict[str, str]:
    """A user's environment, with nothing of the tests' own Python in it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "SHIV", "ONEAPI"))}
    return {**kept, "SHIV_ROOT": str(root)}


def python(zipapp: Path, root: Path, code: str, interpreter: str = "python3") -> str:
    """What `code` prints when it runs inside the zipapp."""
    env = {**environment(root), "SHIV_INTERPRETER": "1"}
    argv = [interpreter, str(zipapp), "-c", code]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir()]


def test_it_is_one_executable_file_under_the_limit(zipapp: Path) -> None:
    assert zipapp.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert zipapp.stat().st_mode & 0o777 == 0o755
    assert zipapp.stat().st_size < 25_000_000


def test_it_holds_our_package_to_the_letter(zipapp: Path) -> None:
    expected = {
        f"site-packages/{path.relative_to(REPO)}": path.read_bytes()
        for path in pack.sources(REPO / "oneapi")
    }
    with zipfile.ZipFile(zipapp) as archive:
        packed = {
            name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("site-packages/oneapi/")
        }
    if packed != expected and not pack_is_current():
        pytest.skip("the sources changed since the last build")
    assert packed == expected


def pack_is_current() -> bool:
    return pack.STAMP.exists() and pack.STAMP.read_text() == pack.stamp()


def test_it_holds_compiled_parts_for_every_python(zipapp: Path) -> None:
    table = json.loads((REPO / ".ci" / "lock" / "wheels.json").read_text())
    with zipfile.ZipFile(zipapp) as archive:
        names = archive.namelist()
    for minor in table["minors"]:
        tag = f".cpython-{minor.replace('.', '')}-"
        packages = {name.split("/")[1].partition(".")[0] for name in names if tag in name}
        assert packages == {"_cffi_backend", "httptools", "msgspec", "pydantic_core", "uvloop"}


def test_it_names_no_folder_of_the_builder(zipapp: Path) -> None:
    with zipfile.ZipFile(zipapp) as archive:
        where = [n for n in archive.namelist() if str(REPO).encode() in archive.read(n)]
    assert where == []


def test_all_libraries_come_from_inside(zipapp: Path, unpacked: Path) -> None:
    code = f"import sys, {LIBRARIES}\nprint([m.__file__ for m in ({LIBRARIES})])"
    files: list[str] = json.loads(python(zipapp, unpacked, code).replace("'", '"'))
    assert [file for file in files if not file.startswith(str(unpacked))] == []


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_the_same_file_starts_under(name: str, zipapp: Path, tmp_path: Path) -> None:
    if subprocess.run(["/bin/sh", "-c", f"{name} -V"], capture_output=True).returncode:
        pytest.skip(f"no {name} here")
    code = f"import sys, {LIBRARIES}; print(sys.version_info[:2])"
    minor = name.partition(".")[2]
    assert python(zipapp, tmp_path, code, interpreter=name) == f"(3, {minor})"


def test_everything_is_compiled_at_the_first_start(zipapp: Path, unpacked: Path) -> None:
    code = "import oneapi.errors, sys; print(oneapi.errors.__cached__)"
    assert Path(python(zipapp, unpacked, code)).exists()


def test_the_sqlite_utils_command_is_in_it(zipapp: Path, unpacked: Path, tmp_path: Path) -> None:
    env = {**environment(unpacked), "SHIV_ENTRY_POINT": "sqlite_utils.cli:cli"}
    argv = [str(zipapp), "query", str(tmp_path / "x.db"), "select 1 as one"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert json.loads(done.stdout) == [{"one": 1}]


def test_a_start_removes_an_old_version(zipapp: Path, unpacked: Path) -> None:
    old = unpacked / f"{zipapp.name}_{'0' * 64}"
    (old / "site-packages").mkdir(parents=True)
    python(zipapp, unpacked, "pass")
    assert len(folders(unpacked)) == 1
    assert not old.exists()


def test_a_running_version_is_held(zipapp: Path, unpacked: Path) -> None:
    argv = [str(zipapp), "-c", "print('up', flush=True); input()"]
    env = {**environment(unpacked), "SHIV_INTERPRETER": "1"}
    with subprocess.Popen(argv, env=env, stdin=-1, stdout=-1, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "up\n"
        with next(unpacked.glob(".*_use")).open() as mark, pytest.raises(BlockingIOError):
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        running.communicate("\n")


def test_four_first_starts_at_once_all_answer(zipapp: Path, tmp_path: Path) -> None:
    env = {**environment(tmp_path), "SHIV_INTERPRETER": "1"}
    argv = [str(zipapp), "-c", f"import {LIBRARIES}; print('up')"]
    starts = [subprocess.Popen(argv, env=env, stdout=-1, stderr=-1, text=True) for _ in range(4)]
    outcomes = [start.communicate(timeout=100) for start in starts]
    assert outcomes == [("up\n", "")] * 4
    assert len(folders(tmp_path)) == 1


@pytest.mark.parametrize("moment", ["unpacking", "compiling"])
def test_after_a_first_start_that_was_killed_the_next_one_answers(
    moment: str, zipapp: Path, tmp_path: Path
) -> None:
    """shiv with its pool of compilers hangs here for ever: orphans of the pool keep its lock."""
    env = {**environment(tmp_path), "SHIV_INTERPRETER": "1"}
    sign = "**/*.pyc" if moment == "compiling" else "**/*.py"
    argv = [str(zipapp), "-c", "pass"]
    with subprocess.Popen(argv, env=env, start_new_session=True) as first:
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob(f"*.tmp/{sign}")) and time.monotonic() < deadline:
            time.sleep(0.005)
        first.send_signal(signal.SIGKILL)  # it alone, as the kernel's out-of-memory killer does
    assert first.returncode == -signal.SIGKILL
    assert folders(tmp_path)[0].endswith(".tmp")
    assert python(zipapp, tmp_path, f"import {LIBRARIES}; print('up')") == "up"
    assert not folders(tmp_path)[0].endswith(".tmp")
