"""The lock holds, for every platform and Python we promise, a hashed wheel of every package."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

REPO = Path(__file__).resolve().parents[2]
LOCK = REPO / ".ci" / "lock"
TABLE: dict[str, Any] = json.loads((LOCK / "wheels.json").read_text())
PACKAGES: dict[str, Any] = TABLE["packages"]
PAIRS = [
    (platform, minor)
    for platform in ("linux-x86_64", "linux-aarch64", "macos-arm64")
    for minor in ("3.11", "3.12", "3.13", "3.14")
]
MARKERS = {
    "linux-x86_64": {"sys_platform": "linux", "platform_system": "Linux"},
    "linux-aarch64": {"sys_platform": "linux", "platform_system": "Linux"},
    "macos-arm64": {"sys_platform": "darwin", "platform_system": "Darwin"},
}


def locked(name: str) -> dict[str, tuple[str, set[str]]]:
    """package → (version, hashes) of one lock file."""
    pins: dict[str, tuple[str, set[str]]] = {}
    for block in re.split(r"\n(?=\S)", (LOCK / f"{name}.txt").read_text()):
        if pin := re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", block):
            pins[canonicalize_name(pin[1])] = pin[2], set(re.findall(r"sha256:(\w{64})", block))
    return pins


def tags_of(platform: str, minor: str) -> set[Tag]:
    """The wheel tags that a Python of this minor accepts on this platform."""
    version = tuple(int(part) for part in minor.split("."))
    platforms: list[str] = TABLE["platforms"][platform]
    return {
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{minor.replace('.', '')}", platforms),
    }


def wheels_for(platform: str, minor: str) -> Iterator[tuple[str, str]]:
    """(package, wheel's file name) of what the table says is installed there."""
    for package, entry in PACKAGES.items():
        for wheel, facts in entry["wheels"].items():
            if f"{platform} {minor}" in facts["serves"]:
                yield package, wheel


def environment(platform: str, minor: str, extra: str = "") -> dict[str, str]:
    """What requirement markers are read against."""
    python = {"python_version": minor, "python_full_version": f"{minor}.0", "extra": extra}
    common = {"platform_python_implementation": "CPython", "implementation_name": "cpython"}
    machine = {"os_name": "posix", "platform_machine": platform.partition("-")[2]}
    return {**python, **common, **machine, **MARKERS[platform]}


@pytest.mark.parametrize(("platform", "minor"), PAIRS)
def test_every_package_has_one_wheel_that_fits(platform: str, minor: str) -> None:
    accepted = tags_of(platform, minor)
    served = list(wheels_for(platform, minor))
    misfits = [wheel for _, wheel in served if not parse_wheel_filename(wheel)[3] & accepted]
    assert sorted(package for package, _ in served) == sorted(locked("runtime"))
    assert not misfits


def test_the_wheels_are_those_whose_hashes_are_locked() -> None:
    pins = locked("runtime")
    for package, entry in PACKAGES.items():
        version, hashes = pins[package]
        assert entry["version"] == version
        assert {wheel["sha256"] for wheel in entry["wheels"].values()} <= hashes, package


@pytest.mark.parametrize(("platform", "minor"), PAIRS)
def test_the_lock_holds_all_that_its_packages_require(platform: str, minor: str) -> None:
    pins = locked("runtime")
    where = environment(platform, minor)
    for package, entry in PACKAGES.items():
        for text in entry["requires"]:
            need = Requirement(text)
            if need.name == "pip" or (need.marker and not need.marker.evaluate(where)):
                continue  # sqlite-utils names pip and works without it
            assert need.specifier.contains(pins[canonicalize_name(need.name)][0]), (package, text)


def test_the_lock_serves_what_pyproject_asks_for() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    asked = {
        "runtime": project["dependencies"],
        "tests": project["dependencies"] + project["optional-dependencies"]["test"],
    }
    for lock, requirements in asked.items():
        pins = locked(lock)
        for need in map(Requirement, requirements):
            assert need.specifier.contains(pins[canonicalize_name(need.name)][0]), need


def test_the_tests_run_with_the_versions_of_the_zipapp() -> None:
    tests = {package: version for package, (version, _) in locked("tests").items()}
    for package, (version, _) in locked("runtime").items():
        assert tests[package] == version


@pytest.mark.parametrize("lock", ["runtime", "build", "tests", "openai-0.28"])
def test_every_pin_of_a_lock_has_a_hash(lock: str) -> None:
    pins = locked(lock)
    assert pins
    assert all(hashes for _, hashes in pins.values())


def test_no_lock_names_a_host() -> None:
    files = [*LOCK.iterdir()]
    options = re.compile(r"://|--index-url|--extra-index-url|--find-links|--trusted-host")
    assert [file.name for file in files if options.search(file.read_text())] == []
