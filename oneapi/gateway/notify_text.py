"""The words of notices: the templates of the file or ours, filled in with what happened."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Final, TypeAlias

from oneapi.config.schema import Settings, Site
from oneapi.ledger.accounts import Account, Period
from oneapi.ledger.amounts import show
from oneapi.ledger.outbox import Facts, Standing

Words: TypeAlias = tuple[str, str]
"""Subject and text of a template."""

PLACEHOLDERS: Final = (
    "site",
    "link",
    "scope",
    "name",
    "user",
    "percent",
    "threshold",
    "used",
    "limit",
    "left",
    "period",
    "ends",
    "time",
)
"""What a template may name in {braces}; {{ and }} stand for braces."""

DEFAULTS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "budget": (
            "{site}: {scope} {name} has used {percent}% of its budget {period}",
            "The {scope} {name} has used {used} of {limit} {period} ({percent}%).\n"
            "{left} is left. It counts anew {ends}.\n"
            "Once nothing is left, requests are refused until then.\n{link}",
        ),
        "quota": (
            "{site}: {scope} {name} has used {percent}% of its quota",
            "The {scope} {name} has used {used} of {limit} in all ({percent}%).\n"
            "{left} is left. Once nothing is left, requests are refused until it is topped up.\n"
            "{link}",
        ),
        "test": (
            "{site}: a test",
            "This is a test: notices of {site} arrive here.\n{link}",
        ),
    }
)

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def problems_of(template: str) -> Iterator[str]:
    """What is wrong with a template, in words."""
    for found in _PART.finditer(template):
        if found[0] in ("{", "}"):
            yield f"a single {found[0]} stands in it: write {found[0] * 2} for a brace"
        elif found[1] is not None and found[1] not in PLACEHOLDERS:
            yield f"there is no {{{found[1]}}}"


def fill(template: str, facts: Facts) -> str:
    """A template with its placeholders replaced, once: what a fact holds is not read again."""

    def part(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        return str(facts.get(found[1], ""))

    return _PART.sub(part, template)


def written(kind: str, facts: Facts, settings: Settings) -> dict[str, str | int]:
    """The facts with their `subject` and `text`."""
    subject, text = DEFAULTS[kind]
    own = settings.alerts.templates.get(kind)  # type: ignore[call-overload]
    if own is not None:
        subject = own.subject if own.subject is not None else subject
        text = own.text if own.text is not None else text
    return {
        **facts,
        "subject": " ".join(fill(subject, facts).split()),
        "text": fill(text, facts).strip() + "\n",
    }


def general(site: Site, now_ms: int, zone: tzinfo) -> dict[str, str | int]:
    """Facts that every notice has."""
    name = (site.url or "").partition("//")[2].partition("/")[0]
    return {"site": name or "One API", "link": site.url or "", "time": _moment(now_ms, zone)}


def spent(standing: Standing, site: Site, now_ms: int, zone: tzinfo) -> dict[str, str | int]:
    """Facts of an account that has used some of what bounds it."""
    account, used, bound = standing.budget.account, standing.used, standing.bound
    return {
        "scope": account.scope,
        "name": account.name,
        "percent": used * 100 // bound,
        "used": amount(account, used, site),
        "limit": amount(account, bound, site),
        "left": amount(account, max(0, bound - used), site),
        "period": _period(account.period),
        "ends": _ends(account.period, account.period.ends(now_ms, zone), zone),
    }


def amount(account: Account, value: int, site: Site) -> str:
    """An amount in the account's unit; money as the site shows it."""
    match account.unit:
        case "nanousd":
            return show(value, site.currency, site.points_per_usd)
        case "tokens" | "requests":
            return f"{value:,} {account.unit}"


def _period(period: Period) -> str:
    match period.kind:
        case "total":
            return "in all"
        case "hour":
            return "this hour"
        case "day":
            return "today"
        case "week":
            return "this week"
        case "month":
            return "this month"
        case "rolling":
            return f"in {_span(period.seconds)}"


def _ends(period: Period, ends_ms: int, zone: tzinfo) -> str:
    match period.kind:
        case "total":
            return "never"
        case "rolling":
            return "bit by bit, as time passes"
        case "hour" | "day" | "week" | "month":
            return f"on {_moment(ends_ms, zone)}"


def _span(seconds: int) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds % size == 0:
            return f"any {seconds // size} {name}"
    return f"any {seconds} seconds"


def _moment(time_ms: int, zone: tzinfo) -> str:
    moment = datetime.fromtimestamp(time_ms / 1000, zone)
    return f"{moment:%Y-%m-%d %H:%M} {'UTC' if zone is UTC else moment.tzname() or ''}".strip()
