"""Saves and `kill -9` under load: nothing fails, nothing is lost, nothing is doubled."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.storms import kill_storm, reload_storm


def test_twenty_saves_under_load_fail_no_request_and_route_at_once(tmp_path: Path) -> None:
    result = reload_storm(tmp_path, saves=20)
    assert result.failed == []
    assert (result.taken, result.refused, result.misrouted) == (10, 10, 0)
    assert result.requests > 1000


def test_what_clients_saw_completed_is_in_the_ledger_after_five_kills(tmp_path: Path) -> None:
    for kill in kill_storm(tmp_path, kills=5):
        assert kill.completed > 50
        assert (kill.missing, kill.doubled, kill.integrity) == ([], [], "ok")
