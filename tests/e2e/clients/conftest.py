"""One gateway for all tests of foreign dialects through the clients' own libraries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.clients.world import World, answer, configuration
from tests.e2e.harness import gateway, scripted_upstream


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("clients")
    with (
        scripted_upstream(answer) as upstream,
        gateway(folder, configuration(upstream)) as running,
    ):
        yield World(running, upstream)
