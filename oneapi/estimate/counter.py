"""A counter of tokens for one model: its family of vocabularies, and what its provider counts for
media. Made when the configuration is built, it is frozen and may be shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oneapi.estimate.exact import exact as exact_count
from oneapi.estimate.families import DEFAULT, Family, family
from oneapi.estimate.media import USUAL, MediaRule, Medium, medium_tokens
from oneapi.estimate.request import request_tokens
from oneapi.estimate.text import estimated
from oneapi.wire.json import JSON


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts for one family; `exact` counts a text in its very vocabulary where that is wanted."""

    family: Family
    media: MediaRule = USUAL
    exact: Callable[[str], float] | None = None

    def tokens(self, text: str) -> int:
        """How many tokens a text is."""
        return round(self.exact(text)) if self.exact else estimated(text, self.family)

    def message_tokens(self, request: JSON, *, chat: bool = False) -> int:
        """How many tokens a request's input is, in any client's dialect. `chat` is for requests
        whose `input` becomes a message although it is only a text.
        """
        return request_tokens(request, self.family, self.media, self.tokens, chat=chat)

    def medium_tokens(self, medium: Medium) -> int:
        """How many tokens a picture, sound, film or file is."""
        return medium_tokens(medium, self.media)


def counter(name: str = DEFAULT, media: MediaRule = USUAL, *, exact: bool = False) -> Counter:
    """The counter of a family. Raises ValueError for an unknown family; with `exact`, ConfigError
    where that needs a package which is not installed. Families whose vocabulary is not public are
    estimated in any case.
    """
    kind = family(name)
    return Counter(kind, media, exact_count(kind.exact) if exact and kind.exact else None)


def message_tokens(request: JSON, name: str = DEFAULT, media: MediaRule = USUAL) -> int:
    """About how many tokens a request's input is: messages and tools, a prompt, or an input.

    Takes the decoded object, or its members as they were cut; nothing is raised for odd shapes.
    """
    return Counter(family(name), media).message_tokens(request)
