"""A real gateway process over a file of its own, and a scripted upstream: `import` both from here.

    with scripted_upstream(lambda request: json_reply({…})) as upstream, \\
            gateway(tmp_path, toml(upstream.url)) as running:
        answer = running.post("/v1/chat/completions", {"model": "m", "messages": []})
        assert answer.status == 200
        assert running.records()[0]["channel"] == "up"

One start takes about a second: share one a module (`@pytest.fixture(scope="module")` with
`tmp_path_factory.mktemp("gateway")`), and change `upstream.script` from test to test.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneapi.ledger.queries import records
from tests.e2e.upstream import (
    Received,
    Reply,
    Script,
    Upstream,
    json_reply,
    scripted_upstream,
    sse_reply,
)

__all__ = [
    "KEY",
    "REPO",
    "Answer",
    "Received",
    "Reply",
    "Running",
    "Script",
    "Upstream",
    "gateway",
    "json_reply",
    "key_hash",
    "people",
    "scripted_upstream",
    "sse_reply",
    "until",
]

JSON = Any
REPO = Path(__file__).resolve().parents[2]
KEY = "sk-" + "e2e0" * 12
"""The key of the token that `people()` declares."""
START_S = 30.0


def key_hash(key: str) -> str:
    """What stands in the file for a key: independent of the gateway's own code."""
    return "sha256:" + hashlib.sha256(key.removeprefix("sk-").encode()).hexdigest()


def people(*, role: str = "user", policy: str = "", key: str = KEY, name: str = "e2e") -> str:
    """TOML of a user, a policy (its keys as TOML lines) and a token, all called `name`."""
    return (
        f'[users.{name}]\nrole = "{role}"\n[policies.{name}]\n{policy}\n'
        f'[tokens.{name}]\nuser = "{name}"\npolicy = "{name}"\nkey = "{key_hash(key)}"\n'
    )


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition; whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case, a repeated one has its values joined."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> JSON:
        return json.loads(self.body)


class Running:
    """A gateway process that answers /healthz."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.config = folder / "oneapi.toml"
        self.database = folder / "oneapi.db"
        self.process = process
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stderr(self) -> list[str]:
        """The lines so far."""
        return (self.folder / "stderr.txt").read_text("utf-8", "replace").splitlines()

    def rewrite(self, text: str, *, wait: bool = True) -> None:
        """Replace the file, as an editor does (rename), and wait until it is in force."""
        before = sum("is in force" in line for line in self.stderr())
        fresh = self.folder / "oneapi.toml.new"
        fresh.write_text(text, "utf-8")
        fresh.replace(self.config)
        if wait and not until(lambda: sum("is in force" in x for x in self.stderr()) > before):
            raise TimeoutError("the file was not taken:\n" + "\n".join(self.stderr()[-20:]))

    def records(self, **where: Any) -> list[dict[str, JSON]]:
        """The ledger, oldest first; keywords as those of `oneapi.ledger.queries.records`."""
        return list(records(self.database, **{"limit": None, "newest_first": False, **where}))

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = KEY,
        timeout_s: float = 30.0,
    ) -> Answer:
        """One request on a connection of its own. Raises `http.client.HTTPException` where the
        answer is cut.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        fields = {"authorization": f"Bearer {key}"} if key else {}
        try:
            connection.request(method, path, body, {**fields, **(headers or {})})
            answer = connection.getresponse()
            got: dict[str, str] = {}
            for name, value in answer.getheaders():
                low = name.lower()
                got[low] = f"{got[low]}, {value}" if low in got else value
            return Answer(answer.status, got, answer.read())
        finally:
            connection.close()

    def post(self, path: str, value: JSON, **keywords: Any) -> Answer:
        """POST as JSON; `value` may be bytes, sent as they are."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        fields = {"content-type": "application/json", **(keywords.pop("headers", None) or {})}
        return self.request("POST", path, body=body, headers=fields, **keywords)

    def get(self, path: str, **keywords: Any) -> Answer:
        return self.request("GET", path, **keywords)

    def stop(self, seconds: float = 40.0) -> None:
        """End it in order; an exit status other than 0 is an `AssertionError`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        assert status == 0, f"exit status {status}:\n" + "\n".join(self.stderr()[-20:])

    def kill(self) -> None:
        """As `kill -9` does: nothing is flushed."""
        self.process.kill()
        self.process.wait(10)

    def _await_start(self) -> None:
        if not until(self._is_up, START_S):
            self.kill()
            raise RuntimeError("the gateway did not start:\n" + "\n".join(self.stderr()))

    def _is_up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError("the gateway ended:\n" + "\n".join(self.stderr()))
        mark = "listening on http://127.0.0.1:"
        line = next((line for line in self.stderr() if mark in line), None)
        if line is None:
            return False
        self.port = int(line.partition(mark)[2].split()[0])
        with contextlib.suppress(OSError):
            return self.get("/healthz", key=None, timeout_s=5).status == 200
        return False


@contextlib.contextmanager
def gateway(
    folder: Path,
    toml_text: str,
    env: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    expect_stop: bool = True,
) -> Iterator[Running]:
    """`oneapi serve` over `folder`/oneapi.toml, on a free port, in a clean environment.

    At the end it is stopped and must exit with 0, unless the test has killed it or says
    `expect_stop=False`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "oneapi.toml").write_text(toml_text, "utf-8")
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "TZ")}
    environ = {**kept, "HOME": str(folder), "PYTHONPATH": str(REPO), **(env or {})}
    command = [sys.executable, "-m", "oneapi", "serve", "--config", "oneapi.toml"]
    with (folder / "stderr.txt").open("wb") as lines:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=lines,
        )
    running = Running(folder, process)
    try:
        running._await_start()
        yield running
        if expect_stop and process.poll() is None:
            running.stop()
    finally:
        if process.poll() is None:
            running.kill()
