"""Starts: in an empty folder, with the original's variables, and those that must not succeed."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneapi import __version__
from oneapi.cli.main import main
from tests.e2e.commands import Started, environment, oneapi, started
from tests.e2e.harness import (
    Answer,
    gateway,
    json_reply,
    key_hash,
    people,
    scripted_upstream,
    until,
)
from tests.e2e.proxies import http_proxy
from tests.e2e.talk import ASK, CHAT, REPLY, closed_port, raw

HELLO = b'{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'
DEMO = '[channels.demo]\ntype = "mock"\nmodels = ["demo"]\n' + people()


def chat(port: int, *lines: str) -> Answer:
    fields = [f"Host: 127.0.0.1:{port}", f"Content-Length: {len(HELLO)}", *lines]
    head = "\r\n".join([f"POST {CHAT} HTTP/1.1", *fields, "", ""])
    return raw(port, head.encode() + HELLO)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A first start in an empty folder, on a free port, with nothing of Ollama's."""
    folder = tmp_path_factory.mktemp("first")
    (folder / ".gitignore").write_text("*.pyc\n.env")
    env = {"OLLAMA_HOST": f"127.0.0.1:{closed_port()}"}
    with started(folder, "--port", "0", env=env) as found:
        found.port()
        assert until(lambda: found.out() != "")
        yield found


def test_a_first_start_writes_its_files(first: Started) -> None:
    text = (first.folder / "oneapi.toml").read_text()
    assert text.startswith("#:schema ")
    assert {"oneapi.db", "logs", "oneapi.secrets.txt"} <= {p.name for p in first.folder.iterdir()}
    ignored = (first.folder / ".gitignore").read_text().splitlines()
    assert ignored == "*.pyc .env oneapi.db* oneapi-bodies.db* logs/ oneapi.secrets.txt".split()


def test_without_a_terminal_secrets_go_into_a_file_of_their_own(first: Started) -> None:
    path = first.folder / "oneapi.secrets.txt"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in first.out()
    key, password = secrets(path)
    for text in (first.out(), first.err(), (first.folder / "oneapi.toml").read_text()):
        assert key not in text
        assert password not in text


def secrets(path: Path) -> tuple[str, str]:
    """The API key and the root user's password."""
    text = path.read_text()
    key, password = re.search(r"sk-\w{48}", text), re.search(r"password (\S+)", text)
    assert key
    assert password
    return key[0], password[1]


def test_the_printed_curl_line_works(first: Started) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the curl command is not installed")
    text = (first.folder / "oneapi.secrets.txt").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("  curl ")]
    assert f":{first.port()}/" in line
    done = subprocess.run(
        [*shlex.split(line), "--silent", "--fail"],
        capture_output=True,
        timeout=20,
        check=True,
        env=environment(first.folder),
    )
    assert b'"chat.completion"' in done.stdout


def test_a_program_on_this_machine_needs_no_key(first: Started) -> None:
    assert chat(first.port()).status == 200
    assert chat(first.port(), "Authorization: Bearer ollama").status == 200
    assert chat(first.port(), "Authorization: Bearer sk-nobody").status == 401


def test_a_second_start_prints_no_secrets_and_changes_nothing(
    first: Started, tmp_path: Path
) -> None:
    shutil.copy(first.folder / "oneapi.toml", tmp_path)
    before = (tmp_path / "oneapi.toml").read_bytes()
    with started(tmp_path, "--port", "0") as second:
        assert chat(second.port()).status == 200
        assert second.out() == ""
    assert (tmp_path / "oneapi.toml").read_bytes() == before
    assert not (tmp_path / "oneapi.secrets.txt").exists()


def test_the_starter_passes_its_own_check(first: Started) -> None:
    done = oneapi(first.folder, "check", "--secrets")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("oneapi.toml: fine\n")


def test_an_absent_ollama_is_no_hindrance_and_is_found_when_it_comes(tmp_path: Path) -> None:
    tags = {"models": [{"name": "qwen3:8b"}], "data": [{"id": "qwen3:8b"}]}
    with scripted_upstream(lambda _: json_reply(tags)) as ollama:
        env = {"OLLAMA_HOST": ollama.url}
        with started(tmp_path, "--port", "0", env=env) as running:
            line = f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{running.port()}\r\n\r\n".encode()
            assert until(lambda: b"qwen3:8b" in raw(running.port(), line).body, 5)


def test_a_chosen_first_key_works_and_stands_hashed_in_the_file(tmp_path: Path) -> None:
    chosen = "my-own-first-key-of-2026"
    env = {"INITIAL_ROOT_TOKEN": chosen}
    with started(tmp_path, "--port", "0", env=env) as running:
        assert chat(running.port(), f"Authorization: Bearer {chosen}", "Via: x").status == 200
        assert chat(running.port(), f"Authorization: Bearer sk-{chosen}", "Via: x").status == 200
    text = (tmp_path / "oneapi.toml").read_text()
    assert chosen not in text
    assert key_hash(chosen) in text


def test_a_short_chosen_key_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    done = oneapi(tmp_path, "--port", "0", env={"INITIAL_ROOT_TOKEN": "short"})
    assert done.returncode == 3
    assert "at least 24 characters" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_originals_variables_act(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text(DEMO)
    port = closed_port()
    env = {"PORT": str(port), "SQLITE_PATH": str(tmp_path / "deep" / "old.db")}
    with started(tmp_path, env=env) as running:
        assert running.port() == port
        assert (tmp_path / "deep" / "old.db").exists()
        assert not (tmp_path / "oneapi.db").exists()


def test_relay_proxy_is_every_channels_proxy(tmp_path: Path) -> None:
    with scripted_upstream(lambda _: json_reply(REPLY)) as upstream, http_proxy() as (url, asked):
        text = (
            f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream.url}/v1"\n'
            f'keys = ["k"]\nmodels = ["m"]\n{people()}'
        )
        with gateway(tmp_path, text, {"RELAY_PROXY": url}) as running:
            assert running.post(CHAT, dict(ASK)).status == 200
        assert len(asked) == 1


def test_a_flag_beats_our_variable_and_ours_the_originals(tmp_path: Path) -> None:
    one, two, three = (closed_port() for _ in range(3))
    (tmp_path / "oneapi.toml").write_text(f"[server]\nport = {closed_port()}\n{DEMO}")
    env = {"PORT": str(one), "ONEAPI_SERVER__PORT": str(two)}
    with started(tmp_path, env=env) as running:
        assert running.port() == two
    with started(tmp_path, "--port", str(three), env=env) as running:
        assert running.port() == three


def test_variables_that_do_not_act_are_named_once_with_what_replaces_them(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text(DEMO)
    env = {"SQL_DSN": "root:s3cret@tcp(db)/x", "RELAY_TIMEOUT": "5", "THEME": "berry"}
    with started(tmp_path, "--port", "0", env=env) as running:
        running.port()
        text = running.err()
    assert text.count("RELAY_TIMEOUT is set: channels.NAME.timeouts replaces it") == 1
    assert text.count("SQL_DSN is set: it has no use here") == 1
    assert text.count("THEME is set") == 1
    assert "s3cret" not in text


def test_a_taken_port_is_one_line_that_names_the_flag(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text(DEMO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = oneapi(tmp_path, "--port", str(port))
    assert done.returncode in (1, 2)
    assert done.stderr == (
        f"oneapi: port {port} on 127.0.0.1 is taken by another program; "
        "choose another one with --port\n"
    )


def test_a_first_start_on_a_taken_port_can_be_repeated(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert oneapi(tmp_path, "--port", str(taken.getsockname()[1])).returncode in (1, 2)
    with started(tmp_path, "--port", "0") as running:
        port = running.port()
        assert until(lambda: running.out() != "")
        key, _ = secrets(tmp_path / "oneapi.secrets.txt")
        assert chat(port, f"Authorization: Bearer {key}").status == 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1\n", "oneapi.toml:2:1: server.prot"),
        ("[server\n", "oneapi.toml:1:"),
        ('[server.tls]\ncert = "no.pem"\nkey = "no.pem"\n', "no.pem cannot be used"),
        ('[channels.x]\ntype = "openai"\nkeys = ["${NOT_SET}"]\n', "NOT_SET"),
    ],
)
def test_a_refused_configuration_exits_with_3_and_words(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "oneapi.toml").write_text(text)
    done = oneapi(tmp_path, "serve", "--port", "0")
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("oneapi: ") for line in done.stderr.splitlines())


def test_a_database_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "oneapi.toml").write_text('[state]\npath = "file/oneapi.db"\n')
    done = oneapi(tmp_path, "--port", "0")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("oneapi: ")


def test_logs_that_cannot_be_written_are_said_once(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file, not a folder")
    (tmp_path / "oneapi.toml").write_text(DEMO)
    with started(tmp_path, "--port", "0") as running:
        assert chat(running.port()).status == 401
        assert running.err().count("logging to stderr alone") == 1


@pytest.mark.parametrize("words", [["--help"], ["version"], ["check", "--help"]])
def test_help_and_version_cost_no_configuration(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_status(words) == 0
    printed = capsys.readouterr()
    assert "oneapi" in printed.out
    assert printed.err == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["nonsense"], ["--prot", "1"], ["check", "--nonsense"]])
def test_a_mistyped_command_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_status(words) == 2
    assert list(tmp_path.iterdir()) == []


def exit_status(words: list[str]) -> int:
    """Of a command line that is refused or answered before anything is done."""
    try:
        return main(words)
    except SystemExit as end:  # argparse's way
        return int(str(end.code))


def test_the_version_flag_needs_no_verb(tmp_path: Path) -> None:
    done = oneapi(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"oneapi {__version__} ")
