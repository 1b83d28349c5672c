"""Invented exchanges are judged as the recorded ones are: nobody knows what the next one holds."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

import pytest

from tests.e2e.harness import Reply, gateway, scripted_upstream
from tests.e2e.invented import GROUPS
from tests.e2e.replay import Replay, Replayer


@pytest.fixture(scope="module")
def replayer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayer]:
    replay = Replay(GROUPS)
    with (
        scripted_upstream(lambda _: pytest.fail("asked too early")) as upstream,
        gateway(tmp_path_factory.mktemp("gateway"), replay.toml(upstream)) as running,
    ):
        yield Replayer(replay, running, upstream)


@pytest.mark.parametrize("group", GROUPS)
def test_invented_exchanges_come_through(replayer: Replayer, group: str) -> None:
    tally = replayer.run(group)
    assert tally.passed == tally.total, "\n" + "\n".join(tally.problems)


@pytest.mark.parametrize(
    ("sound", "status", "characters"), [((b"a", 0.1, b"b"), 200, 5), ((), 502, 0)]
)
def test_speech_that_breaks_costs_what_was_heard(
    replayer: Replayer, sound: tuple[bytes | float, ...], status: int, characters: int
) -> None:
    place = next(p for p in replayer.replay.places.values() if p.type == "openai")
    broken = Reply(200, (("content-type", "audio/mpeg"),), sound, cut=True)
    replayer.upstream.script = lambda _: broken
    asked = {"model": "m", "voice": "alloy", "input": "hello"}
    with contextlib.suppress(http.client.HTTPException):
        replayer.running.post("/v1/audio/speech", asked, key=place.token)
    record = replayer.running.records()[-1]
    assert (record["endpoint"], record["status"]) == ("speech", status)
    assert record["characters"] == characters
