"""How oneapi.pyz is built: `.ci/pack.py` and `.ci/tools.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pack
import pytest
import tools

REPO = Path(__file__).resolve().parents[2]


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
    return path


def test_wheels_of_two_pythons_are_merged(tmp_path: Path) -> None:
    for minor in (b"311", b"312"):
        plain = {"pkg/__init__.py": b"x = 1\n", "pkg-1.dist-info/WHEEL": minor}
        files = {**plain, f"pkg/_c.cpython-{minor.decode()}.so": minor}
        pack.unpack(wheel(tmp_path, f"{minor.decode()}.whl", files), tmp_path / "site")
    names = {path.name for path in (tmp_path / "site" / "pkg").iterdir()}
    assert names == {"__init__.py", "_c.cpython-311.so", "_c.cpython-312.so"}
    assert (tmp_path / "site" / "pkg-1.dist-info" / "WHEEL").read_bytes() == b"311"


def test_a_file_that_differs_between_two_wheels_ends_the_build(tmp_path: Path) -> None:
    pack.unpack(wheel(tmp_path, "one.whl", {"pkg/_c.abi3.so": b"1"}), tmp_path / "site")
    with pytest.raises(SystemExit, match=r"two\.whl: .* different pkg/_c\.abi3\.so"):
        pack.unpack(wheel(tmp_path, "two.whl", {"pkg/_c.abi3.so": b"2"}), tmp_path / "site")


def test_scripts_notes_and_sources_in_c_are_left_out(tmp_path: Path) -> None:
    names = ["pkg/a.py", "pkg/a.pyx", "pkg/a.pyi", "pkg-1.dist-info/RECORD", "pkg-1.data/scripts/x"]
    pack.unpack(wheel(tmp_path, "one.whl", dict.fromkeys(names, b"")), tmp_path / "site")
    assert [p.name for p in (tmp_path / "site").rglob("*") if p.is_file()] == ["a.py"]


def extension() -> Path:
    """Some compiled module that the tests have anyway."""
    spec = importlib.util.find_spec("uvloop.loop")
    assert spec
    assert spec.origin
    return Path(spec.origin)


@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")
def test_a_slimmed_module_still_loads(tmp_path: Path) -> None:
    source = extension()
    slim = tmp_path / source.name
    slim.write_bytes(pack.slim(source.read_bytes()))
    code = (
        "import importlib.machinery as m, importlib.util as u, uvloop, sys\n"
        "loader = m.ExtensionFileLoader('uvloop.loop', sys.argv[1])\n"
        "spec = u.spec_from_file_location('uvloop.loop', sys.argv[1], loader=loader)\n"
        "print(u.module_from_spec(spec).__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(slim)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(slim)
    assert slim.stat().st_size < 0.5 * source.stat().st_size


def test_slimming_cuts_behind_the_last_loaded_byte() -> None:
    header = bytearray(b"\x7fELF\x02\x01" + bytes(58))
    struct.pack_into("<Q", header, 32, 64)  # program headers start behind this one
    struct.pack_into("<Q", header, 40, 500)  # section headers
    struct.pack_into("<HH", header, 54, 56, 1)
    segment = struct.pack("<II6Q", 1, 5, 0, 0, 0, 200, 200, 4096)
    data = (bytes(header) + segment).ljust(200, b"c") + b"debugging".ljust(400, b"s")
    slim = pack.slim(data)
    assert len(slim) == 200
    assert struct.unpack_from("<Q", slim, 40) == (0,)
    assert slim[64:] == data[64:200]


def test_a_file_that_is_no_elf_stays_as_it_is() -> None:
    assert pack.slim(b"import sys\n") == b"import sys\n"


def test_hidden_and_compiled_files_are_not_packed(tmp_path: Path) -> None:
    for name in ("a.py", "b.toml", "a.pyc", ".a.py.swp", "__pycache__/a.cpython-311.pyc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in pack.sources(tmp_path)] == ["a.py", "b.toml"]


def test_who_may_not_install_pip_is_told_the_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_works", lambda *_: False)
    monkeypatch.setattr(tools, "_has_ensurepip", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    line = "sudo apt-get install -y --no-install-recommends python3-venv$"
    with pytest.raises(SystemExit, match=line):
        tools.find_pip()


def test_no_python_that_is_new_enough_is_said_in_one_sentence(tmp_path: Path) -> None:
    for name in ("python3", "python3.11"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    for name in ("dirname", "bash"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    done = subprocess.run(
        [tmp_path / "bash", REPO / "build_zipapp.sh"],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.11 or newer is needed")
    assert done.stderr.count("\n") == 1


def test_building_again_with_nothing_changed_is_quick(zipapp: Path, tmp_path: Path) -> None:
    before = zipapp.stat()
    began = time.monotonic()
    done = subprocess.run([REPO / "build_zipapp.sh"], cwd=tmp_path, capture_output=True, text=True)
    if "packing" in done.stderr:
        pytest.skip("the sources changed since the last build")
    assert done.stderr == "oneapi.pyz is up to date\n"
    assert time.monotonic() - began < 6  # under 2 s on a quiet machine
    assert zipapp.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.slow
def test_two_builds_by_different_users_in_different_folders_are_equal(tmp_path: Path) -> None:
    """Another folder, umask, home, time zone, clock and environment of Python's; one hash."""
    if not (REPO / ".build" / "wheels").exists():
        pytest.skip("the wheels are not here: run ./build_zipapp.sh")
    hashes = set()
    for name, umask in (("a", 0o022), ("some where/b", 0o077)):
        copy = tmp_path / name
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("oneapi", ".ci"):
            shutil.copytree(REPO / part, copy / part, ignore=ignore)
        for part in (".build/wheels", ".build/tools"):
            shutil.copytree(REPO / part, copy / part, copy_function=os.link)
        shutil.copy(REPO / "build_zipapp.sh", copy)
        env = {**os.environ, "HOME": str(copy), "TZ": f"UTC{umask}", "PYTHONHASHSEED": str(umask)}
        env["PIP_NO_INDEX"] = "1"  # all that it needs is here
        done = subprocess.run(
            [copy / "build_zipapp.sh"], umask=umask, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        hashes.add(hashlib.sha256((copy / "oneapi.pyz").read_bytes()).hexdigest())
    assert len(hashes) == 1
