"""Which counter of tokens goes with a model at a provider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from oneapi import estimate
from oneapi.estimate import Counter
from oneapi.providers.catalog import Preset
from oneapi.providers.media import media_rule

MAX_KNOWN = 20_000


@cache
def usual() -> Counter:
    """The counter where no model is known yet."""
    return estimate.counter()


class Counters:
    """Made with the configuration; remembers what it has found.

    With `exact`, vocabularies that are public are counted by their own words; raises `ConfigError`
    where the package for that is missing.
    """

    def __init__(self, catalog: Mapping[str, Preset], *, exact: bool = False) -> None:
        self._catalog = catalog
        self._exact = exact
        self._known: dict[tuple[str, str], Counter] = {}
        if exact:
            estimate.counter(exact=True)

    def of(self, preset: Preset, model: str) -> Counter:
        """The counter of a model by its name at the provider."""
        known = self._known.get((preset.name, model))
        if known is None:
            rule = media_rule(self._catalog, preset, model)
            known = estimate.counter(estimate.family_of(model), rule, exact=self._exact)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[preset.name, model] = known
        return known
