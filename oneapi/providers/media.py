"""What a model counts for pictures, sound and files, by the catalog's `media`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from functools import lru_cache

from oneapi.estimate import USUAL, MediaRule, bare
from oneapi.providers.preset import ModelMedia, Preset


def media_rule(catalog: Mapping[str, Preset], preset: Preset, model: str) -> MediaRule:
    """A model's rule at a provider: the provider's own, else its maker's, who serves models by the
    same name and counts likewise. A maker's rule for all models (`*`) holds for its own alone.
    """
    name = bare(model)
    own = _first(preset.media, name)
    if own is not None:
        return own
    others = (row for other in catalog.values() for row in other.media if row.models != "*")
    return _first(others, name) or USUAL


def _first(rows: Iterable[ModelMedia], name: str) -> MediaRule | None:
    return next((row.rule for row in rows if _pattern(row.models).match(name)), None)


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))
