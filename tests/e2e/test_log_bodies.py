"""Bodies are kept where a policy says so, and nowhere else; old records go while it serves."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi.ledger.bodies import Pair, find
from oneapi.ledger.record import first_id
from oneapi.ledger.store_sqlite import SqliteStore
from tests.e2e.harness import (
    KEY,
    Received,
    Reply,
    Running,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
    until,
)
from tests.ledger.conftest import a_record

OTHER = "sk-" + "0b0d" * 12
SECRET = "up-" + "s3cr3t" * 4
PATHS = {"model": "m", "messages": [{"role": "user", "content": f"my key is {OTHER}"}]}


def script(request: Received) -> Reply:
    if b'"stream"' in request.body:
        return sse_reply(
            b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
            b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
            b"data: [DONE]\n\n",
        )
    return json_reply(
        {
            "id": "1",
            "choices": [{"message": {"role": "assistant", "content": f"{SECRET}!"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("bodies")
    with scripted_upstream(script) as upstream:
        toml = (
            f'[channels.up]\ntype = "openai-custom"\nbase_url = "{upstream.url}/v1"\n'
            f'keys = ["{SECRET}"]\nmodels = ["m"]\n'
            "[logs.bodies]\nmax_body = 300\n"
            + people(policy="log_bodies = true")
            + people(key=OTHER, name="quiet")
        )
        with gateway(folder, toml) as started:
            yield started


def bodies(running: Running, request_id: str) -> Pair:
    (row,) = [r for r in running.records() if r["request_id"] == request_id]
    path = running.folder / "oneapi-bodies.db"
    assert until(lambda: path.exists() and find(path, row["id"]) is not None)
    found = find(path, row["id"])
    assert found is not None
    return found


def test_both_bodies_are_kept_without_secrets(running: Running) -> None:
    answer = running.post("/v1/chat/completions", PATHS)
    pair = bodies(running, answer.headers["x-request-id"])
    assert SECRET.encode() in answer.body
    assert b'"my key is sk-***"' in pair.request
    assert b'"content":"***!"' in pair.answer.replace(b'": "', b'":"')
    mode = (running.folder / "oneapi-bodies.db").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert not [s for s in (KEY, OTHER, SECRET) if s.encode() in pair.request + pair.answer]


def test_streams_are_kept_as_they_went_out(running: Running) -> None:
    answer = running.post("/v1/chat/completions", {**PATHS, "stream": True})
    pair = bodies(running, answer.headers["x-request-id"])
    assert pair.answer == answer.body[:300]
    assert pair.answer_size == len(answer.body)


def test_errors_are_kept_too(running: Running) -> None:
    answer = running.post("/v1/chat/completions", b"{nonsense")
    pair = bodies(running, answer.headers["x-request-id"])
    assert (pair.request, pair.answer) == (b"{nonsense", answer.body[:300])


def test_other_policies_leave_nothing(running: Running) -> None:
    answer = running.post("/v1/chat/completions", PATHS, key=OTHER)
    assert answer.status == 200
    seen = running.post("/v1/chat/completions", PATHS)
    bodies(running, seen.headers["x-request-id"])  # what came before it is written as well
    (row,) = [r for r in running.records() if r["request_id"] == answer.headers["x-request-id"]]
    assert find(running.folder / "oneapi-bodies.db", row["id"]) is None


def test_the_command_shows_them(running: Running) -> None:
    answer = running.post("/v1/chat/completions", {**PATHS, "stream": True})
    request_id = answer.headers["x-request-id"]
    kept = bodies(running, request_id)
    command = [sys.executable, "-m", "oneapi", "logs", "--body", request_id, "--config"]
    done = subprocess.run([*command, str(running.config)], capture_output=True, check=True)
    assert kept.answer in done.stdout


def test_old_records_go_while_the_gateway_serves(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "oneapi.db")
    store.open()
    for n in range(30):
        store.post(a_record(id=first_id(1_700_000_000_000) + n))
    store.close()
    with gateway(tmp_path, '[logs]\nkeep = "30d"\n' + people()) as started:
        assert len(started.records()) == 30
        assert until(lambda: not started.records(), 15)
