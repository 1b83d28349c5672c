"""What clients may know of a model before they use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oneapi.gateway.snapshot import Caller, Channel, Discovered, Snapshot
from oneapi.ledger.prices import Price
from oneapi.providers.facts import facts_for


@dataclass(frozen=True, slots=True)
class Card:
    """A model as it is listed: an alias, or a channel's own name for one.

    `context` and `max_output` are tokens, 0 where the catalog does not know them. `inputs` and
    `outputs` are modalities (text, image, audio, video, file), `abilities` what it can do beside
    answering: tools, reasoning, json. `price` is what this caller pays; None: nothing is known.
    """

    name: str
    owner: str
    context: int = 0
    max_output: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()
    price: Price | None = None


def cards(snapshot: Snapshot, caller: Caller, discovered: Discovered) -> Iterator[Card]:
    """Every model that this caller may ask for, in the order of `Snapshot.listed`."""
    for name, owner in snapshot.listed(caller, discovered):
        yield _card(snapshot, caller, name, owner, discovered)


def card_of(snapshot: Snapshot, caller: Caller, name: str, discovered: Discovered) -> Card | None:
    """One of them by its name, None where it is not listed."""
    for found, owner in snapshot.listed(caller, discovered):
        if found == name:
            return _card(snapshot, caller, name, owner, discovered)
    return None


def _card(
    snapshot: Snapshot, caller: Caller, name: str, owner: str, discovered: Discovered
) -> Card:
    place = _place(snapshot, caller, name, discovered)
    if place is None:
        return Card(name, owner)
    channel, model = place
    facts = facts_for(model)
    price = snapshot.price(channel, name, model, caller.ratio_millionths)
    if facts is None:
        return Card(name, owner, price=price)
    return Card(
        name,
        owner,
        facts.context,
        facts.max_output,
        facts.inputs,
        facts.outputs,
        facts.abilities,
        price,
    )


def _place(
    snapshot: Snapshot, caller: Caller, name: str, discovered: Discovered
) -> tuple[Channel, str] | None:
    """The channel that most likely answers, and the model's name there."""
    alias = snapshot.aliases.get(name)
    if alias is not None:
        for route in alias.routes:
            channel = snapshot.channels.get(route.channel)
            if channel is not None and snapshot.may_use(channel, caller):
                model = route.model or name
                return channel, channel.model_map.get(model, model)
        return None
    for channel in snapshot.channels.values():
        known = discovered.models.get(channel.name, frozenset())
        if snapshot.may_use(channel, caller) and channel.serves(name, known):
            return channel, channel.model_map.get(name, name)
    return None
