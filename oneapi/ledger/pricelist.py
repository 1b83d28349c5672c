"""Which price line applies to a model: the operator's, else the vendored table's."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from oneapi.ledger.prices import LOCAL, NANO, RATES, Price, Rates, Rule, Tier

FALLBACK: Final[Mapping[str, str]] = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
}
"""What a rate is that a line leaves out; all others are then 0."""

_VARIANT: Final = re.compile(r"\*|[^\s*]+(?: [^\s*]+)?")


class PriceError(ValueError):
    """`key` is where in a price the error is: `("tiers", 0, "input")`; the words say what."""

    def __init__(self, key: tuple[str | int, ...], words: str) -> None:
        super().__init__(f"{'.'.join(map(str, key))}: {words}")
        self.key = key
        self.words = words


def rates_of(dollars: Mapping[str, Decimal], *, under: tuple[str | int, ...] = ()) -> Rates:
    """Rates from dollars, to the last digit. `under` is where they stand in their price.

    Raises `PriceError` for a negative price and for one that is finer than a nano-dollar.
    """
    found = {key: _nano((*under, key), value) for key, value in dollars.items()}
    for key, other in FALLBACK.items():
        if key not in found and other in found:
            found[key] = found[other]
    return Rates(**{key: found[key] for key in RATES if key in found})


def rule_of(
    name: str,
    dollars: Mapping[str, Decimal],
    *,
    tiers: Sequence[tuple[int, Mapping[str, Decimal]]] = (),
    images: Mapping[str, Decimal] | None = None,
    table: str = "",
    source: str = "",
) -> Rule:
    """A rule from dollars. A tier's missing rates are those of the line itself, by its fallbacks.

    `images` are dollars by variant, "*" for all that have none. Raises `PriceError` where two
    tiers begin at the same number, where a variant can fit no image, where there is no "*", and
    as `rates_of` does.
    """
    if images is not None:
        dollars = {**dollars, "image": _otherwise(images)}
    rates = rates_of(dollars)
    steps: list[Tier] = []
    for index, (above, other) in enumerate(tiers):
        if any(tier.above == above for tier in steps):
            raise PriceError(("tiers", index, "above"), f"two tiers begin above {above}")
        steps.append(Tier(above, rates_of({**dollars, **other}, under=("tiers", index))))
    return Rule(
        name,
        rates,
        tuple(sorted(steps, key=lambda tier: tier.above)),
        _variants(images or {}),
        table=table,
        source=source,
    )


def _otherwise(images: Mapping[str, Decimal]) -> Decimal:
    if "*" not in images:
        raise PriceError(("image",), 'needs "*": the price of images that none of the others fits')
    return images["*"]


def _variants(images: Mapping[str, Decimal]) -> tuple[tuple[str, int], ...]:
    """Prices by size, quality or both, sorted; without "*", which is the rate itself."""
    found: dict[str, int] = {}
    for variant, value in images.items():
        if _VARIANT.fullmatch(variant) is None:
            raise PriceError(
                ("image", variant),
                'fits no image: name a size, a quality or both, as in "1024x1536 high"',
            )
        found[variant.lower()] = _nano(("image", variant), value)
    return tuple(sorted((key, price) for key, price in found.items() if key != "*"))


def _nano(key: tuple[str | int, ...], dollars: Decimal) -> int:
    """Dollars as nano-dollars. Raises `PriceError` where that is no whole number of them."""
    if not dollars.is_finite() or dollars < 0:
        raise PriceError(key, f"{dollars} is not a price")
    numerator, denominator = dollars.as_integer_ratio()  # exact, whatever the decimal context
    found, rest = divmod(numerator * NANO, denominator)
    if rest:
        raise PriceError(key, f"{dollars} is finer than a nano-dollar (nine decimals)")
    return found


class PriceTable:
    """Rules by model name or glob. Immutable."""

    __slots__ = ("_exact", "_globbed", "_globs", "rules")

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        self._exact = {name: rule for name, rule in rules.items() if not _is_glob(name)}
        # The glob that says most of the name wins; the order of the file decides among equals.
        globs = sorted((name for name in rules if _is_glob(name)), key=lambda n: -_literals(n))
        self._globbed = [rules[name] for name in globs]
        joined = "|".join(f"({fnmatch.translate(name)})" for name in globs)
        self._globs: re.Pattern[str] | None = re.compile(joined) if globs else None

    def find(self, *names: str) -> Rule | None:
        """The rule of the first name that has one: exact names before globs."""
        for name in names:
            if name in self._exact:
                return self._exact[name]
        return next((rule for name in names if (rule := self._by_glob(name))), None)

    def _by_glob(self, name: str) -> Rule | None:
        match = self._globs.match(name) if self._globs is not None else None
        if match is None or match.lastindex is None:
            return None
        return self._globbed[match.lastindex - 1]


EMPTY: Final = PriceTable({})


@dataclass(frozen=True, slots=True)
class Place:
    """One place where a price is looked for: the key of the file's table, or the book's name."""

    kind: Literal["channel", "file", "local", "book", "default"]
    name: str
    asked: tuple[str, ...]
    rule: Rule | None


class PriceList:
    """All tables in their order: a channel's own lines, the file's, the vendored books of the
    channel's provider; then `default` for what nothing prices. Immutable, but for what it
    remembers.
    """

    __slots__ = ("_books", "_channels", "_default", "_own", "_prices")

    MAX_PRICES: Final = 20_000

    def __init__(
        self,
        own: PriceTable,
        *,
        channels: Mapping[str, PriceTable] | None = None,
        books: Mapping[str, PriceTable] | None = None,
        default: Rule | None = None,
    ) -> None:
        self._own = own
        self._channels = channels or {}
        self._books = books or {}
        self._default = default
        self._prices: dict[tuple[int, int], Price] = {}

    def find(
        self,
        model: str,
        channel_model: str,
        *,
        channel: str,
        books: Sequence[str],
        local: bool,
        deployments: bool = False,
    ) -> Rule | None:
        """The rule for a request for `model`, served as `channel_model`. None: nothing prices it.

        The operator's lines go by the asked name before the served one, a vendored book by the
        served one, in small letters too; by the asked one only where the provider's names are
        the operator's own (`deployments`). A local channel costs nothing unless the operator
        prices it.
        """
        places = self.places(
            model, channel_model, channel=channel, books=books, local=local, deployments=deployments
        )
        return next((place.rule for place in places if place.rule is not None), None)

    def places(
        self,
        model: str,
        channel_model: str,
        *,
        channel: str,
        books: Sequence[str],
        local: bool,
        deployments: bool = False,
    ) -> Iterator[Place]:
        """Where `find` looks, in its order, and what stands there; the first rule applies."""
        names = tuple(dict.fromkeys((model, channel_model)))
        if channel in self._channels:
            rule = self._channels[channel].find(*names)
            yield Place("channel", f"channels.{channel}.prices", names, rule)
        yield Place("file", "prices", names, self._own.find(*names))
        if local:
            yield Place("local", "local", (), LOCAL)
            return
        served = (channel_model, channel_model.lower())
        asked = (model, model.lower()) if deployments else ()
        vendored = tuple(dict.fromkeys((*served, *asked)))
        for book in books:
            if book in self._books:
                yield Place("book", book, vendored, self._books[book].find(*vendored))
        if self._default is not None:
            yield Place("default", "site.default_price", (), self._default)

    def lines(self, channel: str = "") -> Sequence[str]:
        """Names and globs that the file prices: everywhere, or at a channel alone."""
        table = self._channels.get(channel, EMPTY) if channel else self._own
        return tuple(table.rules)

    def price(self, rule: Rule, ratio_millionths: int) -> Price:
        """The price of a rule that this list gave, made once for each ratio."""
        # By identity: rules live as long as their list, and hashing one costs as much as a price.
        key = (id(rule), ratio_millionths)
        found = self._prices.get(key)
        if found is None or found.rule is not rule:
            if len(self._prices) >= self.MAX_PRICES:
                self._prices.clear()
            found = self._prices[key] = Price(rule, ratio_millionths)
        return found


def from_ratio(ratio: Decimal, completion_ratio: Decimal) -> dict[str, Decimal]:
    """One API's ratios as dollars: ratio 1 is $0.002 per 1,000 tokens or characters, and $0.002
    an image, which all are 1,000 points.

    Ratios are fractions cut somewhere (1.3333333333): what is finer than a nano-dollar is rounded
    up to one, which makes a third a third again.
    """
    per_million = 2 * Fraction(ratio)
    output = per_million * Fraction(completion_ratio)
    dollars = {"input": per_million, "output": output, "character": per_million}
    dollars["image"] = per_million / 1000
    return {key: _whole(value) for key, value in dollars.items()}


def _whole(dollars: Fraction) -> Decimal:
    """Rounded up to whole nano-dollars."""
    digits = str(-(-dollars.numerator * NANO // dollars.denominator))
    return Decimal((0, tuple(map(int, digits)), -9))


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")


def _literals(pattern: str) -> int:
    """How many characters a glob fixes; a set in brackets counts as one."""
    return len(re.sub(r"\[[^]]+\]", "x", pattern).replace("*", "").replace("?", ""))
