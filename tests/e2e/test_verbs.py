"""The verbs of the command line, beside a running gateway and without one."""

from __future__ import annotations

import json
import re
import select
import sqlite3
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from oneapi import __version__
from tests.e2e.commands import environment, oneapi
from tests.e2e.harness import Running, gateway, json_reply, key_hash, people, scripted_upstream
from tests.e2e.talk import ASK, CHAT, closed_port

PRICES = '[prices."m"]\ninput = 2\noutput = 10\n'


def toml(extra: str = "") -> str:
    return (
        '[channels.up]\ntype = "mock"\nmodels = ["m", "free"]\n'
        f'[channels.up.mock]\ntext = "one two three"\n{PRICES}{people()}{extra}'
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that has answered twice well and refused once."""
    with gateway(tmp_path_factory.mktemp("verbs"), toml()) as found:
        for model in ("m", "m", "nobody"):
            found.post(CHAT, {**ASK, "model": model})
        yield found


def test_check_says_fine(running: Running) -> None:
    done = oneapi(running.folder, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "oneapi.toml: fine\n" or done.stdout.endswith("/oneapi.toml: fine\n")


def test_check_shows_every_error_at_once_and_exits_with_1(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("check")
    (folder / "oneapi.toml").write_text(
        toml('[server]\nprot = 1\n[tokens.x]\nuser = "no"\npolicy = "e2e"\n')
    )
    done = oneapi(folder, "check", "--json")
    problems = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    keys = {problem["key"] for problem in problems if problem["severity"] == "error"}
    assert {"server.prot", "tokens.x.user"} <= keys
    (typo,) = [problem for problem in problems if problem["key"] == "server.prot"]
    assert "port" in typo["hint"]
    assert typo["line"] > 0
    human = oneapi(folder, "check")
    assert human.returncode == 1
    assert f"{len(keys)} errors" in human.stdout


def test_check_needs_no_secrets_unless_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("secrets")
    text = '[channels.x]\ntype = "openai"\nkeys = ["${NOT_SET_HERE}"]\nmodels = ["m"]\n'
    (folder / "oneapi.toml").write_text(text + people())
    assert oneapi(folder, "check").returncode == 0
    done = oneapi(folder, "check", "--secrets")
    assert done.returncode == 1
    assert "NOT_SET_HERE" in done.stderr
    assert oneapi(folder, "check", "--secrets", env={"NOT_SET_HERE": "k"}).returncode == 0


def test_check_without_a_file_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = oneapi(tmp_path_factory.mktemp("none"), "check")
    assert done.returncode == 2
    assert "--config" in done.stderr


def test_the_schema_is_json_schema(running: Running) -> None:
    done = oneapi(running.folder, "schema")
    schema = json.loads(done.stdout)
    assert schema["additionalProperties"] is False
    assert {"server", "channels", "tokens"} <= set(schema["properties"])


def test_a_new_token_is_printed_once_with_lines_that_let_it_in(running: Running) -> None:
    done = oneapi(running.folder, "token", "new", "laptop")
    key, _, lines = done.stdout.partition("\n")
    assert re.fullmatch(r"sk-[0-9A-Za-z]{48}", key)
    assert tomllib.loads(lines) == {
        "tokens": {"laptop": {"user": "e2e", "policy": "e2e", "key": key_hash(key)}}
    }
    assert key not in lines + done.stderr
    assert running.get("/v1/models", key=key).status == 401
    running.rewrite(toml(lines))
    assert running.get("/v1/models", key=key).status == 200


def test_a_passwords_line_fits_into_the_file(running: Running) -> None:
    done = oneapi(running.folder, "password", stdin="correct horse\n")
    assert done.returncode == 0
    line = tomllib.loads(done.stdout)["password"]
    assert line.startswith("scrypt:")
    assert "correct" not in done.stdout
    with_password = toml().replace('role = "user"', f'role = "user"\n{done.stdout}')
    (running.folder / "with.toml").write_text(with_password)
    assert oneapi(running.folder, "check", "--config", "with.toml").returncode == 0
    short = oneapi(running.folder, "password", stdin="short\n")
    assert (short.returncode, short.stdout) == (2, "")


def test_usage_adds_up(running: Running) -> None:
    done = oneapi(running.folder, "usage", "--by", "model,user", "--since", "1d", "--json")
    rows = {row["model"]: row for row in map(json.loads, done.stdout.splitlines()) if row["model"]}
    records = [r for r in running.records() if r["model"] == "m"]
    assert rows["m"]["requests"] == len(records) == 2
    assert (rows["m"]["errors"], rows["nobody"]["errors"]) == (0, 1)
    assert rows["m"]["output_tokens"] == sum(r["output"] for r in records) > 0
    assert rows["m"]["cost_nanousd"] == sum(r["cost_nanousd"] for r in records)
    for r in records:  # dollars per million tokens are thousands of nano-dollars a token
        assert r["cost_nanousd"] == 2000 * r["input"] + 10_000 * r["output"]
    table = oneapi(running.folder, "usage").stdout.splitlines()
    assert table[0].split() == ["MODEL", "REQUESTS", "ERRORS", "IN", "OUT", "COST"]
    wrong = oneapi(running.folder, "usage", "--by", "moon")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_logs_are_shown_newest_first(running: Running) -> None:
    done = oneapi(running.folder, "logs", "--json", "--limit", "200", "--user", "e2e")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["id"] for r in rows] == sorted((r["id"] for r in rows), reverse=True)
    assert {"m", "nobody"} <= {r["model"] for r in rows}
    refused = oneapi(running.folder, "logs", "--status", "404").stdout
    assert "model_not_found" in refused
    assert " 200 chat" not in refused


def test_logs_follow_what_comes(running: Running) -> None:
    command = [sys.executable, "-m", "oneapi", "logs", "--follow", "--json"]
    with subprocess.Popen(
        command, cwd=running.folder, env=environment(running.folder), stdout=subprocess.PIPE
    ) as following:
        assert following.stdout
        try:
            for turn in range(40):  # until it has begun to look
                running.post(CHAT, dict(ASK), headers={"x-request-id": f"turn-{turn}"})
                if select.select([following.stdout], [], [], 0.25)[0]:
                    break
            row = json.loads(following.stdout.readline())
        finally:
            following.kill()
    assert row["request_id"] in (f"turn-{turn}", f"turn-{turn - 1}")  # none waits for others
    assert (row["model"], row["status"]) == ("m", 200)


def test_test_asks_each_channel_and_prints_latency_or_error(running: Running) -> None:
    with scripted_upstream(
        lambda _: json_reply({"error": {"message": "bad key up-key-0123456789"}}, 401)
    ) as upstream:
        channel = '[channels.{}]\ntype = "openai-compatible"\nmodels = ["m"]\n'
        channel += 'keys = ["up-key-0123456789"]\nbase_url = "{}"\n'
        dead = f"http://127.0.0.1:{closed_port()}"
        extra = channel.format("wrong", upstream.url) + channel.format("dead", dead)
        (running.folder / "all.toml").write_text(toml(extra))
        done = oneapi(running.folder, "test", "--json", "--config", "all.toml")
        (received,) = upstream.received
    assert (done.returncode, done.stderr) == (1, "")
    rows = {row["channel"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (rows["up"]["result"], rows["wrong"]["result"], rows["dead"]["result"]) == (
        "ok",
        "401",
        "error",
    )
    assert rows["up"]["ms"] >= 0
    assert "up-key" not in done.stdout
    assert received.json()["model"] == "m"
    one = oneapi(running.folder, "test", "up", "--config", "all.toml")
    assert one.returncode == 0
    none = oneapi(running.folder, "test", "nowhere", "--config", "all.toml")
    assert (none.returncode, "nowhere" in none.stderr) == (2, True)


def test_a_backup_is_whole_and_overwrites_nothing(running: Running) -> None:
    done = oneapi(running.folder, "backup", "copy.db")
    assert done.returncode == 0
    copy = running.folder / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    db = sqlite3.connect(copy)
    try:
        count = db.execute("SELECT count(*) FROM records").fetchone()[0]
    finally:
        db.close()
    assert count >= 3
    again = oneapi(running.folder, "backup", "copy.db")
    assert again.returncode == 1
    assert "nothing is overwritten" in again.stderr


def test_the_version_is_the_packages(running: Running) -> None:
    assert oneapi(running.folder, "version").stdout.startswith(f"oneapi {__version__} ")


def test_ps_is_empty_where_nothing_runs(running: Running) -> None:
    done = oneapi(running.folder, "ps")
    assert done.returncode == 0
    assert done.stdout.split() == "REQUEST AGE ENDPOINT MODEL CHANNEL USER TOKEN CLIENT".split()
    assert oneapi(running.folder, "ps", "--json").stdout == ""


def test_records_are_read_by_the_bundled_command_too(running: Running) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sqlite_utils",
            "rows",
            str(running.database),
            "log",
            "--limit",
            "1",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)[0]["model"] == "m"
