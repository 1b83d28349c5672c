"""Media by their addresses, fetched by `gateway.media`, which is loaded on use: its HTTP client
costs a start 50 ms and 5 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

Fetched = dict[str, tuple[str, str]]
"""Media type and base64, by URL."""


class Fetches(Protocol):
    async def fetch(self, urls: Sequence[str]) -> Fetched:
        """All of them. Raises `ApiError` 400."""
        ...


class OnUse:
    """The one fetcher of a process: its threads for look-ups are all there are."""

    def __init__(self) -> None:
        self._fetcher: Fetches | None = None

    async def fetch(self, urls: Sequence[str]) -> Fetched:
        from oneapi.gateway.media import Fetcher

        if self._fetcher is None:
            self._fetcher = Fetcher()
        return await self._fetcher.fetch(urls)
