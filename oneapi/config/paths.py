"""Patterns of key paths: which keys hold secrets, and which are not built yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneapi.config.locate import KeyPath

SECRET_PATHS: tuple[tuple[str, ...], ...] = (
    ("channels", "*", "keys", "*"),
    ("channels", "*", "keys", "*", "key"),
    ("channels", "*", "headers", "*"),
    ("channels", "*", "proxy"),
    ("server", "proxy"),
    ("users", "*", "password"),
    ("admin", "metrics_token"),
)
"""Keys that hold secrets: `file:` and `cmd:` work there, and only there; nothing prints them."""

NOT_BUILT_YET: Mapping[tuple[str, ...], str] = {
    ("auth",): "sign-in",
    ("alerts",): "alerts",
    ("site",): "the page",
    ("mail",): "mail",
    ("admin", "edit"): "editing through the page",
    ("server", "workers"): "several worker processes",
    ("logs", "keep"): "purging old records",
    ("logs", "max_size"): "purging old records",
    ("logs", "bodies"): "keeping bodies",
    ("channels", "*", "system"): "forced system prompts",
    ("users", "*", "quota"): "users' quotas",
    ("policies", "*", "budget"): "budgets",
    ("policies", "*", "rpm"): "rate limits",
    ("policies", "*", "tpm"): "rate limits",
    ("policies", "*", "rpd"): "rate limits",
    ("policies", "*", "concurrency"): "limits of concurrency",
    ("policies", "*", "max_input"): "limits of input",
    ("prices", "*", "ratio"): "prices as ratios",
    ("prices", "*", "completion_ratio"): "prices as ratios",
    ("prices", "*", "cache_write"): "prices of cache writes",
    ("prices", "*", "cache_write_1h"): "prices of cache writes",
    ("prices", "*", "reasoning"): "prices of reasoning",
    ("prices", "*", "audio_input"): "prices of audio",
    ("prices", "*", "audio_output"): "prices of audio",
    ("prices", "*", "image_input"): "prices of images",
    ("prices", "*", "image"): "prices of images",
    ("prices", "*", "request"): "prices of requests",
    ("prices", "*", "second"): "prices of seconds",
    ("prices", "*", "character"): "prices of characters",
    ("prices", "*", "tiers"): "tiers of prices",
}
"""Keys of the design whose behaviour comes later: they are refused, never accepted and ignored."""


def matches(pattern: Sequence[str], path: KeyPath) -> bool:
    return len(pattern) == len(path) and all(
        p in ("*", part) for p, part in zip(pattern, path, strict=True)
    )


def is_secret(path: KeyPath) -> bool:
    """Whether a secret stands at `path`."""
    return any(matches(pattern, path) for pattern in SECRET_PATHS)


def may_hold_secret(path: KeyPath) -> bool:
    """Whether a secret stands at `path`, or somewhere below it where the file is right."""
    return any(matches(pattern[: len(path)], path) for pattern in SECRET_PATHS)


def not_built_yet(path: KeyPath) -> str | None:
    """What the key would do, where that is not built; else None."""
    return next((words for p, words in NOT_BUILT_YET.items() if matches(p, path)), None)
