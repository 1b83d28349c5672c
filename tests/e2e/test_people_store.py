"""Users and tokens that come at run time, by the command line beside a gateway that runs."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneapi.cli.main import main
from tests.e2e.commands import environment, oneapi
from tests.e2e.harness import Running, gateway, people, until
from tests.e2e.talk import ASK, CHAT

TOML = (
    "[server]\nkey_attempts_per_minute = 100000\n"
    '[channels.up]\ntype = "mock"\nmodels = ["m", "n"]\n[channels.up.mock]\ntext = "one two"\n'
    '[prices."*"]\nrequest = 0.5\n'
    + people()
    + '[groups.default]\nmay_issue = ["ci"]\ngrant = "$2"\n[policies.ci]\n'
    + '[auth.invitations]\ninvited = "$1"\nafter_use = true\n'
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("people"), TOML) as found:
        yield found


def said(running: Running, *words: str) -> str:
    """What a verb prints, run in this process: it is another one than the gateway's."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*words, "--config", str(running.config)]) == 0
    return out.getvalue().strip()


def status(running: Running, key: str, **changes: Any) -> int:
    return running.post(CHAT, {**ASK, "model": "m", **changes}, key=key).status


def becomes(running: Running, key: str, wanted: int) -> float:
    """Seconds until a key is answered so."""
    start = time.monotonic()
    assert until(lambda: running.get("/v1/models", key=key).status == wanted, 5.0)
    return time.monotonic() - start


def issue(running: Running, name: str, *more: str, user: str = "e2e") -> str:
    key = said(running, "token", "issue", name, "--user", user, *more)
    becomes(running, key, 200)
    return key


def test_an_issued_token_works_when_the_command_ends_and_stands_in_the_records(
    running: Running,
) -> None:
    key = said(running, "token", "issue", "soon", "--user", "e2e")
    assert running.get("/v1/models", key=key).status == 200
    assert status(running, key) == 200
    record = running.records(token="e2e/soon")[-1]
    assert (record["user"], record["policy"], record["cost_nanousd"]) == ("e2e", "ci", 500_000_000)


def test_a_revoked_token_stops_soon(running: Running) -> None:
    key = issue(running, "gone")
    said(running, "token", "revoke", "gone", "--user", "e2e")
    assert becomes(running, key, 401) < 1.5


def test_narrower_models_hold(running: Running) -> None:
    key = issue(running, "narrow", "--models", "n")
    assert status(running, key, model="n") == 200
    assert status(running, key, model="m") == 403
    listed = running.get("/v1/models", key=key).json()["data"]
    assert [model["id"] for model in listed] == ["n"]


def test_networks_go_by_the_real_peer(running: Running) -> None:
    away = said(running, "token", "issue", "away", "--user", "e2e", "--subnets", "10.0.0.0/8")
    here = issue(running, "here", "--subnets", "127.0.0.0/8")
    assert status(running, here) == 200
    spoofed = {"x-forwarded-for": "10.1.2.3", "x-real-ip": "10.1.2.3", "forwarded": "for=10.1.2.3"}
    answer = running.post(CHAT, {**ASK, "model": "m"}, key=away, headers=spoofed)
    assert answer.status == 403
    assert "127.0.0.1" in answer.json()["error"]["message"]


def test_a_registered_user_spends_its_grant(running: Running) -> None:
    said(running, "user", "add", "bob")
    key = issue(running, "bobs", user="bob")
    assert status(running, key) == 200
    shown = json.loads(said(running, "user", "show", "bob", "--json"))
    assert (shown["spent_nanousd"], shown["left_nanousd"]) == (500_000_000, 1_500_000_000)


def test_nobody_spends_more_than_book_and_quota_hold(running: Running) -> None:
    said(running, "user", "add", "dave", "--grant", "1usd")
    key = issue(running, "daves", user="dave")
    assert [status(running, key) for _ in range(3)] == [200, 200, 429]
    said(running, "user", "topup", "dave", "0.5usd")
    assert until(lambda: status(running, key) == 200, 5.0)
    said(running, "user", "topup", "dave", "5usd")
    small = issue(running, "small", "--quota", "0.5usd", user="dave")
    assert [status(running, small) for _ in range(2)] == [200, 429]


def test_a_policy_that_is_gone_stops_its_tokens_until_it_is_back(running: Running) -> None:
    key = issue(running, "policed")
    running.rewrite(TOML.replace('may_issue = ["ci"]\n', "").replace("[policies.ci]\n", ""))
    answer = running.get("/v1/models", key=key)
    assert answer.status == 403
    assert "`ci`" in answer.json()["error"]["message"]
    running.rewrite(TOML)
    assert running.get("/v1/models", key=key).status == 200


def test_a_name_in_file_and_store_is_refused_until_it_is_adopted(running: Running) -> None:
    said(running, "user", "add", "carol")
    key = issue(running, "carols", user="carol")
    text = TOML + "[users.carol]\n"
    running.rewrite(text, wait=False)
    words = "oneapi user adopt carol"
    assert until(lambda: any(words in line for line in running.stderr()))
    (line,) = {x for x in running.stderr() if words in x}
    assert f"oneapi.toml:{text.count(chr(10))}:" in line
    assert running.get("/v1/models", key=key).status == 200  # the old file is still in force
    before = sum("is in force" in line for line in running.stderr())
    said(running, "user", "adopt", "carol")
    assert until(lambda: sum("is in force" in line for line in running.stderr()) > before)
    assert running.get("/v1/models", key=key).status == 200
    running.rewrite(TOML)
    answer = running.get("/v1/models", key=key)
    assert answer.status == 403
    assert "no longer there" in answer.json()["error"]["message"]


def test_what_is_due_after_a_first_use_is_paid_by_the_gateway(running: Running) -> None:
    code = said(running, "user", "invite", "e2e")
    said(running, "user", "add", "erin", "--invited-by", code)
    key = issue(running, "erins", user="erin")
    assert status(running, key) == 200

    def kinds() -> list[str]:
        shown = json.loads(said(running, "user", "show", "erin", "--json"))
        return [entry["kind"] for entry in shown["entries"]]

    assert until(lambda: kinds() == ["invitation", "grant"], 12.0)


def test_a_start_with_a_name_in_file_and_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text(TOML)
    assert oneapi(tmp_path, "user", "add", "bob").returncode == 0
    (tmp_path / "oneapi.toml").write_text(TOML + "[users.bob]\n")
    done = subprocess.run(
        [sys.executable, "-m", "oneapi", "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 3
    assert "oneapi user adopt bob" in done.stderr
