"""Log lines and access lines, written by one thread: a request never waits for a disk or a
terminal.

Human lines or JSON lines, on stderr and rotated in a folder. Control characters are escaped in
human lines (D43); keys and queries never get here.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from oneapi.ledger.record import Record

FILE_NAME = "oneapi.log"
BATCH_S = 0.05
"""Lines are written in batches of this many seconds: waking the thread for each would cost more."""
ESCAPES = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 160))}


@dataclass(frozen=True, slots=True)
class Hit:
    """A request that leaves no record: a health check, an unknown path."""

    time_ms: int
    method: str
    path: str
    status: int
    total_ms: int
    request_id: str
    client: str


Line = logging.LogRecord | Record | Hit


class Logs:
    """Owner of the writing thread and of the log file. `access` is cheap and never blocks."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._queue: deque[Line] = deque()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._file: logging.handlers.RotatingFileHandler | None = None
        self._file_key: tuple[object, ...] = ()
        self._json = False
        self._access = True
        self._thread = threading.Thread(target=self._run, name="oneapi-logs", daemon=True)

    def start(self) -> None:
        """Take over the root logger and begin to write."""
        root = logging.getLogger()
        root.handlers[:] = [_Into(self)]
        logging.captureWarnings(True)
        for quiet in ("httpx", "httpcore", "hypercorn", "watchfiles", "asyncio"):
            logging.getLogger(quiet).setLevel(logging.WARNING)
        self._thread.start()

    def apply(self, *, level: str, json_lines: bool, access: bool) -> None:
        """Settings that act at once, at a reload too."""
        logging.getLogger().setLevel(level.upper())
        self._json = json_lines
        self._access = access

    def open_file(self, folder: Path | None, *, rotate: int, keep: int) -> str:
        """Write into `folder` too; returns why that is not possible, "" when it is (D9, D39)."""
        key = (folder, rotate, keep)
        if key == self._file_key:
            return ""
        handler: logging.handlers.RotatingFileHandler | None = None
        if folder is not None:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                handler = logging.handlers.RotatingFileHandler(
                    folder / FILE_NAME, maxBytes=rotate, backupCount=keep, encoding="utf-8"
                )
            except OSError as error:
                self._file_key = key
                return f"{folder}: {error.strerror}"
        old, self._file, self._file_key = self._file, handler, key
        if old is not None:
            old.close()
        return ""

    def access(self, line: Record | Hit) -> None:
        if self._access:
            self.put(line)

    def put(self, line: Line) -> None:
        self._queue.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what is queued and stop."""
        if self._thread.is_alive():
            self._stop.set()
            self._wake.set()
            self._thread.join(timeout=5)
        self._drain()
        if self._file is not None:
            self._file.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(BATCH_S)
            self._wake.clear()
            self._drain()

    def _drain(self) -> None:
        lines: list[str] = []
        while self._queue:
            line = self._queue.popleft()
            lines.append(_as_json(line) if self._json else _as_text(line))
        if not lines:
            return
        # A provider may send half a surrogate pair; one odd line must not cost the others.
        text = "\n".join(lines).encode("utf-8", "backslashreplace").decode()
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # a closed terminal must not stop the file
        if self._file is not None:
            self._file.emit(logging.makeLogRecord({"msg": text, "args": None}))


class _Into(logging.Handler):
    """Hands log records to the thread."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        self._logs.put(record)


def _as_text(line: Line) -> str:
    if isinstance(line, logging.LogRecord):
        head = f"{_stamp(int(line.created * 1000))} {line.levelname:<7} {line.name}: "
        text = head + line.getMessage().translate(ESCAPES)
        if line.exc_info:
            text += "\n" + logging.Formatter().formatException(line.exc_info)
        return text
    if isinstance(line, Hit):
        return (
            f"{_stamp(line.time_ms)} access  {line.status} {line.method} {line.path[:200]} "
            f"{line.total_ms} ms {line.client} {line.request_id}"
        ).translate(ESCAPES)
    return _record_text(line).translate(ESCAPES)


def _record_text(r: Record) -> str:
    who = f"{r.user}/{r.token}" if r.token else (r.user or "-")
    where = f" -> {r.channel}:{r.served_model}" if r.channel else ""
    use = ""
    if r.usage_source != "none":
        mark = "~" if r.usage_source == "estimated" else ""
        use = f" {mark}{r.usage.input_tokens}+{r.usage.output_tokens} tok"
    money = f" ${r.cost_nanousd / 1e9:.6f}" if r.cost_nanousd else ""
    code = f" {r.error_code}" if r.error_code else ""
    tries = f" {r.attempts} attempts" if r.attempts > 1 else ""
    return (
        f"{_stamp(r.time_ms)} access  {r.status} {r.endpoint} {r.model or '-'}{where} {who}"
        f"{use}{money} {r.total_ms} ms{tries}{code} {r.client} {r.request_id}"
    )


def _as_json(line: Line) -> str:
    if isinstance(line, logging.LogRecord):
        found: dict[str, object] = {
            "time": _stamp(int(line.created * 1000)),
            "level": line.levelname.lower(),
            "logger": line.name,
            "message": line.getMessage(),
        }
        if line.exc_info:
            found["traceback"] = logging.Formatter().formatException(line.exc_info)
    elif isinstance(line, Hit):
        found = {name: getattr(line, name) for name in Hit.__slots__}
        found |= {"time": _stamp(line.time_ms), "level": "info", "logger": "access"}
    else:
        found = {"time": _stamp(line.time_ms), "level": "info", "logger": "access"}
        found |= {name: getattr(line, name) for name in RECORD_FIELDS}
        found["input_tokens"] = line.usage.input_tokens
        found["output_tokens"] = line.usage.output_tokens
    return json.dumps(found, ensure_ascii=False)


RECORD_FIELDS = (
    "status", "error_code", "endpoint", "model", "channel", "served_model", "user", "token",
    "usage_source", "cost_nanousd", "price_rule", "settlement", "ttft_ms", "total_ms", "attempts",
    "request_id", "client", "revision",
)  # fmt: skip


def _stamp(ms: int) -> str:
    """Local time to the millisecond, with its offset."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000)) + f".{ms % 1000:03d}"
