"""Which file is the configuration, and where its database is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from oneapi.config.load import Loaded
from oneapi.errors import ConfigError, Problem

FILE_NAME = "oneapi.toml"
DATABASE_NAME = "oneapi.db"


def find(config: str | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file in force: `--config`, `$ONEAPI_CONFIG`, the working `folder`, the XDG folder, /etc.

    None where there is none at all: then a starter may be written. Raises `ConfigError` where one
    is named but missing, or is there but cannot be read.
    """
    for name, giver in ((config, "--config"), (environ.get("ONEAPI_CONFIG"), "ONEAPI_CONFIG")):
        if name:
            path = folder / Path(name).expanduser()
            if not _is_there(path):
                raise ConfigError([Problem(f"there is no file {path}", file=giver)])
            return path
    return next((path for path in _usual(environ, folder) if _is_there(path)), None)


def state_path(loaded: Loaded, environ: Mapping[str, str]) -> Path:
    """The database's path; its folder may have to be made.

    `state.path`, else oneapi.db beside the file, else where that place cannot be written in
    `$STATE_DIRECTORY` (systemd's) or the XDG state folder. A ledger that stands beside the file is
    not left for a new one elsewhere, which would know nothing of what was spent.
    """
    if loaded.settings.state.path is not None:
        return loaded.beside(loaded.settings.state.path)
    beside = loaded.path.parent / DATABASE_NAME
    if os.access(loaded.path.parent, os.W_OK) and (
        not beside.exists() or os.access(beside, os.W_OK)
    ):
        return beside
    elsewhere = _state_folder(environ) / DATABASE_NAME
    return elsewhere if elsewhere.exists() or not beside.exists() else beside


def _state_folder(environ: Mapping[str, str]) -> Path:
    for folder in environ.get("STATE_DIRECTORY", "").split(":"):
        if folder:
            return Path(folder)
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local/state")
    return Path(home) / "oneapi"


def _usual(environ: Mapping[str, str], folder: Path) -> list[Path]:
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    return [folder / FILE_NAME, Path(home) / "oneapi" / FILE_NAME, Path("/etc/oneapi") / FILE_NAME]


def _is_there(path: Path) -> bool:
    """Whether a readable file is there. Raises `ConfigError` for one that cannot be read."""
    try:
        with path.open("rb"):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        problem = Problem(f"cannot be read: {error.strerror}", file=str(path))
        raise ConfigError([problem]) from error
