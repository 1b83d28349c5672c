"""The platforms and Python versions that the lock and the zipapp serve, and their wheel tags."""

from __future__ import annotations

import os
import sys

MINORS = ["3.11", "3.12", "3.13", "3.14"]

# Debian 10 has glibc 2.28, macOS 11 is the first one on arm64. Each machine runs its own tags
# and all older ones, but pip takes a list as it is given: so name them all, newest first.
_MANYLINUX = ["2014", *(f"_2_{n}" for n in range(28, 4, -1)), "2010", "1"]
PLATFORMS = {
    "linux-x86_64": [f"manylinux{v}_x86_64" for v in _MANYLINUX],
    "linux-aarch64": [f"manylinux{v}_aarch64" for v in _MANYLINUX if v not in ("2010", "1")],
    "macos-arm64": [
        *(f"macosx_{n}_0_arm64" for n in (11,)),
        *(f"macosx_{n}_0_universal2" for n in (11,)),
        *(f"macosx_10_{n}_universal2" for n in range(16, 3, -1)),
    ],
}


def this_platform() -> str:
    """Key of PLATFORMS for this machine; leaves with a sentence where the lock has no wheels."""
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    platform = f"{system}-{os.uname().machine}"
    if platform not in PLATFORMS:
        sys.exit(f"no locked wheels for {platform}; there are for: {', '.join(PLATFORMS)}")
    return platform


def pip_target_options(platform: str, minor: str) -> list[str]:
    """Options that make pip choose wheels for another platform and Python than its own."""
    tags = [option for tag in PLATFORMS[platform] for option in ("--platform", tag)]
    python = ["--python-version", minor, "--implementation", "cp"]
    return ["--only-binary", ":all:", *tags, *python]
