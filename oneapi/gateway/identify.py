"""Who asks: from credentials to a `Caller`, by one SHA-256 and one dictionary look-up."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from oneapi.errors import ApiError
from oneapi.gateway.snapshot import Caller, Channel, Grant, Network, Policy, Snapshot
from oneapi.gateway.state import State

PROXY_MARKS = (b"forwarded", b"x-forwarded-", b"x-real-ip", b"via")
"""How the names of headers begin that a proxy leaves."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request came from. `address` is the client's own, by way of trusted proxies only.

    `direct` is the other end of the socket, `bound_to` our own.
    """

    address: str
    direct: str
    bound_to: str

    @property
    def on_loopback(self) -> bool:
        """Whether both ends are on this machine's loopback."""
        return _is_loopback(self.bound_to) and _is_loopback(self.direct)


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and the channel that a pinned key asked for."""

    caller: Caller
    pinned: Channel | None = None


def key_hash(key: str) -> str:
    """The hash under which a key is looked up: SHA-256 of it with one leading `sk-` removed
    (D13).
    """
    return hashlib.sha256(key.removeprefix("sk-").encode()).hexdigest()


def credential(
    headers: Mapping[bytes, bytes], query: bytes = b"", *, query_key: bool = False
) -> str:
    """The key a request presents, "" when there is none: the first present decides (D13).

    `query_key` is true on paths where `?key=` counts (D40: Gemini's alone).
    """
    bearer = headers.get(b"authorization", b"")
    if bearer:
        scheme, space, rest = bearer.strip().partition(b" ")
        token = rest.strip() if scheme.lower() == b"bearer" else b"" if space else scheme
        if token:
            return token.decode("latin-1")
    for name in (b"x-api-key", b"api-key", b"x-goog-api-key"):
        value = headers.get(name, b"").strip()
        if value:
            return value.decode("latin-1")
    if query_key:
        return next(iter(parse_qs(query.decode("latin-1")).get("key", ())), "")
    return ""


def peer(
    headers: Mapping[bytes, bytes], direct: str, bound_to: str, trusted: Sequence[Network]
) -> Peer:
    """The client's address; `X-Forwarded-For` is read from the right, past trusted proxies only."""
    address = direct
    if trusted and _inside(direct, trusted):
        hops = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        for hop in reversed([h.strip() for h in hops if h.strip()]):
            if not _is_address(hop):
                break
            address = hop
            if not _inside(hop, trusted):
                break
    return Peer(address, direct, bound_to)


def identify(
    snapshot: Snapshot,
    state: State,
    headers: Mapping[bytes, bytes],
    peer: Peer,
    *,
    endpoint: str,
    now_ms: int,
    presented: str,
) -> Identity:
    """Decide who calls and whether they may use `endpoint` at all; raises `ApiError` 401, 403,
    421, 429.
    """
    limit = snapshot.settings.server.key_attempts_per_minute
    if not presented or (
        not presented.startswith("sk-") and _may_be_anonymous(snapshot, headers, peer)
    ):
        if presented and _grant(snapshot, state, key_hash(presented)) is not None:
            identity = _known(snapshot, state, presented, now_ms)
        else:
            identity = Identity(_anonymous(snapshot, headers, peer))
    else:
        wait = state.key_guard.blocked_s(peer.address, limit)
        if wait:
            raise ApiError(
                429,
                "too many wrong API keys from this address; try again later",
                code="too_many_key_attempts",
                kind="rate_limit_error",
                headers={"retry-after": str(wait), "x-should-retry": "false"},
            )
        try:
            identity = _known(snapshot, state, presented, now_ms)
        except ApiError as error:
            if error.code == "invalid_api_key":
                state.key_guard.failed(peer.address)
            raise
    check_policy(identity.caller.policy, peer.address, endpoint, now_ms)
    return identity


def _grant(snapshot: Snapshot, state: State, hash: str) -> Grant | None:
    """What a key opens: one of the file's first, else one that was issued at run time."""
    return snapshot.grants.get(hash) or state.roster.find(snapshot, hash)


def _known(snapshot: Snapshot, state: State, presented: str, now_ms: int) -> Identity:
    """The grant of a key, or of its first part with the rest as a pinned channel (D13, D36)."""
    grant = _grant(snapshot, state, key_hash(presented))
    pinned: Channel | None = None
    if grant is None:
        head, dash, rest = presented.removeprefix("sk-").partition("-")
        grant = _grant(snapshot, state, key_hash(head)) if dash else None
        if grant is None:
            raise _wrong_key()
        pinned = _pin(snapshot, grant.caller, rest)
    if grant.refusal:
        raise ApiError(403, grant.refusal, code="access_denied", kind="permission_error")
    if grant.expires_ms and grant.expires_ms <= now_ms:
        raise ApiError(
            401, "this API key has expired", code="expired_api_key", kind="authentication_error"
        )
    return Identity(grant.caller, pinned)


def _pin(snapshot: Snapshot, caller: Caller, name: str) -> Channel:
    if not (caller.admin and caller.policy.allows_endpoint("pin")):
        raise ApiError(
            403,
            "this key may not choose a channel: that takes an admin and a policy whose endpoints "
            "name `pin`",
            code="pin_not_allowed",
            kind="permission_error",
        )
    channel = find_channel(snapshot, name)
    if channel is None:
        raise ApiError(400, f"there is no channel {name!r} to pin", code="unknown_channel")
    check_channel(caller, channel)
    return channel


def check_channel(caller: Caller, channel: Channel) -> None:
    """A channel that is named outright is still one that the policy allows; raises 403."""
    if channel.name not in caller.policy.channels:
        raise ApiError(
            403,
            f"the policy of this key does not allow the channel `{channel.name}`",
            code="channel_not_allowed",
            kind="permission_error",
        )


def find_channel(snapshot: Snapshot, name: str) -> Channel | None:
    """A channel by its name, or by its number."""
    channel = snapshot.channels.get(name)
    if channel is None and name.isascii() and name.isdigit() and len(name) < 18:
        channel = snapshot.channels_by_id.get(int(name))
    return channel


def _wrong_key() -> ApiError:
    return ApiError(
        401, "the API key is not known here", code="invalid_api_key", kind="authentication_error"
    )


def _may_be_anonymous(snapshot: Snapshot, headers: Mapping[bytes, bytes], peer: Peer) -> bool:
    """Whether a keyless call from here would be let in (D34); says nothing of Host and Origin."""
    caller = snapshot.anonymous
    if caller is None:
        return False
    proxied = any(name.startswith(PROXY_MARKS) for name in headers)
    if caller.policy.subnets:
        known = not proxied or _inside(peer.direct, snapshot.trusted_proxies)
        return known and _inside(peer.address, caller.policy.subnets)
    return peer.on_loopback and not proxied


def _anonymous(snapshot: Snapshot, headers: Mapping[bytes, bytes], peer: Peer) -> Caller:
    """The anonymous caller, or why a keyless call is refused: D34 and D35."""
    caller = snapshot.anonymous
    if caller is None or not _may_be_anonymous(snapshot, headers, peer):
        raise ApiError(
            401,
            "no API key was given: send it as `Authorization: Bearer sk-…`",
            code="missing_api_key",
            kind="authentication_error",
        )
    host = host_name(headers.get(b"host", b"").decode("latin-1"))
    if host not in LOOPBACK_NAMES and host not in snapshot.settings.server.hosts:
        raise ApiError(
            421,
            f"calls without a key are not answered under the name {host[:80]!r}; "
            "the operator may add it to `server.hosts`",
            code="unknown_host",
        )
    site = headers.get(b"sec-fetch-site", b"")
    origin = headers.get(b"origin", b"")
    if site == b"cross-site" or (origin and not _own_origin(origin, headers)):
        raise ApiError(
            403,
            "web pages of other sites may not call without a key",
            code="cross_site",
            kind="permission_error",
        )
    return caller


def _own_origin(origin: bytes, headers: Mapping[bytes, bytes]) -> bool:
    return origin.partition(b"://")[2] == headers.get(b"host", b"")


def host_name(host: str) -> str:
    """The name in a Host header, its port removed, lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def check_policy(policy: Policy, address: str, endpoint: str, now_ms: int) -> None:
    """Expiry, subnets and endpoints of a policy; raises `ApiError` 401 or 403."""
    if not policy.enabled:
        raise ApiError(
            403,
            "the policy of this key is switched off",
            code="access_denied",
            kind="permission_error",
        )
    if policy.expires_ms and policy.expires_ms <= now_ms:
        raise ApiError(
            401,
            "the policy of this key has expired",
            code="expired_api_key",
            kind="authentication_error",
        )
    if policy.subnets and not _inside(address, policy.subnets):
        raise ApiError(
            403,
            f"this key may not be used from {address}",
            code="wrong_subnet",
            kind="permission_error",
        )
    if not policy.allows_endpoint(endpoint):
        raise ApiError(
            403,
            f"this key may not use the endpoint `{endpoint}`",
            code="endpoint_not_allowed",
            kind="permission_error",
        )


def _inside(address: str, networks: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_loopback
