"""Choose where oneapi.pyz is unpacked, hold that place, clear away old versions, hand over to shiv.

Runs at every start before anything is unpacked, straight from the zip, so it is short and imports
little. `PLATFORM` and `BUILD_ID` are filled in when the zipapp is built.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterator

PLATFORM = "@PLATFORM@"
BUILD_ID = "@BUILD_ID@"


def main() -> None:
    check_platform()
    root = os.environ.get("SHIV_ROOT") or choose_root()
    os.environ["SHIV_ROOT"] = root
    # With its pool of workers, a first start that is killed while compiling leaves orphans which
    # hold shiv's lock, and the next start waits for ever. One worker is as fast.
    os.environ.setdefault("SHIV_COMPILE_WORKERS", "1")
    name = os.path.basename(os.path.realpath(sys.argv[0]))
    root = os.path.expanduser(root)
    hold(root, f"{name}_{BUILD_ID}")
    clear(root, name)
    from _bootstrap import bootstrap  # type: ignore[import-not-found]  # shiv's, inside the zip

    bootstrap()


def check_platform() -> None:
    """Leave with a sentence where the compiled parts inside would not load."""
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    here = f"{system}-{os.uname().machine}"
    if here != PLATFORM:
        sys.exit(f"this oneapi.pyz was built for {PLATFORM}, this machine is {here}: build it here")
    if sys.implementation.name != "cpython" or "t" in getattr(sys, "abiflags", ""):
        sys.exit("oneapi.pyz needs the usual CPython; this is another kind of Python")


def choose_root() -> str:
    """The folder to unpack under: the first of the usual places that can be written."""
    for place in places():
        if is_writable(place):
            return place
    shared = os.path.join(os.environ.get("TMPDIR") or "/tmp", f"oneapi-{os.getuid()}")
    if is_writable(shared) and is_private(shared):
        return shared
    sys.exit("no folder to unpack into: set SHIV_ROOT to one that can be written")


def places() -> Iterator[str]:
    """systemd's cache folder if it gave one, shiv's usual place, the XDG cache folder."""
    if cache := os.environ.get("CACHE_DIRECTORY"):
        yield os.path.join(cache.split(":")[0], "shiv")
    yield os.path.expanduser("~/.shiv")
    if cache := os.environ.get("XDG_CACHE_HOME"):
        yield os.path.join(cache, "oneapi")


def is_writable(place: str) -> bool:
    """True if files can be made there; the folder is made if need be."""
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK | os.X_OK)


def is_private(place: str) -> bool:
    """True if nobody else can put code into this folder: it is no link, ours, and only we write.

    Without this, another user could make our folder in the shared /tmp before us.
    """
    info = os.lstat(place)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022


def hold(root: str, version: str) -> None:
    """Mark `version` as in use until this process ends, before it is even unpacked.

    The mark is a shared lock on a file beside the unpacked folder. The one who clears locks it
    exclusively and removes it, so after locking we look whether it is still the file at that path.
    """
    path = mark_of(root, version)
    while True:
        try:
            os.makedirs(root, mode=0o700, exist_ok=True)
            mark = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # stays open: that is the point
            fcntl.flock(mark, fcntl.LOCK_SH)
        except OSError as error:
            sys.exit(f"{root} cannot be written ({error.strerror}): set SHIV_ROOT to another one")
        if is_at(mark, path):
            return
        os.close(mark)


def clear(root: str, name: str) -> None:
    """Remove what other versions of this file left under `root`, unless somebody runs them."""
    prefix = f"{name}_"
    for entry in os.listdir(root):
        version = entry.removeprefix(".").removesuffix("_use").removesuffix(".tmp")
        build_id = version.removeprefix(prefix)
        if version.startswith(prefix) and is_build_id(build_id) and build_id != BUILD_ID:
            remove(root, version)


def remove(root: str, version: str) -> None:
    """Remove one unpacked version and its marks, unless it is in use or not ours to remove."""
    path = mark_of(root, version)
    try:
        mark = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_at(mark, path):
            import shutil  # here, because most starts have nothing to remove

            for folder in (version, version + ".tmp"):
                shutil.rmtree(os.path.join(root, folder), ignore_errors=True)
            for file in (os.path.join(root, f".{version}_lock"), path):
                if os.path.exists(file):
                    os.unlink(file)
    except OSError:
        pass
    finally:
        os.close(mark)


def mark_of(root: str, version: str) -> str:
    return os.path.join(root, f".{version}_use")


def is_at(descriptor: int, path: str) -> bool:
    """True if the open file is (still) the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def is_build_id(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")
