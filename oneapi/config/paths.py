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
    ("mail", "password"),
    ("alerts", "webhook", "secret"),
    ("alerts", "webhook", "headers", "*"),
    ("alerts", "pusher", "token"),
)
"""Keys that hold secrets: `file:` and `cmd:` work there, and only there; nothing prints them."""

NOT_BUILT_YET: Mapping[tuple[str, ...], str] = {
    ("auth", "register"): "sign-up",
    ("auth", "github"): "sign-in by GitHub",
    ("auth", "feishu"): "sign-in by Feishu",
    ("auth", "wechat"): "sign-in by WeChat",
    ("auth", "oidc"): "sign-in by OpenID Connect",
    ("auth", "email"): "sign-in by e-mail",
    ("auth", "turnstile"): "Turnstile",
    ("admin", "edit"): "editing through the page",
    ("server", "workers"): "several worker processes",
    ("channels", "*", "system"): "forced system prompts",
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
