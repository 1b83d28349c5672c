"""What pictures cost by their size and quality, before they are made and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from oneapi.ledger.prices import Price
from oneapi.wire.json import MalformedJSON, Raw, decode
from oneapi.wire.json import members as members_of

IMAGES: Final = frozenset({"images.generations", "images.edits", "images.variations"})
"""Operations that make pictures."""
USUAL_SIZE: Final = "1024x1024"
USUAL_QUALITY: Final = "standard"
"""What pictures are that were asked for without a size and a quality."""
LONGEST: Final = 64
"""Bytes of a word that may be one of the two."""


def dearest_picture(price: Price, size: str, quality: str) -> Price:
    """The price of a picture of the asked size and quality; the dearest where that is left open."""
    named = {name.lower() for name, _ in price.rule.images}
    if {f"{size} {quality}".lower(), size.lower(), quality.lower()} & named:
        return price.for_image(size, quality)
    return _at_dearest(price) if named else price


def picture_price(price: Price, size: str, quality: str) -> Price:
    """What a picture that was made is charged at. What was left open is what providers make then;
    a picture that no line prices is charged as the dearest, never as nothing.
    """
    if not price.rule.images:
        return price
    open_to = ("", "auto")
    size = USUAL_SIZE if size in open_to else size
    quality = USUAL_QUALITY if quality in open_to else quality
    found = price.for_image(size, quality)
    return found if found.rule.rates.image else _at_dearest(price)


def _at_dearest(price: Price) -> Price:
    rule = price.rule
    rates = replace(rule.rates, image=rule.dearest_image)
    return Price(replace(rule, rates=rates, images=()), price.ratio)


def variant(members: Mapping[str, Raw]) -> tuple[str, str]:
    """Size and quality of the pictures that a request asks for, "" where it leaves them open."""
    return _word(members, "size"), _word(members, "quality")


def made(answer: bytes, asked: tuple[str, str]) -> tuple[str, str]:
    """Size and quality as the answer tells them, where it does: what was left open is settled."""
    try:
        size, quality = variant(members_of(answer))
    except MalformedJSON:
        return asked
    return size or asked[0], quality or asked[1]


def _word(members: Mapping[str, Raw], name: str) -> str:
    raw = members.get(name)
    if raw is None or len(raw) > LONGEST:
        return ""
    try:
        value = decode(raw)
    except MalformedJSON:
        return ""
    return value if isinstance(value, str) else ""
