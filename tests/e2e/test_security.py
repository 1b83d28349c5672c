"""What must not leak, not be believed and not be let in: one test a promise.

S15 to S17 are holes of the original that must not exist here, D34 to D43 decisions of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import (
    KEY,
    REPO,
    Reply,
    Running,
    Upstream,
    gateway,
    json_reply,
    people,
    scripted_upstream,
    sse_reply,
    until,
)
from tests.e2e.talk import ASK, CHAT, DONE, REPLY, STREAM, closed_port, error_of, head, raw, sse

CHANNEL_KEY = "sk-proj-abcdEFGH0123456789zyxw"
ORGANISATION = "org-Ab12Cd34Ef56Gh78Ij90"
ADMIN, PLAIN_ADMIN, INSIDE = (f"sk-{n * 12}" for n in ("admi", "plai", "insi"))
METRICS = "metrics-token-0123"


def toml(upstream: str) -> str:
    return (
        '[server]\nanonymous = "local"\nhosts = ["gateway.test"]\nmax_body = "200 KB"\n'
        'trusted_proxies = ["127.0.0.9/32"]\n'
        f'[admin]\nmetrics_token = "{METRICS}"\n[policies.local]\nchannels = ["up"]\n'
        f'[channels.up]\ntype = "openai-compatible"\nbase_url = "{upstream}/v1"\n'
        f'keys = ["{CHANNEL_KEY}"]\nmodels = ["m"]\nheaders = {{ x-secret = "hidden-value-77" }}\n'
        f'[channels.dead]\ntype = "openai-compatible"\nkeys = ["{CHANNEL_KEY}"]\nmodels = ["d"]\n'
        f'base_url = "http://127.0.0.1:{closed_port()}/tenant-secret-55"\n'
        + people()
        + people(
            name="admin", key=ADMIN, role="admin", policy='endpoints = ["chat", "proxy", "pin"]'
        )
        + people(name="plain", key=PLAIN_ADMIN, role="root")
        + people(name="inside", key=INSIDE, policy='subnets = ["10.0.0.0/8"]')
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with scripted_upstream(lambda _: json_reply(REPLY)) as found:
        yield found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Running]:
    old = os.umask(0)  # whoever starts it, its files are its owner's alone
    try:
        with gateway(tmp_path_factory.mktemp("security"), toml(upstream.url)) as found:
            yield found
    finally:
        os.umask(old)


def ask(running: Running, key: str | None = KEY, **headers: str) -> int:
    """The status of a good request with these headers, `_` in their names for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return running.post(CHAT, dict(ASK), key=key, headers=named).status


def serve_once(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Any:
    """The command line in a folder, for what ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "oneapi", *words],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(REPO),
            **(env or {}),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_s15_a_providers_error_passes_without_keys_and_organisations(
    running: Running, upstream: Upstream
) -> None:
    words = f"bad key {CHANNEL_KEY} (sk-pr***zyxw) of {ORGANISATION}"
    upstream.script = lambda _: json_reply({"error": {"message": words}}, 400)
    answer = running.post(CHAT, dict(ASK))
    assert answer.json() == {"error": {"message": "bad key *** (***) of org-***"}}


def test_s15_an_error_event_passes_without_keys_and_organisations(
    running: Running, upstream: Upstream
) -> None:
    event = sse(error={"message": f"{CHANNEL_KEY} {ORGANISATION}"})
    upstream.script = lambda _: sse_reply(sse("one"), event, DONE)
    body = running.post(CHAT, dict(STREAM)).body
    assert CHANNEL_KEY.encode() not in body
    assert ORGANISATION.encode() not in body


def test_s15_a_failed_call_names_no_address_path_or_key(running: Running) -> None:
    answer = running.post(CHAT, {**ASK, "model": "d"})
    error = error_of(answer)
    assert (answer.status, error["code"]) == (502, "upstream_unreachable")
    for secret in ("tenant-secret", "http://", CHANNEL_KEY, "Traceback", "Errno"):
        assert secret not in error["message"]


def test_s15_a_broken_stream_names_no_address_path_or_key(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: sse_reply(sse("one"), cut=True)
    tail = running.post(CHAT, dict(STREAM)).body.removeprefix(sse("one"))
    assert b"upstream_broke" in tail
    for secret in (b"/v1", b"http://", CHANNEL_KEY.encode(), b"hidden-value"):
        assert secret not in tail


def test_s16_a_providers_headers_pass_an_allow_list(running: Running, upstream: Upstream) -> None:
    kept = {"content-type": "application/json", "openai-processing-ms": "12"}
    eaten = {
        "set-cookie": "a=b",
        "openai-organization": ORGANISATION,
        "x-ratelimit-limit-requests": "9",
        "server": "nginx",
        "via": "1.1 x",
        "access-control-allow-origin": "https://evil.example",
        "x-oneapi-cost": "0",
        "connection": "keep-alive",
        "strict-transport-security": "max-age=1",
    }
    upstream.script = lambda _: Reply(
        200, (*kept.items(), *eaten.items()), json.dumps(dict(REPLY)).encode()
    )
    headers = dict(running.post(CHAT, dict(ASK)).headers)
    ours = {"x-request-id", "x-oneapi-request-id", "content-length"}
    assert {n: v for n, v in headers.items() if n not in ours} == kept


def test_s16_a_clients_headers_pass_an_allow_list(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    sent = {
        "cookie": "session=1",
        "origin": "https://chat.example",
        "referer": "https://chat.example/?token=1",
        "x-forwarded-for": "1.2.3.4",
        "x-real-ip": "1.2.3.4",
        "openai-organization": "org-mine",
        "x-secret": "theirs",
        "openai-beta": "assistants=v2",
        "proxy-authorization": "Basic eA==",
    }
    running.post(CHAT, dict(ASK), headers=sent)
    seen = dict(upstream.received[-1].headers)
    assert seen["authorization"] == f"Bearer {CHANNEL_KEY}"
    assert seen["x-secret"] == "hidden-value-77"
    assert seen["openai-beta"] == "assistants=v2"
    for name in ("cookie", "origin", "referer", "x-forwarded-for", "x-real-ip"):
        assert name not in seen
    assert "openai-organization" not in seen
    assert KEY not in str(seen)


def test_s17_bodies_have_a_limit_however_they_come(running: Running) -> None:
    large = {**ASK, "x": "y" * 210_000}
    assert running.post(CHAT, large).status == 413
    chunk = b"%x\r\n%b\r\n" % (205_000, b" " * 205_000)
    chunked = raw(running.port, head(CHAT, "Transfer-Encoding: chunked"), chunk, b"0\r\n\r\n")
    assert (chunked.status, error_of(chunked)["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    "mark",
    ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_forwarded_proto", "x_real_ip", "via"],
)
def test_d34_a_keyless_call_that_came_through_a_proxy_is_refused(
    running: Running, upstream: Upstream, mark: str
) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    assert ask(running, None) == 200
    assert ask(running, None, **{mark: "for=127.0.0.1"}) == 401
    assert ask(running, KEY, **{mark: "for=127.0.0.1"}) == 200


def test_d34_a_caller_who_may_be_anonymous_may_send_a_word_for_a_key(running: Running) -> None:
    assert ask(running, "ollama") == 200
    assert running.records()[-1]["user"] == "anonymous"
    assert ask(running, "sk-ollama") == 401
    assert ask(running, "ollama", via="x") == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:3000", 200),
        ("127.0.0.1:99", 200),
        ("[::1]:3000", 200),
        ("gateway.test:80", 200),
        ("rebound.evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.2", 421),
    ],
)
def test_d35_keyless_calls_answer_to_known_names_only(
    running: Running, upstream: Upstream, host: str, status: int
) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    body = json.dumps(dict(ASK)).encode()
    length = f"Content-Length: {len(body)}"
    keyless = raw(running.port, head(CHAT, length, key=None, host=host) + body)
    assert keyless.status == status
    if status == 421:
        assert "server.hosts" in error_of(keyless)["message"]
    assert raw(running.port, head(CHAT, length, host=host) + body).status == 200


def test_d35_keyless_calls_of_other_sites_pages_are_refused(running: Running) -> None:
    assert ask(running, None, origin="https://evil.example") == 403
    assert ask(running, None, sec_fetch_site="cross-site") == 403
    assert ask(running, None, origin="null") == 403
    assert ask(running, None, origin=running.base_url) == 200
    assert ask(running, None, sec_fetch_site="same-origin") == 200


def test_d35_cors_headers_stand_on_keyed_relay_routes_alone(running: Running) -> None:
    page = {"origin": "https://chat.example"}
    keyed = running.post(CHAT, dict(ASK), headers=page).headers
    assert keyed["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in keyed
    assert "x-request-id" in keyed["access-control-expose-headers"]
    wrong = running.post(CHAT, dict(ASK), key="sk-wrong", headers=page)
    assert (wrong.status, wrong.headers["access-control-allow-origin"]) == (401, "*")
    own = {"origin": running.base_url}
    assert (
        "access-control-allow-origin" not in running.post(CHAT, ASK, key=None, headers=own).headers
    )
    assert (
        "access-control-allow-origin" not in running.post(CHAT, ASK, key=None, headers=page).headers
    )
    for path in ("/", "/healthz", "/readyz", "/metrics", "/api/status", "/nothing"):
        for key in (ADMIN, None):
            found = running.get(path, key=key, headers=page).headers
            assert "access-control-allow-origin" not in found, path


def test_d35_a_preflight_needs_no_key(running: Running) -> None:
    asked = {
        "origin": "https://chat.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    for path in (CHAT, "/v1/models", "/models", "/v1/audio/speech"):
        answer = running.request("OPTIONS", path, key=None, headers=asked)
        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
        assert "access-control-allow-credentials" not in answer.headers
    for path in ("/api/status", "/metrics", "/readyz"):
        answer = running.request("OPTIONS", path, key=None, headers=asked)
        assert "access-control-allow-origin" not in answer.headers


def test_d36_pins_and_the_proxy_route_need_a_policy_that_names_them(
    running: Running, upstream: Upstream
) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    path = "/v1/oneapi/proxy/up/v1/models"
    assert running.get(path, key=ADMIN).status == 200
    assert error_of(running.get(path, key=PLAIN_ADMIN))["code"] == "endpoint_not_allowed"
    assert running.get(path, key=None).status == 403
    assert ask(running, f"{ADMIN}-up") == 200
    assert ask(running, f"{PLAIN_ADMIN}-up") == 403


def test_d36_the_proxy_route_cannot_leave_its_provider(
    running: Running, upstream: Upstream
) -> None:
    received = len(upstream.received)
    away = running.get("/v1/oneapi/proxy/up/http%3A%2F%2Felsewhere.example/", key=ADMIN)
    assert (away.status, len(upstream.received)) == (400, received)
    upstream.script = lambda _: Reply(302, (("location", "https://elsewhere.example/"),))
    answer = running.get("/v1/oneapi/proxy/up/x", key=ADMIN)
    assert (answer.status, len(upstream.received)) == (302, received + 1)  # none is followed (D22)
    assert "location" not in answer.headers


def test_d38_a_command_in_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = json.dumps(["touch", str(ran)])
    text = f"[channels.x]\ntype = \"openai\"\nkeys = ['cmd:{command}']\n"
    path = tmp_path / "oneapi.toml"
    path.write_text(text)
    path.chmod(0o666)
    done = serve_once(tmp_path, "serve", "--port", "0")
    assert done.returncode == 3
    assert done.stderr.endswith(f"cmd: is refused because {path} can be written by others\n")
    assert "Traceback" not in done.stderr
    path.chmod(0o644)
    assert serve_once(tmp_path, "check").returncode == 0
    assert not ran.exists()


def test_d39_what_is_written_is_for_its_owner_alone(running: Running, upstream: Upstream) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    assert ask(running) == 200
    folder = running.folder
    found = {p.name for p in folder.iterdir()}
    assert {"oneapi.db", "oneapi.db-wal", "oneapi.db-shm", "logs"} <= found
    (socket_path,) = folder.glob("oneapi.db.*.sock")
    assert stat.S_ISSOCK(socket_path.stat().st_mode)
    for path in [*folder.glob("oneapi.db*"), *(folder / "logs").iterdir(), folder / "logs"]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_d39_a_wide_env_file_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "oneapi.toml").write_text("")
    (tmp_path / ".env").write_text("A=b\n")
    (tmp_path / ".env").chmod(0o644)
    done = serve_once(tmp_path, "check")
    assert done.returncode == 0
    assert "chmod 600" in done.stderr


def test_d40_queries_reach_neither_logs_nor_records(running: Running, upstream: Upstream) -> None:
    secret = "qwertz-4711"
    upstream.script = lambda _: json_reply(REPLY)
    proxied = "/v1/oneapi/proxy"
    for method, path in (
        ("POST", CHAT),
        ("GET", "/v1/models"),
        ("GET", "/nothing"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", f"{proxied}/up/x"),
        ("GET", f"{proxied}/dead/x"),
    ):
        answer = running.request(method, f"{path}?key={secret}", key=ADMIN, body=b"{}")
        assert secret not in str(answer.headers) + answer.body.decode()
    raw(running.port, f"GET /x?key={secret} HTTP/1.1\r\nBad Header\r\n\r\n".encode())
    assert upstream.received[-1].target.endswith(f"?key={secret}")
    log = running.folder / "logs" / "oneapi.log"
    assert until(lambda: log.read_text().count("proxy") >= 2, 3)
    for file in running.folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_keys_reach_neither_logs_nor_records(running: Running) -> None:
    ask(running, "sk-wrong-key-0123456789")
    assert until(lambda: "invalid_api_key" in "\n".join(running.stderr()), 3)
    for path in running.folder.rglob("*"):
        if path.is_file() and path.name != "oneapi.toml":
            held = path.read_bytes()
            for secret in (KEY, ADMIN, CHANNEL_KEY, "hidden-value-77", "wrong-key", METRICS):
                assert secret.encode() not in held, (path, secret)


def test_d41_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "one-api.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE channels (id INTEGER, key TEXT)")
    before = path.read_bytes()
    (tmp_path / "oneapi.toml").write_text("")
    done = serve_once(tmp_path, "serve", "--port", "0", env={"SQLITE_PATH": str(path)})
    assert done.returncode == 1
    assert "oneapi import" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


def test_d41_a_newer_database_is_refused(tmp_path: Path, running: Running) -> None:
    done = serve_once(tmp_path, "backup", "copy.db", "--config", str(running.config))
    assert done.returncode == 0
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] != 0
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("PRAGMA user_version = 9999")
    (tmp_path / "oneapi.toml").write_text('[state]\npath = "copy.db"\n')
    done = serve_once(tmp_path, "serve", "--port", "0")
    assert done.returncode == 1
    assert "newer" in done.stderr


def test_d42_strangers_learn_whether_it_is_ready_and_nothing_else(running: Running) -> None:
    for key in (None, KEY, "sk-wrong"):
        ready = running.get("/readyz", key=key)
        assert (ready.status, ready.json()) == (200, {"ready": True})
        assert running.get("/metrics", key=key).status == 401
    for key in (PLAIN_ADMIN, METRICS):
        details = running.get("/readyz", key=key).json()
        assert set(details) > {"revision", "ledger", "rejected"}
        metrics = running.get("/metrics", key=key)
        assert b'oneapi_requests_total{endpoint="chat",channel="up",status="200"}' in metrics.body


def test_d43_control_characters_are_escaped_in_human_logs(running: Running) -> None:
    running.get("/%0a%1b%5b31m2026-01-01%20access%20%20200%20forged%7f%c2%85")
    assert until(lambda: any("forged" in line for line in running.stderr()), 3)
    text = (running.folder / "stderr.txt").read_bytes()
    (line,) = [part for part in text.split(b"\n") if b"forged" in part]
    assert b"404 GET /\\x0a\\x1b[31m2026-01-01" in line
    assert not [byte for byte in line if byte < 32 or byte == 127]


def test_forwarding_headers_are_believed_of_trusted_proxies_alone(running: Running) -> None:
    assert ask(running, INSIDE, x_forwarded_for="10.1.2.3") == 403


def test_behind_a_trusted_proxy_the_clients_own_address_decides(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.script = lambda _: json_reply(REPLY)
    with gateway(tmp_path, toml(upstream.url).replace("127.0.0.9/32", "127.0.0.1/32")) as behind:
        assert ask(behind, INSIDE, x_forwarded_for="10.1.2.3") == 200
        assert behind.records()[-1]["client"] == "10.1.2.3"
        assert ask(behind, INSIDE, x_forwarded_for="10.1.2.3, 8.8.8.8") == 403
        assert ask(behind, INSIDE, x_forwarded_for="8.8.8.8, 10.1.2.3, 127.0.0.1") == 200
        assert ask(behind, INSIDE, x_forwarded_for="10.1.2.3, nonsense") == 403
        assert ask(behind, INSIDE) == 403
