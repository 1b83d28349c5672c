"""Calls that the gateway makes on its own account's behalf, signed where the provider wants it."""

from __future__ import annotations

import time
from dataclasses import replace

from oneapi.net.base import Call
from oneapi.providers.account import Account


async def signed(account: Account, key: str, call: Call) -> Call:
    """The call with its signature; as it is where static headers do.

    `call` has the account's headers already. A body that is no bytes cannot be signed and is sent
    as it is. Raises `UpstreamError` where the account cannot sign in.
    """
    if account.signer is None or not isinstance(call.body, bytes):
        return call
    lines = await account.signer.sign(
        key,
        method=call.method,
        host=account.origin.authority.decode(),
        target=call.target,
        body=call.body,
        now_s=time.time(),
        headers=tuple(call.headers),
    )
    return replace(call, headers=(*call.headers, *lines))
