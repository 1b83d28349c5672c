"""JSON for clients, whatever its texts hold."""

from __future__ import annotations

import json

from oneapi.wire.json import JSON, encode


def dump(value: JSON) -> bytes:
    """The value as JSON. Halves of a surrogate pair, which a provider may cut between two chunks,
    stay escapes: the client that joins the texts joins the character.
    """
    try:
        return encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
