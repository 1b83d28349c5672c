"""Passwords as lines that are safe in git: scrypt (RFC 7914), its parameters in the line.

    scrypt:14:8:5:<salt>:<hash>    log2(N), r, p; salt and hash in unpadded URL-safe base64

The line holds no `$`, so that it can stand in the configuration, where `${…}` is expanded.
The parameters are one of the equivalent sets of OWASP's Password Storage Cheat Sheet
(cheatsheetseries.owasp.org, read 2026-11-24): 16 MB and about 0.2 s a guess. A sign-in that
knows no such user should verify against some other line all the same, so that both take as long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

LOG2_N, R, P = 14, 8, 5
SALT_BYTES, HASH_BYTES = 16, 32
MAX_MEMORY = 256 * 1024 * 1024
MAX_PASSWORD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class _Line:
    log2_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes


def hash_password(password: str) -> str:
    """The line for a password, with a fresh salt. Takes about 0.2 s, the interpreter free.

    Raises `ValueError` for an empty password or one of more than 1,024 bytes.
    """
    secret = _normal(password)
    if not secret:
        raise ValueError("the password is empty")
    if len(secret) > MAX_PASSWORD_BYTES:
        raise ValueError(f"the password is longer than {MAX_PASSWORD_BYTES} bytes")
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(secret, _Line(LOG2_N, R, P, salt, bytes(HASH_BYTES)))
    return f"scrypt:{LOG2_N}:{R}:{P}:{_encode(salt)}:{_encode(digest)}"


def verify(password: str, line: str) -> bool:
    """Whether a password belongs to a line. False, never an error, for a line that is not one."""
    parsed = _parse(line)
    secret = _normal(password)
    if parsed is None or not secret or len(secret) > MAX_PASSWORD_BYTES:
        return False
    return hmac.compare_digest(_scrypt(secret, parsed), parsed.digest)


def is_line(line: str) -> bool:
    """Whether a text has the form of a password line and affordable parameters."""
    return _parse(line) is not None


def _normal(password: str) -> bytes:
    """One spelling for what looks the same, whichever keyboard composed it (NFC)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _scrypt(secret: bytes, line: _Line) -> bytes:
    return hashlib.scrypt(
        secret,
        salt=line.salt,
        n=1 << line.log2_n,
        r=line.r,
        p=line.p,
        maxmem=2 * MAX_MEMORY,
        dklen=len(line.digest),
    )


def _parse(line: str) -> _Line | None:
    """The parts of a line; None where it is malformed or too dear (256 MB, 16 passes)."""
    parts = line.split(":")
    if len(parts) != 6 or parts[0] != "scrypt" or not line.isascii():
        return None
    if not all(part.isdigit() and len(part) < 4 for part in parts[1:4]):
        return None
    log2_n, r, p = (int(part) for part in parts[1:4])
    affordable = 1 <= log2_n <= 20 and 1 <= r <= 32 and 1 <= p <= 16
    if not affordable or 128 * r << log2_n > MAX_MEMORY:
        return None
    salt, digest = _decode(parts[4]), _decode(parts[5])
    if len(salt) < 8 or not 16 <= len(digest) <= 64:
        return None
    return _Line(log2_n, r, p, salt, digest)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Bytes of unpadded URL-safe base64; b"" where it is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
