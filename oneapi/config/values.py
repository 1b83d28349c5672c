"""The kinds of value the file knows beyond TOML's own: sizes, moments, addresses, globs, names.

Each is an `Annotated` type: what it accepts, what it becomes, and its JSON Schema for editors.
The words of every `ValueError` here reach the operator as they stand.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(|B|kB|KB|MB|GB|KiB|MiB|GiB)")
_UNITS = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(|s|m|h|d)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_DELETED = re.compile(r"deleted-[0-9]+")
_KEEP_ALIVE = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+|-?\d+")
_HARM = re.compile(r"HARM_CATEGORY_[A-Z_]+")
_TOKEN_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PROXY_SCHEMES = ("http", "https", "socks5")


_AMOUNT = re.compile(
    r"(?P<dollar>\$)?\s*(?P<number>\d[\d_]*(?:\.\d+)?)\s*(?P<scale>[kM])?\s*"
    r"(?P<unit>usd|USD|dollars?|points?|tokens?|requests?)?"
)
_PERIOD = re.compile(r"(total|hour|day|week|month)|(\d+(?:\.\d+)?\s*[smhd])")


class Amount(NamedTuple):
    """So many dollars, One API points, tokens or requests."""

    unit: Literal["usd", "points", "tokens", "requests"]
    value: Decimal


class BudgetLine(NamedTuple):
    """An amount in a period: `total`, a calendar one, or `rolling` over so many seconds."""

    amount: Amount
    period: Literal["total", "hour", "day", "week", "month", "rolling"]
    seconds: int = 0


def _size(value: object) -> int:
    """Bytes, from 1048576, "64MB" (millions) or "64MiB" (2**20)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size cannot be negative")
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a size: a number of bytes, or text such as "64MB" or "64MiB"')
    return int(Decimal(found[1]) * _UNITS[found[2]])


def _duration(value: object) -> int:
    """Seconds, from 90, "90s", "15m", "12h" or "30d"."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = int(Decimal(found[1]) * _SECONDS[found[2]]) if found is not None else 0
    if seconds < 1:
        raise ValueError('must be a time: a number of seconds, or text such as "15m" or "30d"')
    return seconds


def _amount(value: object) -> Amount:
    """From "$20", "20usd", "0.5 usd", "10_000_000 points", "2M tokens" or "500 requests"."""
    found = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = (found["unit"] or "").lower().rstrip("s") if found else ""
    if found is None or bool(found["dollar"]) == bool(unit):
        raise ValueError('must be an amount such as "$20", "500000 points" or "2M tokens"')
    scale = {"k": 1000, "M": 1_000_000}.get(found["scale"] or "", 1)
    number = Decimal(found["number"].replace("_", "")) * scale
    match unit:
        case "" | "usd" | "dollar":
            return Amount("usd", number)
        case "point":
            return Amount("points", number)
        case "token":
            return Amount("tokens", number)
        case _:
            return Amount("requests", number)


def _money(value: object) -> Amount:
    """An amount of dollars or points; a bare number is dollars."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = Decimal(-1)
        if number.is_finite() and number >= 0:
            return Amount("usd", number)
    amount = _amount(value)
    if amount.unit not in ("usd", "points"):
        raise ValueError('must be an amount of money such as "$20" or "500000 points"')
    return amount


def _budget(value: object) -> BudgetLine:
    """An amount and a period: "$5/month", "2M tokens/day", "$1/24h" over any 24 hours."""
    if not isinstance(value, str):
        raise ValueError('must be an amount and a period, such as "$5/month" or "2M tokens/24h"')
    amount, slash, period = value.partition("/")
    found = _PERIOD.fullmatch(period.strip()) if slash else None
    if found is None:
        raise ValueError(
            'needs a period: "$5/month" (hour, day, week, month, total) or "$5/24h" for any 24'
        )
    if found[1]:
        return BudgetLine(_amount(amount), found[1])  # type: ignore[arg-type]
    seconds = _duration(found[2])
    if seconds < 60:
        raise ValueError("a budget's window is a minute at least")
    return BudgetLine(_amount(amount), "rolling", seconds)


def _budgets(value: object) -> object:
    """One budget may stand without a list."""
    return [value] if isinstance(value, str) else value


def _zone(value: str) -> str:
    import zoneinfo  # on use: few files name a zone

    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('must be a time zone such as "UTC" or "Asia/Shanghai"') from None
    return value


def _keep_alive(value: object) -> object:
    """How long Ollama keeps a model: as its own API takes it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _KEEP_ALIVE.fullmatch(value)):
        return value
    raise ValueError('must be a number of seconds, -1 for ever, or text such as "10m" or "24h"')


def _harm(value: str) -> str:
    if _HARM.fullmatch(value) is None:
        raise ValueError("must be one of Gemini's categories, such as HARM_CATEGORY_HARASSMENT")
    return value


def _moment(value: object) -> object:
    """A date is the start of that day; what names no zone is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date such as 2027-01-01, or a date with a time") from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise ValueError("must be a date such as 2027-01-01, or a date with a time")


def _subnet(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError('must be an address or a network such as "10.0.0.0/8"') from None


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.netloc)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError('must be an address such as "https://api.example.com/v1"')
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    return value.rstrip("/")


def _proxy(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError('must be an address such as "http://host:3128" or "socks5://host:1080"')
    return value


def _channel_proxy(value: str) -> str:
    """An address, or "" for none, which "none" also means."""
    return "" if value in {"", "none"} else _proxy(value)


def _tag_name(value: str) -> str:
    if re.fullmatch(r"/?[A-Za-z][A-Za-z0-9_-]{0,31}", value) is None:
        raise ValueError(
            "is no tag's name: letters and digits, with / where only its end is written"
        )
    return value


def _name(value: str) -> str:
    if _NAME.fullmatch(value) is None:
        raise ValueError(
            "a name has 1 to 64 letters, digits and _ . @ + -, and begins with no sign"
        )
    return value


def _channel_name(value: str) -> str:
    if value.isdigit():
        raise ValueError("a channel's name cannot be a number: numbers are the channels' ids")
    return _name(value)


def _user_name(value: str) -> str:
    if value == "anonymous":
        raise ValueError("the name anonymous is taken by the built-in user of keyless calls")
    if _DELETED.fullmatch(value):
        raise ValueError("names such as deleted-7 are those of deleted users' records")
    return _name(value)


def _model_name(value: str) -> str:
    if (
        not value
        or any(c.isspace() or not c.isprintable() for c in value)
        or set(value) & set("*?")
    ):
        raise ValueError("a model's name has no spaces and no * or ?")
    return value


def _glob(value: str) -> str:
    if not value or value != value.strip():
        raise ValueError("must be a name or a pattern such as gpt-*")
    return value


def _token_hash(value: str) -> str:
    if _TOKEN_HASH.fullmatch(value) is None:
        raise ValueError(
            "must be sha256: and 64 hexadecimal digits, as `oneapi token new` prints it"
        )
    return value


def _header_name(value: str) -> str:
    if _HEADER.fullmatch(value) is None:
        raise ValueError("is not a header's name")
    return value


def _header_value(value: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ValueError("a header's value cannot hold control characters")
    return value


def _schema(**words: Any) -> WithJsonSchema:
    return WithJsonSchema(words)


Size = Annotated[
    int,
    BeforeValidator(_size),
    _schema(
        anyOf=[{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SIZE.pattern}]
    ),
]
Duration = Annotated[
    int,
    BeforeValidator(_duration),
    _schema(
        anyOf=[{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _DURATION.pattern}]
    ),
]
KeepAlive = Annotated[
    int | float | str,
    BeforeValidator(_keep_alive),
    _schema(anyOf=[{"type": "number"}, {"type": "string"}]),
]
Money = Annotated[
    Amount,
    BeforeValidator(_money),
    _schema(anyOf=[{"type": "number", "minimum": 0}, {"type": "string"}]),
]
Budgets = Annotated[
    list[Annotated[BudgetLine, BeforeValidator(_budget)]],
    BeforeValidator(_budgets),
    _schema(anyOf=[{"type": "string"}, {"type": "array", "items": {"type": "string"}}]),
]
Zone = Annotated[str, AfterValidator(_zone)]
HarmCategory = Annotated[str, AfterValidator(_harm)]
Moment = Annotated[datetime, BeforeValidator(_moment), _schema(type="string")]
Subnet = Annotated[str, AfterValidator(_subnet)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Proxy = Annotated[str, AfterValidator(_proxy)]
ChannelProxy = Annotated[str, AfterValidator(_channel_proxy)]
Name = Annotated[str, AfterValidator(_name)]
ChannelName = Annotated[str, AfterValidator(_channel_name)]
UserName = Annotated[str, AfterValidator(_user_name)]
ModelName = Annotated[str, AfterValidator(_model_name)]
Glob = Annotated[str, AfterValidator(_glob)]
TokenHash = Annotated[str, AfterValidator(_token_hash)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
TagName = Annotated[str, AfterValidator(_tag_name)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Dollars = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[Decimal, Field(gt=0, le=1000, decimal_places=6, allow_inf_nan=False)]
