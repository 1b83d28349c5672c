"""`python -m tests.translation.table`: every recorded chat in every client dialect, by provider.

Needs the client libraries: run it with the Python of `.build/clients`.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict

from tests.translation.canned import canned
from tests.translation.proof import OPERATIONS, problem
from tests.translation.recordings import FOLDER, chats, exchanges, left_out

ROW = "{:22} {:>18} " + " {:>16}" * len(OPERATIONS)


def main(names: list[str]) -> int:
    """Prints a row a provider's dialect, every problem, and what is left out with its reason."""
    if not FOLDER.is_dir():
        print(f"there are no recordings at {FOLDER}")
        return 1
    passed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    totals: Counter[tuple[str, str]] = Counter()
    problems: list[str] = []
    with canned() as server:
        for exchange in chats():
            if names and exchange.provider not in names and exchange.id not in names:
                continue
            row = exchange.provider, exchange.dialect
            totals[row] += 1
            for dialect in OPERATIONS:
                found = []
                for stream in (False, True):
                    try:
                        wrong = problem(exchange, dialect, server, stream=stream)
                    except Exception as error:  # noqa: BLE001 - whatever a library raises is told
                        wrong = f"{type(error).__name__}: {error}"
                    if wrong:
                        found.append(f"{'streamed' if stream else 'whole'}: {wrong}"[:600])
                passed[row][dialect] += not found
                problems += [f"{exchange.id} as {dialect}, {text}" for text in found]
    print(ROW.format("provider", "dialect", *OPERATIONS))
    for row, total in sorted(totals.items()):
        print(ROW.format(*row, *(f"{passed[row][d]}/{total}" for d in OPERATIONS)))
    whole = sum(totals.values())
    sums = (f"{sum(p[d] for p in passed.values())}/{whole}" for d in OPERATIONS)
    print(ROW.format("all", "", *sums))
    print("\n".join(problems))
    if not names:
        for exchange in exchanges():
            if exchange.dialect and exchange.status < 300 and (reason := left_out(exchange)):
                print(f"left out: {exchange.id}: {reason}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
