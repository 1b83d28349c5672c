"""`python -m tests.e2e.table [PROVIDER…]`: replays the recordings, prints how each provider did."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.e2e.recordings import FOLDER, PROVIDERS
from tests.e2e.replay import Tally, replaying

COLUMNS = "{:22} {:>10} {:>10} {:>6} {:>6} {:>6}"


def main(names: list[str]) -> int:
    """Prints a row a provider and every problem; returns 1 where there was one."""
    if not FOLDER.is_dir():
        print(f"there are no recordings at {FOLDER}")
        return 1
    providers = names or list(PROVIDERS)
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory() as folder, replaying(Path(folder), providers) as replayer:
        for provider in providers:
            tallies[provider] = replayer.run(provider)
    print(COLUMNS.format("provider", "passed", "synthetic", "byte", "edit", "proxy"))
    for provider, tally in tallies.items():
        print(_row(provider, tally))
    whole = Tally()
    for tally in tallies.values():
        whole.passed += tally.passed
        whole.total += tally.total
        whole.synthetic += tally.synthetic
        whole.lanes.update(tally.lanes)
    print(_row("all", whole))
    problems = [p for tally in tallies.values() for p in tally.problems]
    print("\n".join(problems))
    return 1 if problems else 0


def _row(provider: str, tally: Tally) -> str:
    lanes = (tally.lanes[lane] for lane in ("byte", "edit", "proxy"))
    return COLUMNS.format(provider, f"{tally.passed}/{tally.total}", tally.synthetic, *lanes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
