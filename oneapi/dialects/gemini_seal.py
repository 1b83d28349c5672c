"""Thoughts of other providers, in what this format has for vouching: a part's signature.

A signature is base64 of bytes that clients send back as they are, though some of their libraries
write them in the other alphabet of base64. So what another provider signed or encrypted is sealed
in it, and taken out again where the part returns: letter for letter, and known for what it is.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from oneapi.dialects.base_bodies import encode_text
from oneapi.ir import Part, Reasoning
from oneapi.wire.json import JSON, MalformedJSON, decode

_HEAD: Final = b"oneapi.1:"
_MARK: Final = b64encode(_HEAD).decode()
_URL_SAFE: Final = str.maketrans("-_", "+/")


@dataclass(slots=True)
class Borrowed(Reasoning):
    """A thought of another provider. `sealed` is its signature here, `length` how many characters
    its text had: a stream tells it in pieces, of which the last alone is signed.
    """

    sealed: str = ""
    length: int = 0


def seal(thought: Reasoning, length: int) -> str:
    """The signature of another provider's thought, "" where nothing vouches for it."""
    if not thought.signature and not thought.data:
        return ""
    held: dict[str, JSON] = {
        "signature": thought.signature,
        "data": thought.data,
        "id": thought.id,
        "summary": thought.summary,
        "length": length,
    }
    text = encode_text({name: value for name, value in held.items() if value})
    return b64encode(_HEAD + text.encode()).decode()


def unseal(text: str, signature: str) -> Borrowed | None:
    """The thought whose signature this is; None for one of this format's own."""
    if not signature.startswith(_MARK):
        return None
    raw = signature.translate(_URL_SAFE).rstrip("=")
    try:
        held = decode(b64decode(raw + "=" * (-len(raw) % 4))[len(_HEAD) :])
    except (ValueError, MalformedJSON):
        return None
    if not isinstance(held, dict):
        return None
    said = {name: held.get(name, "") for name in ("signature", "data", "id")}
    length = held.get("length", 0)
    if not all(isinstance(v, str) for v in said.values()) or type(length) is not int:
        return None
    summary = held.get("summary") is True
    return Borrowed(text, **said, summary=summary, sealed=signature, length=length)


def joined(parts: Sequence[Part]) -> list[Part]:
    """The parts, borrowed thoughts put together that a stream told in several."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Borrowed):
            before = len(found)
            text = part.text
            while before and len(text) < part.length and _is_piece(found[before - 1]):
                before -= 1
                piece = found[before]
                assert isinstance(piece, Reasoning)
                text = piece.text + text
            if len(text) == part.length and text is not part.text:
                del found[before:]
                part = replace(part, text=text)
        found.append(part)
    return found


def _is_piece(part: Part) -> bool:
    return type(part) is Reasoning and not part.signature and not part.data
