"""What `oneapi check` says beyond errors: secrets in git, models without a price (D8)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.config.locate import KeyPath
from oneapi.config.revision import literal_secrets
from oneapi.errors import Problem

_GIT_TIMEOUT_S = 5.0


def check_warnings(
    loaded: Loaded, *, priced: Callable[[str, str], bool] | None = None
) -> list[Problem]:
    """Warnings for `check` alone, each with its place.

    `priced` says of a channel's name and a model's name there whether a price is known.
    """
    problems: list[Problem] = []
    for part in loaded.documents.parts:
        secrets = literal_secrets(part)
        if secrets and _is_tracked(part.path):
            problems += [part.problem(_literal(path)) for path in secrets]
    if priced is not None:
        problems += [loaded.documents.problem(f) for f in _unpriced(loaded, priced)]
    return problems


def _literal(path: KeyPath) -> Finding:
    hint = "write ${NAME} and put it in .env; the old one is in git's history: change it"
    return Finding(path, "a secret stands in a file that git tracks", hint, severity="warning")


def _is_tracked(path: Path) -> bool:
    """Whether git tracks the file; False without git or a repository."""
    git = shutil.which("git")
    if git is None:
        return False
    command = [git, "ls-files", "--error-unmatch", "--", path.name]
    try:
        done = subprocess.run(
            command, cwd=path.parent, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _unpriced(loaded: Loaded, priced: Callable[[str, str], bool]) -> Iterator[Finding]:
    """Names that the file itself gives: those of routes, and literal ones of channels."""
    settings = loaded.settings
    words = "has no price: its requests are recorded without a cost"
    hint = "add [prices.{}]"
    for name, model in settings.models.items():
        for index, route in enumerate(model.routes):
            target = route.model or name
            if not priced(route.channel, target):
                path: KeyPath = ("models", name, "routes", index)
                said = hint.format(f'"{target}"')
                yield Finding(path, f"{target} {words}", said, severity="warning")
    for name, channel in settings.channels.items():
        for index, pattern in enumerate(channel.models or []):
            if not set(pattern) & set("*?[") and not priced(name, pattern):
                said = hint.format(f'"{pattern}"')
                path = ("channels", name, "models", index)
                yield Finding(path, f"{pattern} {words}", said, severity="warning")
