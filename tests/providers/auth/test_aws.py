"""AWS signatures: the published vectors, and what the signer adds to a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneapi.errors import ConfigError
from oneapi.providers.account import Account
from oneapi.providers.auth.aws import (
    AwsSigner,
    Scope,
    canonical_request,
    from_environment,
    parse_key,
    signature,
    string_to_sign,
)
from oneapi.providers.binding import bind
from oneapi.providers.catalog import load_catalog

pytestmark = pytest.mark.anyio

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "auth_vectors.json"
NOW = 1440938160.0  # 2015-08-30 12:36:00 UTC
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
KEY = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def vector(name: str) -> dict[str, Any]:
    if not VECTORS.is_file():
        pytest.skip("the vectors are not beside this repository")
    return next(v for v in json.loads(VECTORS.read_text("utf-8")) if v["name"] == name)


def test_the_suites_simplest_request_is_signed_as_published() -> None:
    wanted = vector("get-vanilla")
    moment = "20150830T123600Z"
    headers = [("host", "example.amazonaws.com"), ("x-amz-date", moment)]
    canonical, signed = canonical_request("GET", "/", headers, b"")
    scope = Scope(moment, "us-east-1", "service")
    assert canonical == wanted["canonical_request"]
    assert string_to_sign(canonical, scope) == wanted["string_to_sign"]
    made = signature(wanted["secret_key"], string_to_sign(canonical, scope), scope)
    assert wanted["authorization"].endswith(f"SignedHeaders={signed}, Signature={made}")


async def test_a_models_colon_is_encoded_twice_in_what_is_signed() -> None:
    wanted = vector("bedrock-converse-colon-in-model-id")
    body = wanted["body"].encode()
    lines = await AwsSigner("bedrock", "us-east-1", [KEY]).sign(
        KEY,
        method=b"POST",
        host=HOST,
        target=wanted["request_path"].encode(),
        body=body,
        now_s=NOW,
        headers=((b"content-type", b"application/json"), (b"accept", b"*/*")),
    )
    assert dict(lines)[b"authorization"].decode() == wanted["authorization"]
    assert dict(lines)[b"x-amz-date"] == b"20150830T123600Z"


def test_a_query_is_sorted_and_encoded() -> None:
    canonical, _ = canonical_request("GET", "/x?b=2&a=c%2Fd&a=&~=t l", [("host", "h")], b"")
    assert canonical.split("\n")[2] == "a=&a=c%2Fd&b=2&~=t%20l"


async def test_a_sessions_token_is_sent_and_signed() -> None:
    key = KEY + ":the/session+token=="
    lines = await AwsSigner("bedrock", "eu-west-1", [key]).sign(
        key, method=b"POST", host=HOST, target=b"/m", body=b"{}", now_s=NOW
    )
    assert dict(lines)[b"x-amz-security-token"] == b"the/session+token=="
    assert b"SignedHeaders=host;x-amz-date;x-amz-security-token" in dict(lines)[b"authorization"]
    assert b"/eu-west-1/bedrock/aws4_request" in dict(lines)[b"authorization"]


def account(**given: Any) -> Account:
    given.setdefault("variables", {"region": "us-east-1"})
    return bind("c", preset=load_catalog()["bedrock"], **given)


def test_a_bedrock_api_key_goes_out_as_it_is() -> None:
    made = account(keys=["bedrock-api-key-x"])
    assert made.signer is None
    assert (b"authorization", b"Bearer bedrock-api-key-x") in made.headers("bedrock-api-key-x")


async def test_keys_of_both_kinds_stand_side_by_side() -> None:
    made = account(keys=[KEY, "bedrock-api-key-x"])
    assert made.signer is not None
    assert b"authorization" not in dict(made.headers(KEY))
    given = {"method": b"POST", "host": HOST, "target": b"/m", "body": b"", "now_s": NOW}
    assert await made.signer.sign("bedrock-api-key-x", **given) == ()  # type: ignore[arg-type]


async def test_credentials_of_the_environment_serve_an_account_without_keys() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    made = account(environ=environ)
    assert made.signer is not None
    lines = await made.signer.sign("", method=b"POST", host=HOST, target=b"/m", body=b"", now_s=NOW)
    assert b"Credential=AKID/" in dict(lines)[b"authorization"]
    assert {"AKID", "s", "t"} <= set(made.hidden)
    assert account(environ=environ, keys=["bedrock-api-key-x"]).signer is None


def test_a_bearer_of_the_environment_wins() -> None:
    environ = {"AWS_BEARER_TOKEN_BEDROCK": "b", "AWS_ACCESS_KEY_ID": "a"}
    assert from_environment(environ) == "b"
    assert dict(account(environ=environ).headers(""))[b"authorization"] == b"Bearer b"
    assert from_environment({"AWS_ACCESS_KEY_ID": "a"}) == ""


def test_secrets_are_not_shown() -> None:
    credentials = parse_key(KEY + ":token")
    assert "wJalr" not in repr(credentials)
    assert "token'" not in repr(credentials)
    made = account(keys=[KEY])
    assert "wJalr" not in repr(made)
    assert "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" in made.hidden


def test_half_a_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match=r"channels\.c\.keys: a key must be ACCESS") as caught:
        account(keys=[":secret-half"])
    assert "secret-half" not in str(caught.value)


def test_a_signature_needs_its_region() -> None:
    with pytest.raises(ConfigError, match=r"vars\.region: is missing"):
        account(keys=[KEY], base_url="https://proxy.test", variables={})
    made = account(keys=[KEY], base_url="https://proxy.test", variables={"region": "r"})
    assert made.signer is not None
