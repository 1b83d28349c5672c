"""What a provider's refusal means, by its status, code and words."""

from __future__ import annotations

from dataclasses import dataclass

from oneapi.providers.preset import Preset


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a provider's refusal means (D17, D20, D21).

    `auth`: it speaks of the channel's own account, so the client gets 502 `upstream_auth`.
    `retryable`: another key or channel may do better. `counts`: it was this key's fault or limit,
    so the key is left alone for a while.
    """

    auth: bool = False
    retryable: bool = False
    counts: bool = False


_AUTH = Verdict(auth=True, retryable=True, counts=True)
_LIMITED = Verdict(retryable=True, counts=True)
_FAILED = Verdict(retryable=True)
_PASSED = Verdict()


def classify(status: int, code: str | None, preset: Preset, message: str = "") -> Verdict:
    """What an answer of `status` means, with its error's code and text where it has them.

    A redirect is a failure: none is followed with credentials (D22).
    """
    if status in preset.auth_statuses:
        return _AUTH
    if any(e.matches(status, code or "", message) for e in preset.auth_errors):
        return _AUTH
    if status == 429:
        return _LIMITED
    if status >= 500 or status == 408 or 300 <= status < 400 or status in preset.retry_statuses:
        return _FAILED
    return _PASSED
