"""What `oneapi check` says beyond errors: secrets in git, models without a price (D8)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.config.locate import KeyPath
from oneapi.config.revision import literal_secrets
from oneapi.errors import Problem

_GIT_TIMEOUT_S = 5.0


Priced = Callable[[str, str, str], bool]
"""Whether a price is known at a channel for a model that is asked for and served by these names."""


def check_warnings(
    loaded: Loaded,
    *,
    priced: Priced | None = None,
    known: Mapping[str, Sequence[str]] | None = None,
) -> list[Problem]:
    """Warnings for `check` alone, each with its place.

    `known` are the models of channels that name none themselves, by channel.
    """
    problems: list[Problem] = []
    for part in loaded.documents.parts:
        secrets = literal_secrets(part)
        if secrets and _is_tracked(part.path):
            problems += [part.problem(_literal(path)) for path in secrets]
    if priced is not None:
        found = [*_of_routes(loaded, priced), *_of_channels(loaded, priced, known or {})]
        problems += [loaded.documents.problem(finding) for finding in found]
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


def _of_routes(loaded: Loaded, priced: Priced) -> Iterator[Finding]:
    """Models of routes that nothing prices."""
    settings = loaded.settings
    for name, model in settings.models.items():
        for index, route in enumerate(model.routes):
            channel = settings.channels.get(route.channel)
            target = route.model or name
            served = channel.model_map.get(target, target) if channel is not None else target
            if channel is not None and not priced(route.channel, name, served):
                yield _unpriced(loaded, ("models", name, "routes", index), [served])


def _of_channels(
    loaded: Loaded, priced: Priced, known: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Literal names of channels that nothing prices; those that the catalog knows, at once."""
    for name, channel in loaded.settings.channels.items():
        for index, pattern in enumerate(channel.models or []):
            served = channel.model_map.get(pattern, pattern)
            if not set(pattern) & set("*?[") and not priced(name, pattern, served):
                yield _unpriced(loaded, ("channels", name, "models", index), [served])
        for asked, served in channel.model_map.items():
            if asked not in (channel.models or []) and not priced(name, asked, served):
                yield _unpriced(loaded, ("channels", name, "model_map", asked), [served])
        if channel.models is None:
            found = [m for m in known.get(name, ()) if not priced(name, m, m)]
            if found:
                yield _unpriced(loaded, ("channels", name), found)


def _unpriced(loaded: Loaded, path: KeyPath, models: Sequence[str]) -> Finding:
    match loaded.settings.site.unpriced:
        case "free":
            what = "requests for {} are answered and recorded without a cost"
        case "reject":
            what = "requests for {} are refused"
    have, them = ("has", "it") if len(models) == 1 else ("have", "them")
    words = f"{', '.join(models)} {have} no price: {what.format(them)} (site.unpriced)"
    hint = f'add [prices."{models[0]}"], or site.default_price'
    return Finding(path, words, hint, severity="warning")
