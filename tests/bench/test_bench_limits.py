"""The benchmark of budgets and limits: its figures, its gate, and what its two sides are."""

from __future__ import annotations

import asyncio
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.bench import limits, upstream
from tests.bench.limits import Cell


def test_both_sides_differ_in_budgets_and_limits_alone(tmp_path: Path) -> None:
    without, with_ = (
        tomllib.loads((server.folder / "oneapi.toml").read_text())
        for server in limits.pair(tmp_path, 1, None)
    )
    assert without["users"]["bench"] == {}
    assert set(with_["policies"]["bench"]) >= {"budget", "rpm", "tpm", "concurrency"}
    assert with_["users"]["bench"]["quota"]
    assert all(with_[kind] for kind in ("groups", "models", "channels", "prices"))
    assert without["models"]["bench-model"]["routes"] == with_["models"]["bench-model"]["routes"]


def test_a_cell_is_kept_at_85_percent_and_without_errors() -> None:
    assert Cell("x", [0.5, 0.86, 0.9]).kept
    assert not Cell("x", [0.9, 0.84, 0.8]).kept
    assert not Cell("x", [1.0], errors=Counter({"status 429": 1})).kept
    assert not Cell("x").kept


def test_every_cell_is_measured_on_both_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measure() -> list[Cell]:
        server, port = await upstream.serve()
        async with server:
            return await limits.measure(limits.pair(tmp_path, port, None), None, 0.05, 1)

    cells = asyncio.run(measure())
    assert [len(cell.ratios) for cell in cells] == [1] * len(limits.CELLS)
    assert [dict(cell.errors) for cell in cells] == [{}] * len(limits.CELLS)
    limits.report(cells)
    assert "requests/s at 256" in capsys.readouterr().out
