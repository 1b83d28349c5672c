"""What is kept of bodies: cut, and without secrets."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from oneapi.gateway.keepbodies import LONGEST_SECRET, Copy, masked
from oneapi.ledger.bodies import BodyStore, Bounds, Pair, find
from oneapi.ledger.record import first_id

OWN = "sk-" + "aB3" * 16
SECRET = "provider/secret-0123456789"
ID = first_id(time.time_ns() // 1_000_000)


def kept(
    path: Path,
    came: list[bytes],
    went: list[bytes],
    *,
    limit: int = 1_000,
    headers: dict[bytes, bytes] | None = None,
) -> Pair:
    path.mkdir(exist_ok=True)
    store = BodyStore(path / "bodies.db", Bounds(10**9, 10**9))
    copy = Copy(store, ID, limit, headers or {})
    copy.secrets = ("presented-by-the-client",)
    for chunk in came:
        copy.came(chunk)
    for chunk in went:
        copy.went(chunk)
    copy.close(SECRET)
    copy.close()
    store.close()
    found = find(store.path, ID)
    assert found is not None
    return found


def test_bodies_are_joined(tmp_path: Path) -> None:
    pair = kept(tmp_path, [b'{"a":', b"1}"], [b"data: 1\n\n", b"data: [DONE]\n\n"])
    assert (pair.request, pair.answer) == (b'{"a":1}', b"data: 1\n\ndata: [DONE]\n\n")
    assert (pair.request_size, pair.answer_size) == (7, 23)


@pytest.mark.parametrize("secret", [OWN, SECRET, "presented-by-the-client"])
def test_secrets_are_masked_also_where_chunks_part_them(tmp_path: Path, secret: str) -> None:
    text = f'{{"note": "{secret}"}}'.encode()
    pair = kept(tmp_path, [text[:20], text[20:]], [text])
    for body in (pair.request, pair.answer):
        assert secret.encode() not in body
        assert b"***" in body


def test_long_bodies_are_cut_and_their_sizes_known(tmp_path: Path) -> None:
    chunk = b"x" * 700
    pair = kept(tmp_path, [chunk] * 20, [chunk])
    assert pair.request == b"x" * 1_000
    assert (pair.request_size, pair.answer) == (14_000, chunk)


def test_no_part_of_a_secret_is_left_where_a_body_is_cut() -> None:
    limit = 1_000
    for before in range(0, LONGEST_SECRET + 1_200, 7):
        body = b"~" * before + SECRET.encode() + b"~" * 9_000
        left = masked(body[: limit + LONGEST_SECRET], (SECRET,), limit=limit, cut=True)
        assert b"p" not in left
        assert len(left) <= limit


def test_many_masked_secrets_do_not_bring_a_cut_one_into_view() -> None:
    body = (SECRET + "~").encode() * 2_000
    held = body[: 1_000 + LONGEST_SECRET]
    assert b"p" not in masked(held, (SECRET,), limit=1_000, cut=True)


def test_compressed_requests_are_kept_as_they_read(tmp_path: Path) -> None:
    plain = b'{"key": "' + OWN.encode() + b'", "text": "' + b"y" * 20_000 + b'"}'
    sent = gzip.compress(plain)
    pair = kept(tmp_path, [sent], [], headers={b"content-encoding": b"gzip"})
    assert pair.request.startswith(b'{"key": "sk-***", "text": "yyy')
    assert OWN.encode() not in pair.request
    assert 900 < len(pair.request) <= 1_000


def test_an_answer_that_a_provider_compressed_all_the_same_is_masked_too(tmp_path: Path) -> None:
    sent = gzip.compress(f"{SECRET} {OWN}".encode())
    pair = kept(tmp_path, [], [sent[:10], sent[10:]])
    assert (pair.answer, pair.answer_size) == (b"*** sk-***", len(sent))
    long = gzip.compress(f"{SECRET} ".encode() * 9_000)
    assert SECRET[:8].encode() not in kept(tmp_path / "long", [], [long]).answer


def test_a_secret_is_masked_as_json_writes_it(tmp_path: Path) -> None:
    body = SECRET.replace("/", "\\/").encode()
    pair = kept(tmp_path, [body], [b"[" + body + b"]"])
    assert (pair.request, pair.answer) == (b"***", b"[***]")
