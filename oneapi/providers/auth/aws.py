"""AWS Signature Version 4, and the keys that need none.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read
2026-11-24): a canonical request, a string to sign, a key derived by date, region and service.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from oneapi.providers.auth.base import HeaderLines

ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED_TOO = frozenset({b"content-type"})
"""Headers that must be signed where they are sent, besides host and x-amz-*."""


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def parse_key(key: str) -> Credentials | None:
    """`ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`; None for a Bedrock API key.

    Raises ValueError in words where one of the two is empty.
    """
    if ":" not in key:
        return None
    access, _, rest = key.partition(":")
    secret, _, session = rest.partition(":")
    if not access.strip() or not secret.strip():
        raise ValueError("must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, or a Bedrock API key")
    return Credentials(access.strip(), secret.strip(), session.strip())


def from_environment(environ: Mapping[str, str]) -> str:
    """The key that AWS's own variables make, "" where they are not set."""
    bearer = environ.get("AWS_BEARER_TOKEN_BEDROCK", "").strip()
    if bearer:
        return bearer
    access = environ.get("AWS_ACCESS_KEY_ID", "").strip()
    secret = environ.get("AWS_SECRET_ACCESS_KEY", "").strip()
    if not access or not secret:
        return ""
    session = environ.get("AWS_SESSION_TOKEN", "").strip()
    return f"{access}:{secret}:{session}" if session else f"{access}:{secret}"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where and when a signature holds: `moment` is `20150830T123600Z`."""

    moment: str
    region: str
    service: str

    @property
    def text(self) -> str:
        return f"{self.moment[:8]}/{self.region}/{self.service}/aws4_request"


def canonical_request(
    method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes
) -> tuple[str, str]:
    """The canonical request and its list of signed headers. Names are lower-case."""
    path, _, query = target.partition("?")
    lines = sorted((name, " ".join(value.split())) for name, value in headers)
    signed = ";".join(name for name, _ in lines)
    parts = [
        method,
        quote(path or "/", safe="/-_.~"),  # encoded a second time, as all services but S3 want it
        _canonical_query(query),
        *(f"{name}:{value}" for name, value in lines),
        "",
        signed,
        hashlib.sha256(body).hexdigest(),
    ]
    return "\n".join(parts), signed


def string_to_sign(canonical: str, scope: Scope) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((ALGORITHM, scope.moment, scope.text, digest))


def signature(secret_key: str, text: str, scope: Scope) -> str:
    """Lower-case hexadecimal."""
    key = f"AWS4{secret_key}".encode()
    for part in scope.text.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = [part.partition("=") for part in query.split("&")]
    encoded = sorted((_once(name), _once(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _once(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


class AwsSigner:
    """Signs with credentials; a Bedrock API key stands in the static headers already.

    `default` is the key of an account that has none of its own.
    """

    def __init__(self, service: str, region: str, keys: Sequence[str], default: str = "") -> None:
        self._service = service
        self._region = region
        self._credentials = {key: parse_key(key) for key in keys}
        self._credentials[""] = parse_key(default)

    async def sign(
        self,
        key: str,
        *,
        method: bytes,
        host: str,
        target: bytes,
        body: bytes,
        now_s: float,
        headers: HeaderLines = (),
    ) -> HeaderLines:
        """`authorization`, `x-amz-date`, and the session's token where there is one."""
        credentials = self._credentials[key] if key in self._credentials else parse_key(key)
        if credentials is None:
            return ()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        scope = Scope(moment, self._region, self._service)
        added = [("x-amz-date", moment)]
        if credentials.session_token:
            added.append(("x-amz-security-token", credentials.session_token))
        others = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in headers
            if name in _SIGNED_TOO or name.startswith(b"x-amz-")
        ]
        canonical, signed = canonical_request(
            method.decode("ascii"),
            target.decode("ascii"),
            [("host", host), *added, *others],
            body,
        )
        made = signature(credentials.secret_key, string_to_sign(canonical, scope), scope)
        credential = f"Credential={credentials.access_key}/{scope.text}"
        line = f"{ALGORITHM} {credential}, SignedHeaders={signed}, Signature={made}"
        lines = [("authorization", line), *added]
        return tuple((name.encode(), value.encode("latin-1")) for name, value in lines)
