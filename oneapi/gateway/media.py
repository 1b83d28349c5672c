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
from urllib.parse import urljoin, urlsplit

import httpx

from oneapi.errors import ApiError

MAX_BYTES = 20 * 1024 * 1024
MAX_URLS = 32
MAX_REDIRECTS = 3
TIMEOUT_S = 20.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})

Fetched = dict[str, tuple[str, str]]
"""Media type and base64, by URL."""


def is_public(address: str) -> bool:
    """Whether an address may be fetched from: nothing private, local, shared or reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


class Fetcher:
    """`allowed` judges every address that a name resolves to."""

    def __init__(
        self,
        *,
        allowed: Callable[[str], bool] = is_public,
        max_bytes: int = MAX_BYTES,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

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
                found = await asyncio.gather(*(self._one(client, url) for url in wanted))
        except TimeoutError as error:
            raise _refused("an address did not answer in time") from error
        return dict(zip(wanted, found, strict=True))

    async def _one(self, client: httpx.AsyncClient, url: str) -> tuple[str, str]:
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
                return await self._read(response, where)
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
        named = f"[{host}]" if ":" in host else host
        return client.build_request(
            "GET",
            target.geturl(),
            headers={"host": named + (f":{port}" if port else ""), "accept-encoding": "identity"},
            extensions={"sni_hostname": host},
        )

    async def _resolve(self, host: str, port: int) -> str:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            raise _refused("its name cannot be resolved", f"//{host}") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(self._allowed, addresses)):
            raise _refused("it leads to a private address", f"//{host}")
        return addresses[0]

    async def _read(self, response: httpx.Response, url: str) -> tuple[str, str]:
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._max_bytes:
                    raise _refused(f"it is larger than {self._max_bytes:,} bytes", url)
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
    what = f"an address at {host[:100]}" if host else "an address in the request"
    return ApiError(400, f"{what} was not fetched: {why}", code="invalid_media_url")
