"""Two tiny outbound proxies, HTTP and SOCKS5, that note where they were asked to go."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[str] = []


def _pipe(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _join(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_pipe, args=(other, one), daemon=True)
    back.start()
    _pipe(one, other)
    back.join(10)


class _Http(socketserver.BaseRequestHandler):
    """`POST http://host:port/path` becomes `POST /path` there, for one connection's requests."""

    server: _Server

    def handle(self) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            got = self.request.recv(65536)
            if not got:
                return
            data += got
        line, _, rest = data.partition(b"\r\n")
        method, url, version = line.split(b" ")
        authority, _, path = url.removeprefix(b"http://").partition(b"/")
        self.server.asked.append(authority.decode())
        host, _, port = authority.partition(b":")
        with socket.create_connection((host.decode(), int(port))) as there:
            there.sendall(b"%b /%b %b\r\n%b" % (method, path, version, rest))
            _join(self.request, there)


class _Socks(socketserver.BaseRequestHandler):
    """SOCKS5 without a password (RFC 1928): CONNECT to an IPv4 address or a name."""

    server: _Server

    def handle(self) -> None:
        peer: socket.socket = self.request
        methods = peer.recv(2)[1]
        peer.recv(methods)
        peer.sendall(b"\x05\x00")
        kind = peer.recv(4)[3]
        if kind == 1:
            host = socket.inet_ntoa(peer.recv(4))
        else:
            host = peer.recv(peer.recv(1)[0]).decode()
        port = int.from_bytes(peer.recv(2), "big")
        self.server.asked.append(f"{host}:{port}")
        with socket.create_connection((host, port)) as there:
            peer.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            _join(peer, there)


@contextlib.contextmanager
def _running(handler: type[socketserver.BaseRequestHandler]) -> Iterator[_Server]:
    with _Server(handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


@contextlib.contextmanager
def http_proxy() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the authorities it was asked for."""
    with _running(_Http) as server:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked


@contextlib.contextmanager
def socks_proxy() -> Iterator[tuple[str, list[str]]]:
    with _running(_Socks) as server:
        yield f"socks5://127.0.0.1:{server.server_address[1]}", server.asked


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port whose connections are never accepted: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield listener.getsockname()[1]
