"""The last configurations, as files for restoring."""

from __future__ import annotations

import stat
from pathlib import Path

from oneapi.gateway.history import keep
from tests.gateway.making import BASE, load_text


def test_a_configuration_is_kept_as_it_was_written_for_its_owner_alone(tmp_path: Path) -> None:
    folder = keep(load_text(tmp_path, BASE), tmp_path / "oneapi.db", most=3)
    kept = folder / "oneapi.toml"
    assert kept.read_text() == BASE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_only_the_last_ones_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        made = load_text(tmp_path, BASE + f"[policies.p{number}]\n")
        keep(made, tmp_path / "oneapi.db", most=2)
    assert len(list((tmp_path / "oneapi.db.revisions").iterdir())) == 2
