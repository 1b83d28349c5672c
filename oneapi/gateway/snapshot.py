"""What the operator wrote, bound once: frozen, built whole, swapped in one assignment.

A request takes the snapshot once and keeps it, so that a reload never changes a request under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from ipaddress import IPv4Network, IPv6Network

from oneapi.config.schema import Settings
from oneapi.estimate import Counter
from oneapi.gateway.budgets import Limits
from oneapi.gateway.counters import Counters, usual
from oneapi.gateway.globs import Globs
from oneapi.gateway.lanes import Lane, Wanted, lane_for
from oneapi.ledger.accounts import Budget
from oneapi.ledger.pricelist import PriceList
from oneapi.ledger.prices import Price
from oneapi.net.base import Carrier, Timeouts
from oneapi.providers.account import Account
from oneapi.providers.catalog import Preset
from oneapi.wire.json import JSON

Network = IPv4Network | IPv6Network
NOT_ORDINARY = frozenset({"proxy", "pin"})
"""Endpoints that a policy must name to allow them (D36)."""


FAMILY = {"responses": "chat", "messages": "chat", "count_tokens": "chat"}
"""Endpoints that a policy also allows by another one's name: chat, whatever the dialect."""


@dataclass(frozen=True, slots=True)
class Key:
    """One secret of a channel. `fingerprint` names it in logs and state; `until_ms` is 0 for
    ever.
    """

    secret: str = field(repr=False)
    fingerprint: str
    until_ms: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """An account at a provider, bound to its preset: everything a call needs, computed at build
    time.
    """

    name: str
    id: int
    preset: Preset
    account: Account
    keys: tuple[Key, ...]
    carrier: Carrier
    timeouts: Timeouts
    models: Globs | None  # None: whatever it is discovered to serve
    model_map: Mapping[str, str]
    priority: int
    weight: int
    groups: frozenset[str]  # empty: every group
    set: Mapping[str, JSON]
    drop: tuple[str, ...]
    discover: bool
    think_tags: str = ""  # the tag's name, "" where thoughts are not in the text
    hidden: tuple[str, ...] = field(default=(), repr=False)
    limits: Limits | None = None
    budgets: tuple[Budget, ...] = ()
    drains: bool = False  # whether a call is read to its end when its client leaves

    @property
    def bounded(self) -> bool:
        """Whether anything limits it."""
        return self.limits is not None or bool(self.budgets)

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """All of its keys, and the channel's own headers."""
        return (*(key.secret for key in self.keys), *self.hidden)

    def secrets(self, key: Key) -> tuple[str, ...]:
        """What must not leave in an error's text: the key in use, and the channel's own headers."""
        return (key.secret, *self.hidden)

    def serves(self, model: str, discovered: frozenset[str]) -> bool:
        """Whether clients may ask this channel for `model` by that name."""
        if model in self.model_map:
            return True
        known = model in discovered or f"{model}:latest" in discovered
        if self.models is None:
            return known
        # A literal name is the operator's word. A glob over models that were found needs the model
        # to be among them; where nothing was found (yet), the glob alone decides.
        return model in self.models and (known or not discovered or model in self.models.names)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One place that can answer a request: a channel and the model's name there."""

    channel: Channel
    asked: str
    model: str
    weight: int
    priority: int
    price: Price | None
    lane: Lane
    think_tags: str = ""
    counter: Counter = field(default_factory=usual)

    @property
    def renamed(self) -> bool:
        """Whether the request's model name must change on the way in (and back on the way out)."""
        return self.asked != self.model


@dataclass(frozen=True, slots=True)
class Route:
    channel: str
    model: str | None
    weight: int | None
    priority: int | None


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    routes: tuple[Route, ...]
    groups: frozenset[str]
    think_tags: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a token may do. `endpoints` None: all ordinary ones. `expires_ms` 0: never."""

    name: str
    models: Globs
    channels: Globs
    endpoints: frozenset[str] | None
    subnets: tuple[Network, ...]
    expires_ms: int
    enabled: bool
    in_path: bool = False
    store_responses: bool = False
    store_responses_ttl_s: int = 0
    log_bodies: bool = False
    narrowed: tuple[str, ...] = ()  # by what a token makes `models` narrower than the file's

    def allows_endpoint(self, name: str) -> bool:
        if self.endpoints is None:
            return name not in NOT_ORDINARY
        return name in self.endpoints or FAMILY.get(name, name) in self.endpoints


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a token and its user, or the built-in anonymous one; and what it may take."""

    user: str
    token: str
    group: str
    role: str
    policy: Policy
    ratio_millionths: int
    anonymous: bool = False
    limits: tuple[Limits, ...] = ()
    budgets: tuple[Budget, ...] = ()
    queue_s: float = 0.0  # seconds that a request may wait for a limit to free
    paced: tuple[Limits, ...] = ()  # those of its limits for which requests are counted
    counts_tokens: bool = False  # whether one of those counts tokens
    max_input: int = 0  # the least of their bounds on an input, 0 for none

    @property
    def admin(self) -> bool:
        return self.role in ("admin", "root")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key's hash opens. `refusal` says why it does not, for a disabled user or token."""

    caller: Caller
    expires_ms: int
    refusal: str = ""


Resolution = tuple[Target, ...]


@dataclass(slots=True, eq=False)
class Snapshot:
    """The configuration in force. Treated as frozen; `_resolved` is a cache that it owns."""

    settings: Settings
    revision: str
    built_ms: int
    channels: Mapping[str, Channel]
    channels_by_id: Mapping[int, Channel]
    aliases: Mapping[str, Alias]
    grants: Mapping[str, Grant]
    anonymous: Caller | None
    trusted_proxies: tuple[Network, ...]
    prices: PriceList
    counters: Counters
    warnings: Sequence[str]
    model_budgets: Mapping[str, tuple[Budget, ...]] = field(default_factory=dict)
    zone: tzinfo = UTC  # where days, weeks and months begin
    policies: Mapping[str, Policy] = field(default_factory=dict)
    _resolved: dict[tuple[object, ...], tuple[int, Resolution]] = field(default_factory=dict)

    MAX_RESOLVED = 20_000

    def resolve(
        self, model: str, caller: Caller, wanted: Wanted, discovered: Discovered
    ) -> Resolution:
        """Every target that may answer, in the file's order; empty when there is none."""
        policy = caller.policy
        key = (model, caller.group, policy.name, policy.narrowed, wanted.operation.name)
        hit = self._resolved.get(key)
        if hit is not None and hit[0] == discovered.generation:
            return hit[1]
        targets = self._resolve(model, caller, wanted, discovered)
        if len(self._resolved) >= self.MAX_RESOLVED:
            self._resolved.clear()
        if targets:  # names nobody serves come from strangers' typos and would fill the cache
            self._resolved[key] = (discovered.generation, targets)
        return targets

    def _resolve(
        self, model: str, caller: Caller, wanted: Wanted, discovered: Discovered
    ) -> Resolution:
        if model not in caller.policy.models:
            return ()
        alias = self.aliases.get(model)
        if alias is not None:
            if alias.groups and caller.group not in alias.groups:
                return ()
            return tuple(t for r in alias.routes if (t := self._route(r, model, caller, wanted)))
        found = (
            self._target(c, model, model, wanted, caller)
            for c in self.channels.values()
            if self.may_use(c, caller)
            and c.serves(model, discovered.models.get(c.name, frozenset()))
        )
        return tuple(target for target in found if target is not None)

    def _route(self, route: Route, asked: str, caller: Caller, wanted: Wanted) -> Target | None:
        channel = self.channels.get(route.channel)
        if channel is None or not self.may_use(channel, caller):
            return None
        return self._target(channel, asked, route.model or asked, wanted, caller, route)

    def _target(
        self,
        channel: Channel,
        asked: str,
        name: str,
        wanted: Wanted,
        caller: Caller,
        route: Route | None = None,
    ) -> Target | None:
        model = channel.model_map.get(name, name)
        alias = self.aliases.get(asked)
        tags = (alias.think_tags if alias is not None else "") or channel.think_tags
        lane = lane_for(channel.account, wanted, model, translate=bool(tags))
        if lane is None:
            return None
        weight = channel.weight if route is None or route.weight is None else route.weight
        priority = channel.priority if route is None or route.priority is None else route.priority
        price = self.price(channel, asked, model, caller.ratio_millionths)
        counter = self.counters.of(channel.preset, model)
        return Target(channel, asked, model, weight, priority, price, lane, tags, counter)

    def price(self, channel: Channel, asked: str, model: str, ratio: int) -> Price | None:
        """What `model` costs at a channel, for a group's ratio; None: nothing prices it."""
        preset = channel.preset
        rule = self.prices.find(
            asked,
            model,
            channel=channel.name,
            books=preset.price_books,
            local=preset.local,
            deployments=preset.deployments,
        )
        return self.prices.price(rule, ratio) if rule is not None else None

    def pinned(self, channel: Channel, model: str, wanted: Wanted, caller: Caller) -> Target | None:
        """The one target of a request pinned to a channel; an alias keeps its name there."""
        return self._target(channel, model, model, wanted, caller)

    def may_use(self, channel: Channel, caller: Caller) -> bool:
        if channel.groups and caller.group not in channel.groups:
            return False
        return channel.name in caller.policy.channels

    def listed(self, caller: Caller, discovered: Discovered) -> list[tuple[str, str]]:
        """(model, owner) pairs for `/v1/models` (D7): aliases, literal and discovered names,
        once each.
        """
        found: dict[str, str] = {}
        for alias in self.aliases.values():
            usable = any(
                r.channel in self.channels and self.may_use(self.channels[r.channel], caller)
                for r in alias.routes
            )
            if usable and (not alias.groups or caller.group in alias.groups):
                found.setdefault(alias.name, "oneapi")
        for channel in self.channels.values():
            if not self.may_use(channel, caller):
                continue
            for name in self._names(channel, discovered):
                if name not in self.aliases:
                    found.setdefault(name, channel.preset.name)
        return [(n, owner) for n, owner in found.items() if n in caller.policy.models]

    @staticmethod
    def _names(channel: Channel, discovered: Discovered) -> list[str]:
        known = sorted(discovered.models.get(channel.name, frozenset()))
        names = [*channel.model_map]
        if channel.models is None:
            return names + known
        return [*names, *channel.models.names, *(n for n in known if n in channel.models)]


@dataclass(slots=True)
class Discovered:
    """Models that channels were found to serve, by channel. Replaced, never changed, on each
    finding.
    """

    models: Mapping[str, frozenset[str]] = field(default_factory=dict)
    generation: int = 0
