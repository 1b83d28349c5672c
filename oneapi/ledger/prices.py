"""What a request costs: integer nano-dollars, rounded up once a record (D26)."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from oneapi.ir import Usage

NANO = 1_000_000_000
RATIO_ONE = 1_000_000
"""A group's ratio of 1, in millionths."""
_DIVISOR = 1_000_000 * RATIO_ONE  # prices are per million tokens, ratios in millionths


@dataclass(frozen=True, slots=True)
class Rule:
    """One price line: nano-dollars per million tokens. `name` is what the record keeps of it."""

    name: str
    input: int
    output: int
    cache_read: int


LOCAL = Rule("local", 0, 0, 0)
"""What a channel on the operator's own machines costs where nothing prices it."""


def rule_from_decimals(
    name: str,
    *,
    input: Decimal | None = None,
    output: Decimal | None = None,
    cache_read: Decimal | None = None,
) -> Rule:
    """A rule from dollars per million tokens, to the last digit.

    What is missing costs nothing, but for `cache_read`, which then costs what input does. Raises
    `ValueError` for a negative price and for one that is finer than a nano-dollar.
    """
    fresh = _nano(name, "input", input) if input is not None else 0
    return Rule(
        name,
        input=fresh,
        output=_nano(name, "output", output) if output is not None else 0,
        cache_read=_nano(name, "cache_read", cache_read) if cache_read is not None else fresh,
    )


def _nano(name: str, key: str, dollars: Decimal) -> int:
    if not dollars.is_finite() or dollars < 0:
        raise ValueError(f"{name}.{key}: {dollars} is not a price")
    numerator, denominator = dollars.as_integer_ratio()  # exact, whatever the decimal context
    nano, rest = divmod(numerator * NANO, denominator)
    if rest:
        raise ValueError(f"{name}.{key}: {dollars} is finer than a nano-dollar (nine decimals)")
    return nano


def cost(rule: Rule, usage: Usage, ratio_millionths: int = RATIO_ONE) -> int:
    """Nano-dollars for what was used, rounded up once.

    Stored prompts (`cache_write_*`), images and audio that were read cost what input does,
    reasoning and audio that was made what output does. Images made, seconds, characters and
    searches have no price here. A negative count, whoever sent it, counts as none: no refunds.
    """
    fresh = (
        max(usage.input, 0)
        + max(usage.cache_write_5m, 0)
        + max(usage.cache_write_1h, 0)
        + max(usage.audio_in, 0)
        + max(usage.image_in, 0)
    )
    made = max(usage.output, 0) + max(usage.reasoning, 0) + max(usage.audio_out, 0)
    total = fresh * rule.input + max(usage.cache_read, 0) * rule.cache_read + made * rule.output
    return -(-total * ratio_millionths // _DIVISOR)


class PriceTable:
    """The rules that apply, by model name or glob. Immutable; built with the configuration."""

    __slots__ = ("_exact", "_globbed", "_globs")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self._exact = {name: rule for name, rule in rules.items() if not _is_glob(name)}
        # The glob that says most of the name wins; the order of the file decides among equals.
        globs = sorted((name for name in rules if _is_glob(name)), key=lambda n: -_literals(n))
        self._globbed = [rules[name] for name in globs]
        joined = "|".join(f"({fnmatch.translate(name)})" for name in globs)
        self._globs: re.Pattern[str] | None = re.compile(joined) if globs else None

    def find(self, model: str, channel_model: str, *, local: bool) -> Rule | None:
        """The rule for a request: exact names before globs, the asked name before the served one.

        A local channel that nothing prices has the rule `LOCAL`; any other model that nothing
        prices has None.
        """
        rule = self._exact.get(model) or self._exact.get(channel_model)
        if rule is None:
            rule = self._by_glob(model) or self._by_glob(channel_model)
        if rule is None and local:
            return LOCAL
        return rule

    def _by_glob(self, name: str) -> Rule | None:
        match = self._globs.match(name) if self._globs is not None else None
        if match is None or match.lastindex is None:
            return None
        return self._globbed[match.lastindex - 1]


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")


def _literals(pattern: str) -> int:
    """How many characters a glob fixes; a set in brackets counts as one."""
    return len(re.sub(r"\[[^]]+\]", "x", pattern).replace("*", "").replace("?", ""))
