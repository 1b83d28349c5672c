"""From a loaded configuration to a snapshot: everything a request needs, computed once.

Runs in a thread (D11), so it touches nothing that the event loop changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_network

from oneapi.config import schema
from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.errors import ConfigError, Problem
from oneapi.gateway import notify_check
from oneapi.gateway.budgets import bounds_of, limits_of, tightest
from oneapi.gateway.callers import Callers, model_budgets
from oneapi.gateway.carriers import Carriers
from oneapi.gateway.counters import Counters
from oneapi.gateway.globs import Globs, is_glob
from oneapi.gateway.pricing import price_list
from oneapi.gateway.snapshot import Alias, Channel, Grant, Key, Policy, Route, Snapshot
from oneapi.ledger.base import DeclaredKind
from oneapi.net.base import Carrier, Timeouts
from oneapi.providers.account import key_fingerprint
from oneapi.providers.auth.base import SignIn
from oneapi.providers.binding import bind
from oneapi.providers.catalog import Preset
from oneapi.wire.json import JSON, encode

Declare = Callable[[DeclaredKind, Mapping[str, str | None]], Mapping[str, int]]
"""Stable ids for declared names of a kind: `SqliteStore.declare`."""


def build(
    loaded: Loaded, catalog: Mapping[str, Preset], declare: Declare, carriers: Carriers
) -> Snapshot:
    """The snapshot of a configuration that loaded without errors.

    Raises `ConfigError` with every channel and price that cannot be bound after all.
    """
    settings = loaded.settings
    prices, problems = price_list(loaded, catalog)
    problems += notify_check.problems(loaded)
    channels: dict[str, Channel] = {}
    for name, table in settings.channels.items():
        if not table.enabled or name in loaded.dropped_channels:
            continue
        preset = catalog[table.type]
        try:
            channels[name] = _channel(name, table, settings, preset, carriers, loaded.environ)
        except ConfigError as error:
            problems += [_placed(loaded, name, problem) for problem in error.problems]
    try:
        counters = Counters(catalog, exact=settings.server.exact_tokens)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    # Only now: a file that is refused must not rename anything in the store (`was`).
    ids = _declare_all(settings, declare)
    channels = {name: replace(channel, id=ids[name]) for name, channel in channels.items()}
    policies = {name: _policy(name, table) for name, table in settings.policies.items()}
    callers = Callers(settings)
    keyless = settings.server.anonymous
    return Snapshot(
        settings=settings,
        revision=loaded.revision,
        built_ms=time.time_ns() // 1_000_000,
        channels=channels,
        channels_by_id={c.id: c for c in channels.values()},
        aliases={n: _alias(n, m) for n, m in settings.models.items() if m.enabled},
        grants=_grants(settings, callers, policies),
        anonymous=None if keyless is None else callers.anonymous(policies[keyless]),
        trusted_proxies=tuple(ip_network(n, strict=False) for n in settings.server.trusted_proxies),
        prices=prices,
        counters=counters,
        warnings=[str(p) for p in loaded.problems],
        model_budgets=model_budgets(settings),
        zone=zone(settings),
        policies=policies,
    )


def zone(settings: schema.Settings) -> tzinfo:
    """The operator's time zone."""
    if settings.site.timezone == "UTC":
        return UTC
    import zoneinfo  # on use: few files name a zone

    return zoneinfo.ZoneInfo(settings.site.timezone)


def _placed(loaded: Loaded, channel: str, problem: Problem) -> Problem:
    """A channel's problem with its place in the file."""
    rest = problem.key.removeprefix(f"channels.{channel}.")
    path = ("channels", channel, *rest.split(".", 1))
    return loaded.documents.problem(Finding(path, problem.message, problem.hint))


def _declare_all(settings: schema.Settings, declare: Declare) -> Mapping[str, int]:
    """Give every declared thing its stable number; returns the channels'."""
    declare("user", {name: u.was for name, u in settings.users.items()})
    declare("token", {name: t.was for name, t in settings.tokens.items()})
    declare("group", {name: g.was for name, g in settings.groups.items()})
    declare("policy", {name: p.was for name, p in settings.policies.items()})
    declare("model", {name: m.was for name, m in settings.models.items()})
    return declare("channel", {name: c.was for name, c in settings.channels.items()})


def _channel(
    name: str,
    table: schema.Channel,
    settings: schema.Settings,
    preset: Preset,
    carriers: Carriers,
    environ: Mapping[str, str],
) -> Channel:
    models = table.models if table.models is not None else (list(preset.models) or None)
    carrier = _carrier(name, table, preset, settings.server.proxy, carriers)
    account = bind(
        name,
        preset=preset,
        base_url=table.base_url,
        variables=table.vars,
        keys=[k.key for k in table.keys],
        headers=table.headers,
        api_version=table.api_version,
        dialects=table.dialects,
        safety=table.safety,
        options=_options(table),
        environ=environ,
        sign_in=SignIn(carriers.tokens, carrier, carriers.direct),
    )
    keys = tuple(Key(k.key, key_fingerprint(k.key), _ms(k.until)) for k in table.keys if k.key)
    return Channel(
        name=name,
        id=0,  # its number in the store is given once the whole file holds
        preset=preset,
        account=account,
        keys=keys or (Key("", "none"),),
        carrier=carrier,
        timeouts=Timeouts(
            table.timeouts.connect_s, table.timeouts.first_byte_s, table.timeouts.idle_s
        ),
        models=Globs(models) if models is not None else None,
        model_map=table.model_map,
        priority=table.priority,
        weight=table.weight,
        groups=frozenset(table.groups),
        set=table.set,
        drop=tuple(table.drop),
        discover=_discovers(preset, models) if table.discover is None else table.discover,
        think_tags=_tag(table.think_tags),
        hidden=(*table.headers.values(), *account.hidden),
        limits=limits_of("channel", name, table),
        budgets=tightest(bounds_of("channel", name, table, settings.site)),
        drains=(table.on_disconnect or settings.server.on_disconnect) == "drain",
    )


def _options(table: schema.Channel) -> Mapping[str, JSON]:
    """The channel's settings for formats that have them."""
    found = {"num_ctx": table.num_ctx, "keep_alive": table.keep_alive}
    return {**table.options, **{n: value for n, value in found.items() if value is not None}}


def _discovers(preset: Preset, models: list[str] | None) -> bool:
    """A provider on this machine is always asked; a remote one where names alone do not do."""
    open_ended = models is None or any(is_glob(m) for m in models)
    return preset.discover and (preset.local or open_ended)


def _carrier(
    name: str,
    table: schema.Channel,
    preset: Preset,
    proxy: str | None,
    carriers: Carriers,
) -> Carrier:
    if preset.scripted:
        options = table.mock or schema.MockOptions()
        key = f"mock:{name}:{encode(options.model_dump(mode='json')).decode()}"
        return carriers.shared(key, lambda: _scripted(options))
    chosen = proxy if table.proxy is None else table.proxy
    if chosen and not (preset.local and table.proxy is None):
        return carriers.proxied(chosen)
    return carriers.direct


def _scripted(options: schema.MockOptions) -> Carrier:
    from oneapi.providers.mock import MockCarrier, MockOptions  # on use: 30 ms of a start

    return MockCarrier(MockOptions.from_mapping(options.model_dump()))


def _alias(name: str, table: schema.Model) -> Alias:
    routes = tuple(Route(r.channel, r.model, r.weight, r.priority) for r in table.routes)
    return Alias(name, routes, frozenset(table.groups), _tag(table.think_tags))


def _tag(setting: bool | str) -> str:
    """The tag's name, "" where thoughts are not taken out of the text."""
    return setting if isinstance(setting, str) else "think" * setting


def _policy(name: str, table: schema.Policy) -> Policy:
    return Policy(
        name=name,
        models=Globs(table.models),
        channels=Globs(table.channels),
        endpoints=None if table.endpoints is None else frozenset(table.endpoints),
        subnets=tuple(ip_network(n, strict=False) for n in table.subnets),
        expires_ms=_ms(table.expires),
        enabled=table.enabled,
        in_path=table.in_path,
        store_responses=table.store_responses,
        store_responses_ttl_s=table.store_responses_ttl,
        log_bodies=table.log_bodies,
    )


def _grants(
    settings: schema.Settings, callers: Callers, policies: Mapping[str, Policy]
) -> dict[str, Grant]:
    """Every key's hash and what it opens."""
    users = {name: callers.declared(name) for name in settings.users}
    grants: dict[str, Grant] = {}
    for name, token in settings.tokens.items():
        user = settings.users[token.user]
        caller = callers.caller(
            users[token.user], callers.declared_token(name), policies[token.policy]
        )
        refusal = ""
        if not token.enabled:
            refusal = "this API key is switched off"
        elif not user.enabled:
            refusal = "the user of this API key is switched off"
        if token.key is not None:
            grants[token.key.removeprefix("sha256:")] = Grant(caller, _ms(token.expires), refusal)
        for key in token.keys:
            ends = [t for t in (_ms(token.expires), _ms(key.until)) if t]
            grant = Grant(caller, min(ends, default=0), refusal)
            grants[key.key.removeprefix("sha256:")] = grant
    return grants


def _ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment is not None else 0
