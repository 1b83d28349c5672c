"""What pictures, sound and files cost: a rule with its numbers, and sizes read from their bytes.

No library for pictures: the size stands in the first bytes of PNG, GIF and WebP, and in one of the
first segments of JPEG. Bounded: at most `HEAD` bytes of a picture are looked at.
"""

from __future__ import annotations

import struct
from binascii import Error, a2b_base64
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Literal, assert_never

Rule = Literal["tiles", "patches", "crops", "fixed"]
Kind = Literal["image", "audio", "video", "file"]

HEAD = 192 * 1024
"""Bytes of a picture that are looked at: JPEG may hold a preview before its size."""
_FIRST = 4 * 1024
_SEGMENTS = 256
"""Segments of a JPEG that are looked at; cameras write some twenty before the size."""
_PDF = 1024 * 1024
"""Bytes of a PDF whose pages are counted; those of a longer one follow from its size."""
_PAGE_BYTES = 50_000
_SOUND_BYTES = 8_000
"""Bytes of a second of compressed sound: 64 kbit/s."""
_FILM_BYTES = 250_000
"""Bytes of a second of film: 2 Mbit/s."""
_UNKNOWN_S = 60
_UNKNOWN_PAGES = 10
_CROPS = 64
_USUAL = (1024, 1024)
"""What a picture is taken for whose bytes are not in the request."""


def _squares(length: float) -> int:
    """Rounded up, but not for what a division left over."""
    return ceil(length - 1e-9)


@dataclass(frozen=True, slots=True)
class MediaRule:
    """What a model counts for media, in tokens.

    tiles    the picture is fit into `fit` pixels square, its short edge into `short`, and laid out
             in squares of `side`: `base` and `each` a square; in low detail `base` alone
    patches  squares of `side` pixels, `factor` tokens each, `base` beside; a picture whose long
             edge is more than `long` (0: any) or that has more than `most` patches is made
             smaller; `high` and `low` are `most` in these details, 0: as `most`
    crops    `each` for a picture up to `short` pixels square, else for each crop, of two thirds of
             the short edge, from 256 up to `side` pixels
    fixed    `each`

    Sound is `audio` tokens a second, film `video`; a page of a PDF `page`.
    """

    rule: Rule = "tiles"
    base: int = 0
    each: int = 170
    side: int = 512
    fit: int = 2048
    short: int = 768
    long: int = 0
    most: int = 1536
    high: int = 0
    low: int = 0
    factor: float = 1.0
    audio: int = 10
    video: int = 300
    page: int = 800

    def image(self, size: tuple[int, int] | None, detail: str = "") -> int:
        """Tokens of a picture of so many pixels; of a usual one where they are not known."""
        width, height = size or _USUAL
        match self.rule:
            case "tiles":
                return self.base if detail == "low" else self._tiles(width, height)
            case "patches":
                most = {"low": self.low, "high": self.high}.get(detail) or self.most
                return self._patches(width, height, most)
            case "crops":
                return self.each * self._crops(width, height)
            case "fixed":
                return self.each
            case _:
                assert_never(self.rule)

    @property
    def image_most(self) -> int:
        """What the dearest picture costs."""
        match self.rule:
            case "tiles":
                return self._tiles(self.fit, self.short)
            case "patches":
                return self.base + round(max(self.most, self.high) * self.factor)
            case "crops":
                return self.each * _CROPS
            case "fixed":
                return self.each
            case _:
                assert_never(self.rule)

    def _tiles(self, width: float, height: float) -> int:
        shrink = min(1.0, self.fit / max(width, height))
        shrink = min(shrink, self.short / min(width, height))
        across, down = _squares(width * shrink / self.side), _squares(height * shrink / self.side)
        return self.base + self.each * across * down

    def _patches(self, width: float, height: float, most: int) -> int:
        side = self.side
        shrink = min(1.0, self.long / max(width, height)) if self.long else 1.0
        width, height = width * shrink, height * shrink
        if _squares(width / side) * _squares(height / side) > most:
            shrink = sqrt(side * side * most / (width * height))
            across, down = width * shrink / side, height * shrink / side
            if min(across, down) >= 1:
                shrink *= min(floor(across) / across, floor(down) / down)
            width, height = width * shrink, height * shrink
        count = min(most, _squares(width / side) * _squares(height / side))
        return self.base + round(count * self.factor)

    def _crops(self, width: int, height: int) -> int:
        if max(width, height) <= self.short:
            return 1
        unit = min(max(256, floor(min(width, height) / 1.5)), self.side)
        return min(ceil(width / unit) * ceil(height / unit), _CROPS)


USUAL = MediaRule(base=85)
"""What media cost where nothing is known of the model."""


@dataclass(frozen=True, slots=True)
class Medium:
    """A picture, sound, film or file in a request: its base64, "" where it is elsewhere."""

    kind: Kind
    data: str = ""
    mime: str = ""
    detail: str = ""


def kind_of(mime: str) -> Kind:
    """What a medium is by its MIME type."""
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "file"


def medium_tokens(medium: Medium, rule: MediaRule) -> int:
    """About how many tokens a medium is."""
    size = len(medium.data) * 3 // 4
    match medium.kind:
        case "image":
            return rule.image(_size(medium.data), medium.detail)
        case "audio":
            return ceil(_seconds(medium, size) * rule.audio)
        case "video":
            return ceil((size / _FILM_BYTES if size else _UNKNOWN_S) * rule.video)
        case "file" if medium.mime.startswith("text/"):
            return size // 4
        case "file":
            return _pages(medium.data, size) * rule.page
        case _:
            assert_never(medium.kind)


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels by the first bytes of a PNG, JPEG, GIF or WebP, else None."""
    found = None
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        found = struct.unpack(">II", data[16:24])
    elif data[:4] == b"GIF8" and len(data) >= 10:
        found = struct.unpack("<HH", data[6:10])
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        found = _webp(data)
    elif data[:2] == b"\xff\xd8":
        found = _jpeg(data)
    return (found[0], found[1]) if found and found[0] and found[1] else None


def _size(data: str) -> tuple[int, int] | None:
    """A picture's size by its base64. The first bytes tell, of some JPEGs only many more."""
    head = _decoded(data, _FIRST)
    found = image_size(head)
    if found is None and head[:2] == b"\xff\xd8" and len(data) > _FIRST:
        return image_size(_decoded(data, HEAD))
    return found


def _webp(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: lossy, lossless and extended files say it in three ways."""
    form = data[12:16]
    if form == b"VP8X":
        return _int24(data, 24) + 1, _int24(data, 27) + 1
    if form == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """ITU T.81 B.2: segments with their length, until the one that begins a frame."""
    at = 2
    for _ in range(_SEGMENTS):
        if at + 9 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker == 0xFF:  # fill
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        at += 2 + max(2, length)
    return None


def _seconds(medium: Medium, size: int) -> float:
    """A WAV says how many bytes a second are; of others the size tells roughly."""
    if not size:
        return _UNKNOWN_S
    head = _decoded(medium.data, 44)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE" and len(head) >= 32:
        (rate,) = struct.unpack("<I", head[28:32])
        return max(0, size - len(head)) / (rate if rate >= 1_000 else _SOUND_BYTES)
    return size / _SOUND_BYTES


def sound_ms(head: bytes, size: int) -> int:
    """Milliseconds of sound in an upload of so many bytes, about: a WAV whose beginning stands in
    `head` says how many bytes a second are, of others the size tells.
    """
    at = head.find(b"RIFF")
    rate = _SOUND_BYTES
    if at >= 0 and head[at + 8 : at + 12] == b"WAVE" and len(head) >= at + 32:
        (told,) = struct.unpack("<I", head[at + 28 : at + 32])
        rate = told if told >= 1_000 else rate
    return size * 1000 // rate


def _pages(data: str, size: int) -> int:
    if not size:
        return _UNKNOWN_PAGES
    by_size = max(1, size // _PAGE_BYTES)
    if size > _PDF:
        return by_size
    raw = _decoded(data, _PDF)
    pages = raw.count(b"/Type/Page") + raw.count(b"/Type /Page")
    found = pages - raw.count(b"/Type/Pages") - raw.count(b"/Type /Pages")
    return found if found > 0 else by_size  # newer files hold their objects compressed


def _decoded(data: str, most: int) -> bytes:
    """The first bytes that base64 stands for; b"" where it is none."""
    part = data[: (most + 2) // 3 * 4].replace("-", "+").replace("_", "/")
    try:
        return a2b_base64(part + "=" * (-len(part) % 4))
    except (Error, ValueError):
        return b""
