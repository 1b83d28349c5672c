"""The tables about money and people: limits, prices, the site, mail, alerts, registered users."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from oneapi.config.values import (
    BaseUrl,
    Budgets,
    Dollars,
    HeaderName,
    HeaderValue,
    Money,
    Port,
    Zone,
)


class Table(BaseModel):
    """A table of the file: frozen, and any key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Bounds(Table):
    """How much somebody or something may take."""

    budget: Budgets = Field(
        default=[], description="Most it may spend in a period: $5/month, 2M tokens/24h."
    )
    rpm: int = Field(default=0, ge=0, description="Requests a minute; 0: any number.")
    rpd: int = Field(default=0, ge=0, description="Requests a calendar day; 0: any number.")
    tpm: int = Field(default=0, ge=0, description="Tokens a minute; 0: any number.")
    tokens_count: Literal["all", "fresh", "billable"] = Field(
        default="all",
        description="Tokens that tpm and token budgets count: all, without cached ones (fresh), or "
        "cached ones as a tenth (billable).",
    )
    concurrency: int = Field(default=0, ge=0, description="Requests at once; 0: any number.")
    max_input: int = Field(default=0, ge=0, description="Largest input in tokens; 0: any.")
    queue_s: float = Field(
        default=0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds a request may wait for a limit to free.",
    )


class _Rates(Table):
    """Dollars per million tokens, where nothing else is said."""

    input: Dollars | None = Field(default=None, description="Fresh input.")
    output: Dollars | None = Field(default=None, description="Output.")
    cache_read: Dollars | None = Field(
        default=None, description="Input read from the provider's cache; by default as input."
    )
    cache_write: Dollars | None = Field(
        default=None, description="Input stored in the cache for 5 minutes; by default as input."
    )
    cache_write_1h: Dollars | None = Field(
        default=None, description="Input stored for an hour; by default as cache_write."
    )
    reasoning: Dollars | None = Field(
        default=None, description="Hidden thought; by default as output."
    )
    audio_input: Dollars | None = Field(
        default=None, description="Sound that is read; by default as input."
    )
    audio_output: Dollars | None = Field(
        default=None, description="Sound that is made; by default as output."
    )
    image_input: Dollars | None = Field(
        default=None, description="Pictures that are read; by default as input."
    )


class PriceTier(_Rates):
    """Other rates for requests with a longer input; what is not named stays as it is."""

    above: int = Field(ge=1, description="Tokens of input, cached ones included.")


class Price(_Rates):
    """Dollars per million tokens, or One API's ratios."""

    image: Dollars | dict[str, Dollars] | None = Field(
        default=None,
        description="Dollars an image; or by size, quality or both, as in 1024x1536 high, and *.",
    )
    second: Dollars | None = Field(default=None, description="Dollars a second of audio.")
    character: Dollars | None = Field(default=None, description="Dollars per million characters.")
    search: Dollars | None = Field(default=None, description="Dollars a hosted search.")
    request: Dollars | None = Field(default=None, description="Dollars a request.")
    tiers: list[PriceTier] = Field(default=[], description="Other rates for longer inputs.")
    ratio: Dollars | None = Field(
        default=None, description="One API's ratio instead: 1 is $0.002 per 1,000 tokens."
    )
    completion_ratio: Dollars | None = Field(
        default=None, description="With ratio: how many times dearer output is; by default 1."
    )


class Site(Table):
    currency: Literal["usd", "points"] = Field(
        default="usd", description="How money is shown: dollars, or One API's points."
    )
    points_per_usd: int = Field(default=500_000, ge=1, description="Points in a dollar.")
    timezone: Zone = Field(
        default="UTC", description="Where days, weeks and months of budgets begin."
    )
    unpriced: Literal["free", "reject"] = Field(
        default="free",
        description="Requests for models without a price: answered without a cost, or refused.",
    )
    default_price: Price | None = Field(
        default=None, description="The price of whatever has none of its own."
    )
    url: BaseUrl | None = Field(
        default=None, description="This gateway's own address, for links in messages."
    )


class Mail(Table):
    """The SMTP server for notices."""

    host: str = Field(min_length=1, description="Its name.")
    port: Port = Field(default=0, description="Its port; by default 465, 587 or 25.")
    security: Literal["tls", "starttls", "none"] = Field(
        default="starttls", description="How the connection is protected."
    )
    user: str = Field(default="", description="User name there.")
    password: str = Field(default="", repr=False, description="Its password.")
    sender: str = Field(alias="from", min_length=3, description="From whom mails come.")


class Webhook(Table):
    url: BaseUrl = Field(description="Gets each notice as JSON by POST.")
    secret: str | None = Field(
        default=None, repr=False, min_length=8, description="Signs it: HMAC-SHA256 of TIME.BODY."
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, repr=False, description="Extra headers."
    )


class Pusher(Table):
    """A Message Pusher (songquanpeng/message-pusher)."""

    url: BaseUrl = Field(description="Its address, with /push/USER.")
    token: str = Field(default="", repr=False, description="Its token.")
    channel: str = Field(default="", description="The channel there; by default its own.")


class Template(Table):
    """Words of a notice; {placeholders} stand for its facts."""

    subject: str | None = Field(default=None, description="The subject or title.")
    text: str | None = Field(default=None, description="The text.")


class Alerts(Table):
    """Who hears when budgets run out."""

    thresholds: list[int] = Field(
        default=[80, 95, 100], description="Percent of a budget at which a notice goes out."
    )
    emails: list[str] = Field(default=[], description="Addresses that hear of every notice.")
    mail_users: bool = Field(
        default=False, description="Users hear of their own budgets, at their own address."
    )
    webhook: Webhook | None = Field(default=None, description="A program that hears of them.")
    pusher: Pusher | None = Field(default=None, description="A Message Pusher that hears of them.")
    templates: dict[Literal["budget", "quota", "test"], Template] = Field(
        default={}, description="Other words for the notices, by kind."
    )


class Invitations(Table):
    """What inviting brings."""

    inviter: Money | None = Field(default=None, description="Reward of who invited.")
    invited: Money | None = Field(default=None, description="Reward of who was invited.")
    most: int = Field(default=100, ge=0, description="Rewards that one inviter can get.")
    after_use: bool = Field(
        default=False, description="Pay once the invited has made a first real request."
    )


class Auth(Table):
    """Signing up, and what it brings."""

    group: str = Field(default="default", description="The group of registered users.")
    invitations: Invitations = Field(
        default=Invitations(), description="Rewards for inviting others."
    )
