"""Google's sign-in: a service account's signed assertion, traded for a token of an hour.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest (read 2026-11-24):
RS256 over {iss, scope, aud, iat, exp}, posted to the account's `token_uri`. On Google's machines
the metadata server gives the token: https://cloud.google.com/compute/docs/access/
authenticate-workloads (read 2026-11-24).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from oneapi.net.base import Call, Carrier, CarrierError, Origin, Timeouts
from oneapi.providers.address import split
from oneapi.providers.auth.base import HeaderLines, SignIn, refused, unreachable
from oneapi.providers.auth.tokens import Token
from oneapi.wire.json import JSON, decode, encode

METADATA = "metadata"
"""The key that stands for the machine's own account."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URI = "https://oauth2.googleapis.com/token"
LIFETIME_S = 3600
TIMEOUTS = Timeouts(connect=5.0, first_byte=20.0, idle=20.0)
MAX_ANSWER = 65536
_METADATA_HOST = "metadata.google.internal"
_METADATA_PATH = b"/computeMetadata/v1/instance/service-accounts/default/token"
_FORM = (b"content-type", b"application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Account:
    """A key that is JSON: a service account's, or a user's own as `gcloud` keeps it.

    `private_key` is PEM; `refresh_token` is a user's, who has no private key.
    """

    name: str
    origin: Origin
    path: str
    token_uri: str
    project: str = ""
    key_id: str = ""
    private_key: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(s for s in (self.private_key, self.client_secret, self.refresh_token) if s)


def parse_key(key: str) -> Account | None:
    """The account that a key's JSON describes; None for a plain API key.

    Raises ValueError in words for JSON that describes none; they hold nothing of the key.
    """
    if not key.lstrip().startswith("{"):
        return None
    try:
        value = decode(key.encode())
    except ValueError:
        raise ValueError("begins like a service account's JSON and is none") from None
    kind = _text(value, "type")
    needed = {
        "service_account": ("client_email", "private_key"),
        "authorized_user": ("client_id", "client_secret", "refresh_token"),
    }.get(kind)
    if needed is None:
        raise ValueError(f"holds the JSON of a {kind or 'nameless'} account, not a service account")
    for member in needed:
        if not _text(value, member):
            raise ValueError(f"is JSON of a {kind} without its {member}")
    uri = _text(value, "token_uri") or TOKEN_URI
    try:
        origin, path = split(uri)
    except ValueError as error:
        raise ValueError(f"has a token_uri that {error}") from None
    return Account(
        name=_text(value, needed[0]),
        origin=origin,
        path=path or "/",
        token_uri=uri,
        project=_text(value, "project_id") or _text(value, "quota_project_id"),
        key_id=_text(value, "private_key_id"),
        private_key=_text(value, "private_key"),
        client_secret=_text(value, "client_secret"),
        refresh_token=_text(value, "refresh_token"),
    )


def _text(value: JSON, member: str) -> str:
    found = value.get(member) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def assertion(account: Account, now_s: float) -> str:
    """The signed JWT. Raises ValueError in words for a private key that is none. 2 ms of work."""
    # on use: most gateways have no account at Google, and it costs 60 ms of a start
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    header = {"alg": "RS256", "typ": "JWT"}
    if account.key_id:
        header["kid"] = account.key_id
    claims = {
        "iss": account.name,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now_s),
        "exp": int(now_s) + LIFETIME_S,
    }
    signed = f"{_base64(encode(header))}.{_base64(encode(claims))}"
    try:
        private = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("the service account's private_key cannot be read") from None
    if not isinstance(private, RSAPrivateKey):
        raise ValueError("the service account's private_key is no RSA key")
    return f"{signed}.{_base64(private.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class GoogleSigner:
    """Bearer tokens for accounts and machines; an API key stands in the static headers already."""

    def __init__(
        self, channel: str, keys: Sequence[str], sign_in: SignIn, environ: Mapping[str, str]
    ) -> None:
        self._channel = channel
        self._accounts = {key: parse_key(key) for key in keys}
        self._sign_in = sign_in
        self._metadata_host = environ.get("GCE_METADATA_HOST", "").strip() or _METADATA_HOST

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
        """`authorization`, with a token that is fetched where none is held."""
        account = self._accounts.get(key)
        if account is None and key != METADATA:
            return ()

        async def fetch() -> Token:
            if account is None:
                return await self._from_metadata(now_s)
            return await self._from_account(account, now_s)

        name = "google:" + hashlib.sha256(key.encode()).hexdigest()
        token = await self._sign_in.tokens.get(name, fetch, now_s=now_s)
        return ((b"authorization", b"Bearer " + token.encode("latin-1")),)

    async def _from_account(self, account: Account, now_s: float) -> Token:
        if account.private_key:
            try:
                made = await asyncio.to_thread(assertion, account, now_s)
            except ValueError as error:
                raise refused(self._channel, str(error)) from error
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": made}
        else:
            form = {
                "grant_type": "refresh_token",
                "client_id": account.name,
                "client_secret": account.client_secret,
                "refresh_token": account.refresh_token,
            }
        call = Call(b"POST", account.path.encode(), (_FORM,), urlencode(form).encode())
        return await self._ask(self._sign_in.carrier, account.origin, call, now_s)

    async def _from_metadata(self, now_s: float) -> Token:
        host, _, port = self._metadata_host.partition(":")
        origin = Origin("http", host, int(port) if port.isdigit() else 80)
        call = Call(b"GET", _METADATA_PATH, ((b"metadata-flavor", b"Google"),))
        return await self._ask(self._sign_in.direct, origin, call, now_s)

    async def _ask(self, carrier: Carrier, origin: Origin, call: Call, now_s: float) -> Token:
        """Raises `UpstreamError`; what the server said goes to the log."""
        try:
            reply = await carrier.send(origin, call, TIMEOUTS)
            try:
                body = await reply.read(MAX_ANSWER)
            finally:
                await reply.aclose()
        except CarrierError as error:
            raise unreachable(self._channel, str(error)) from error
        try:
            value = decode(body)
        except ValueError:
            value = None
        token = _text(value, "access_token")
        if reply.status != 200 or not token or not token.isascii() or not token.isprintable():
            said = f"{_text(value, 'error')} {_text(value, 'error_description')}"
            words = f"{origin.host} answered {reply.status} {said}".strip()
            raise refused(self._channel, words, status=reply.status)
        seconds = value.get("expires_in", LIFETIME_S)
        lifetime = seconds if isinstance(seconds, int | float) and seconds > 0 else LIFETIME_S
        return Token(token, now_s + float(lifetime))
