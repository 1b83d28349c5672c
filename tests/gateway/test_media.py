"""What a request points at is fetched from public addresses alone (one-api's S4)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from oneapi.errors import ApiError
from oneapi.gateway.media import Fetcher, is_public

PNG = b"\x89PNG\r\n\x1a\n0000"


class Pictures(BaseHTTPRequestHandler):
    """/picture, /large, /slow, /missing, and /to/… which redirects."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("location", self.path[4:])
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path != "/plain":
            self.send_header("content-type", "image/png; charset=binary")
        self.end_headers()
        self.wfile.write(PNG * (10_000 if self.path == "/large" else 1))

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def pictures() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def fetch(url: str, allowed: Callable[[str], bool] = lambda address: True) -> tuple[str, str]:
    fetcher = Fetcher(allowed=allowed, max_bytes=1000)
    return asyncio.run(fetcher.fetch([url]))[url]


def refusal(url: str, allowed: Callable[[str], bool] = lambda address: True) -> str:
    with pytest.raises(ApiError) as caught:
        fetch(url, allowed)
    assert caught.value.status == 400
    return caught.value.message


def test_a_picture_comes_with_its_type_as_base64() -> None:
    with pictures() as base:
        assert fetch(f"{base}/picture") == ("image/png", "iVBORw0KGgowMDAw")


def test_the_type_is_read_from_the_bytes_where_the_server_does_not_say() -> None:
    with pictures() as base:
        assert fetch(f"{base}/plain")[0] == "image/png"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://[::1]/x",
        "http://[::ffff:10.0.0.1]/x",
        "http://[2002:7f00:1::]/x",
        "http://10.1.2.3/x",
        "http://172.16.0.1/x",
        "http://192.168.1.1/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/x",
        "http://0.0.0.0/x",
        "http://2130706433/x",
        "http://0x7f000001/x",
        "http://[fe80::1]/x",
        "http://[fd00::1]/x",
        "http://224.0.0.1/x",
        "http://[64:ff9b::a9fe:a9fe]/x",
        "http://[64:ff9b:1::a00:1]/x",
        "http://[::127.0.0.1]/x",
        "http://[::ffff:0:10.0.0.1]/x",
        "http://[fec0::1]/x",
        "http://168.63.129.16/x",
    ],
)
def test_private_addresses_are_not_fetched(url: str) -> None:
    assert "private address" in refusal(url, is_public) or "resolved" in refusal(url, is_public)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    """The first hop is let through by name, the second is judged like any other."""
    with pictures() as base:
        port = base.rpartition(":")[2]
        url = f"{base}/to/http://127.0.0.2:{port}/picture"
        words = refusal(url, lambda address: address == "127.0.0.1")
    assert "127.0.0.2" in words
    assert "private address" in words


def test_a_redirect_to_an_allowed_address_is_followed() -> None:
    with pictures() as base:
        assert fetch(f"{base}/to//picture")[0] == "image/png"


def test_redirects_end() -> None:
    with pictures() as base:
        path = "/to/" * 6 + "/picture"
        assert "redirects" in refusal(base + path)


def test_what_is_too_large_is_refused() -> None:
    with pictures() as base:
        assert "larger than 1,000 bytes" in refusal(f"{base}/large")


def test_all_that_a_request_points_at_has_one_limit() -> None:
    with pictures() as base:
        urls = [f"{base}/picture?{number}" for number in range(9)]
        fetcher = Fetcher(allowed=lambda address: True, max_total=100)
        with pytest.raises(ApiError, match="larger than 100 bytes"):
            asyncio.run(fetcher.fetch(urls))
        assert len(asyncio.run(fetcher.fetch(urls[:8]))) == 8


@pytest.mark.parametrize(
    "path",
    ["x" * 70_000, "\x7f", "\ud800"],
    ids=["too long", "a control character", "half a surrogate"],
)
def test_what_is_no_url_is_refused_in_words(path: str) -> None:
    assert "no valid URL" in refusal(f"http://127.0.0.1/{path}")


def test_a_name_in_any_script_is_asked_by_its_ascii_form() -> None:
    assert "cannot be reached" in refusal("http://①②⑦.⓪.⓪.①:1/x")


def test_names_that_never_resolve_do_not_take_the_threads_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = Event()

    def deaf(*given: object, **named: object) -> list[object]:
        release.wait(10)
        raise OSError

    async def run() -> str:
        fetcher = Fetcher(allowed=lambda address: True)
        urls = [f"http://name{number}.invalid/" for number in range(32)]
        fetching = asyncio.create_task(fetcher.fetch(urls))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            found = await asyncio.to_thread(lambda: "served")
        release.set()
        with pytest.raises(ApiError, match="resolved"):
            await fetching
        return found

    monkeypatch.setattr(socket, "getaddrinfo", deaf)
    assert asyncio.run(run()) == "served"


def test_a_servers_refusal_is_told() -> None:
    with pictures() as base:
        assert "answered 404" in refusal(f"{base}/missing")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "gopher://x", "http://"])
def test_other_schemes_are_not_fetched(url: str) -> None:
    assert "http" in refusal(url)


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    words = refusal("http://user:secret@127.0.0.1/x")
    assert "credentials" in words
    assert "secret" not in words


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        fetcher = Fetcher(allowed=lambda address: True, timeout_s=0.2)
        with pytest.raises(ApiError, match="in time"):
            asyncio.run(fetcher.fetch([url]))
