"""What the models of a configuration cost, and why: for `oneapi prices` and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oneapi.gateway.pricing import vendored
from oneapi.gateway.snapshot import Channel, Snapshot
from oneapi.ledger.pricelist import Place
from oneapi.ledger.prices import Rule


@dataclass(frozen=True, slots=True)
class Quote:
    """A model of a channel. `places` are where its price was looked for, down to the one where
    it was found. `listed` is whether the file names the model there, itself or by a glob.
    """

    model: str
    channel: str
    served_model: str
    listed: bool
    places: tuple[Place, ...]

    @property
    def found(self) -> Place | None:
        """The place whose line applies; None: nothing prices the model."""
        last = self.places[-1]
        return last if last.rule is not None else None

    @property
    def rule(self) -> Rule | None:
        return self.places[-1].rule


def all_quotes(snapshot: Snapshot) -> Iterator[Quote]:
    """Every model that the file names, and every price line for models that it only describes."""
    for alias in snapshot.aliases:
        yield from _routed(snapshot, alias)
    for channel in snapshot.channels.values():
        named = _named(channel)
        for name in dict.fromkeys((*named, *_priced(snapshot, channel))):
            yield _quote(snapshot, channel, name, name, listed=name in named)


def quotes(snapshot: Snapshot, model: str) -> list[Quote]:
    """What a model costs at each channel that may serve it.

    Of channels that serve what they are discovered to serve, only those whose own lines or
    provider's books price it, unless there is nobody else.
    """
    if model in snapshot.aliases:
        return list(_routed(snapshot, model))
    found = [
        _quote(snapshot, channel, model, model, listed=channel.models is not None)
        for channel in snapshot.channels.values()
        if channel.models is None or channel.serves(model, frozenset())
    ]
    sure = [q for q in found if q.listed or (q.found and q.found.kind in ("channel", "book"))]
    return sure or found


def _routed(snapshot: Snapshot, alias: str) -> Iterator[Quote]:
    for route in snapshot.aliases[alias].routes:
        channel = snapshot.channels.get(route.channel)
        if channel is not None:
            yield _quote(snapshot, channel, alias, route.model or alias, listed=True)


def _quote(snapshot: Snapshot, channel: Channel, asked: str, name: str, *, listed: bool) -> Quote:
    served, preset = channel.model_map.get(name, name), channel.preset
    looked = snapshot.prices.places(
        asked,
        served,
        channel=channel.name,
        books=preset.price_books,
        local=preset.local,
        deployments=preset.deployments,
    )
    places: list[Place] = []
    for place in looked:
        places.append(place)
        if place.rule is not None:
            break
    return Quote(asked, channel.name, served, listed, tuple(places))


def _named(channel: Channel) -> tuple[str, ...]:
    names = channel.models.names if channel.models is not None else ()
    return (*channel.model_map, *names)


def _priced(snapshot: Snapshot, channel: Channel) -> Iterator[str]:
    """Names and globs of price lines for what the channel serves without naming it."""
    yield from snapshot.prices.lines(channel.name)
    if channel.models is not None:
        yield from (name for name in snapshot.prices.lines() if name in channel.models)
    for book in channel.preset.price_books if not channel.preset.local else ():
        for name in vendored(book).rules:
            if channel.models is None or name in channel.models:
                yield name
