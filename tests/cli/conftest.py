"""The verbs over a folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.managed import Verbs


@pytest.fixture
def oneapi(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Verbs:
    return Verbs(tmp_path, capsys, monkeypatch)
