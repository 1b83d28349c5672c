"""What is wrong with [mail] and [alerts] beyond their shape."""

from __future__ import annotations

from collections.abc import Iterator

from oneapi.config.findings import Finding
from oneapi.config.load import Loaded
from oneapi.config.schema import Alerts, Settings
from oneapi.errors import Problem
from oneapi.gateway.notify_text import PLACEHOLDERS, problems_of

MOST_PERCENT = 1000


def problems(loaded: Loaded) -> list[Problem]:
    """Errors with their place, which would else be found when a notice is due."""
    found = [*_mail(loaded.settings), *_alerts(loaded.settings.alerts)]
    return [loaded.documents.problem(finding) for finding in found]


def _mail(settings: Settings) -> Iterator[Finding]:
    mail, alerts = settings.mail, settings.alerts
    if mail is None:
        hint = "add [mail] with the SMTP server"
        if alerts.emails:
            yield Finding(("alerts", "emails"), "nothing can be mailed without [mail]", hint)
        if alerts.mail_users:
            yield Finding(("alerts", "mail_users"), "nothing can be mailed without [mail]", hint)
        return
    from oneapi.gateway.notify_mail import sender_problem  # on use: the email package is large

    if wrong := sender_problem(mail.sender):
        yield Finding(("mail", "from"), wrong)
    if mail.password and not mail.user:
        yield Finding(("mail", "password"), "stands without mail.user")


def _alerts(alerts: Alerts) -> Iterator[Finding]:
    yield from _addresses(alerts)
    for index, percent in enumerate(alerts.thresholds):
        if not 1 <= percent <= MOST_PERCENT:
            words = f"must be a percentage from 1 to {MOST_PERCENT}"
            yield Finding(("alerts", "thresholds", index), words)
    for kind, template in alerts.templates.items():
        for key, text in (("subject", template.subject), ("text", template.text)):
            for words in problems_of(text or ""):
                hint = f"there are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}"
                yield Finding(("alerts", "templates", kind, key), words, hint)


def _addresses(alerts: Alerts) -> Iterator[Finding]:
    if alerts.emails:
        from oneapi.gateway.notify_mail import is_address  # on use, as above

        for index, address in enumerate(alerts.emails):
            if not is_address(address):
                yield Finding(("alerts", "emails", index), "is not an e-mail address")
