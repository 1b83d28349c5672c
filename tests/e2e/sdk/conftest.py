"""One gateway for all tests of client libraries, and the libraries' clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.e2e.harness import KEY, Upstream, gateway, json_reply, scripted_upstream
from tests.e2e.sdk.stage import Stage, configuration


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply({})) as found:
        yield found


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("sdk")
    with gateway(folder, configuration(upstream)) as running:
        address = f"{running.base_url}/v1"
        with OpenAI(api_key=KEY, base_url=address, max_retries=0, timeout=20) as client:
            yield Stage(running, upstream, client)
