"""Saving the file, SIGHUP and `oneapi reload`: what is taken, what is not, and who says so."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator

import pytest

from oneapi.gateway.control import ask, sockets
from tests.e2e.commands import oneapi
from tests.e2e.harness import Running, gateway, people, until
from tests.e2e.talk import ASK, CHAT, STREAM, streaming

ADMIN = "sk-" + "admi" * 12
BROKEN = "[server]\nprot = 3000\n"


def toml(text: str = "one", extra: str = "") -> str:
    mock = f'text = "{text}"\nchunk_ms = 40'
    return (
        f'{extra}[channels.up]\ntype = "mock"\nmodels = ["m"]\n[channels.up.mock]\n{mock}\n'
        + people()
        + people(name="admin", key=ADMIN, role="admin")
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("reload"), toml()) as found:
        yield found


@pytest.fixture
def running(shared: Running) -> Iterator[Running]:
    """The shared gateway, over `toml()` before and after."""
    yield shared
    shared.config.write_text(toml())
    (socket_path,) = sockets(shared.database)
    assert ask(socket_path, {"verb": "reload"})["ok"]


def reload(running: Running) -> subprocess.CompletedProcess[str]:
    return oneapi(running.folder, "reload")


def said(running: Running) -> str:
    answer = running.post(CHAT, dict(ASK))
    assert answer.status == 200, answer
    return str(answer.json()["choices"][0]["message"]["content"])


def ready(running: Running) -> dict[str, object]:
    answer = running.get("/readyz", key=ADMIN)
    assert answer.status == 200
    found: dict[str, object] = answer.json()
    return found


def save(running: Running, text: str) -> None:
    """Save the file and wait until it is in force."""
    before = ready(running)["since_ms"]
    running.rewrite(text, wait=False)
    assert until(lambda: ready(running)["since_ms"] != before, 5)


def logged(running: Running, *words: str) -> bool:
    """Whether a line with these words comes: lines are written a moment after they are made."""
    return until(lambda: any(all(w in line for w in words) for line in running.stderr()), 2)


def test_a_saved_file_is_in_force_within_a_second(running: Running) -> None:
    running.config.write_text(toml("two"))
    assert until(lambda: said(running) == "two", 1.5)
    assert running.records()[-1]["revision"] == ready(running)["revision"]


def test_an_included_file_is_watched_too(running: Running) -> None:
    folder = running.folder / "conf.d"
    folder.mkdir()
    save(running, toml(extra='include = ["conf.d/*.toml"]\n'))
    (folder / "a.toml").write_text('[models.fast]\nroutes = [{ channel = "up", model = "m" }]\n')
    asked = {**ASK, "model": "fast"}
    assert until(lambda: running.post(CHAT, asked).status == 200, 3)


def test_sighup_reloads(running: Running) -> None:
    before = ready(running)["since_ms"]
    running.config.write_text(toml("hup"))
    running.process.send_signal(signal.SIGHUP)
    assert until(lambda: ready(running)["since_ms"] != before, 3)
    assert said(running) == "hup"


def test_the_reload_verb_waits_and_prints_the_outcome(running: Running) -> None:
    running.config.write_text(toml("three"))
    done = reload(running)
    assert done.returncode == 0
    assert said(running) == "three"  # at once: the verb has waited
    assert f"revision {ready(running)['revision']}" in done.stdout
    assert "unchanged" in reload(running).stdout


def test_a_broken_file_changes_nothing_and_is_told_to_whom_it_concerns(running: Running) -> None:
    revision = ready(running)["revision"]
    running.config.write_text(BROKEN)
    done = reload(running)
    assert done.returncode == 1
    assert "not taken" in done.stdout
    place = f"{running.config}:2:1: server.prot"
    assert place in done.stdout
    assert logged(running, "configuration not taken", place)
    assert said(running) == "one"
    found = ready(running)
    assert (found["ready"], found["revision"]) == (True, revision)
    assert place in str(found["rejected"])
    assert running.get("/readyz", key=None).json() == {"ready": True}
    running.config.write_text(toml())
    assert until(lambda: ready(running)["rejected"] == [], 3)


def test_what_cannot_change_without_a_restart_is_named(running: Running) -> None:
    running.config.write_text(toml("four", extra='[server]\nport = 3999\nhost = "127.0.0.2"\n'))
    done = reload(running)
    words = "server.host changed: that takes effect at the next start"
    assert words in done.stdout
    assert logged(running, words)
    # --port stands above the file, so that the port did not change.
    assert "server.port changed" not in done.stdout
    assert said(running) == "four"


def test_the_database_cannot_change_without_a_restart(running: Running) -> None:
    save(running, toml("five", extra='[state]\npath = "other.db"\n'))
    words = "state.path changed: that takes effect at the next start"
    assert logged(running, words)
    assert said(running) == "five"
    assert not (running.folder / "other.db").exists()
    save(running, toml())


def test_a_stream_under_way_keeps_what_it_started_with(running: Running) -> None:
    save(running, toml("alpha beta gamma delta epsilon zeta eta theta iota kappa"))
    with streaming(running.port, STREAM) as live:
        live.event()
        old = ready(running)["revision"]
        save(running, toml("short"))
        rest = live.rest()
    assert b"kappa" in rest
    assert rest.endswith(b"data: [DONE]\n\n")
    assert said(running) == "short"
    assert running.records()[-2]["revision"] == old


def test_a_model_that_is_gone_is_gone_and_a_new_key_works(running: Running) -> None:
    new = "sk-" + "newk" * 12
    text = toml().replace('models = ["m"]', 'models = ["n"]')
    save(running, text + people(name="new", key=new))
    assert running.post(CHAT, dict(ASK)).status == 404
    assert running.post(CHAT, {**ASK, "model": "n"}, key=new).status == 200


def test_revisions_are_kept_with_their_secrets_masked(running: Running) -> None:
    secret = "sk-channel-secret-0123456789"
    keyed = toml().replace('type = "mock"', f'type = "openai"\nkeys = ["{secret}"]', 1)
    keyed = keyed[: keyed.index("[channels.up.mock]")] + people()
    keyed += people(name="admin", key=ADMIN, role="admin")
    save(running, keyed)
    with contextlib.closing(sqlite3.connect(running.database)) as db:
        held = db.execute("SELECT * FROM revisions").fetchall()
    text = str(held)
    assert "[channels.up]" in text
    assert "rejected" in text
    assert secret not in text


def test_reloads_are_counted(running: Running) -> None:
    running.config.write_text(BROKEN)
    reload(running)
    metrics = running.get("/metrics", key=ADMIN).body.decode()
    counts = {
        line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("oneapi_reloads_total{")
    }
    assert counts["applied"] >= 1
    assert counts["rejected"] >= 1


def test_the_reload_verb_without_a_gateway_says_so(
    running: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("nobody")
    (folder / "oneapi.toml").write_text(toml())
    done = oneapi(folder, "reload")
    assert done.returncode == 2
    assert done.stderr == "oneapi: no gateway is running over this database\n"


def test_a_log_format_changes_with_the_file(running: Running) -> None:
    save(running, toml(extra='[logs]\nformat = "json"\n'))
    assert until(lambda: running.stderr()[-1].startswith("{"), 2)
    count = len(running.stderr())
    said(running)
    running.get("/nothing/%1b", key=None)
    assert until(lambda: len(running.stderr()) >= count + 2, 3)
    found = [json.loads(line) for line in running.stderr()[count:]]
    chat = next(line for line in found if line.get("endpoint") == "chat")
    assert (chat["status"], chat["model"], chat["user"]) == (200, "m", "e2e")
    hit = next(line for line in found if line.get("path", "").startswith("/nothing"))
    assert (hit["status"], hit["logger"], hit["path"]) == (404, "access", "/nothing/\x1b")
