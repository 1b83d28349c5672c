"""Forms are read as they stream by: names, small values, places; doubtful ones are refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneapi.wire.multipart import FormScanner, MalformedForm, boundary_of

BOUNDARY = b"--X-1"
AUDIO = b"RIFF\r\n----X-\r\n--\x00\xff--X-1" * 3


def part(name: bytes, value: bytes, extra: bytes = b"") -> bytes:
    head = b'Content-Disposition: form-data; name="' + name + b'"' + extra
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"
FILE = part(b"file", AUDIO, b'; filename="a \\"b\\".wav"\r\nContent-Type: audio/wav')
FORM = FILE + part(b"model", b"whisper-1") + part(b"language", b"") + END


def scan(form: bytes, *cuts: int) -> FormScanner:
    scanner, last = FormScanner(BOUNDARY), 0
    for cut in (*cuts, len(form)):
        scanner.feed(form[last:cut])
        last = cut
    scanner.close()
    return scanner


def test_fields_files_and_places_are_found() -> None:
    scanner = scan(FORM)
    assert scanner.fields == {"file": "", "model": "whisper-1", "language": ""}
    audio, model, _ = scanner.parts
    assert (audio.filename, audio.content_type, audio.value) == ('a "b".wav', "audio/wav", None)
    assert FORM[audio.start : audio.end] == AUDIO
    assert FORM[model.start : model.end] == b"whisper-1"


def test_every_pair_of_cuts_gives_the_same_parts() -> None:
    whole = scan(FORM).parts
    for first in range(len(FORM)):
        for second in range(first, len(FORM), 11):
            assert scan(FORM, first, second).parts == whole


def test_the_model_can_be_replaced_by_splicing() -> None:
    span = scan(FORM).span("model")
    assert span is not None
    spliced = FORM[: span[0]] + b"other-model" + FORM[span[1] :]
    assert scan(spliced).fields["model"] == "other-model"


def test_a_field_is_known_before_the_form_ends() -> None:
    scanner = FormScanner(BOUNDARY)
    scanner.feed(part(b"model", b"whisper-1") + FILE[:60])
    assert scanner.fields == {"model": "whisper-1"}
    assert scanner.span("file") is None


def test_preamble_and_epilogue_are_skipped() -> None:
    form = b"preamble\r\n" + FORM + b"epilogue\r\n" + part(b"model", b"other")
    start, end = scan(form).span("model") or (0, 0)
    assert form[start:end] == b"whisper-1"


def test_a_value_too_long_to_keep_still_has_its_place() -> None:
    form = part(b"prompt", b"x" * 100_000) + END
    prompt = scan(form).parts[0]
    assert prompt.value is None
    assert prompt.end - prompt.start == 100_000


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"no form at all",
        FORM[: -len(END)],
        FORM[:-4],
        part(b"model", b"a") + part(b"model", b"b") + END,
        part(b"model", b"a", b'; filename="m"') + END,
        part(b"a", b"x", b'; name="model"') + END,
        part(b"a", b"x", b"; name*=utf-8''model") + END,
        part(b"mod\\el", b"x") + END,
        part(b"model", b"x", b"\r\nContent-Transfer-Encoding: base64") + END,
        part(b"a", b"x", b'\r\nContent-Disposition: form-data; name="model"') + END,
        part(b"a", b"x", b"\r\n folded: yes") + END,
        part(b"a", b"x", b"\nBare: lf") + END,
        part(b"a", b"x", b"\r\nno colon") + END,
        part(b"a", b"x", b"\r\nX-Long: " + b"y" * 17_000) + END,
        b"--" + BOUNDARY + b"\r\n\r\nno head\r\n" + END,
        b"--" + BOUNDARY + b"\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n" + END,
        b"--" + BOUNDARY + b"longer\r\n" + END,
        part(b"a", b"x\r\n--" + BOUNDARY + b"y") + END,
        part(b"a", b"") * 1001 + END,
    ],
)
def test_a_doubtful_form_is_refused(form: bytes) -> None:
    with pytest.raises(MalformedForm):
        scan(form)


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=4))
def test_any_value_comes_back_whole(value: bytes, cuts: list[int]) -> None:
    if b"\r\n--" + BOUNDARY in value:
        return
    form = part(b"model", value) + END
    scanner = scan(form, *sorted(min(cut, len(form)) for cut in cuts))
    assert scanner.parts[0].value == value


@given(st.binary(), st.binary())
def test_arbitrary_bytes_raise_only_what_is_declared(form: bytes, tail: bytes) -> None:
    for body in (form, part(b"a", form) + tail):
        try:
            scan(body)
        except MalformedForm:
            pass


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=utf-8; BOUNDARY="a b:c"', b"a b:c"),
        (b"multipart/form-data; boundary=-----------Ruby-ee2b", b"-----------Ruby-ee2b"),
    ],
)
def test_the_boundary_of_a_content_type(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b'multipart/form-data; boundary="a\\r\\nb"',
        b"multipart/mixed; boundary=abc",
    ],
)
def test_a_content_type_without_a_valid_boundary_is_refused(content_type: bytes) -> None:
    with pytest.raises(MalformedForm):
        boundary_of(content_type)


def test_single_bytes_cost_linear_time() -> None:
    def seconds(size: int) -> float:
        form = FILE.replace(AUDIO, b"\r" * size)
        scanner, chunks = FormScanner(BOUNDARY), [form[i : i + 1] for i in range(len(form))]
        start = time.process_time()
        for chunk in chunks:
            scanner.feed(chunk)
        return time.process_time() - start

    small = min(seconds(5_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(3)) < 12 * small


def test_files_are_not_kept_in_memory() -> None:
    scanner = FormScanner(BOUNDARY)
    scanner.feed(FILE[: FILE.index(AUDIO)])
    for _ in range(100):
        scanner.feed(b"x" * 65_536)
    assert len(scanner._buffer) < 200


def test_a_field_that_decides_is_never_too_long_to_be_read() -> None:
    scanner = FormScanner(BOUNDARY)
    with pytest.raises(MalformedForm, match="`model` is too long"):
        scanner.feed(part(b"model", b"m" * 70_000))
