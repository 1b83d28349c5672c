"""The long runs: `python -m tests.soak.run` (200 saves, 100 kills; about 10 minutes).

Exit status 1 when anything failed, was lost or doubled.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.storms import kill_storm, reload_storm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--saves", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        good = _reloads(Path(name) / "reload", args.saves)
        return 0 if _kills(Path(name) / "kill", args.kills) and good else 1


def _reloads(folder: Path, saves: int) -> bool:
    result = reload_storm(folder, saves=saves)
    print(
        f"reload: {result.taken} saves taken, {result.refused} refused, "
        f"{result.requests} requests, {len(result.failed)} failed, {result.misrouted} misrouted"
    )
    for line in result.failed[:10]:
        print(f"  {line}")
    return not result.failed and not result.misrouted and result.taken + result.refused == saves


def _kills(folder: Path, kills: int) -> bool:
    found = kill_storm(folder, kills=kills)
    completed = sum(k.completed for k in found)
    missing = sum(len(k.missing) for k in found)
    doubled = sum(len(k.doubled) for k in found)
    broken = sum(k.integrity != "ok" for k in found)
    print(
        f"kill -9: {len(found)} kills, {completed} completed answers, {missing} without a record, "
        f"{doubled} doubled, {broken} damaged databases"
    )
    return not (missing or doubled or broken)


if __name__ == "__main__":
    sys.exit(main())
