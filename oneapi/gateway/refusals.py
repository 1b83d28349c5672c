"""What a request is told that a limit or a budget stops: which, for how long, and when it frees
(D30).

Rates are 429 `rate_limit_exceeded`: try again after `retry-after`. Money that is gone is 429
`insufficient_quota` with `x-should-retry: false`, as OpenAI's own API says it: its libraries know
the code, and none tries again, whereas to some 402 is unknown and 403 means a wrong key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from oneapi.config.schema import Site
from oneapi.errors import ApiError
from oneapi.gateway.budgets import Limits
from oneapi.gateway.queueing import Full, Limiter
from oneapi.gateway.rates import NEVER, SPAN_S
from oneapi.ledger.accounts import Account, Budget, Period
from oneapi.ledger.amounts import show
from oneapi.ledger.door import Shortage

RATE: Final = "rate_limit_exceeded"
QUOTA: Final = "insufficient_quota"
PATIENT_S: Final = 60.0
"""Seconds that client libraries wait at most: of a longer wait they are told not to try."""
SOON_S: Final = 1.0
"""Seconds after which to try again where requests under way have to end first."""
_UNITS: Final[Mapping[str, str]] = {"tokens": "tokens", "requests": "requests"}

Head = list[tuple[bytes, bytes]]
MINUTE: Final = b"1m0s"
_REQUESTS: Final = (
    (
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-remaining-requests",
        b"x-ratelimit-reset-requests",
    ),
    (
        b"anthropic-ratelimit-requests-limit",
        b"anthropic-ratelimit-requests-remaining",
        b"anthropic-ratelimit-requests-reset",
    ),
)
"""OpenAI's names and Anthropic's."""
_TOKENS: Final = (
    (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens"),
    (
        b"anthropic-ratelimit-tokens-limit",
        b"anthropic-ratelimit-tokens-remaining",
        b"anthropic-ratelimit-tokens-reset",
    ),
)


def too_fast(full: Full) -> ApiError:
    """A rate or a number of requests at once is reached."""
    limits = full.limits
    where = f"{limits.scope} `{limits.name}`" if limits.name else "keyless calls"
    if full.what == "concurrency":
        words = f"{where} may have {full.limit} requests under way at once"
    else:
        words = f"{where} may use {full.limit} {full.what} a minute"
    if full.frees_s == NEVER:
        return ApiError(
            429,
            f"{words}: this request alone is larger",
            code=RATE,
            kind="rate_limit_error",
            headers={"x-should-retry": "false"},
        )
    return ApiError(
        429,
        f"{words}, and that is reached: try again in {told_s(full.frees_s)}",
        code=RATE,
        kind="rate_limit_error",
        headers=retry(full.frees_s),
    )


def used_up(short: Shortage, wanted: int, now_ms: int, zone: tzinfo, site: Site) -> ApiError:
    """A budget has not enough left for what the request may cost."""
    account, unit = short.budget.account, short.budget.account.unit
    rate = unit == "requests"
    words = f"the {_called(account)} {_bound(short, site)}"
    words += f": {amount(short.used, unit, site)} used"
    if short.held:
        words += f", {amount(short.held, unit, site)} held by requests under way"
    words += f", and this one may take {amount(wanted, unit, site)}. "
    headers = {"x-should-retry": "false"}
    if short.held and short.used + wanted <= short.limit:
        words += "It frees as those end"
        headers = retry(SOON_S)
    elif short.frees_ms:
        wait_s = max((short.frees_ms - now_ms) / 1000, 0.001)
        words += f"It frees at {moment(short.frees_ms, zone)}"
        headers = retry(wait_s)
    else:
        words += "It does not free by itself: ask the operator"
    kind = "rate_limit_error" if rate else QUOTA
    return ApiError(429, words, code=RATE if rate else QUOTA, kind=kind, headers=headers)


def too_long(scope: str, name: str, limit: int, counted: int) -> ApiError:
    """The input is larger than somebody may send."""
    return ApiError(
        400,
        f"{scope} `{name}` may send {limit} tokens of input at most; this request has about "
        f"{counted}",
        code="context_length_exceeded",
    )


def no_room(model: str, wait_s: float) -> ApiError:
    """Every channel that could answer is at a limit of its own, which says nothing of the caller.
    `wait_s` is when the first of them frees, 0 where none does by itself.
    """
    words = f"every channel for `{model}` is at its limit"
    if not wait_s:
        return ApiError(
            429,
            f"{words}, which does not free by itself: ask the operator",
            code=QUOTA,
            kind=QUOTA,
            headers={"x-should-retry": "false"},
        )
    return ApiError(
        429,
        f"{words}: try again in {told_s(wait_s)}",
        code=RATE,
        kind="rate_limit_error",
        headers=retry(wait_s),
    )


def unpriced(model: str) -> ApiError:
    """No channel has a price for it, and the operator does not want that."""
    return ApiError(
        403,
        f"the model `{model}` has no price here, and models without one are refused "
        "(`site.unpriced`): the operator may add it under [prices]",
        code="model_not_priced",
        kind="permission_error",
        param="model",
    )


def dearer(name: str) -> ApiError:
    """A tier that costs a multiple of what the lists say."""
    return ApiError(
        403,
        f"the tier that `{name}` asks for is priced by no list here: leave it out, or ask the "
        "operator, whose channel may drop it",
        code="tier_not_priced",
        kind="permission_error",
        param=name,
    )


def retry(wait_s: float) -> dict[str, str]:
    """When to try again: rounded up, so that whoever heeds it is not too early."""
    return {
        "retry-after": str(math.ceil(wait_s)),
        "retry-after-ms": str(math.ceil(wait_s * 1000)),
        "x-should-retry": "true" if wait_s <= PATIENT_S else "false",
    }


def amount(value: int, unit: str, site: Site) -> str:
    """So much of an account's unit, in words."""
    if unit != "nanousd":
        return f"{value} {_UNITS[unit]}"
    return show(value, site.currency, site.points_per_usd)


def moment(time_ms: int, zone: tzinfo) -> str:
    """A time in the operator's zone, to the second, rounded up."""
    return datetime.fromtimestamp(-(-time_ms // 1000), zone).isoformat()


def told_s(seconds: float) -> str:
    """Seconds as OpenAI writes them: `120ms`, `1.2s`, `6m0s`, `1h0m30s`. Rounded up."""
    if seconds < 1:
        return f"{math.ceil(max(seconds, 0) * 1000)}ms"
    if math.ceil(seconds * 10) < 600:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"


def _called(account: Account) -> str:
    match account.unit:
        case "nanousd":
            what = "quota" if account.period.kind == "total" else "budget"
        case "tokens":
            what = "token budget"
        case "requests":
            what = "number of requests"
    name = f" `{account.name}`" if account.name else ""
    return f"{what} of {account.scope}{name}"


def _bound(short: Shortage, site: Site) -> str:
    account = short.budget.account
    return f"({amount(short.limit, account.unit, site)} {period(account.period)}) is reached"


def period(period: Period) -> str:
    """How often a budget begins anew, in words."""
    match period.kind:
        case "total":
            return "in all"
        case "rolling":
            return f"in any {told_s(period.seconds)}"
        case _:
            return f"a {period.kind}"


def rate_head(
    paced: Sequence[tuple[Limiter, Limits]], now: float, now_ms: int, *, anthropic: bool
) -> Head:
    """What is left of the rates, in the form that the client's library knows: the tightest of
    several. https://platform.openai.com/docs/guides/rate-limits,
    https://platform.claude.com/docs/en/api/rate-limits (read 2026-11-24).
    """
    head: Head = []
    for what in ("requests", "tokens"):
        found = [left for pair in paced if (left := _left(*pair, what, now)) is not None]
        if not found:
            continue
        rest, limit, clears_s = min(found)
        rest = max(rest, 0)
        reset = told_s(clears_s)
        if anthropic:
            reset = moment(now_ms + math.ceil(clears_s * 1000), UTC).replace("+00:00", "Z")
        names = _REQUESTS if what == "requests" else _TOKENS
        values = (b"%d" % limit, b"%d" % rest, reset.encode())
        head += zip(names[anthropic], values, strict=True)
    return head


def admitted_head(
    paced: Sequence[tuple[Limiter, Limits, int]], now_ms: int, *, anthropic: bool
) -> Head:
    """The same for a request that has just been let in, with little arithmetic: its own entry is
    the newest, so that everything is whole again in exactly a minute.
    """
    requests: tuple[int, int] | None = None
    tokens: tuple[int, int] | None = None
    for limiter, limits, _ in paced:  # one pass: two lists and their least took half a µs more
        if limits.rpm:
            left = (limits.rpm - limiter.requests.sum, limits.rpm)
            requests = left if requests is None or left < requests else requests
        if limits.tpm:
            left = (limits.tpm - limiter.tokens.sum, limits.tpm)
            tokens = left if tokens is None or left < tokens else tokens
    reset = MINUTE
    if anthropic:
        reset = moment(now_ms + 60_000, UTC).replace("+00:00", "Z").encode()
    head: Head = []
    for rate, names in ((requests, _REQUESTS), (tokens, _TOKENS)):
        if rate is not None:
            of, remaining, resets = names[anthropic]
            rest, limit = rate
            head.append((of, b"%d" % limit))
            head.append((remaining, b"%d" % (rest if rest > 0 else 0)))
            head.append((resets, reset))
    return head


def _left(limiter: Limiter, limits: Limits, what: str, now: float) -> tuple[int, int, float] | None:
    """What is left of a rate, its limit, and seconds until it is whole again."""
    limit = limits.rpm if what == "requests" else limits.tpm
    if not limit:
        return None
    window = limiter.requests if what == "requests" else limiter.tokens
    return limit - window.total(now), limit, min(window.clears_in(now), SPAN_S)


def largest(budgets: Sequence[tuple[Budget, int]], short: Shortage) -> int:
    """What was wanted of the budget that is short."""
    return next((value for budget, value in budgets if budget == short.budget), 0)
