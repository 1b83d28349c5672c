"""The servers the benchmark compares: how each is configured, started, pinned, weighed, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import string
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.load import Plan, Result, run
from tests.bench.upstream import MODEL

ROOT = Path(__file__).resolve().parents[2]
_ALIAS = '[models.bench-model]\nroutes = [{ channel = "bench", model = "bench-model" }]\n'
FREE: Mapping[str, str] = {"channel": "", "tables": _ALIAS, "user": "", "policy": ""}
BOUNDED: Mapping[str, str] = {
    "channel": 'budget = "$900000/day"\n',
    "tables": f'[groups.bench]\nbudget = "$900000/week"\n{_ALIAS}budget = "$900000/month"\n',
    "user": 'group = "bench"\nquota = "$900000"\n',
    "policy": 'budget = ["$900000/month", "900000M tokens/day"]\nrpm = 90_000_000\n'
    "tpm = 90_000_000_000\nconcurrency = 100_000\nqueue_s = 5\n",
}
"""A budget on user, token, group, model and channel, money and tokens, and all rates on the token:
none of it is ever reached."""
PACED = "/events-20/pace-5"
PACED_MODEL = "bench-paced"
_CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Server:
    """One column. `paced_path` and `paced_model` reach the upstream's slow script through it."""

    name: str
    port: int
    command: tuple[str, ...] = ()
    folder: Path = ROOT
    env: dict[str, str] = field(default_factory=dict)
    key: str = "sk-none"
    paced_path: str = PACED + _CHAT
    paced_model: str = MODEL
    database: Path | None = None

    def plan(self, *, paced: bool = False, **rest: float | bool | int | None) -> Plan:
        """A load for this server: everything that differs between servers is filled in."""
        path, model = (self.paced_path, self.paced_model) if paced else (_CHAT, MODEL)
        url = f"http://127.0.0.1:{self.port}{path}"
        return Plan(url=url, key=self.key, model=model, **rest)  # type: ignore[arg-type]


@dataclass(slots=True)
class Running:
    """A started server: seconds from the spawn to its first good answer, and requests that took."""

    server: Server
    process: subprocess.Popen[bytes]
    start_s: float
    probes: int

    def resident_mb(self) -> float:
        """Resident memory of the process and its children; NaN where the system does not tell."""
        try:
            return sum(_resident_kb(pid) for pid in _family(self.process.pid)) / 1024
        except OSError:
            return float("nan")

    def cpu_s(self) -> float:
        """CPU seconds used so far by the process and its children; NaN likewise."""
        try:
            return sum(_cpu_s(pid) for pid in _family(self.process.pid))
        except OSError:
            return float("nan")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def nginx(folder: Path, upstream_port: int) -> Server | None:
    """Debian's nginx as a plain reverse proxy with one worker; None where it is not installed."""
    binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if binary is None:
        return None
    port = free_port()
    conf = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    conf.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream_port, user=user))
    return Server("nginx", port, (binary, "-p", str(folder), "-c", str(conf)), folder)


def stock(folder: Path, upstream_port: int) -> Server:
    port = free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    command = (sys.executable, "-m", "tests.bench.stock", "--upstream", upstream)
    return Server("stock", port, (*command, "--port", str(port)), folder, {"PYTHONPATH": str(ROOT)})


def gateway(
    folder: Path,
    upstream_port: int,
    pyz: Path | None = None,
    *,
    name: str = "gateway",
    bounds: Mapping[str, str] = FREE,
) -> Server:
    """The gateway from source, or from a zipapp that unpacks below `folder`. `bounds` are further
    lines of its tables.
    """
    folder.mkdir(exist_ok=True)
    port = free_port()
    secret = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(48))
    config = folder / "oneapi.toml"
    digest = hashlib.sha256(secret.encode()).hexdigest()
    text = _GATEWAY.format(upstream=upstream_port, paced=PACED, digest=digest, **bounds)
    config.write_text(text)
    config.chmod(0o600)
    start = (str(pyz.resolve()),) if pyz else (sys.executable, "-m", "oneapi")
    flags = (
        "serve",
        "--config",
        str(config),
        "--port",
        str(port),
        "--log-dir",
        str(folder / "logs"),
    )
    return Server(
        name=name,
        port=port,
        command=(*start, *flags),
        folder=folder,
        env={"SHIV_ROOT": str(folder / "shiv")} if pyz else {"PYTHONPATH": str(ROOT)},
        key="sk-" + secret,
        paced_path=_CHAT,
        paced_model=PACED_MODEL,
        database=folder / "oneapi.db",
    )


async def start(server: Server, core: int | None, *, timeout_s: float = 30.0) -> Running:
    """Spawns the server on `core` and asks until it answers. Raises `RuntimeError` if it cannot."""
    log = server.folder / f"{server.name}.log"
    began = time.perf_counter()
    running = Running(server, _spawn(server, core, log), 0.0, 0)
    while time.perf_counter() - began < timeout_s and running.process.poll() is None:
        result = await _probe(server)
        running.probes += result.sent
        running.start_s = time.perf_counter() - began
        if result.ok:
            return running
        await asyncio.sleep(0.002)
    running.stop()
    words = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{server.name} gave no good answer in {running.start_s:.1f} s:\n{words}")


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Runs on one core; processes spawned inside stay there. None pins nothing."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def upstream(core: int | None) -> Iterator[int]:
    """The scripted upstream in a process of its own; yields its port."""
    with pinned(core):
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.upstream"), cwd=ROOT, stdout=subprocess.PIPE
        )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def count_records(database: Path, expected: int, *, patience_s: float = 3.0) -> int:
    """Rows of the ledger, once there are `expected` or patience is over. -1: there is no ledger."""
    until = time.perf_counter() + patience_s
    while True:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
                rows: int = db.execute("select count(*) from records").fetchone()[0]
        except sqlite3.OperationalError:
            rows = -1
        if max(rows, 0) >= expected or time.perf_counter() > until:
            return rows
        await asyncio.sleep(0.05)


def _spawn(server: Server, core: int | None, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output, pinned(core):
        return subprocess.Popen(
            server.command, cwd=server.folder, env=_environment(server.env),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip


async def _probe(server: Server) -> Result:
    try:
        return await run(server.plan(requests=1))
    except OSError:
        return Result()


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """Ours, without what would configure a gateway from outside."""
    foreign = ("ONEAPI_", "PORT", "SQLITE_PATH", "RELAY_PROXY", "INITIAL_ROOT", "STATE_DIRECTORY")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, **extra}


def _family(pid: int) -> list[int]:
    """A process and its children. Raises `OSError` where there is no /proc."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def _cpu_s(pid: int) -> float:
    """User and system ticks, fields 14 and 15 of proc_pid_stat(5), as seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


# Buffering is off because a proxy in front of streams has to switch it off; the rest favours speed.
_NGINX = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream bench {{
        server 127.0.0.1:{upstream};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://bench;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""

_GATEWAY = """\
[channels.bench]
type = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}/v1"
keys = ["sk-bench-upstream"]
models = ["bench-model"]
{channel}
[channels.bench_paced]
type = "openai-compatible"
base_url = "http://127.0.0.1:{upstream}{paced}/v1"
keys = ["sk-bench-upstream"]
models = ["bench-paced"]

{tables}
[users.bench]
{user}
[policies.bench]
models = ["bench-*"]
{policy}
[tokens.bench]
user = "bench"
policy = "bench"
key = "sha256:{digest}"

[prices.bench-model]
input = 1.0
output = 2.0

[prices.bench-paced]
input = 1.0
output = 2.0
"""
