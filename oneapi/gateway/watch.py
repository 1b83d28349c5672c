"""What the gateway notes of a stream of events: usage, the first content, the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from oneapi import estimate
from oneapi.errors import ApiError
from oneapi.ir import (
    BlockStart,
    Delta,
    Event,
    Failed,
    Finish,
    Media,
    Opaque,
    Spent,
    ToolCall,
    Usage,
)

SAMPLE = 256 * 1024
"""Characters of text that are kept for estimating what a provider did not count."""


class EventWatch:
    """The translate lane's `Tap`: it decides nothing, `feed` is the parser's."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failed: ApiError | None = None
        self.content_seen = False
        self.finished = False
        self._texts: list[str] = []
        self._media: set[int] = set()  # blocks of pictures and sounds, whose base64 is no text
        self._kept = 0
        self._seen = 0

    def note(self, events: Iterable[Event]) -> bool:
        """Whether an end or a failure was among them."""
        ended = False
        for event in events:
            kind = type(event)
            if kind is Delta:
                assert isinstance(event, Delta)
                if event.text:
                    self.content_seen = True
                    if self._media and event.index in self._media:
                        continue
                    self._seen += len(event.text)
                    if self._kept < SAMPLE:
                        self._kept += len(event.text)
                        self._texts.append(event.text)
            elif kind is Finish:
                self.finished = ended = True
            elif isinstance(event, Spent):
                self.usage = event.usage
            elif isinstance(event, BlockStart):
                if isinstance(event.part, ToolCall | Media | Opaque):
                    self.content_seen = True
                    if isinstance(event.part, Media):
                        self._media.add(event.index)
            elif isinstance(event, Failed):
                self.failed = event.error
                ended = True
        return ended

    def sample(self) -> str:
        return "".join(self._texts)

    def output_estimate(self, count: Callable[[str], int] = estimate.tokens) -> int:
        """About how many tokens the texts were."""
        if not self._kept:
            return 0
        return round(count(self.sample()) * self._seen / self._kept)
