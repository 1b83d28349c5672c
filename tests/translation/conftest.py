"""What the proofs over the recordings share when pytest runs them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.translation.canned import Canned, canned

collect_ignore = [] if find_spec("hypothesis") else ["test_fuzz.py"]
"""The environment of the client libraries is for them alone."""


@pytest.fixture(scope="session")
def server() -> Iterator[Canned]:
    """Answers the client libraries what it was told to."""
    with canned() as answer:
        yield answer
