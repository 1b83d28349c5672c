"""How many tokens a text is: counts of what stands in it, times what each is for a family.

A text's UTF-8 becomes one byte of a class for each character; runs and pairs of classes are then
counted by `bytes.translate`, `split` and `count`, which look at a gigabyte or so a second. The
weights are fitted (`families.toml` says how); no vocabulary is held.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from operator import mul

from oneapi.estimate.families import DEFAULT, Family, family

SAMPLE = 32 * 1024
"""Characters that are looked at: of a longer text, slices spaced evenly. 2 to 4 ms."""
_SLICES = 32

ASCII = (
    "word",
    "word+2",  # letters beyond the second of each word
    "word+4",
    "word+7",
    "hump",  # camelCase
    "capitals",
    "digit",
    "number",
    "triple",  # digits in threes, as many vocabularies cut them
    "mark",  # runs of marks
    "mark+1",
    "mark before a letter",  # many vocabularies hold these as one
    "mark before a line",
    "double mark",
    "line",
    "indent",
    "number after a space",
    "tab",
    "gap",
    "foreign word",  # of a text that is neither English nor code
    "foreign word+4",
)
"""What is counted in every text; the order of the weights."""
OTHER = (
    "accent",
    "vietnamese",
    "vietnamese word",
    "greek",
    "greek word",
    "cyrillic",
    "cyrillic word",
    "ukrainian",
    "hebrew",
    "hebrew word",
    "arabic",
    "arabic word",
    "hangul",
    "hangul word",
    "indic",
    "indic word",
    "devanagari",
    "devanagari word",
    "bengali",
    "tamil",
    "thai",
    "georgian, khmer",
    "cjk mark",
    "kana",
    "katakana",
    "kana run",
    "han",
    "han run",
    "han in japanese",
    "traditional han",
    "dash or quote",
    "symbol",
    "full width",
    "emoji",
    "rest",
)
"""What is counted where a text is not ASCII."""

_ENGLISH = (b" the ", b" and ", b" to ", b" for ", b" you ", b" that ")
# Characters that are written otherwise on the mainland, where most of what a vocabulary was made
# of was written.
_TRADITIONAL = tuple(c.encode() for c in "這個為會國時與對")
_CONTINUATION = bytes(range(0x80, 0xC0))


def _table(classes: dict[str, Iterable[int]], otherwise: str) -> bytes:
    table = bytearray(otherwise.encode() * 256)
    for name, members in classes.items():
        for member in members:
            table[member] = ord(name)
    return bytes(table)


# By a character's first byte in UTF-8, which tells its script well enough.
_CLASS = _table(
    {
        "a": range(0x61, 0x7B),
        "A": range(0x41, 0x5B),
        "0": range(0x30, 0x3A),
        ".": [c for c in range(0x21, 0x7F) if not chr(c).isalnum()],
        " ": [0x20],
        "t": [0x09],
        "n": b"\n\r\v\f",
        "L": range(0xC3, 0xCE),
        "G": [0xCE, 0xCF],
        "Y": range(0xD0, 0xD5),
        "H": [0xD7],
        "R": range(0xD8, 0xDC),
        "I": [0xE0],
        "V": [0xE1],
        "S": [0xE2],
        "K": [0xE3],
        "Z": range(0xE4, 0xEA),
        "N": range(0xEA, 0xEE),
        "F": [0xEF],
        "E": range(0xF0, 0xF8),
    },
    "o",
)


def _only(classes: bytes) -> bytes:
    return _table({"x": classes}, " ")


_WORDS, _DIGITS, _MARKS = _only(b"aALV"), _only(b"0"), _only(b".")
_KANA, _HAN, _INDIC = _only(b"K"), _only(b"Z"), _only(b"I")
_SCRIPTS = tuple((name, _only(name)) for name in (b"G", b"Y", b"H", b"R", b"N"))
_BLOB = _table({"x": [c for c in range(128) if chr(c).isalnum() or chr(c) in "+/=_-"]}, " ")
_BLOBS = re.compile(rb"[A-Za-z0-9+/=_\-]{64,}")
_CONTROLS = bytes([*range(9), *range(14, 32), 127])
# Lao and Tibetan; Ethiopic to runes, Mongolian; old scripts beyond U+FFFF.
_BY_E0 = tuple(bytes((0xE0, second)) for second in range(0xBA, 0xC0))
_BY_E1 = tuple(bytes((0xE1, second)) for second in (*range(0x88, 0x9C), 0xA0, 0xA1, 0xA2))
_BY_F0 = tuple(bytes((0xF0, second)) for second in range(0x90, 0x9B))
_SCARCE = 1.6
"""Tokens that such a character is beyond what the family says: 1.4 to 1.9 in OpenAI's two public
vocabularies (measured 2026-11-24), which is taken for all.
"""
_SPACES = 128
_UNLIKE_WORDS = _only(b"A0")


def tokens(text: str, family_name: str = DEFAULT) -> int:
    """About how many tokens the text is for a family of models, whatever the text's length.

    50 to 100 µs a kilobyte, 4 ms at most. Raises ValueError for an unknown family.
    """
    return estimated(text, family(family_name))


def estimated(text: str, kind: Family) -> int:
    """As `tokens`, for a family at hand."""
    return round(sampled(text, lambda part: _measure(part, kind), SAMPLE))


def sampled(text: str, count: Callable[[str], float], size: int) -> float:
    """`count` of the text, or of slices all over it, of `size` characters together."""
    if len(text) <= size:
        return count(text)
    part = size // _SLICES
    step = (len(text) - part) / (_SLICES - 1)
    starts = [round(i * step) for i in range(_SLICES)]
    return sum(count(text[start : start + part]) for start in starts) * len(text) / size


def _measure(text: str, kind: Family) -> float:
    """Never more than there are bytes: every vocabulary here holds all of these. Nor less than a
    token for the longest run of spaces that one holds.
    """
    raw = text.encode("utf-8", "surrogatepass")
    size, blobs = len(raw), 0.0
    if b"x" * 64 in raw.translate(_BLOB):
        raw, blobs = _without_blobs(raw, kind)
    basis, other = features(raw)
    count: float = blobs + sum(map(mul, basis, kind.ascii))
    count += sum(map(mul, other, kind.other)) + _SCARCE * _scarce(raw)
    return min(size, max(size / _SPACES, count))


def _scarce(raw: bytes) -> int:
    """Characters that vocabularies hold hardly any words of: they are cut into their bytes."""
    if raw.isascii():
        return len(raw) - len(raw.translate(None, _CONTROLS))
    scripts = (_BY_E0, _BY_E1, _BY_F0)
    return sum(_count(raw, *found) for found in scripts if found[0][:1] in raw)


def _without_blobs(raw: bytes, kind: Family) -> tuple[bytes, float]:
    """The text without base64 and hex, and how many tokens these are."""
    count = 0.0

    def weighed(found: re.Match[bytes]) -> bytes:
        nonlocal count
        blob = found[0]
        unlike = blob.translate(_CLASS).translate(_UNLIKE_WORDS).count(b"x")
        if 4 * unlike < len(blob):  # a path, an identifier
            return blob
        is_hex = not blob.strip(b"0123456789abcdefABCDEF")
        count += len(blob) * (kind.hex if is_hex else kind.base64)
        return b""

    return _BLOBS.sub(weighed, raw), count


def features(raw: bytes) -> tuple[list[float], list[float]]:
    """What stands in a text, in the orders of `ASCII` and `OTHER`, the latter empty for ASCII."""
    plain = raw.isascii()
    classes = raw.translate(_CLASS) if plain else raw.translate(_CLASS, _CONTINUATION)
    lengths = Counter(map(len, classes.translate(_WORDS).split()))
    words, beyond_4 = sum(lengths.values()), _beyond(lengths, 4)
    marks = Counter(map(len, classes.translate(_MARKS).split()))
    digits = classes.count(b"0")
    numbers = Counter(map(len, classes.translate(_DIGITS).split())) if digits else Counter[int]()
    letters = sum(size * times for size, times in lengths.items())
    accents = 0 if plain else classes.count(b"L") + _count(raw, b"\xe1\xba", b"\xe1\xbb")
    foreign = _foreign(raw, words, sum(marks.values()), accents / (letters or 1))
    found: list[float] = [
        words,
        _beyond(lengths, 2),
        beyond_4,
        _beyond(lengths, 7),
        classes.count(b"aA"),
        classes.count(b"AA"),
        digits,
        sum(numbers.values()),
        sum(-(-size // 3) * times for size, times in numbers.items()),
        sum(marks.values()),
        _beyond(marks, 1),
        classes.count(b".a") + classes.count(b".A"),
        classes.count(b".n"),
        _doubles(raw),
        classes.count(b"n") - classes.count(b"nn"),
        classes.count(b"n ") + classes.count(b"nt"),
        classes.count(b" 0"),
        classes.count(b"t"),
        classes.count(b"a  ") + classes.count(b".  ") + classes.count(b"0  "),
        foreign * words,
        foreign * beyond_4,
    ]
    if plain:
        return found, []
    return found, [
        *_latin(raw, classes, letters, words),
        *_scripts(raw, classes),
        *_indic(raw, classes),
        *_east_asian(raw, classes),
        *_symbols(raw, classes),
    ]


def _beyond(lengths: Counter[int], free: int) -> int:
    return sum((size - free) * times for size, times in lengths.items() if size > free)


def _doubles(raw: bytes) -> int:
    """Marks that often stand in rows, in twos: they cost less than others."""
    return _count(raw, b"--", b"==", b"**", b"##", b"..", b"__", b"//", b"~~")


def _foreign(raw: bytes, words: int, marks: int, accented: float) -> float:
    """From 0 to 1: how much a text's words are of other languages than English, by its accents,
    or as prose (few marks) without English's commonest words.
    """
    prose = max(0.0, 1 - 1.6 * marks / (words + 1))
    english = min(1.0, _count(raw, *_ENGLISH) / (0.03 * words + 0.5)) if prose else 1.0
    return max(min(1.0, accented / 0.02), prose * (1 - english))


def _latin(raw: bytes, classes: bytes, letters: int, words: int) -> list[float]:
    vietnamese = _count(raw, b"\xe1\xba", b"\xe1\xbb")
    share = min(1.0, vietnamese / (letters or 1) / 0.05)
    return [classes.count(b"L"), vietnamese, share * words]


def _scripts(raw: bytes, classes: bytes) -> list[float]:
    """Characters and words of Greek, Cyrillic (and Ukrainian's own), Hebrew, Arabic, Hangul."""
    found: list[float] = []
    for name, table in _SCRIPTS:
        count = classes.count(name)
        found += (count, len(classes.translate(table).split()) if count else 0)
        if name == b"Y":
            found.append(_count(raw, b"\xd1\x96", b"\xd1\x97", b"\xd1\x94") if count else 0)
    return found


def _indic(raw: bytes, classes: bytes) -> list[float]:
    """U+0800 to U+0FFF by its blocks, and what else three bytes are (Vietnamese apart)."""
    rest = classes.count(b"V") - _count(raw, b"\xe1\xba", b"\xe1\xbb")
    count = classes.count(b"I")
    if not count:
        return [*[0] * 7, rest]
    words = len(classes.translate(_INDIC).split())
    devanagari = _count(raw, b"\xe0\xa4", b"\xe0\xa5")
    return [
        count,
        words,
        devanagari,
        words * min(1.0, devanagari / count),
        _count(raw, b"\xe0\xa6", b"\xe0\xa7"),
        _count(raw, b"\xe0\xae", b"\xe0\xaf"),
        _count(raw, b"\xe0\xb8", b"\xe0\xb9"),
        rest,
    ]


def _east_asian(raw: bytes, classes: bytes) -> list[float]:
    """Ideographs and kana. A text with much kana is Japanese: other ideographs are usual there."""
    han, found = classes.count(b"Z"), classes.count(b"K")
    if not han and not found:
        return [0] * 8
    marks = raw.count(b"\xe3\x80")
    kana = found - marks
    return [
        marks,
        kana,
        raw.count(b"\xe3\x83"),
        len(classes.translate(_KANA).split()),
        han,
        len(classes.translate(_HAN).split()),
        han * min(1.0, kana / (han + 1)),
        min(han, _count(raw, *_TRADITIONAL) / 0.03),
    ]


def _symbols(raw: bytes, classes: bytes) -> list[float]:
    typographic = raw.count(b"\xe2\x80")
    return [
        typographic,
        classes.count(b"S") - typographic,
        classes.count(b"F"),
        classes.count(b"E"),
        classes.count(b"o"),
    ]


def _count(raw: bytes, *wanted: bytes) -> int:
    return sum(map(raw.count, wanted))
