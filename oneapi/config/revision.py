"""What stands for a configuration: its revision, and its text with the secrets masked."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from oneapi.config.documents import Document
from oneapi.config.locate import KeyPath
from oneapi.config.paths import SECRET_PATHS, is_secret
from oneapi.config.schema import Settings

MASK = '"***"'

_LOOKS_SECRET = re.compile(
    r"\b(?:sk|rk|pk|gsk|xai|AIza)[-_]?[A-Za-z0-9_-]{20,}"
    r"|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"  # the user and password of an address
)
_ONE_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-|:\?[^}]*)?\}")
_TABLES_WITH_SECRETS = frozenset(pattern[0] for pattern in SECRET_PATHS)


def revision(
    settings: Settings, fingerprint_key: bytes, also: Mapping[str, str] | None = None
) -> str:
    """16 hexadecimal digits that name the effective configuration.

    Secrets enter as HMAC fingerprints: a rotated one makes a new revision, and nobody without
    `fingerprint_key` can try guesses against it (D4). Entry by entry, as validation is. `also` are
    variables that act beside the file.
    """
    digest = hashlib.sha256()
    for name in Settings.model_fields:
        value = getattr(settings, name)
        entries = value.items() if isinstance(value, dict) else [("", value)]
        for key, entry in entries:
            plain = entry.model_dump(mode="json") if isinstance(entry, BaseModel) else entry
            if name in _TABLES_WITH_SECRETS:
                path: KeyPath = (name, key) if isinstance(value, dict) else (name,)
                plain = _fingerprinted(plain, path, fingerprint_key)
            digest.update(json.dumps([name, key, plain], sort_keys=True).encode())
    if also:
        digest.update(json.dumps(also, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def masked(document: Document) -> str:
    """The document's text with every literal secret replaced; references and comments stay."""
    text, pieces, at = document.text, [], 0
    places = sorted(
        (span.value, span.end)
        for path, span in document.spans.items()
        if is_secret(path) and not _harmless(_value(document.data, path))
    )
    for start, end in places:
        pieces += [_LOOKS_SECRET.sub("***", text[at:start]), MASK]
        at = end
    return "".join([*pieces, _LOOKS_SECRET.sub("***", text[at:])])


def literal_secrets(document: Document) -> list[KeyPath]:
    """The keys whose secret stands in the text itself."""
    return [
        path
        for path in document.spans
        if is_secret(path) and not _harmless(_value(document.data, path), hashes=True)
    ]


def _fingerprinted(value: Any, path: KeyPath, key: bytes) -> Any:
    if isinstance(value, dict):
        return {name: _fingerprinted(item, (*path, name), key) for name, item in value.items()}
    if isinstance(value, list):
        return [_fingerprinted(item, (*path, index), key) for index, item in enumerate(value)]
    if isinstance(value, str) and is_secret(path):
        return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()
    return value


def _harmless(value: object, *, hashes: bool = False) -> bool:
    """Whether the text at a secret's place holds none: a reference, or a table of such."""
    if not isinstance(value, str):
        return True
    if value in ("", "none") or value.startswith(("file:", "cmd:")):
        return True
    if hashes and value.startswith("scrypt:"):
        return True
    return _ONE_REFERENCE.fullmatch(value) is not None


def _value(tree: Any, path: KeyPath) -> Any:
    for part in path:
        tree = tree[part]
    return tree
