"""Every recorded answer comes through unchanged but for D17, and is metered as recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.harness import until
from tests.e2e.recordings import FOLDER, PROVIDERS
from tests.e2e.replay import Replayer, replaying

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}")


@pytest.fixture(scope="module")
def replayer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayer]:
    with replaying(tmp_path_factory.mktemp("gateway")) as found:
        yield found


def test_recorded_lists_of_models_are_discovered(replayer: Replayer) -> None:
    for name, exchange in replayer.replay.lists.items():
        key = "sk-" + name.rjust(48, "x")
        wanted = {entry["id"] for entry in json.loads(exchange.body)["data"]}

        def listed(key: str = key) -> set[str]:
            return {m["id"] for m in replayer.running.get("/v1/models", key=key).json()["data"]}

        assert until(lambda wanted=wanted, listed=listed: wanted <= listed()), name  # type: ignore[misc]


def test_a_recorded_request_without_a_model_is_refused_in_words(replayer: Replayer) -> None:
    every = [x for group in replayer.replay.exchanges.values() for x in group]
    nameless = [x for x in every if x.asks() and not x.model and "/completions" in x.url]
    assert nameless
    key = next(iter(replayer.replay.places.values())).token
    for exchange in nameless:
        answer = replayer.running.post("/v1/chat/completions", exchange.request, key=key)
        assert answer.status == 400, exchange.id
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == ("missing_required_parameter", "model")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_recordings_come_through(replayer: Replayer, provider: str) -> None:
    tally = replayer.run(provider)
    print(f"\n{provider}: {tally.passed}/{tally.total} ({tally.synthetic} with synthetic bytes)")
    assert tally.total
    assert not tally.problems, "\n" + "\n".join(tally.problems)
