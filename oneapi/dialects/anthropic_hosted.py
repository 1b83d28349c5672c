"""Claude on other hosts: what their transport changes of a request, every other byte kept.

https://docs.anthropic.com/en/api/claude-on-amazon-bedrock and …/claude-on-vertex-ai (read
2026-11-24): the address names the model, the body the version; on Bedrock the address says whether
to stream, and the body which betas are wanted. Which betas and members a host knows is the caller's
to say: such hosts refuse requests that hold others ("Extra inputs are not permitted").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from oneapi.wire.json import MalformedJSON, Raw, decode, encode, items, join, members


def hosted_body(
    raw_members: Mapping[str, Raw | bytes],
    *,
    version: str,
    betas: Sequence[str],
    keep_stream: bool,
) -> bytes:
    """The body that the host wants.

    The client's own `anthropic_version` has the last word, its own betas come first.
    """
    body = dict(raw_members)
    body.pop("model", None)
    if not keep_stream:
        body.pop("stream", None)
    body.setdefault("anthropic_version", encode(version))
    wanted = list(dict.fromkeys((*_betas_in(body), *betas)))
    if betas:
        body["anthropic_beta"] = encode(wanted)
    return join(body)


def allowed_betas(betas: Iterable[str], allowed: Sequence[str]) -> list[str]:
    """The betas that match one of the allowed patterns (`context-1m-*`), in their order."""
    return [beta for beta in betas if any(fnmatchcase(beta, pattern) for pattern in allowed)]


def strip_betas(
    raw_members: Mapping[str, Raw | bytes], allowed: Sequence[str]
) -> dict[str, Raw | bytes]:
    """The members with `anthropic_beta` confined to the allowed patterns, without it where none
    is left.
    """
    body = dict(raw_members)
    if "anthropic_beta" not in body:
        return body
    asked = _betas_in(body)
    kept = allowed_betas(asked, allowed)
    if not kept:
        del body["anthropic_beta"]
    elif kept != asked:
        body["anthropic_beta"] = encode(kept)
    return body


def strip_fields(
    raw_members: Mapping[str, Raw | bytes], refused: Iterable[str]
) -> tuple[dict[str, Raw | bytes], list[str]]:
    """The members without those that the host refuses, and which of those there were.

    A path goes through objects by `.` and through lists by `[]`: `context_management`,
    `tools[].defer_loading`, `messages[].content[].cache_control.scope`.
    """
    body = dict(raw_members)
    found = []
    for path in refused:
        if _strip(body, path.split(".")):
            found.append(path)
    return body, found


def _strip(body: dict[str, Raw | bytes], path: Sequence[str]) -> bool:
    """Whether the member that the path leads to was there; it is not any more."""
    name = path[0].removesuffix("[]")
    if name not in body:
        return False
    if len(path) == 1:
        del body[name]
        return True
    if path[0].endswith("[]"):
        edited = [_within(item, path[1:]) for item in items(body[name])]
        if not any(changed for _, changed in edited):
            return False
        body[name] = b"[" + b",".join(raw for raw, _ in edited) + b"]"
        return True
    inner, changed = _within(body[name], path[1:])
    if changed:
        body[name] = inner
    return changed


def _within(raw: Raw | bytes, path: Sequence[str]) -> tuple[bytes, bool]:
    try:
        inner: dict[str, Raw | bytes] = {**members(bytes(raw))}
    except MalformedJSON:
        return bytes(raw), False
    if not _strip(inner, path):
        return bytes(raw), False
    return join(inner), True


def _betas_in(body: Mapping[str, Raw | bytes]) -> list[str]:
    raw = body.get("anthropic_beta")
    if raw is None:
        return []
    try:
        value = decode(bytes(raw))
    except MalformedJSON:
        return []
    if isinstance(value, str):
        value = value.split(",")
    return [b.strip() for b in value if isinstance(b, str)] if isinstance(value, list) else []
