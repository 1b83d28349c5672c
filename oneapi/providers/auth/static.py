"""What is known of signing in once the key is: its header line, its parts, its faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneapi.errors import ConfigError, Problem
from oneapi.providers.auth import aws, google
from oneapi.providers.auth.base import Signer, SignIn

_AWS = "aws"
_GOOGLE = "google"
_BEARER = "Bearer "


def key_line(auth: str, key: str) -> tuple[str, str] | None:
    """The header line that carries the key, None where none does: no key, or a signer's work.

    `auth` is as `Preset.auth` says. A key that begins with `Bearer ` is a token of its own kind
    (Azure's Entra) and goes out as it is.
    """
    kind, _, name = auth.partition(":")
    if not key or kind == "none":
        return None
    if kind == _AWS:
        return None if aws.parse_key(key) else ("authorization", _BEARER + key)
    if kind == _GOOGLE:
        signed = key == google.METADATA or google.parse_key(key) is not None
        return None if signed else ("x-goog-api-key", key)
    if kind == "plain" or key.startswith(_BEARER):
        return "authorization", key
    if kind == "header":
        return name, key
    return "authorization", f"{name or 'Bearer'} {key}"


def key_problem(auth: str, key: str) -> str:
    """Why a key will not do, "" where it will. Nothing of the key stands in it."""
    try:
        line = key_line(auth, key)
    except ValueError as error:
        return f"a key {error}"
    if line is not None and not is_header_value(line[1]):
        return "a key holds a character that no header can carry"
    return ""


def is_header_value(value: str) -> bool:
    """Whether a text can stand in a header: Latin-1 without control characters."""
    return all(" " <= c <= "~" or "\xa0" <= c <= "\xff" or c == "\t" for c in value)


def key_variables(auth: str, keys: Sequence[str]) -> Mapping[str, str]:
    """What keys tell about the address: a service account's project."""
    if auth != _GOOGLE:
        return {}
    accounts = [account for key in keys if (account := google.parse_key(key)) is not None]
    return {"project": accounts[0].project} if accounts and accounts[0].project else {}


def parts_of(auth: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Secrets inside keys, which an error's text might hold without the rest of the key."""
    found: list[str] = []
    for key in keys:
        if auth == _GOOGLE and (account := google.parse_key(key)) is not None:
            found += account.secrets
        if auth.startswith(f"{_AWS}:") and (credentials := aws.parse_key(key)) is not None:
            found += (credentials.access_key, credentials.secret_key, credentials.session_token)
    return tuple(part for part in found if part)


def default_key(auth: str, environ: Mapping[str, str]) -> str:
    """The key of an account without keys, from its users' usual variables; "" for none."""
    return aws.from_environment(environ) if auth.startswith(f"{_AWS}:") else ""


def signer_of(
    channel: str,
    auth: str,
    *,
    keys: Sequence[str],
    default: str,
    variables: Mapping[str, str],
    environ: Mapping[str, str],
    sign_in: SignIn | None,
) -> Signer | None:
    """The account's signer, None where static headers do. Raises `ConfigError`."""
    kind, _, service = auth.partition(":")
    if kind == _AWS:
        if all(aws.parse_key(key) is None for key in (*keys, default)):
            return None
        if not variables.get("region"):
            words = "is missing: the signature holds it"
            raise ConfigError([Problem(words, key=f"channels.{channel}.vars.region")])
        return aws.AwsSigner(service, variables["region"], keys, default)
    if kind == _GOOGLE and sign_in is not None:
        if all(key_line(auth, key) is not None for key in keys):
            return None
        return google.GoogleSigner(channel, keys, sign_in, environ)
    return None
