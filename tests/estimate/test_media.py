"""Pictures cost what their makers' rules say; their sizes are read from their bytes."""

from __future__ import annotations

import base64
import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi import estimate
from oneapi.estimate import MediaRule, Medium, image_size
from oneapi.estimate.media import medium_tokens
from oneapi.providers.catalog import load_catalog, parse_catalog
from oneapi.providers.media import media_rule

CATALOG = load_catalog()


def png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + head))


def jpeg(width: int, height: int, preview: int = 0) -> bytes:
    """With a segment of so many bytes before the frame's, as cameras write them."""
    exif = b"\xff\xe1" + struct.pack(">H", preview + 2) + b"x" * preview if preview else b""
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF".ljust(14, b"\0") + exif + frame


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0" * 3


def webp(form: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 100) + b"WEBP" + form + struct.pack("<I", 50) + body


LOSSY = webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", 800, 600))
LOSSLESS = webp(b"VP8L", b"\x2f" + struct.pack("<I", 799 | 599 << 14) + b"\0" * 9)
EXTENDED = webp(b"VP8X", b"\0" * 4 + (799).to_bytes(3, "little") + (599).to_bytes(3, "little"))


@pytest.mark.parametrize(
    "data",
    [
        png(800, 600),
        jpeg(800, 600),
        jpeg(800, 600, 60_000),
        gif(800, 600),
        LOSSY,
        LOSSLESS,
        EXTENDED,
    ],
)
def test_the_size_is_read_from_the_first_bytes(data: bytes) -> None:
    assert image_size(data) == (800, 600)


@given(st.sampled_from([png(9, 9), jpeg(9, 9, 50), gif(9, 9), LOSSY, EXTENDED]), st.data())
def test_a_picture_cut_anywhere_raises_nothing(whole: bytes, data: st.DataObject) -> None:
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    assert image_size(cut) in (None, (9, 9), (800, 600))


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing(data: bytes) -> None:
    for head in (b"", b"\xff\xd8\xff", b"RIFF....WEBP", b"GIF8"):
        image_size(head + data)


def cost(provider: str, model: str, size: tuple[int, int], detail: str = "") -> int:
    return media_rule(CATALOG, CATALOG[provider], model).image(size, detail)


# The makers' own examples: platform.openai.com/docs/guides/images-vision (tiles, patches),
# ai.google.dev/gemini-api/docs/tokens (crops), read 2026-11-24; and
# huggingface.co/datasets/JOHNISKING/image-token-cost, measured, less the words around the picture.
@pytest.mark.parametrize(
    ("provider", "model", "size", "detail", "count"),
    [
        ("openai", "gpt-4o", (1024, 1024), "high", 765),
        ("openai", "gpt-4o", (2048, 4096), "high", 1105),
        ("openai", "gpt-4o", (4096, 8192), "low", 85),
        ("openai", "gpt-4o-mini", (160, 160), "auto", 8500),
        ("openai", "gpt-5", (1024, 1024), "", 630),
        ("openai", "gpt-4.1-mini", (1024, 1024), "", 1659),
        ("openai", "gpt-5-nano", (1800, 2400), "", 3572),
        ("openai", "gpt-5.5", (1024, 1024), "", 1229),
        ("azure", "gpt-4o", (1024, 1024), "", 765),
        ("openrouter", "openai/gpt-4o", (1024, 1024), "", 765),
        ("anthropic", "claude-sonnet-4-5", (256, 256), "", 100),
        ("anthropic", "claude-sonnet-4-5", (1024, 1024), "", 1369),
        ("anthropic", "claude-opus-4-8", (1920, 1080), "", 2691),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", (256, 256), "", 100),
        ("gemini", "gemini-2.5-flash", (300, 300), "", 258),
        ("gemini", "gemini-2.5-flash", (960, 540), "", 1548),
        ("gemini", "gemini-3-pro-preview", (4032, 3024), "", 1120),
        ("ollama", "llava", (1024, 1024), "", 765),
    ],
)
def test_a_picture_costs_what_its_models_maker_says(
    provider: str, model: str, size: tuple[int, int], detail: str, count: int
) -> None:
    assert cost(provider, model, size, detail) == count


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_every_rule_has_an_end(width: int, height: int) -> None:
    for preset in CATALOG.values():
        for row in preset.media:
            assert 0 < row.rule.image((width, height)) <= row.rule.image_most


def test_a_mistake_in_a_rule_is_named() -> None:
    for row, words in [
        ('{ models = "*", rule = "circles" }', "no rule circles"),
        ('{ models = "*", rule = "fixed", each = -1 }', "each must be a number, 0 or more"),
        ('{ models = "*", rule = "fixed", width = 1 }', "no field width"),
    ]:
        with pytest.raises(ValueError, match=words):
            parse_catalog(f'[x]\ntitle = "X"\nmedia = [{row}]')


def wav(seconds: int, rate: int = 32_000) -> str:
    head = (
        b"RIFF" + b"\0" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, rate, 2, 16)
    )
    return base64.b64encode(head + b"data" + b"\0" * 4 + bytes(seconds * rate)).decode()


def pdf(pages: int) -> str:
    body = b"<< /Type /Pages >>" + b"<< /Type /Page >>" * pages
    return base64.b64encode(b"%PDF-1.4" + body).decode()


@pytest.mark.parametrize(
    ("medium", "count"),
    [
        (Medium("audio", wav(5)), 50),
        (Medium("audio", base64.b64encode(b"ID3" + bytes(80_000)).decode()), 101),
        (Medium("audio"), 600),
        (Medium("file", pdf(3), "application/pdf"), 300),
        (Medium("file", base64.b64encode(bytes(100_000)).decode(), "application/pdf"), 200),
        (Medium("file"), 1000),
        (Medium("file", base64.b64encode(b"word " * 80).decode(), "text/plain"), 100),
        (Medium("video", base64.b64encode(bytes(500_000)).decode()), 601),
    ],
)
def test_sound_goes_by_seconds_and_files_by_pages(medium: Medium, count: int) -> None:
    assert medium_tokens(medium, MediaRule(page=100)) == count


IMAGE = base64.b64encode(png(2048, 4096)).decode()
URL = "data:image/png;base64," + IMAGE


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"content": [{"type": "image_url", "image_url": {"url": URL}}]}]},
        {"messages": [{"content": [{"type": "image_url", "image_url": URL}]}]},
        {"input": [{"content": [{"type": "input_image", "image_url": URL}]}]},
        {
            "messages": [
                {"content": [{"type": "image", "source": {"type": "base64", "data": IMAGE}}]}
            ]
        },
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": IMAGE}}]}]},
        {"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": IMAGE}}]}]},
        {"messages": [{"role": "user", "content": "", "images": [IMAGE]}]},
        {"prompt": "", "images": [IMAGE]},
    ],
)
def test_a_picture_is_found_in_every_dialect(body: dict[str, object]) -> None:
    frame = 0 if "prompt" in body else 4 if "input" in body else 7
    assert estimate.message_tokens(body) - frame == 1105


def test_a_long_picture_is_not_decoded_whole() -> None:
    found = Medium("image", base64.b64encode(png(512, 512) + bytes(3_000_000)).decode())
    assert medium_tokens(found, estimate.USUAL) == 255


@pytest.mark.parametrize("filled", [b"\xff", b"\xff\xe0\x00\x02"])
def test_a_jpeg_without_an_end_to_its_segments_costs_no_time(filled: bytes) -> None:
    data = b"\xff\xd8" + filled * (200_000 // len(filled))
    started = time.perf_counter()
    for _ in range(100):
        assert image_size(data) is None
    assert time.perf_counter() - started < 0.1  # 5 ms; byte by byte: 4 s


def test_a_size_behind_a_long_preview_is_found_by_way_of_base64() -> None:
    rule = MediaRule(rule="patches", side=32, most=10_000)
    found = [
        medium_tokens(Medium("image", base64.b64encode(jpeg(640, 320, preview)).decode()), rule)
        for preview in (0, 60_000)
    ]
    assert found == [200, 200]
