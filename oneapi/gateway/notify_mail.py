"""Notices by e-mail: the standard library's SMTP client, which blocks and so runs in a thread.

TLS is verified against the system's authorities; there is no way around that but `security =
"none"`, for a relay on the same machine.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Final

from oneapi.config.schema import Mail
from oneapi.errors import OneApiError

TIMEOUT_S: Final = 20.0
_PORTS: Final[dict[str, int]] = {"tls": 465, "starttls": 587, "none": 25}
_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+@[A-Za-z0-9.-]+")


class MailError(OneApiError):
    """A mail could not be sent; the words never hold a password."""


def is_address(text: str) -> bool:
    """Whether the text is one plain e-mail address, and nothing beside it."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def sender_problem(text: str) -> str:
    """What is wrong with a `from`, "" where it is an address, or a name and an <address>."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        return "cannot hold control characters"
    if is_address(parseaddr(text)[1]):
        return ""
    return 'must be an address such as "One API <noreply@example.com>"'


def message(mail: Mail, to: str, subject: str, text: str) -> EmailMessage:
    """The mail. Raises `MailError` for an address that is none: no header can be smuggled in."""
    if not is_address(to):
        raise MailError(f"{to!r} is not an e-mail address")
    if wrong := sender_problem(mail.sender):
        raise MailError(f"mail.from {wrong}")
    name, address = parseaddr(mail.sender)
    local, _, domain = address.rpartition("@")
    made = EmailMessage()
    made["From"] = Address(name, local, domain)
    made["To"] = to
    made["Subject"] = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", subject).split())[:200]
    made["Date"] = formatdate(usegmt=True)
    made["Message-ID"] = make_msgid(domain=domain)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    return made


def send(mail: Mail, to: str, subject: str, text: str, *, tls: ssl.SSLContext) -> None:
    """Hand a mail to the server. Blocks, `TIMEOUT_S` a step at most. Raises `MailError`."""
    port = mail.port or _PORTS[mail.security]
    try:
        made = message(mail, to, subject, text)
        with _connected(mail, port, tls) as server:
            if mail.user:
                server.login(mail.user, mail.password)
            server.send_message(made)
    except smtplib.SMTPAuthenticationError as error:
        words = f"the mail server refused mail.user and mail.password ({error.smtp_code})"
        raise MailError(words) from None  # its text may repeat what was sent
    except ssl.SSLCertVerificationError as error:
        raise MailError(f"{mail.host}: its certificate: {error.verify_message}") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailError(f"{mail.host}:{port}: {_said(error)}") from error


def _connected(mail: Mail, port: int, tls: ssl.SSLContext) -> smtplib.SMTP:
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, port, timeout=TIMEOUT_S, context=tls)
    server = smtplib.SMTP(mail.host, port, timeout=TIMEOUT_S)
    if mail.security == "starttls":
        try:
            server.starttls(context=tls)
        except BaseException:
            server.close()
            raise
    return server


def _said(error: Exception) -> str:
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=recipients):
            code, words = next(iter(recipients.values()))
            return f"the recipient is refused ({code} {words.decode(errors='replace')})"
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=words):
            said = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
            return f"{code} {said}"
        case OSError(strerror=str() as words):
            return words
        case _:
            return str(error) or type(error).__name__
