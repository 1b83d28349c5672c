"""What the tests of every room may ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture
def anyio_backend() -> str:
    """Tests marked `anyio` run under asyncio alone, as the program does."""
    return "asyncio"


@pytest.fixture(scope="session")
def zipapp() -> Path:
    """The finished `oneapi.pyz`; `tests/run` builds it first."""
    path = REPO / "oneapi.pyz"
    if not path.exists():
        pytest.skip("oneapi.pyz is not built: run ./build_zipapp.sh")
    return path


@pytest.fixture(scope="session")
def openai_028() -> Path:
    """The interpreter that has openai 0.28, in an environment that `tests/run` makes."""
    path = REPO / ".build" / "openai-0.28" / "bin" / "python"
    if not path.exists():
        pytest.skip("the environment of openai 0.28 is made by tests/run")
    return path
