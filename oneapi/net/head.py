"""The parts of a request's head that llhttp leaves to its user: the line, the target's form, the
path.
"""

from __future__ import annotations

from urllib.parse import unquote

Headers = list[tuple[bytes, bytes]]

_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}


class BadRequest(Exception):
    """The connection cannot go on: a status and a sentence for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def request_line(head: bytes) -> tuple[bytes, bytes, str]:
    """Method, target and version. llhttp takes RTSP, ICE, HTTP/0.9 and 2.0 too, and several
    spaces.
    """
    parts = head[: head.find(b"\r\n")].split(b" ")
    version = _VERSIONS.get(parts[-1])
    if len(parts) != 3 or version is None:
        raise BadRequest("the request line is not that of HTTP/1.1 or HTTP/1.0")
    if parts[0] == b"CONNECT":
        raise BadRequest("CONNECT is not served here", 405)
    if b"#" in parts[1]:
        raise BadRequest("a request target has no fragment")
    return parts[0], parts[1], version


def origin_form(target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """`http://host/path` as `/path`; its host replaces the header's (RFC 9112, 3.2.2). `*`
    stays.
    """
    scheme, found, rest = target.partition(b"://")
    if not found:
        return target, headers
    if scheme.lower() not in (b"http", b"https"):
        raise BadRequest("the request target's scheme is neither http nor https")
    cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    if b"@" in authority or not authority:
        raise BadRequest("the request target's authority is not a host")
    kept = [(name, value) for name, value in headers if name != b"host"]
    return path if path.startswith(b"/") else b"/" + path, [(b"host", authority), *kept]


def decoded_path(raw_path: bytes) -> str:
    path = raw_path.decode("ascii")  # llhttp lets no other bytes through
    return unquote(path) if "%" in path else path


def strip_values(head: bytes, headers: Headers) -> Headers:
    """`headers` without white space behind their values, which llhttp leaves there."""
    if b" \r\n" in head or b"\t\r\n" in head:
        return [(name, value.rstrip(b" \t")) for name, value in headers]
    return headers
