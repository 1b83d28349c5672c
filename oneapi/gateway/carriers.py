"""The carriers of all channels: one pool for direct calls, one a proxy, one a scripted provider.

They outlive a reload: what no channel uses any more is closed when the last request that was under
way at the swap has ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from oneapi.net.base import Carrier
from oneapi.net.upstream import Pool
from oneapi.providers.auth.tokens import Tokens


class Makes(Protocol):
    """Makes the carrier of a scripted provider; equal options are equal keys."""

    def __call__(self) -> Carrier: ...


class Carriers:
    """Owned by the gateway. `acquire` may be called from the building thread, all else on the
    loop.
    """

    def __init__(self) -> None:
        self.direct = Pool()
        self.tokens = Tokens()
        """Short-lived tokens of channels' accounts, which outlive a reload like their carriers."""
        self._by_key: dict[str, Carrier] = {}
        self._retired: list[tuple[Carrier, frozenset[int]]] = []

    def proxied(self, url: str) -> Carrier:
        """The carrier through an HTTP or SOCKS5 proxy."""
        from oneapi.net.proxied import ProxiedPool  # httpx: 50 ms that most starts need not spend

        return self.shared(f"proxy:{url}", lambda: ProxiedPool(url, tls=self.direct.tls))

    def shared(self, key: str, make: Makes) -> Carrier:
        """The carrier under `key`, made when it is new."""
        carrier = self._by_key.get(key)
        if carrier is None:
            carrier = self._by_key[key] = make()
        return carrier

    def retire(self, used: Iterable[Carrier], flights: Iterable[int]) -> None:
        """After a swap: carriers that no channel uses wait for the requests now under way."""
        kept = {id(c) for c in used}
        waiting = frozenset(flights)
        for key, carrier in list(self._by_key.items()):
            if id(carrier) not in kept:
                del self._by_key[key]
                self._retired.append((carrier, waiting))

    async def close_retired(self, flights: Iterable[int]) -> None:
        """Close retired carriers whose last request has ended."""
        running = set(flights)
        still: list[tuple[Carrier, frozenset[int]]] = []
        for carrier, waiting in self._retired:
            if waiting & running:
                still.append((carrier, waiting))
            else:
                await carrier.aclose()
        self._retired = still

    async def aclose(self) -> None:
        for carrier in (self.direct, *self._by_key.values(), *(c for c, _ in self._retired)):
            await carrier.aclose()
