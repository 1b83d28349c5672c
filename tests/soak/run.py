"""The long runs: `python -m tests.soak.run` (200 saves, twice 100 kills; about 15 minutes).

    --saves N   saves of the configuration under load
    --kills N   `kill -9` under load
    --money N   `kill -9` under load with budgets and limits on, from four client processes
    --lock S    another program keeps the database locked for so many seconds, under load

Exit status 1 when anything failed, was lost, doubled, overspent or left behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.money.commands import audit
from tests.e2e.money.killing import kill_money
from tests.e2e.money.waiting import lock_storm
from tests.e2e.storms import kill_storm, reload_storm


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--saves", type=int, default=200)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--money", type=int, default=100)
    parser.add_argument("--lock", type=float, default=40.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = [
            not args.saves or _reloads(folder / "reload", args.saves),
            not args.kills or _kills(folder / "kill", args.kills),
            not args.money or _money(folder / "money", args.money),
            not args.lock or _lock(folder / "lock", args.lock),
        ]
    return 0 if all(good) else 1


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


def _money(folder: Path, kills: int) -> bool:
    storm = kill_money(folder, kills=kills)
    faults = storm.faults()
    print(f"kill -9 with budgets and limits: {storm.told()}, {len(faults)} faults")
    for line in faults[:20]:
        print(f"  {line}")
    return audit(folder) == 0 and not faults


def _lock(folder: Path, seconds: float) -> bool:
    lock = lock_storm(folder, seconds=seconds)
    faults = lock.faults()
    print(f"locked for {seconds:g} s: {dict(lock.statuses)}, {len(faults)} faults")
    for line in faults:
        print(f"  {line}")
    return audit(folder) == 0 and not faults


if __name__ == "__main__":
    sys.exit(main())
