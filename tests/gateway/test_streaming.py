"""What of a translated stream goes on at once, what waits, and what is not kept at all."""

from __future__ import annotations

from collections.abc import Iterable

from oneapi.dialects.base import StreamRenderer
from oneapi.dialects.base_gather import Gatherer
from oneapi.errors import ApiError
from oneapi.gateway.streaming import MAX_GATHERED, PENDING, Outflow, Seals
from oneapi.gateway.watch import EventWatch
from oneapi.ir import (
    BlockStart,
    BlockStop,
    Delta,
    Event,
    Finish,
    Media,
    Reasoning,
    Signature,
    Start,
    Text,
)


class Names:
    """Renders the names of events."""

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(type(event).__name__.encode() + b" " for event in events)

    def fail(self, error: ApiError) -> bytes:
        return b"failed "

    def close(self) -> bytes:
        return b"closed"


def outflow(gatherer: Gatherer | None = None) -> tuple[Outflow, EventWatch]:
    watch, renderer = EventWatch(), Names()
    checked: StreamRenderer = renderer
    return Outflow(checked, watch, gatherer), watch


START = Start("r", "m")
TEXT = BlockStart(0, Text(""))


def test_nothing_goes_out_before_the_first_content() -> None:
    stream, _ = outflow()
    assert stream.take([START, TEXT, Delta(0, "")], 100) == b""
    assert stream.take([Delta(0, "a")], 10) == b"Start BlockStart Delta Delta "


def test_what_is_too_much_to_hold_goes_out_without_content() -> None:
    stream, _ = outflow()
    assert stream.take([START, TEXT], PENDING) == b""
    assert stream.take([Delta(0, "")], 1) == b"Start BlockStart Delta "
    assert stream.take([Delta(0, "")], 1) == b"Delta "


def test_an_event_that_never_ends_is_no_content() -> None:
    stream, watch = outflow()
    assert stream.take([], PENDING + 1) == b""
    assert not watch.content_seen


def test_a_finish_waits_for_the_end_and_counts_once_a_choice() -> None:
    stream, _ = outflow()
    assert stream.take([START, TEXT, Delta(0, "a"), Finish("stop")], 10).endswith(b"Delta ")
    assert stream.take([Finish("length")], 10) == b""
    stream.hold([])
    assert stream.tail(None) == b"Finish closed"


def test_a_long_answer_is_not_gathered() -> None:
    stream, _ = outflow(Gatherer("d"))
    stream.take([START, TEXT, Delta(0, "a")], MAX_GATHERED)
    assert stream.gatherer is not None
    stream.take([Delta(0, "b")], 1)
    assert stream.gatherer is None


def test_base64_of_a_medium_is_no_text_to_estimate() -> None:
    watch = EventWatch()
    sound: list[Event] = [BlockStart(0, Media("audio")), Delta(0, "QUJD" * 100_000), BlockStop(0)]
    watch.note([START, *sound, BlockStart(1, Text("")), Delta(1, "Hello")])
    assert watch.content_seen
    assert watch.output_estimate() < 5


def test_a_signature_in_many_pieces_becomes_two() -> None:
    seals = Seals()
    first = seals.feed([START, BlockStart(0, Reasoning("")), Signature(0, "a")])
    assert first[-1] == Signature(0, "a")
    assert seals.feed([Signature(0, "b", "x")]) == []
    assert seals.feed([Signature(0, "c", "y"), Delta(1, "text")]) == [Delta(1, "text")]
    assert seals.feed([BlockStop(0)]) == [Signature(0, "bc", "xy"), BlockStop(0)]


def test_a_signature_in_one_piece_passes_as_it_is() -> None:
    seals = Seals()
    events: list[Event] = [START, Signature(0, "a"), BlockStop(0), Signature(1, "b"), BlockStop(1)]
    assert seals.feed(events) == events
    plain: list[Event] = [Delta(0, "a"), BlockStop(2)]
    assert seals.feed(plain) is plain
