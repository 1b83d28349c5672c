"""`python -m tests.translation.table`: what is shown over all recordings, table after table.

Needs the client libraries: run it with the Python of `.build/clients`. Names of providers or ids of
recordings as arguments confine it to them. The exit code is 1 where anything is not as recorded.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from tests.translation import (
    answered,
    asked,
    cuts,
    foreign,
    judges,
    meant,
    others,
    proof,
    refused,
)
from tests.translation.canned import Canned, canned
from tests.translation.recordings import (
    CLIENT,
    FOLDER,
    OTHER,
    OWN,
    Exchange,
    chats,
    exchanges,
    left_out,
)

Row = tuple[str, str]
Check = Callable[[Exchange], Sequence[str]]


class Report:
    """What was printed, in short: problems, and which recordings were looked at."""

    def __init__(self, names: Sequence[str]) -> None:
        self.problems: list[str] = []
        self.seen: set[str] = set()
        self._names = names

    def chosen(self, found: Iterable[Exchange]) -> list[Exchange]:
        names = self._names
        return [e for e in found if not names or e.provider in names or e.id in names]

    def wanted(self, found: Iterable[Exchange]) -> list[Exchange]:
        """Those that a proof looks at."""
        chosen = self.chosen(found)
        self.seen.update(e.id for e in chosen)
        return chosen

    def problem(self, text: str) -> None:
        self.problems.append(text[:700])


def title(text: str) -> None:
    print(f"\n== {text}\n")


def table(rows: dict[Row, Counter[str]], totals: Counter[Row], columns: Sequence[str]) -> None:
    """A row a provider's dialect, a column a proof: passed of all."""
    line = "{:20} {:>19} " + "".join(f" {{:>{max(len(c), 9)}}}" for c in columns)
    print(line.format("provider", "dialect", *columns))
    for row, total in sorted(totals.items()):
        print(line.format(*row, *(f"{rows[row][c]}/{total}" for c in columns)))
    whole = totals.total()
    print(line.format("all", "", *(f"{sum(r[c] for r in rows.values())}/{whole}" for c in columns)))


def checked(report: Report, found: list[Exchange], checks: dict[str, Check]) -> None:
    """Every check of every recording, as a table."""
    rows: dict[Row, Counter[str]] = defaultdict(Counter)
    totals: Counter[Row] = Counter()
    for exchange in found:
        row = exchange.provider, exchange.dialect or exchange.api
        totals[row] += 1
        for name, check in checks.items():
            wrong = tried(check, exchange)
            rows[row][name] += not wrong
            for text in wrong:
                report.problem(f"{exchange.id}, {name}: {text}")
    table(rows, totals, list(checks))


def tried(check: Check, exchange: Exchange) -> Sequence[str]:
    try:
        return check(exchange)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a line of the report
        return [f"{type(error).__name__}: {error}"]


def reasons(found: Iterable[tuple[str, str]]) -> None:
    """Ids by their reason."""
    by: dict[str, list[str]] = defaultdict(list)
    for name, why in found:
        by[why].append(name)
    for why, names in sorted(by.items()):
        print(f"left out, {why}: {', '.join(names)}")


def normalisations(rules: dict[str, tuple[asked.Rule, ...]], used: Counter[Row]) -> None:
    print()
    for dialect, lines in rules.items():
        for rule in lines:
            print(f"normalised, {dialect}: {rule.why} ({used[dialect, rule.why]} recordings)")


def requests(report: Report) -> None:
    title("(a) requests, in their own dialect: parsed, rendered, equal to the recording")
    found = report.wanted(asked.asked())
    checked(report, found, {"requests": asked.differences})
    used = Counter((e.dialect, why) for e in found for why in asked.needed(e))
    normalisations(asked.NORMALISED, used)
    kept = report.chosen(answered.chat_addressed())
    reasons((e.id, why) for e in kept if (why := asked.no_request(e)))


def answers(report: Report) -> None:
    title("(b) answers and streams: read by their provider's parser")
    found = report.wanted(answered.readable())
    checked(report, found, {"read": lambda e: [w for w in [answered.unread(e)] if w]})
    rest = [e for e in report.chosen(answered.chat_addressed()) if e not in found]
    reasons((e.id, left_out(e)) for e in rest)
    title("(b) answers and streams of client dialects: rendered again without loss")
    again = report.wanted(answered.answers())
    checked(report, again, {"rendered": answered.differences})
    whole = [e for e in again if not e.stream]
    used = Counter((e.dialect, why) for e in whole for why in answered.normalised(e)[1])
    normalisations(answered.NORMALISED, used)


def libraries(report: Report, server: Canned) -> None:
    title("(c) answered chats in every client dialect, read by its official library")
    checks = {name: _read_by(name, server) for name in proof.OPERATIONS}
    checked(report, report.wanted(chats()), checks)


def _read_by(dialect: str, server: Canned) -> Check:
    def check(exchange: Exchange) -> list[str]:
        found = {way: proof.problem(exchange, dialect, server, stream=way) for way in (False, True)}
        return [f"{'streamed' if way else 'whole'}: {text}" for way, text in found.items() if text]

    return check


def refusals(report: Report, server: Canned) -> None:
    title("(c) refusals in every client dialect, raised by its official library")
    checks: dict[str, Check] = {name: _raised_by(name, server) for name in proof.OPERATIONS}
    checked(report, report.wanted(refused.refusals()), checks)
    print()
    broken = report.wanted(refused.broken())
    checked(report, broken, {n: _broken_for(n, server) for n in proof.OPERATIONS})


def _raised_by(dialect: str, server: Canned) -> Check:
    return lambda e: [w for w in [refused.problem(e, dialect, server)] if w]


def _broken_for(dialect: str, server: Canned) -> Check:
    return lambda e: [w for w in [refused.stream_problem(e, dialect, server)] if w]


def elsewhere(report: Report) -> None:
    title("(c) requests of clients for providers of every other dialect")
    counts: dict[str, Counter[str]] = {name: Counter() for name in foreign.PROVIDERS}
    refusals: dict[str, Counter[str]] = defaultdict(Counter)
    for exchange, dialect in foreign.pairs(report.wanted(foreign.requests())):
        found, wrong = _rendered(exchange, dialect)
        for text in wrong:
            report.problem(f"{exchange.id} for {dialect}: {text}")
        counts[dialect]["refused" if found.refused else "rendered"] += 1
        if found.refused:
            refusals[dialect][foreign.unnumbered(found.refused)] += 1
        elif not wrong:
            counts[dialect]["right"] += 1
    line = "{:18} {:>9} {:>9} {:>20} {:>15}"
    heads = ("rendered", "refused", "taken by the library", "means the same")
    print(line.format("provider's dialect", *heads))
    for name, count in counts.items():
        judged = count["right"] if name in judges.JUDGED else "-"
        same = count["right"] if name in foreign.READ else "-"
        print(line.format(name, count["rendered"], count["refused"], judged, same))
    for name, why in refusals.items():
        for text, times in sorted(why.items()):
            print(f"refused for {name}, {times} times: {text}")
    for text in meant.ADAPTED:
        print(f"adapted, {text}")
    for text in judges.BEYOND:
        print(f"not asked of the library, {text}")


def _rendered(exchange: Exchange, dialect: str) -> tuple[foreign.Rendered, list[str]]:
    try:
        found = foreign.rendered(exchange, dialect)
        wrong = foreign.problems(exchange, dialect, found)
    except Exception as error:  # noqa: BLE001 - whatever is raised is told
        return foreign.Rendered(), [f"{type(error).__name__}: {error}"]
    if not found.refused:
        wrong += [text for text in [judges.judge(dialect, found.body)] if text]
    return found, wrong


def no_chats(report: Report) -> None:
    title("(d) what is no chat")
    counts: Counter[str] = Counter()
    for exchange in report.wanted(others.others()):
        try:
            how, note = others.outcome(exchange)
        except Exception as error:  # noqa: BLE001 - whatever is raised is told
            how, note = "broken", f"{type(error).__name__}: {error}"
            report.problem(f"{exchange.id}: {note}")
        counts[how] += 1
        print(f"{exchange.id:32} {exchange.api:13} {exchange.status} {how:10} {note}".rstrip())
    print(", ".join(f"{how} {count}" for how, count in sorted(counts.items())))


def cut_streams(report: Report) -> None:
    title("(e) streams cut at every kind of place: the same events, the same bytes relayed")
    print(f"kinds: {', '.join(cuts.PLACES)}, the other kind of line ends\n")
    checked(report, report.wanted(cuts.streams()), {"cut": cuts.problems})


def account(report: Report) -> None:
    """How many there are of what kind, and that none was forgotten."""
    title("all recordings")
    every = report.chosen(exchanges())
    line = "{:20} {:>10} {:>9} {:>8} {:>9}"
    print(line.format("", "recordings", "answered", "refused", "left out"))
    for group in (CLIENT, OWN, OTHER):
        mine = [e for e in every if e.group == group]
        no = [e for e in mine if e.status >= 400]
        out = [e for e in mine if e.status < 300 and group != OTHER and left_out(e)]
        yes = len(mine) - len(no) - len(out)
        print(line.format(group, len(mine), yes, len(no), len(out)))
    print(line.format("all", len(every), "", "", ""))
    found = report.chosen(chats())
    legacy = sum(e.group == OTHER for e in found)
    print(f"chats that were answered: {len(found)}, {legacy} of them legacy completions")


def forgotten(report: Report) -> None:
    """Recordings that no proof looked at: there must be a reason."""
    title("looked at nowhere")
    for exchange in report.chosen(exchanges()):
        if exchange.id in report.seen:
            continue
        why = left_out(exchange)
        print(f"{exchange.id}: {why}")
        if not why:
            report.problem(f"{exchange.id} was not looked at")


def main(names: list[str]) -> int:
    if not FOLDER.is_dir():
        print(f"there are no recordings at {FOLDER}")
        return 1
    report = Report(names)
    account(report)
    requests(report)
    answers(report)
    with canned() as server:
        libraries(report, server)
        refusals(report, server)
    elsewhere(report)
    no_chats(report)
    cut_streams(report)
    forgotten(report)
    print(f"\n{len(report.problems)} problems")
    print("\n".join(report.problems))
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
