"""Small media that the mock provider makes and reads: pictures, sounds, vectors, forms."""

from __future__ import annotations

import hashlib
import io
import math
import re
import struct
import wave
import zlib
from array import array

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'\bfilename="([^"]*)"')
_WORD = re.compile(r"\w+")

RATE_HZ = 8_000
_TONE_HZ = 500
_DIMENSIONS = 256


def png(seed: str, side: int = 8) -> bytes:
    """A square in one colour, which depends on the seed."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    rows = (b"\x00" + colour * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in parts)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pcm(seconds: float) -> bytes:
    """A tone, 16 bits, mono, RATE_HZ."""
    period = RATE_HZ // _TONE_HZ
    wavelet = array("h", (round(6000 * math.sin(2 * math.pi * i / period)) for i in range(period)))
    return wavelet.tobytes() * max(1, round(seconds * _TONE_HZ))


def wav(seconds: float) -> bytes:
    """The same tone as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm(seconds))
    return out.getvalue()


def vector(text: str, dimensions: int | None) -> list[float]:
    """A unit vector: texts that share words point the same way."""
    size = dimensions or _DIMENSIONS
    total = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        for i, byte in enumerate(hashlib.shake_128(word.encode("utf-8", "replace")).digest(size)):
            total[i] += byte - 127.5
    norm = math.sqrt(sum(x * x for x in total))
    return [x / norm for x in total]


def floats(values: list[float]) -> bytes:
    """Little-endian float32, as OpenAI's base64 embeddings hold them."""
    return struct.pack(f"<{len(values)}f", *values)


def form(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """A multipart form's fields and its files; empty ones for what is no form."""
    found = _BOUNDARY.search(content_type)
    fields: dict[str, str] = {}
    uploads: dict[str, bytes] = {}
    if found is None:
        return fields, uploads
    for part in body.split(b"--" + found[1].encode("latin-1")):
        head, separator, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not separator or name is None:
            continue
        content = content.removesuffix(b"\r\n")
        if _FILENAME.search(head):
            uploads[name[1].decode("utf-8", "replace")] = content
        else:
            fields[name[1].decode("utf-8", "replace")] = content.decode("utf-8", "replace")
    return fields, uploads
