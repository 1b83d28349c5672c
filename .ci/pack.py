#!/usr/bin/env python3
"""Build `oneapi.pyz` for this platform and for every Python that the lock serves.

Wheels named in `.ci/lock/wheels.json` are fetched into `.build/wheels` (once, hashes checked),
unpacked over each other with `oneapi/` beside them, packed by shiv, and written again with our own
`__main__.py` in front. Equal sources give an equal file: nothing that depends on the folder, the
user, the clock or the interpreter goes in. With nothing changed, the file that is there stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

sys.path.insert(0, str(Path(__file__).resolve().parent))
from platforms import MINORS, pip_target_options, this_platform
from tools import BUILD, LOCK, ROOT, TOOLS, alone, ensure_tools, pip, run, say

OUTPUT = ROOT / "oneapi.pyz"
STAMP = BUILD / "zipapp.stamp"
WHEELS = BUILD / "wheels"
LIMIT_BYTES = 25_000_000
SHEBANG = b"#!/usr/bin/env python3\n"
# RECORD lists files that we leave out; the others are sources that only a compiler reads. Every
# entry costs at each start, because the zip's directory is read.
DROPPED_NAMES = {"RECORD"}
DROPPED_SUFFIXES = {".c", ".h", ".pxd", ".pyi", ".pyx"}


def main() -> None:
    platform = this_platform()
    with alone():
        if STAMP.exists() and OUTPUT.exists() and STAMP.read_text() == stamp():
            say(f"{OUTPUT.name} is up to date")
            return
        ensure_tools()
        wheels = fetch(platform)
        say(f"packing {OUTPUT.name} for {platform}, Python {MINORS[0]} to {MINORS[-1]}")
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            build(Path(folder), wheels, platform)
        STAMP.write_text(stamp())
    say(f"{OUTPUT.name}: {OUTPUT.stat().st_size / 1e6:.1f} MB, sha256 {sha256(OUTPUT)}")


def build(folder: Path, wheels: list[Path], platform: str) -> None:
    """Unpack, pack and replace the output in one move; a failure leaves the old file."""
    site = folder / "site"
    for wheel in wheels:
        unpack(wheel, site)
    for path in sources(ROOT / "oneapi"):
        target = site / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    packed = folder / "packed.pyz"
    shiv = [sys.executable, "-P", "-m", "shiv", "--site-packages", str(site), "-o", str(packed)]
    options = ["-e", "oneapi.__main__:main", "--compile-pyc", "--reproducible", "--uncompressed"]
    env = {"PYTHONPATH": str(TOOLS), "PYTHONWARNINGS": "ignore", "SOURCE_DATE_EPOCH": "315554400"}
    run([*shiv, *options], env=env)
    finished = folder / OUTPUT.name
    finish(packed, finished, platform)
    if (size := finished.stat().st_size) > LIMIT_BYTES:
        sys.exit(f"{OUTPUT.name} would have {size} bytes, more than the {LIMIT_BYTES} allowed")
    os.replace(finished, OUTPUT)


def fetch(platform: str) -> list[Path]:
    """Paths of the wheels that this platform needs; downloads those that are not there."""
    table = json.loads((LOCK / "wheels.json").read_text())["packages"].values()
    wanted: dict[str, str] = {}
    for minor in MINORS:
        served = {
            name: wheel["sha256"]
            for package in table
            for name, wheel in package["wheels"].items()
            if f"{platform} {minor}" in wheel["serves"]
        }
        wanted |= served
        if not all(is_whole(WHEELS / name, digest) for name, digest in served.items()):
            say(f"fetching wheels for Python {minor}")
            lock = ["-r", str(LOCK / "runtime.txt"), "--require-hashes", "--no-deps", "-q"]
            pip(["download", *lock, "-d", str(WHEELS), *pip_target_options(platform, minor)])
    missing = [name for name, digest in wanted.items() if not is_whole(WHEELS / name, digest)]
    if missing:
        sys.exit(f"not what the lock names: {', '.join(missing)}; remove {WHEELS} and try again")
    return [WHEELS / name for name in sorted(wanted)]


def is_whole(path: Path, digest: str) -> bool:
    return path.exists() and sha256(path) == digest


def unpack(wheel: Path, site: Path) -> None:
    """Unpack one wheel, without scripts, sources in C and stubs.

    Wheels of one package for several Pythons share their plain files and differ in those whose
    name holds the version. Where two differ under one name, the file would be wrong for one of
    them, so that ends the build (but for the notes in `*.dist-info`, where the first one stays).
    """
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = PurePosixPath(info.filename)
            if info.is_dir() or name.parts[0].endswith(".data"):
                continue
            if name.name in DROPPED_NAMES or name.suffix in DROPPED_SUFFIXES:
                continue
            data = slim(archive.read(info))
            target = site / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            elif target.read_bytes() != data and not name.parts[0].endswith(".dist-info"):
                sys.exit(f"{wheel.name}: another wheel holds a different {name}")


def slim(data: bytes) -> bytes:
    """A 64-bit ELF file without what lies behind its loaded segments: symbols for debuggers.

    The loader reads program headers alone, so the section headers may go with the sections. It
    takes uvloop from 14 to 2 MB; binutils' `strip` would do it, but a bare Debian has none.
    """
    if data[:6] != b"\x7fELF\x02\x01":
        return data
    (first,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    end = first + size * count
    for n in range(count):
        offset, _, _, length = struct.unpack_from("<4Q", data, first + n * size + 8)
        end = max(end, offset + length)
    out = bytearray(data[:end])
    struct.pack_into("<Q", out, 40, 0)  # e_shoff
    struct.pack_into("<HH", out, 60, 0, 0)  # e_shnum, e_shstrndx
    return bytes(out)


def finish(packed: Path, finished: Path, platform: str) -> None:
    """Write shiv's file again: compressed, one mode for all entries, our start instead of its."""
    with zipfile.ZipFile(packed) as source, finished.open("wb") as file:
        build_id = json.loads(source.read("environment.json"))["build_id"]
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w") as target:
            for info in source.infolist():
                if info.filename != "__main__.py":
                    add(target, info.filename, source.read(info))
            for name in ("start.py", "__main__.py"):
                text = (ROOT / ".ci" / "zip" / name).read_text()
                text = text.replace("@PLATFORM@", platform).replace("@BUILD_ID@", build_id)
                add(target, name, text.encode())
    finished.chmod(0o755)


def add(target: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name)  # dated 1980-01-01
    info.external_attr = 0o100644 << 16
    info.create_system = 3  # Unix, on every system
    target.writestr(info, data, zipfile.ZIP_DEFLATED, compresslevel=9)


def sources(folder: Path) -> Iterator[Path]:
    """The files of a package, sorted; neither compiled nor hidden ones."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and path.suffix != ".pyc" and not any(p.startswith(".") for p in parts):
            yield path


def stamp() -> str:
    """A hash over the output and all that goes into it; equal as long as nothing changed."""
    digest = hashlib.sha256(this_platform().encode())
    lock = [LOCK / "build.txt", LOCK / "runtime.txt", LOCK / "wheels.json"]
    ours = sorted((ROOT / ".ci").glob("*.py")) + sorted((ROOT / ".ci" / "zip").glob("*.py"))
    for path in [OUTPUT, *lock, *ours, *sources(ROOT / "oneapi")]:
        digest.update(f"{path.relative_to(ROOT)} {sha256(path)}\n".encode())
    return digest.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"the build failed: {error}")
