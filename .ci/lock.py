#!/usr/bin/env python3
"""Write `.ci/lock/` anew from pyproject.toml; `--upgrade` moves pins, without it they stay.

Run by a developer, never by the build or the tests. It needs a package index and Python 3.11 (the
lowest we run on, so that its markers choose the most). Outcome:

    runtime.txt      what the zipapp holds         build.txt         what builds the zipapp
    tests.txt        runtime and the `test` extra  openai-0.28.txt   the old SDK, apart (D46)
    clients.txt      runtime and the client libraries that people use, apart likewise
    litellm.txt      one more of them, apart from all
    wheels.json      for each runtime package which wheel serves which platform and Python

sqlite-utils declares pip as a dependency and works without it, so pip is left out of the locks
(but for build.txt) and everything is installed with `--no-deps`.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from platforms import MINORS, PLATFORMS, pip_target_options

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / ".ci" / "lock"
WORK = ROOT / ".build" / "lock"
BUILD_TOOLS = ("click", "pip", "setuptools", "shiv")
HEADER = "# Pinned and hashed; made by .ci/lock.py from pyproject.toml, do not edit.\n"


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        sys.exit("lock.py needs Python 3.11, the lowest version that the lock serves")
    upgrade = ["--upgrade"] if "--upgrade" in sys.argv[1:] else []
    if not (WORK / "bin" / "pip-compile").exists():
        venv.create(WORK, with_pip=True)
        run([WORK / "bin" / "pip", "install", "-q", "pip-tools"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = project["dependencies"]
    compile_lock("runtime", runtime, upgrade)
    compile_lock("build", BUILD_TOOLS, [*upgrade, "--allow-unsafe"])
    tests = [*runtime, *project["optional-dependencies"]["test"]]
    compile_lock("tests", tests, [*upgrade, "-c", str(LOCK / "runtime.txt")])
    compile_lock("openai-0.28", ["openai==0.28.1"], upgrade)
    clients = [*runtime, *project["optional-dependencies"]["clients"]]
    compile_lock("clients", clients, [*upgrade, "-c", str(LOCK / "runtime.txt")])
    compile_lock("litellm", ["litellm>=1.75"], upgrade)  # it pins what the others have newer
    (LOCK / "wheels.json").write_text(json.dumps(wheel_table(), indent=1, sort_keys=True) + "\n")


def compile_lock(name: str, requirements: Iterable[str], options: list[str]) -> None:
    """Resolve `requirements` into `.ci/lock/NAME.txt`, keeping the pins that stand there."""
    target = LOCK / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"{name}.in")
        source.write_text("\n".join(requirements) + "\n")
        quiet = ["-q", "--no-header", "--annotation-style=line", "--strip-extras"]
        private = ["index-url", "trusted-host", "find-links", "options"]  # hosts of this machine
        quiet += [f"--no-emit-{what}" for what in private]
        pip_compile = [WORK / "bin" / "pip-compile", "--generate-hashes", *quiet, *options]
        run([*pip_compile, "-o", target, source.name], cwd=folder)
    text = target.read_text().removeprefix(HEADER)
    pins, _, _ = text.partition("# WARNING: The following packages were not pinned")  # only pip
    target.write_text(HEADER + pins.replace(f"{ROOT}/", "").rstrip() + "\n")


def wheel_table() -> dict[str, Any]:
    """Download the runtime lock for every platform and Python; say which wheel serves where."""
    packages: dict[str, Any] = {}
    for platform in PLATFORMS:
        for minor in MINORS:
            folder = WORK / "wheels" / f"{platform}-{minor}"
            download = [WORK / "bin" / "pip", "download", "-q", "--no-deps", "--require-hashes"]
            shutil.rmtree(folder, ignore_errors=True)
            lock = ["-r", LOCK / "runtime.txt", "-d", folder]
            run([*download, *lock, *pip_target_options(platform, minor)])
            for wheel in sorted(folder.glob("*.whl")):
                add_wheel(packages, wheel, f"{platform} {minor}")
    return {"platforms": PLATFORMS, "minors": MINORS, "packages": packages}


def add_wheel(packages: dict[str, Any], wheel: Path, pair: str) -> None:
    """Book one downloaded wheel under its package, with its requirements and whom it serves."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        meta = email.parser.BytesParser().parsebytes(archive.read(name))
    entry = packages.setdefault(
        str(meta["Name"]).lower().replace("_", "-").replace(".", "-"),
        {"version": meta["Version"], "requires": meta.get_all("Requires-Dist", []), "wheels": {}},
    )
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    entry["wheels"].setdefault(wheel.name, {"sha256": digest, "serves": []})["serves"].append(pair)


def run(argv: list[Any], cwd: str | None = None) -> None:
    subprocess.run([str(a) for a in argv], cwd=cwd, env=dict(os.environ), check=True)


if __name__ == "__main__":
    main()
