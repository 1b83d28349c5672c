"""What oneapi.pyz does before anything is unpacked: `.ci/zip/`."""

from __future__ import annotations

import ast
import fcntl
import os
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import start

REPO = Path(__file__).resolve().parents[2]
MAIN = REPO / ".ci" / "zip" / "__main__.py"
NAME = "oneapi.pyz"
OLD = f"{NAME}_{'0' * 64}"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment whose home cannot be written, by root neither; returns its TMPDIR."""
    for name in ("SHIV_ROOT", "CACHE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in which an older version is unpacked."""
    (tmp_path / OLD / "site-packages").mkdir(parents=True)
    (tmp_path / OLD / "site-packages" / "module.py").touch()
    (tmp_path / f".{OLD}_lock").touch()
    return tmp_path


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10), (3, 15)])
def test_a_wrong_python_gets_one_sentence(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(SystemExit, match=f"needs Python 3.11 to 3.14; this is Python {version[0]}"):
        runpy.run_path(str(MAIN))


@pytest.mark.parametrize(
    "name", ["python2.7", "python3.6", "python3.7", "python3.8", "python3.9", "python3.10"]
)
def test_an_old_python_can_read_the_sentence(name: str, zipapp: Path) -> None:
    if subprocess.run(["/bin/sh", "-c", f"{name} -V"], capture_output=True).returncode:
        pytest.skip(f"no {name} here")
    done = subprocess.run([name, str(zipapp)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("oneapi.pyz needs Python 3.11 to 3.14; this is Python ")
    assert done.stderr.count("\n") == 1


def test_the_first_file_keeps_to_syntax_that_every_python_reads() -> None:
    tree = ast.parse(MAIN.read_text(), feature_version=(3, 4))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Starred)
    assert not [node for node in ast.walk(tree) if isinstance(node, newer)]


def test_another_platform_gets_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "PLATFORM", "plan9-mips")
    with pytest.raises(SystemExit, match=r"built for plan9-mips, this machine is .*: build"):
        start.check_platform()


def test_the_home_folder_is_unpacked_into(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(homeless))
    assert start.choose_root() == str(homeless / ".shiv")


def test_a_services_cache_folder_comes_first(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(homeless))
    monkeypatch.setenv("CACHE_DIRECTORY", f"{homeless}/cache:/other")
    assert start.choose_root() == f"{homeless}/cache/shiv"


def test_without_a_home_the_xdg_cache_is_used(
    homeless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(homeless / "xdg"))
    assert start.choose_root() == str(homeless / "xdg" / "oneapi")


def test_without_any_cache_a_private_temporary_folder_is_used(homeless: Path) -> None:
    place = Path(start.choose_root())
    assert place == homeless / f"oneapi-{os.getuid()}"
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_that_others_can_write_is_refused(homeless: Path) -> None:
    (homeless / f"oneapi-{os.getuid()}").mkdir()
    (homeless / f"oneapi-{os.getuid()}").chmod(0o777)
    with pytest.raises(SystemExit, match="set SHIV_ROOT"):
        start.choose_root()


def test_a_link_planted_as_the_temporary_folder_is_refused(homeless: Path) -> None:
    (homeless / "elsewhere").mkdir(mode=0o700)
    (homeless / f"oneapi-{os.getuid()}").symlink_to(homeless / "elsewhere")
    with pytest.raises(SystemExit, match="set SHIV_ROOT"):
        start.choose_root()


def test_a_root_that_cannot_be_written_is_named() -> None:
    with pytest.raises(SystemExit, match=r"^/dev/null/x cannot be written .*: set SHIV_ROOT"):
        start.hold("/dev/null/x", OLD)


def test_an_old_version_is_removed_with_its_marks(root: Path) -> None:
    start.clear(str(root), NAME)
    assert list(root.iterdir()) == []


def test_what_a_killed_first_start_left_of_an_old_version_is_removed(root: Path) -> None:
    shutil.move(root / OLD, root / f"{OLD}.tmp")
    start.clear(str(root), NAME)
    assert list(root.iterdir()) == []


def test_a_version_in_use_stays(root: Path) -> None:
    with (root / f".{OLD}_use").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_SH)
        start.clear(str(root), NAME)
        assert (root / OLD / "site-packages" / "module.py").exists()
    start.clear(str(root), NAME)
    assert list(root.iterdir()) == []


def test_our_own_version_and_other_programs_stay(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "BUILD_ID", "0" * 64)
    others = [f"other.pyz_{'1' * 64}", f"{NAME}_notes", "oneapi.pyz_"]
    for name in others:
        (root / name).mkdir()
    start.clear(str(root), NAME)
    assert {OLD, *others} <= {entry.name for entry in root.iterdir()}


def test_a_mark_removed_under_the_waiting_is_made_anew(tmp_path: Path) -> None:
    """Whoever clears removes the mark while others wait for it; theirs would guard nothing."""
    path = tmp_path / f".{OLD}_use"
    with path.open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        code = "import start, sys; start.hold(*sys.argv[1:]); print('held', flush=True); input()"
        env = {**os.environ, "PYTHONPATH": str(MAIN.parent)}
        argv = [sys.executable, "-c", code, str(tmp_path), OLD]
        waiting = subprocess.Popen(argv, env=env, stdin=-1, stdout=-1, text=True)
        wait_until_open(waiting.pid, path)
        path.unlink()
    with waiting:
        assert waiting.stdout
        assert waiting.stdout.readline() == "held\n"
        with path.open("w") as mark, pytest.raises(BlockingIOError):
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        waiting.communicate("\n")


def wait_until_open(pid: int, path: Path) -> None:
    """Wait until a process has `path` open, which is right before it asks for the lock."""
    folder = f"/proc/{pid}/fd"
    if not os.path.isdir(folder):
        pytest.skip("needs /proc")
    while str(path) not in {target_of(f"{folder}/{fd}") for fd in os.listdir(folder)}:
        time.sleep(0.01)


def target_of(link: str) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since it was listed
        return ""
