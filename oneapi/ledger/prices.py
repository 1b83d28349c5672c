"""What a request costs: integer nano-dollars, rounded up once a record (D26).

A `Rule` is one price line, a `Price` that line with the caller's ratio, which is what a record
refers to: by an id, under which the ledger keeps the numbers, so that any record can be computed
again from its own row. How a rule is found for a model stands in `pricelist`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from oneapi.ir import USAGE_BUCKETS, Usage

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar."""
RATIO_ONE: Final = 1_000_000
"""A group's ratio of 1, in millionths."""
_MILLION: Final = 1_000_000
_DIVISOR: Final = _MILLION * RATIO_ONE  # rates are per million, ratios in millionths
MOST_UNITS: Final = 10**12
"""A count above it is nonsense and is cut to it."""
MOST_NANOUSD: Final = 2**62
"""The most that one record can cost."""
_NAME: Final = 120  # characters of a rule's name in a price's id

_RATE_OF: Final[Mapping[str, tuple[str, int]]] = {
    "input": ("input", 1),
    "cache_read": ("cache_read", 1),
    "cache_write_5m": ("cache_write", 1),
    "cache_write_1h": ("cache_write_1h", 1),
    "audio_in": ("audio_input", 1),
    "image_in": ("image_input", 1),
    "output": ("output", 1),
    "reasoning": ("reasoning", 1),
    "audio_out": ("audio_output", 1),
    "images": ("image", _MILLION),
    "audio_ms": ("second", _MILLION // 1000),
    "characters": ("character", 1),
    "searches": ("search", _MILLION),
}
"""Every bucket of `Usage`, the rate it is priced at, and how many of a million a unit is."""
_COUNTS: Final = attrgetter(*USAGE_BUCKETS)
_INPUTS: Final = USAGE_BUCKETS.index("image_in") + 1
"""The first buckets are those of the input (a test holds it)."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars: per million tokens of each bucket and per million `character`s; per `image`
    made, `second` of audio, `search` and `request`.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    image_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image: int = 0
    second: int = 0
    character: int = 0
    search: int = 0
    request: int = 0

    def multipliers(self) -> tuple[int, ...]:
        """Nano-dollars per million of each bucket of `Usage`, in the order of its fields."""
        return tuple(getattr(self, rate) * unit for rate, unit in map(_RATE_OF.get, USAGE_BUCKETS))  # type: ignore[misc]


RATES: Final[tuple[str, ...]] = tuple(f.name for f in fields(Rates))


@dataclass(frozen=True, slots=True)
class Tier:
    """Other rates for requests whose input, cached tokens included, is above so many tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Rule:
    """One price line. `name` says where it stands (`prices.gpt-5-mini`, `openai/gpt-5-mini`),
    `table` is the date of the vendored table, "" for the operator's own lines.

    `tiers` rise. `images` are prices of one image by what it is, in small letters: "1024x1536
    high", a size or a quality; where nothing fits `rates.image` counts.
    """

    name: str
    rates: Rates = field(default_factory=Rates)
    tiers: tuple[Tier, ...] = ()
    images: tuple[tuple[str, int], ...] = ()
    table: str = ""
    source: str = ""

    def for_image(self, size: str, quality: str) -> Rule:
        """The rule for images of that size and quality; itself where it prices none apart."""
        if not self.images:
            return self
        priced, size, quality = dict(self.images), size.lower(), quality.lower()
        for variant in (f"{size} {quality}", size, quality):
            if variant in priced:
                image = priced[variant]
                return replace(
                    self,
                    name=f"{self.name} [{variant}]",
                    rates=replace(self.rates, image=image),
                    tiers=tuple(Tier(t.above, replace(t.rates, image=image)) for t in self.tiers),
                    images=(),
                )
        return replace(self, images=())

    @property
    def dearest_image(self) -> int:
        """Nano-dollars of the dearest image."""
        return max(self.rates.image, *(price for _, price in self.images), 0)


LOCAL: Final = Rule("local")
"""What a channel on the operator's own machines costs where nothing prices it."""


class Price:
    """A rule and the ratio of the caller's group, in millionths. Immutable; equal by its numbers.

    `id` is the rule's name and a digest of `body`, the JSON from which the price can be made
    again (`from_body`).
    """

    __slots__ = ("_dearest", "_rates", "_tiers", "body", "id", "ratio", "rule")

    def __init__(self, rule: Rule, ratio_millionths: int = RATIO_ONE) -> None:
        self.rule = rule
        self.ratio = ratio_millionths
        self.body = _body(rule, ratio_millionths)
        digest = sha256(self.body.encode()).hexdigest()[:12]
        self.id = f"{rule.name[:_NAME]}@{digest}"
        self._rates = rule.rates.multipliers()
        self._tiers = tuple(
            (tier.above, tier.rates, tier.rates.multipliers()) for tier in reversed(rule.tiers)
        )
        # Kept, for `most` comes before every request: the few sets of buckets ever asked for.
        self._dearest: dict[tuple[int, tuple[str, ...], tuple[str, ...]], tuple[int, int]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Price) and self.body == other.body

    def __hash__(self) -> int:
        return hash(self.body)

    def __repr__(self) -> str:
        return f"Price({self.body})"

    def cost(self, usage: Usage) -> int:
        """Nano-dollars of what was used, the request itself included, rounded up once.

        A negative count, whoever sent it, counts as none: there are no refunds.
        """
        counts = _COUNTS(usage)
        rates, multipliers = self._at(counts)
        total = rates.request * _MILLION
        for place, count in enumerate(counts):
            if count > 0:  # most are 0; looking at them first saves a microsecond of three
                total += (count if count < MOST_UNITS else MOST_UNITS) * multipliers[place]
        return min(-(-total * self.ratio // _DIVISOR), MOST_NANOUSD)

    def paid(self, nanousd: int) -> int:
        """One of the rule's rates as this caller pays it, rounded up to a nano-dollar."""
        return -(-nanousd * self.ratio // RATIO_ONE)

    def most(
        self, tokens_in: int, reads: tuple[str, ...], tokens_out: int, writes: tuple[str, ...]
    ) -> int:
        """Nano-dollars of a request of so many tokens, each in the dearest of the buckets (of
        `Usage`) that it may fall into. No count is negative.
        """
        rates, tier = self.rule.rates, 0
        for above, other, _ in self._tiers:
            if tokens_in > above:
                rates, tier = other, above
                break
        key = (tier, reads, writes)
        found = self._dearest.get(key)
        if found is None:
            found = self._dearest[key] = (_dearest(reads, rates), _dearest(writes, rates))
        total = rates.request * _MILLION
        total += min(tokens_in, MOST_UNITS) * found[0] + min(tokens_out, MOST_UNITS) * found[1]
        return min(-(-total * self.ratio // _DIVISOR), MOST_NANOUSD)

    def steps(self, usage: Usage) -> Iterator[tuple[str, int, int]]:
        """How the cost comes about: bucket, count, nano-dollars per million of it, before the
        ratio; the buckets that count nothing are left out.
        """
        counts = _COUNTS(usage)
        rates, multipliers = self._at(counts)
        for bucket, count, rate in zip(USAGE_BUCKETS, counts, multipliers, strict=True):
            if count > 0:
                yield bucket, min(count, MOST_UNITS), rate
        if rates.request:
            yield "requests", 1, rates.request * _MILLION

    def for_image(self, size: str, quality: str) -> Price:
        """The price of requests for images of that size and quality."""
        narrowed = self.rule.for_image(size, quality)
        return self if narrowed is self.rule else Price(narrowed, self.ratio)

    def _at(self, counts: tuple[int, ...]) -> tuple[Rates, tuple[int, ...]]:
        if self._tiers:
            # Each on its own: a negative count must not lower the tier.
            tokens = sum([count for count in counts[:_INPUTS] if count > 0])
            for above, rates, multipliers in self._tiers:
                if tokens > above:
                    return rates, multipliers
        return self.rule.rates, self._rates

    @classmethod
    def from_body(cls, body: str) -> Price:
        """The price that was written as `body`. Raises `ValueError` where it is none."""
        try:
            found = json.loads(body)
            rule = Rule(
                name=found["rule"],
                rates=Rates(**found["rates"]),
                tiers=tuple(Tier(t["above"], Rates(**t["rates"])) for t in found.get("tiers", ())),
                images=tuple((name, price) for name, price in found.get("images", ())),
                table=found.get("table", ""),
            )
            price = cls(rule, found["ratio"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no price: {error}") from error
        numbers = (price.ratio, *price._rates, *(a for a, *_ in price._tiers))
        numbers += tuple(rate for *_, rates in price._tiers for rate in rates)
        if not all(type(number) is int for number in numbers):
            raise ValueError("this is no price: its rates are whole numbers of nano-dollars")
        return price


def _dearest(buckets: tuple[str, ...], rates: Rates) -> int:
    """Nano-dollars per million of the dearest of the buckets."""
    dearest: int = max(getattr(rates, _RATE_OF[bucket][0]) for bucket in buckets)
    return dearest


def _body(rule: Rule, ratio: int) -> str:
    """The numbers as canonical JSON; rates of 0 are left out."""
    body: dict[str, Any] = {"rule": rule.name, "ratio": ratio, "rates": _told(rule.rates)}
    if rule.table:
        body["table"] = rule.table
    if rule.tiers:
        body["tiers"] = [{"above": t.above, "rates": _told(t.rates)} for t in rule.tiers]
    if rule.images:
        body["images"] = [list(pair) for pair in rule.images]
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def _told(rates: Rates) -> dict[str, int]:
    return {name: rate for name in RATES if (rate := getattr(rates, name))}
