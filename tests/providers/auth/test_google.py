"""Google's sign-in, against a token server on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from oneapi.errors import ConfigError, UpstreamError
from oneapi.net.upstream import Pool
from oneapi.providers.account import Account
from oneapi.providers.auth.base import SignIn
from oneapi.providers.auth.google import parse_key
from oneapi.providers.auth.tokens import Tokens
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog

pytestmark = pytest.mark.anyio
PRESET = load_catalog()["vertex"]
NOW = 1_800_000_000.0


@cache
def private_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem() -> str:
    return private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account(token_uri: str, **other: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "the-project",
            "private_key_id": "kid-1",
            "private_key": pem(),
            "client_email": "robot@the-project.iam.gserviceaccount.com",
            "token_uri": token_uri,
            **other,
        },
        indent=2,
    )


@dataclass
class Server:
    """Answers token requests; `answer` may be changed between them."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    answer: bytes = b'{"access_token": "ya29.token", "expires_in": 3600}'
    status: int = 200
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")]
        size = int(lengths[0].split(b":")[1]) if lengths else 0
        self.requests.append(head + await reader.readexactly(size))
        await self.held.wait()
        lines = f"HTTP/1.1 {self.status} X\r\ncontent-length: {len(self.answer)}\r\n"
        writer.write(lines.encode() + b"connection: close\r\n\r\n" + self.answer)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def token_server() -> AsyncIterator[tuple[Server, SignIn]]:
    server = Server()
    server.held.set()
    pool = Pool()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield server, SignIn(Tokens(), pool, pool)
        finally:
            await pool.aclose()


def account(key: str, sign_in: SignIn, **given: Any) -> Account:
    return bind("c", preset=PRESET, keys=[key], sign_in=sign_in, **given)


async def authorization(made: Account, key: str, now_s: float = NOW) -> bytes:
    assert made.signer is not None
    lines = await made.signer.sign(
        key, method=b"POST", host="h", target=b"/x", body=b"{}", now_s=now_s
    )
    return dict(lines)[b"authorization"]


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


async def test_a_service_account_gets_a_token_for_a_signed_assertion() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url + "/token")
        assert await authorization(account(key, sign_in), key) == b"Bearer ya29.token"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /token HTTP/1.1")
    form = parse_qs(body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    header, claims, signature = form["assertion"][0].split(".")
    assert decoded(header) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert decoded(claims) == {
        "iss": "robot@the-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": server.url + "/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    signed = base64.urlsafe_b64decode(signature + "==")
    public = private_key().public_key()
    public.verify(signed, f"{header}.{claims}".encode(), PKCS1v15(), SHA256())


async def test_many_calls_at_once_ask_for_one_token() -> None:
    async with token_server() as (server, sign_in):
        server.held.clear()
        key = service_account(server.url)
        made = account(key, sign_in)
        calls = [asyncio.create_task(authorization(made, key)) for _ in range(20)]
        await asyncio.sleep(0.1)
        calls[0].cancel()  # who asked first leaves; the others still get theirs
        server.held.set()
        found = await asyncio.gather(*calls[1:])
    assert set(found) == {b"Bearer ya29.token"}
    assert len(server.requests) == 1


async def test_a_token_survives_a_reload_and_is_renewed_ahead() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url)
        await authorization(account(key, sign_in), key)
        again = account(key, sign_in)
        await authorization(again, key, NOW + 3000)
        assert len(server.requests) == 1
        server.answer = b'{"access_token": "second", "expires_in": 3600}'
        assert await authorization(again, key, NOW + 3400) == b"Bearer ya29.token"
        await asyncio.sleep(0.2)
        assert await authorization(again, key, NOW + 3410) == b"Bearer second"
        assert len(server.requests) == 2


async def test_an_expired_token_is_waited_for() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url)
        made = account(key, sign_in)
        await authorization(made, key)
        server.answer = b'{"access_token": "second", "expires_in": 3600}'
        assert await authorization(made, key, NOW + 3590) == b"Bearer second"


async def test_a_renewal_that_fails_does_not_disturb_while_the_token_serves() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url)
        made = account(key, sign_in)
        await authorization(made, key)
        server.status, server.answer = 503, b"busy"
        for _ in range(3):
            assert await authorization(made, key, NOW + 3400) == b"Bearer ya29.token"
            await asyncio.sleep(0.1)
        assert len(server.requests) == 2  # not at every call
        with pytest.raises(UpstreamError):
            await authorization(made, key, NOW + 3590)


async def test_a_refusal_is_the_channels_own_trouble(caplog: pytest.LogCaptureFixture) -> None:
    async with token_server() as (server, sign_in):
        server.status = 400
        server.answer = b'{"error": "invalid_grant", "error_description": "Invalid JWT"}'
        key = service_account(server.url)
        with pytest.raises(UpstreamError) as caught:
            await authorization(account(key, sign_in), key)
    assert (caught.value.status, caught.value.code) == (502, "upstream_auth")
    assert caught.value.retryable
    assert "invalid_grant" not in caught.value.message
    assert "channel c: cannot sign in: 127.0.0.1 answered 400 invalid_grant" in caplog.text


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"access_token": "a\\nb"}', b"[]"])
async def test_what_holds_no_token_is_a_refusal(answer: bytes) -> None:
    async with token_server() as (server, sign_in):
        server.answer = answer
        key = service_account(server.url)
        with pytest.raises(UpstreamError, match="refused the gateway's own account"):
            await authorization(account(key, sign_in), key)


async def test_a_server_that_is_away_is_named_as_such() -> None:
    async with token_server() as (server, sign_in):
        pass
    key = service_account(server.url)
    with pytest.raises(UpstreamError) as caught:
        await authorization(account(key, sign_in), key)
    assert caught.value.code == "upstream_unreachable"


async def test_a_private_key_that_is_none_is_the_channels_trouble() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url, private_key="-----BEGIN nothing")
        with pytest.raises(UpstreamError) as caught:
            await authorization(account(key, sign_in), key)
    assert caught.value.code == "upstream_auth"
    assert not server.requests


async def test_a_users_own_credentials_are_refreshed() -> None:
    async with token_server() as (server, sign_in):
        value = {
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "cs",
            "refresh_token": "rt",
            "quota_project_id": "q",
            "token_uri": server.url,
        }
        key = json.dumps(value)
        made = account(key, sign_in)
        assert await authorization(made, key) == b"Bearer ya29.token"
    form = parse_qs(server.requests[0].partition(b"\r\n\r\n")[2].decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["rt"])
    assert b"/projects/q/" in made.target("generate", "g")


async def test_googles_machines_ask_their_metadata_server() -> None:
    async with token_server() as (server, sign_in):
        environ = {"GCE_METADATA_HOST": server.url.removeprefix("http://")}
        made = account("metadata", sign_in, environ=environ, variables={"project": "p"})
        assert await authorization(made, "metadata") == b"Bearer ya29.token"
    assert b"metadata-flavor: Google" in server.requests[0]
    assert b"/service-accounts/default/token" in server.requests[0]


async def test_an_api_key_means_express_mode() -> None:
    async with token_server() as (_, sign_in):
        made = account("AQ.key", sign_in)
    assert made.signer is None
    assert (b"x-goog-api-key", b"AQ.key") in made.headers("AQ.key")
    assert made.target("generate", "g") == b"/v1/publishers/google/models/g:generateContent"
    assert made.origin.host == "aiplatform.googleapis.com"


async def test_the_project_is_the_accounts_own_unless_another_is_given() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url)
        assert b"/projects/the-project/" in account(key, sign_in).target("generate", "g")
        other = account(key, sign_in, variables={"project": "other"})
        assert b"/projects/other/" in other.target("generate", "g")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("{not json", "begins like a service account's JSON and is none"),
        ("{}", "holds the JSON of a nameless account"),
        ('{"type": "external_account"}', "holds the JSON of a external_account account"),
        ('{"type": "service_account", "client_email": "e"}', "without its private_key"),
        (
            '{"type": "service_account", "client_email": "e", "private_key": "k", '
            '"token_uri": "ftp://x"}',
            "has a token_uri that must be an address",
        ),
    ],
)
def test_a_key_that_is_no_account_is_refused_in_words(key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bind("c", preset=PRESET, keys=[key])


async def test_nothing_of_an_account_is_shown() -> None:
    async with token_server() as (server, sign_in):
        key = service_account(server.url)
        made = account(key, sign_in)
    assert "PRIVATE KEY" not in repr(parse_key(key))
    assert "PRIVATE KEY" not in repr(made)
    assert pem() in made.hidden
    assert b"authorization" not in dict(made.headers(key))
