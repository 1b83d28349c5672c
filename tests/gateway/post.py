"""A mail server on a real socket: as much of SMTP as the standard library's client speaks."""

from __future__ import annotations

import base64
import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Post:
    """What came in. `trouble` is said to the next recipients, one answer each."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


@contextmanager
def post_office(
    tls: ssl.SSLContext | None, *, implicit: bool = False, password: str = ""
) -> Iterator[Post]:
    """Offers STARTTLS where it has `tls`, or speaks it from the first byte (`implicit`)."""
    post = Post()

    class Desk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            clerk = Clerk(self.request, post, tls, password)
            # The client may go at any moment, as one that does not trust the certificate does.
            with contextlib.suppress(OSError), contextlib.closing(clerk):
                clerk.serve(implicit=implicit)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Desk) as server:
        server.daemon_threads = True
        post.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield post
        finally:
            server.shutdown()
            thread.join()


class Clerk:
    """One conversation."""

    def __init__(
        self, sock: socket.socket, post: Post, tls: ssl.SSLContext | None, password: str
    ) -> None:
        self.sock = sock
        self.lines = sock.makefile("rb")
        self.post = post
        self.tls = tls
        self.password = password

    def close(self) -> None:
        self.lines.close()
        self.sock.close()

    def serve(self, *, implicit: bool) -> None:
        if implicit:
            self._encrypt()
        self._say("220 post")
        while line := self.lines.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                return self._say("221 bye")
            self._answer(verb.upper(), rest)
        return None

    def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                self._say("250-post", *[f"250-{offer}" for offer in self._offers()], "250 HELP")
            case "STARTTLS" if self.tls is not None:
                self._say("220 go on")
                self._encrypt()
            case "AUTH":
                self.post.logins.append(rest)
                self._say("235 in" if self.password in _decoded(rest) else "535 wrong")
            case "RCPT" if self.post.trouble:
                self._say(self.post.trouble.pop(0))
            case "DATA":
                self._say("354 go on")
                self.post.encrypted.append(isinstance(self.sock, ssl.SSLSocket))
                self.post.mails.append(_mail(b"".join(iter(self.lines.readline, b".\r\n"))))
                self._say("250 ok")
            case "MAIL" | "RCPT" | "RSET" | "NOOP":
                self._say("250 ok")
            case _:
                self._say("502 what")

    def _offers(self) -> list[str]:
        offers = ["AUTH PLAIN"] if self.password else []
        if self.tls is not None and not isinstance(self.sock, ssl.SSLSocket):
            offers.append("STARTTLS")
        return offers

    def _encrypt(self) -> None:
        assert self.tls is not None
        self.lines.close()
        self.sock = self.tls.wrap_socket(self.sock, server_side=True)
        self.lines = self.sock.makefile("rb")

    def _say(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())


def _decoded(auth: str) -> str:
    return base64.b64decode(auth.partition(" ")[2]).decode()


def _mail(raw: bytes) -> EmailMessage:
    found = message_from_bytes(raw, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found
