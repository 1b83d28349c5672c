"""Warnings: written once a period, sent by webhook, pusher and mail until they are taken."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path

import pytest

from oneapi.cli.main import main
from oneapi.config.schema import Mail, Settings
from oneapi.errors import ConfigError
from oneapi.gateway import notify_mail, notify_text
from oneapi.gateway.notify import Notifier
from oneapi.gateway.notify_send import Sender
from oneapi.ledger import outbox
from oneapi.ledger.accounts import Account, Budget, Period
from oneapi.ledger.outbox import Notice, Standing
from oneapi.ledger.store_sqlite import SqliteStore
from tests.e2e.harness import Received, Reply, gateway, json_reply, people, scripted_upstream, until
from tests.gateway.making import snapshot
from tests.gateway.post import Post, post_office
from tests.ledger.conftest import a_record

SECRET = "a-long-secret"
MONTHLY = Budget(Account("user", "alice", "nanousd", Period("month")), 1000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "oneapi.db")
    opened.open()
    opened.declare("user", {"alice": None})
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed one for localhost and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([openssl, *new.split(), *files], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


def settings(alerts: dict[str, object], **tables: object) -> Settings:
    return Settings.model_validate({"alerts": alerts, **tables})


def mail_at(post: Post, **changes: object) -> Mail:
    table = {"host": "localhost", "port": post.port, "from": "One API <no-reply@example.org>"}
    return Mail.model_validate({**table, **changes})


def notifier(store: SqliteStore, found: Settings, **changes: object) -> Notifier:
    sender = Sender(store, lambda: found, delays_s=(0, 0), poll_s=0.05)
    return Notifier(store, settings=lambda: found, zone=lambda: UTC, sender=sender)


async def spend(store: SqliteStore, nanousd: int) -> None:
    """What alice uses, settled and added up."""
    from oneapi.ledger.door import Door

    door = Door(store)
    permit = door.permit()
    assert await door.hold(permit, [(MONTHLY, nanousd)], a_record().time_ms) is None
    await door.settle(permit, a_record(cost_nanousd=nanousd))
    store.close()
    store.open()


def enqueue(store: SqliteStore, *ways: tuple[outbox.Way, str], text: str = "hello\n") -> None:
    notice = Notice("budget", {"subject": "s", "text": text, "link": ""}, ways)
    store.transact(lambda db: outbox.enqueue(db, notice, 1)).result(10)


@pytest.mark.anyio
async def test_a_budget_is_warned_of_once_at_each_threshold(store: SqliteStore) -> None:
    found = settings({"webhook": {"url": "http://127.0.0.1:9"}})
    warned = notifier(store, found)
    seen = []
    for cost in (790, 20, 20, 140, 30, 0):
        if cost:
            await spend(store, cost)
        warned.touched("alice", [MONTHLY])
        seen.append(await warned.look())
    assert seen == [0, 1, 0, 1, 1, 0]
    facts = [json.loads(_facts(store, notice.id)) for notice in reversed(outbox.last(store.path))]
    assert [(f["threshold"], f["percent"], f["user"]) for f in facts] == [
        (80, 81, "alice"),
        (95, 97, "alice"),
        (100, 100, "alice"),
    ]
    assert facts[0]["subject"] == "One API: user alice has used 81% of its budget this month"
    assert "$0.00000081 of $0.000001 this month" in facts[0]["text"]


def _facts(store: SqliteStore, notice_id: int) -> str:
    work = "SELECT facts FROM outbox WHERE id = ?"
    return str(store.transact(lambda db: db.execute(work, (notice_id,)).fetchone()[0]).result(10))


@pytest.mark.anyio
async def test_another_process_does_not_warn_again(store: SqliteStore) -> None:
    found = settings({"webhook": {"url": "http://127.0.0.1:9"}})
    await spend(store, 900)
    first, second = notifier(store, found), notifier(store, found)
    for one in (first, second):
        one.touched("alice", [MONTHLY])
    assert [await first.look(), await second.look()] == [1, 0]


@pytest.mark.anyio
async def test_nothing_is_looked_at_where_nobody_hears_or_only_others_budgets_were_used(
    store: SqliteStore,
) -> None:
    await spend(store, 900)
    deaf = notifier(store, settings({}))
    deaf.touched("alice", [MONTHLY])
    assert await deaf.look() == 0
    heard = notifier(store, settings({"webhook": {"url": "http://127.0.0.1:9"}}))
    group = Budget(Account("group", "vip", "nanousd", Period("month")), 1)
    heard.touched("alice", [group])
    assert await heard.look() == 0


@pytest.mark.anyio
async def test_a_webhook_gets_signed_json_and_is_asked_again_when_it_fails(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    replies = [Reply(500), Reply(302, (("location", "http://127.0.0.1:9/"),)), json_reply({})]
    with scripted_upstream(lambda _: replies.pop(0)) as upstream:
        hook = {"url": upstream.url + "/hook", "secret": SECRET, "headers": {"x-mine": "1"}}
        sender = notifier(store, settings({"webhook": hook})).sender
        enqueue(store, ("webhook", ""))
        with caplog.at_level(logging.WARNING, "oneapi.notify"):
            assert await sender.send_due() == 3
        await sender.aclose()
        got = upstream.received[-1]
    assert [r.path for r in upstream.received] == ["/hook"] * 3
    timestamp = got.header("x-oneapi-timestamp") or ""
    signed = hmac.new(SECRET.encode(), timestamp.encode() + b"." + got.body, hashlib.sha256)
    assert got.header("x-oneapi-signature") == "sha256=" + signed.hexdigest()
    assert got.header("x-mine") == "1"
    assert got.json() == {"id": 1, "kind": "budget", "subject": "s", "text": "hello\n", "link": ""}
    [notice] = outbox.last(store.path)
    assert (notice.state, notice.attempts) == ("sent", 3)
    assert "answered with status 500" in caplog.text
    assert "redirects are not followed" in caplog.text


@pytest.mark.anyio
async def test_what_is_never_taken_is_given_up_and_says_why(store: SqliteStore) -> None:
    with scripted_upstream(lambda _: Reply(503)) as upstream:
        sender = notifier(store, settings({"webhook": {"url": upstream.url}})).sender
        enqueue(store, ("webhook", ""))
        assert await sender.send_due() == 3  # two delays, three attempts
        await sender.aclose()
    [notice] = outbox.last(store.path)
    assert (notice.state, notice.error) == ("failed", "answered with status 503")


@pytest.mark.anyio
async def test_a_way_that_the_file_has_no_more_is_given_up_at_once(store: SqliteStore) -> None:
    sender = notifier(store, settings({})).sender
    enqueue(store, ("webhook", ""), ("pusher", ""), ("mail", "a@x.org"))
    assert await sender.send_due() == 3
    assert {(n.state, n.attempts) for n in outbox.last(store.path)} == {("failed", 1)}
    assert outbox.last(store.path)[0].error == "the configuration has no mail any more"


@pytest.mark.anyio
async def test_a_pusher_is_pushed_and_its_refusals_are_seen(store: SqliteStore) -> None:
    replies = [
        json_reply({"success": False, "message": "bad token"}),
        json_reply({"success": True}),
    ]
    with scripted_upstream(lambda _: replies.pop(0)) as upstream:
        pusher = {"url": upstream.url + "/push/me", "token": "t0ken", "channel": "lark"}
        sender = notifier(store, settings({"pusher": pusher})).sender
        enqueue(store, ("pusher", ""))
        assert await sender.send_due() == 2
        await sender.aclose()
    assert upstream.received[0].json() == {
        "title": "s",
        "description": "s",
        "content": "hello\n",
        "channel": "lark",
        "token": "t0ken",
    }
    assert outbox.last(store.path)[0].state == "sent"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_goes_out_encrypted_and_signed_in(
    certificate: tuple[Path, Path], server_tls: ssl.SSLContext, security: str
) -> None:
    with post_office(server_tls, implicit=security == "tls", password="pass") as post:
        mail = mail_at(post, security=security, user="me", password="pass")
        notify_mail.send(mail, "bob@x.org", "Wörter", "Grüße\n", tls=trusting(certificate))
    [got] = post.mails
    assert (got["To"], got["From"]) == ("bob@x.org", "One API <no-reply@example.org>")
    assert got["Subject"] == "Wörter"
    assert got.get_content().splitlines() == ["Grüße"]
    assert post.encrypted == [True]
    assert len(post.logins) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_is_not_trusted_gets_nothing(
    server_tls: ssl.SSLContext, security: str
) -> None:
    with post_office(server_tls, implicit=security == "tls") as post:
        mail = mail_at(post, security=security, user="me", password="pass")
        with pytest.raises(notify_mail.MailError, match="certificate"):
            notify_mail.send(mail, "b@x.org", "s", "t", tls=ssl.create_default_context())
    assert (post.mails, post.logins) == ([], [])


def test_a_server_without_tls_gets_nothing_unless_the_file_says_none() -> None:
    tls = ssl.create_default_context()
    with post_office(None) as post:
        with pytest.raises(notify_mail.MailError, match="STARTTLS"):
            notify_mail.send(mail_at(post), "b@x.org", "s", "t", tls=tls)
        notify_mail.send(mail_at(post, security="none"), "b@x.org", "s", "t", tls=tls)
    assert post.encrypted == [False]


def test_a_refused_password_is_not_repeated() -> None:
    with post_office(None, password="right") as post:
        mail = mail_at(post, security="none", user="me", password="hush-hush")
        with pytest.raises(notify_mail.MailError, match=r"refused mail\.user") as caught:
            notify_mail.send(mail, "b@x.org", "s", "t", tls=ssl.create_default_context())
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "to", ["b@x.org\r\nBcc: c@x.org", "b@x.org, c@x.org", "<b@x.org>", "b", "b@x.org\n", ""]
)
def test_no_header_is_smuggled_in_by_an_address(to: str) -> None:
    mail = Mail.model_validate({"host": "h", "from": "a@x.org"})
    with pytest.raises(notify_mail.MailError, match="is not an e-mail address"):
        notify_mail.message(mail, to, "s", "t")


def test_no_header_is_smuggled_in_by_a_subject_or_a_sender() -> None:
    mail = Mail.model_validate({"host": "h", "from": "a@x.org"})
    made = notify_mail.message(mail, "b@x.org", "one\r\nBcc: c@x.org", "t")
    assert made["Subject"] == "one Bcc: c@x.org"
    assert made["Bcc"] is None
    assert notify_mail.sender_problem("a@x.org\r\nBcc: c@x.org")


@pytest.mark.anyio
async def test_a_mail_that_is_refused_for_now_is_sent_later(store: SqliteStore) -> None:
    with post_office(None) as post:
        post.trouble = ["451 come back"]
        mail = {"host": "localhost", "port": post.port, "from": "a@x.org", "security": "none"}
        sender = notifier(store, settings({"emails": ["b@x.org"]}, mail=mail)).sender
        enqueue(store, ("mail", "b@x.org"))
        assert await sender.send_due() == 2
    assert [m.get_content().split() for m in post.mails] == [["hello"]]
    assert outbox.last(store.path)[0].state == "sent"


@pytest.mark.anyio
async def test_a_slow_way_delays_no_other_and_nobody_waits_for_it(store: SqliteStore) -> None:
    with scripted_upstream(lambda r: Reply(hang=r.path == "/slow")) as upstream:
        hook = {"url": upstream.url + "/slow"}
        pusher = {"url": upstream.url + "/push/me"}
        sender = notifier(store, settings({"webhook": hook, "pusher": pusher})).sender
        enqueue(store, ("webhook", ""), ("pusher", ""))
        sending = asyncio.create_task(sender.send_due())
        assert await asyncio.to_thread(until, lambda: len(upstream.received) == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await sender.aclose()


@pytest.mark.anyio
async def test_a_silent_mail_server_takes_no_thread_from_others(store: SqliteStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mail = {"host": "127.0.0.1", "port": silent.getsockname()[1], "from": "a@x.org"}
        found = settings({"emails": ["b@x.org"]}, mail={**mail, "security": "none"})
        sender = Sender(store, lambda: found, deadline_s=1)
        enqueue(store, *[("mail", f"b{i}@x.org") for i in range(16)])
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        sending = asyncio.create_task(sender.send_due())
        await asyncio.sleep(0.3)
        async with asyncio.timeout(0.5):
            await asyncio.gather(*(asyncio.to_thread(int) for _ in range(4)))
        assert await sending == 16
    assert "within 1 s" in outbox.last(store.path)[0].error


@pytest.mark.anyio
async def test_an_answer_that_never_ends_is_left(store: SqliteStore) -> None:
    endless = Reply(body=(b" ", 0.05) * 1000)
    with scripted_upstream(lambda r: endless) as upstream:
        found = settings({"webhook": {"url": upstream.url}})
        sender = Sender(store, lambda: found, deadline_s=0.5)
        enqueue(store, ("webhook", ""))
        async with asyncio.timeout(5):
            assert await sender.send_due() == 1
        await sender.aclose()
    assert outbox.last(store.path)[0].error == "it was not taken within 0.5 s"


@pytest.mark.anyio
async def test_a_refusal_that_repeats_the_token_is_kept_without_it(store: SqliteStore) -> None:
    answer = json_reply({"success": False, "message": f"wrong token {SECRET}"})
    with scripted_upstream(lambda r: answer) as upstream:
        pusher = {"url": upstream.url, "token": SECRET}
        sender = Sender(store, lambda: settings({"pusher": pusher}))
        enqueue(store, ("pusher", ""))
        assert await sender.send_due() == 1
        await sender.aclose()
    assert outbox.last(store.path)[0].error == "the pusher refused it: wrong token …"


def test_users_hear_of_their_own_budgets_where_the_file_says_so(store: SqliteStore) -> None:
    tables: dict[str, object] = {
        "mail": {"host": "h", "from": "a@x.org"},
        "users": {"alice": {"email": "alice@x.org"}},
    }
    alerts = {"emails": ["ops@x.org"], "mail_users": True}
    warned = Notifier(
        store,
        settings=lambda: settings(alerts, **tables),
        zone=lambda: UTC,
        email_of=lambda user: f"{user}@registered.org",
    )
    from oneapi.gateway.notify import ways_of

    found = settings(alerts, **tables)
    assert [warned._address(found, name) for name in ("alice", "bob")] == [
        "alice@x.org",
        "bob@registered.org",
    ]
    assert list(ways_of(found, "alice@x.org")) == [("mail", "ops@x.org"), ("mail", "alice@x.org")]
    assert list(ways_of(found, "ops@x.org")) == [("mail", "ops@x.org")]
    assert warned._address(settings({"emails": ["ops@x.org"]}, **tables), "alice") is None


def test_templates_are_the_files_with_its_placeholders(tmp_path: Path) -> None:
    table = {
        "budget": {"subject": "{{{name}}} at {percent}%\nnow", "text": "{used}/{limit} {left}"}
    }
    found = settings({"templates": table}, site={"currency": "points", "url": "https://ai.x.org/"})
    standing = Standing(Budget(MONTHLY.account, 4000), 3000, 4000)
    facts = notify_text.general(found.site, 0, UTC) | notify_text.spent(
        standing, found.site, 0, UTC
    )
    said = notify_text.written("budget", facts, found)
    assert said["subject"] == "{alice} at 75% now"
    assert said["text"] == "1.5 points/2 points 0.5 points\n"
    assert (said["site"], said["link"]) == ("ai.x.org", "https://ai.x.org")
    assert said["ends"] == "on 1970-02-01 00:00 UTC"


def test_a_fact_is_no_template() -> None:
    assert notify_text.fill("{name}", {"name": "{user}"}) == "{user}"


def test_every_default_text_is_sound() -> None:
    for words in notify_text.DEFAULTS.values():
        assert [problem for text in words for problem in notify_text.problems_of(text)] == []


def test_a_wrong_template_address_or_threshold_is_named_with_its_place(tmp_path: Path) -> None:
    text = (
        '[alerts]\nemails = ["a@x.org", "b"]\nthresholds = [0]\nmail_users = true\n'
        '[alerts.templates.budget]\nsubject = "{nmae} {"\n[channels.m]\ntype = "mock"\n'
    )
    with pytest.raises(ConfigError) as caught:
        snapshot(tmp_path, text)
    assert [(p.line, p.key, p.message) for p in caught.value.problems] == [
        (2, "alerts.emails", "nothing can be mailed without [mail]"),
        (4, "alerts.mail_users", "nothing can be mailed without [mail]"),
        (2, "alerts.emails[1]", "is not an e-mail address"),
        (3, "alerts.thresholds[0]", "must be a percentage from 1 to 1000"),
        (6, "alerts.templates.budget.subject", "there is no {nmae}"),
        (6, "alerts.templates.budget.subject", "a single { stands in it: write {{ for a brace"),
    ]


def test_a_sender_that_is_no_address_is_refused(tmp_path: Path) -> None:
    text = '[mail]\nhost = "h"\nfrom = "nobody"\npassword = "x"\n[channels.m]\ntype = "mock"\n'
    with pytest.raises(ConfigError) as caught:
        snapshot(tmp_path, text)
    assert [(p.line, p.key) for p in caught.value.problems] == [
        (3, "mail.from"),
        (4, "mail.password"),
    ]


def test_the_command_line_sends_a_test_mail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with post_office(None) as post:
        file = tmp_path / "oneapi.toml"
        file.write_text(
            f'[mail]\nhost = "localhost"\nport = {post.port}\nsecurity = "none"\n'
            'from = "a@x.org"\n[channels.m]\ntype = "mock"\n'
        )
        assert main(["mail", "test", "b@x.org", "--config", str(file)]) == 0
    assert "sent to b@x.org" in capsys.readouterr().out
    assert post.mails[0]["Subject"] == "One API: a test"
    file.write_text('[channels.m]\ntype = "mock"\n')
    assert main(["mail", "test", "b@x.org", "--config", str(file)]) == 2


def test_a_gateway_warns_of_a_users_budget_and_keeps_answering(tmp_path: Path) -> None:
    got: list[Received] = []

    def hook(request: Received) -> Reply:
        got.append(request)
        return json_reply({}, 500 if len(got) == 1 else 200)

    text = (
        '[channels.m]\ntype = "mock"\nmodels = ["demo"]\n'
        '[prices.demo]\nrequest = 0.4\n[site]\nunpriced = "reject"\n'
    )
    with scripted_upstream(hook) as upstream:
        alerts = f'[alerts]\nthresholds = [80]\n[alerts.webhook]\nurl = "{upstream.url}/hook"\n'
        user = people().replace('role = "user"', 'role = "user"\nbudget = "$1/month"')
        with gateway(tmp_path, text + alerts + user) as running:
            chat = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
            answers = [running.post("/v1/chat/completions", chat).status for _ in range(2)]
            assert answers == [200, 200]
            assert until(lambda: len(got) == 1, 15)
            assert got[0].json()["percent"] == 80
            assert got[0].json()["name"] == "e2e"
            assert running.post("/v1/chat/completions", chat).status == 429
            waiting = outbox.last(running.database)
    assert [(n.state, n.error) for n in waiting] == [("waiting", "answered with status 500")]


@pytest.mark.anyio
async def test_the_command_line_shows_what_was_not_sent(
    store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    enqueue(store, ("mail", "a@x.org"))
    await notifier(store, settings({})).sender.send_due()
    file = tmp_path / "oneapi.toml"
    file.write_text('[channels.m]\ntype = "mock"\n')
    assert main(["mail", "outbox", "--config", str(file)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[2:] == ["STATE", "WAY", "TO", "TRIES", "SUBJECT", "ERROR"]
    assert row.split()[2:7] == ["failed", "mail", "a@x.org", "1", "s"]
    assert main(["mail", "outbox", "--json", "--config", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["error"].startswith("the configuration has no mail")
