"""The seam of signing in: what a call needs beside its static headers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from oneapi.errors import UpstreamError
from oneapi.net.base import Carrier
from oneapi.providers.auth.tokens import Tokens

log = logging.getLogger("oneapi.sign_in")

HeaderLines = tuple[tuple[bytes, bytes], ...]


class Signer(Protocol):
    """Signs calls of one account. Safe for any number of tasks on one event loop."""

    async def sign(
        self,
        key: str,
        *,
        method: bytes,
        host: str,
        target: bytes,
        body: bytes,
        now_s: float,
        headers: HeaderLines = (),
    ) -> HeaderLines:
        """Header lines to add to the call, () where the account's static headers are enough.

        `host` is the `host` header's value, `target` path and query as they go on the wire,
        `headers` the call's other lines, `now_s` Unix seconds. Raises `UpstreamError`, which
        another key or channel may do better than.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SignIn:
    """What signing in may use: tokens that outlive a reload, the channel's own way to the network,
    and the direct one, for addresses that no proxy reaches.
    """

    tokens: Tokens
    carrier: Carrier
    direct: Carrier


def refused(channel: str, words: str, *, status: int = 0) -> UpstreamError:
    """The account cannot sign in: why is for the log, the client's own key is fine (D17)."""
    log.warning("channel %s: cannot sign in: %s", channel, words[:300])
    return UpstreamError(
        502,
        "the provider refused the gateway's own account; the operator's log says more",
        code="upstream_auth",
        retryable=True,
        original_status=status,
        headers={"x-should-retry": "false"},
    )


def unreachable(channel: str, words: str) -> UpstreamError:
    """The server that gives tokens does not answer."""
    log.warning("channel %s: cannot sign in: %s", channel, words[:300])
    return UpstreamError(
        502,
        "the provider's sign-in server cannot be reached",
        code="upstream_unreachable",
        retryable=True,
    )
