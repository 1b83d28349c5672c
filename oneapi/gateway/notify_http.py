"""Notices by HTTP: to a webhook, signed, and to a Message Pusher. No redirect is followed."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from typing import Final

import httpx

from oneapi import __version__
from oneapi.config.schema import Pusher, Webhook
from oneapi.errors import OneApiError
from oneapi.wire.json import MalformedJSON, decode, encode

TIMEOUT_S: Final = 15.0
SIGNATURE: Final = "x-oneapi-signature"
TIMESTAMP: Final = "x-oneapi-timestamp"
_ANSWER: Final = 64_000  # bytes read of an answer
_SAID: Final = 200  # characters shown of it


class NoticeRefusedError(OneApiError):
    """A notice was not taken; the words name neither the address nor a secret."""


def client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """One for the process."""
    return httpx.AsyncClient(
        verify=tls, timeout=TIMEOUT_S, follow_redirects=False, trust_env=False,
        headers={"user-agent": f"oneapi/{__version__}"},
    )  # fmt: skip


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp, a dot and the body: who checks both cannot be played an
    old notice again.
    """
    signed = b"%d." % timestamp + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


async def to_webhook(
    http: httpx.AsyncClient, webhook: Webhook, payload: Mapping[str, object], now_s: int
) -> None:
    """POST a notice as JSON. Raises `NoticeRefusedError` unless the answer is a 2xx."""
    body = encode(dict(payload))
    headers = {**webhook.headers, "content-type": "application/json", TIMESTAMP: str(now_s)}
    if webhook.secret:
        headers[SIGNATURE] = signature(webhook.secret, now_s, body)
    await _post(http, webhook.url, body, headers)


async def to_pusher(http: httpx.AsyncClient, pusher: Pusher, facts: Mapping[str, object]) -> None:
    """Push a notice through github.com/songquanpeng/message-pusher (its controller/message.go,
    read 2026-11-24): a refusal comes with status 200 and `success` false.
    """
    said = {
        "title": facts.get("subject", ""),
        "description": facts.get("subject", ""),
        "content": facts.get("text", ""),
        "url": facts.get("link", ""),
        "channel": pusher.channel,
        "token": pusher.token,
    }
    body = encode({name: value for name, value in said.items() if value})
    answer = await _post(http, pusher.url, body, {"content-type": "application/json"})
    try:
        value = decode(answer)
    except MalformedJSON:
        value = None
    if not isinstance(value, dict) or value.get("success") is not True:
        words = value.get("message") if isinstance(value, dict) else "its answer is not JSON"
        said_back = str(words)
        if pusher.token:
            said_back = said_back.replace(pusher.token, "…")  # some repeat what they refuse
        raise NoticeRefusedError(f"the pusher refused it: {said_back[:_SAID]}")


async def _post(
    http: httpx.AsyncClient, url: str, body: bytes, headers: Mapping[str, str]
) -> bytes:
    try:
        async with http.stream("POST", url, content=body, headers=dict(headers)) as response:
            answer = b""
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > _ANSWER:
                    break
            status = response.status_code
    except httpx.TimeoutException as error:
        raise NoticeRefusedError(f"no answer within {TIMEOUT_S:g} s") from error
    except httpx.HTTPError as error:
        raise NoticeRefusedError(f"cannot be reached: {error}") from error
    if not 200 <= status < 300:
        moved = " (redirects are not followed)" if 300 <= status < 400 else ""
        raise NoticeRefusedError(f"answered with status {status}{moved}")
    return answer
