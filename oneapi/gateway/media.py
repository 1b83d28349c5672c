"""Fetches what a request points at, for providers that need the bytes: images, sounds, documents.

A client's URL is never trusted: only http and https; the name is resolved once and the connection
goes to that very address, which must be a public one; redirects are checked alike, credentials are
never sent, and size and time are limited.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from oneapi.errors import ApiError

MAX_BYTES = 20 * 1024 * 1024
MAX_TOTAL = 64 * 1024 * 1024
"""Bytes of everything that one request points at: all of it stands in memory at once."""
MAX_URLS = 32
MAX_AT_ONCE = 8
"""Addresses of one request that are fetched at the same time."""
MAX_REDIRECTS = 3
TIMEOUT_S = 20.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})

Fetched = dict[str, tuple[str, str]]
"""Media type and base64, by URL."""

_HOLDS_IPV4: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
"""IPv6 networks whose last four bytes are an IPv4 address: NAT64 (RFC 6052), IPv4-translated (RFC
2765), IPv4-compatible (RFC 4291). A router may lead them to that address.
"""
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "64:ff9b:1::/48",  # NAT64 of a site's own (RFC 8215)
            "fec0::/10",  # site-local, no longer used (RFC 3879)
            "168.63.129.16/32",  # Azure's host, as its guests see it; public by its number alone
        ),
    )
)


def is_public(address: str) -> bool:
    """Whether an address may be fetched from: nothing private, local, shared or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if any(ip in network for network in _HOLDS_IPV4):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NEVER)


@dataclass(slots=True)
class _Room:
    """Bytes that the addresses of one request may still hold together."""

    left: int


class Fetcher:
    """`allowed` judges every address that a name resolves to."""

    def __init__(
        self,
        *,
        allowed: Callable[[str], bool] = is_public,
        max_bytes: int = MAX_BYTES,
        max_total: int = MAX_TOTAL,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._max_total = max_total
        self._timeout_s = timeout_s
        # Threads of its own: names that a client chose, on a server of names that never answers,
        # must not stand in the way of the look-ups of providers and of what else runs in threads.
        self._resolver = ThreadPoolExecutor(4, thread_name_prefix="media-names")

    async def fetch(self, urls: Sequence[str]) -> Fetched:
        """All of them, each once. Raises `ApiError` 400 naming the host and what was wrong."""
        wanted = list(dict.fromkeys(urls))
        if len(wanted) > MAX_URLS:
            raise _refused(f"more than {MAX_URLS} addresses to fetch")
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                httpx.AsyncClient(trust_env=False, follow_redirects=False) as client,
            ):
                room, turn = _Room(self._max_total), asyncio.Semaphore(MAX_AT_ONCE)

                async def one(url: str) -> tuple[str, str]:
                    async with turn:
                        return await self._one(client, url, room)

                found = await asyncio.gather(*map(one, wanted))
        except TimeoutError as error:
            raise _refused("an address did not answer in time") from error
        return dict(zip(wanted, found, strict=True))

    async def _one(self, client: httpx.AsyncClient, url: str, room: _Room) -> tuple[str, str]:
        where = url
        for _ in range(MAX_REDIRECTS + 1):
            request = await self._request(client, where)
            try:
                response = await client.send(request, stream=True)
            except httpx.HTTPError as error:
                raise _refused("the server cannot be reached", where) from error
            try:
                if response.status_code in REDIRECTS and "location" in response.headers:
                    where = urljoin(where, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise _refused(f"the server answered {response.status_code}", where)
                return await self._read(response, where, room)
            finally:
                await response.aclose()
        raise _refused("too many redirects", url)

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """The request to the one address that was checked, under the name that was asked for."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise _refused("it is no valid URL") from error
        if parts.scheme not in ("http", "https") or not host:
            raise _refused("only http and https addresses are fetched")
        if parts.username is not None:
            raise _refused("it holds credentials", url)
        address = await self._resolve(host, port or (443 if parts.scheme == "https" else 80))
        literal = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=literal + (f":{port}" if port else ""), fragment="")
        try:
            named = f"[{host}]" if ":" in host else host.encode("idna").decode()
            return client.build_request(
                "GET",
                target.geturl(),
                headers={
                    "host": named + (f":{port}" if port else ""),
                    "accept-encoding": "identity",
                },
                extensions={"sni_hostname": named.strip("[]")},
            )
        except (ValueError, httpx.InvalidURL) as error:  # half a surrogate, a control character
            raise _refused("it is no valid URL", url) from error

    async def _resolve(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._resolver, partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as error:
            raise _refused("its name cannot be resolved", f"//{host}") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._allowed, addresses)):
            raise _refused("it leads to a private address", f"//{host}")
        return addresses[0]

    async def _read(self, response: httpx.Response, url: str, room: _Room) -> tuple[str, str]:
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                room.left -= len(chunk)
                if len(body) > self._max_bytes:
                    raise _refused(f"it is larger than {self._max_bytes:,} bytes", url)
                if room.left < 0:
                    words = f"all together are larger than {self._max_total:,} bytes"
                    raise _refused(words, url)
        except httpx.HTTPError as error:
            raise _refused("the server broke off", url) from error
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind or sniffed(body[:16]), b64encode(body).decode()


def sniffed(head: bytes | bytearray) -> str:
    """The media type that a file's first bytes tell, "" for an unknown one."""
    for mark, kind in (
        (b"\x89PNG", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"%PDF", "application/pdf"),
    ):
        if head.startswith(mark):
            return kind
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def _refused(why: str, url: str = "") -> ApiError:
    host = urlsplit(url).hostname or "" if url else ""
    shown = "".join(c if c.isprintable() else "?" for c in host[:100])
    what = f"an address at {shown}" if host else "an address in the request"
    return ApiError(400, f"{what} was not fetched: {why}", code="invalid_media_url")
