"""Events of the middle as a Responses stream, with numbers counted from 0.

https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11-24). A provider's
own framing events, which come as `Aside`s, go out as they came where they still say what is said;
all others are made here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from oneapi.dialects.base import Stamp
from oneapi.dialects.responses_blocks import Output
from oneapi.dialects.responses_errors import failed_error
from oneapi.dialects.responses_faithful import same_item
from oneapi.dialects.responses_frames import Frames
from oneapi.dialects.responses_reply import Answer, ending
from oneapi.dialects.responses_shapes import NAME, Object, word_in
from oneapi.dialects.responses_usage import render_usage
from oneapi.errors import ApiError
from oneapi.ir import (
    Annotation,
    Aside,
    BlockStart,
    BlockStop,
    ChatRequest,
    Delta,
    Event,
    Failed,
    Finish,
    Signature,
    Spent,
    Start,
)
from oneapi.wire.json import JSON

_CREATED: Final = "response.created"
_PROGRESS: Final = "response.in_progress"
_ENDS: Final = ("response.completed", "response.incomplete", "response.done")
_FAILED: Final = "response.failed"


class ResponsesRenderer:
    """`render(events)`, then `close()` or `fail(error)`.

    `final` is the whole response as the terminal event told it, for a gateway that stores it.
    """

    def __init__(self, chat: ChatRequest, stamp: Stamp) -> None:
        self.final: Object | None = None
        self._frames = Frames()
        self._answer = Answer(chat, stamp)
        self._output = Output(self._frames, self._answer)
        self._model = stamp.model
        self._began = False
        self._created = False
        self._spent: JSON = None
        self._finish: Finish | None = None

    def render(self, events: Iterable[Event]) -> bytes:
        delta = self._output.delta
        for event in events:
            if type(event) is Delta:
                delta(event)
            elif self.final is None:
                self._event(event)
        if self._began and not self._created:
            self._create()
        return self._frames.flush()

    def fail(self, error: ApiError) -> bytes:
        if self.final is None:
            self._ready()
            given = self._frames.kept.pop(_FAILED, {}).get("response", {})
            why = failed_error(error)
            if isinstance(given.get("error"), dict):  # its words may have been cleaned since
                why = {**given["error"], "message": error.message}
            late = {"completed_at": None, **given, "error": why}
            items = self._output.items
            whole = self._answer.response("failed", items, self._spent, late=late)
            self._end(_FAILED, whole)
        return self._frames.flush()

    def close(self) -> bytes:
        if self.final is None:
            self._ready()
            self._output.close()
            self._terminal()
        return self._frames.flush()

    def _event(self, event: Event) -> None:
        match event:
            case Start():
                self._start(event)
            case Aside():
                if event.dialect == NAME and isinstance(event.data, dict):
                    self._aside(event.data)
            case Spent():
                own = self._output.own
                self._spent = render_usage(event.usage, event.raw if own else None)
            case Finish():
                if event.choice == 0:
                    self._finish = event
            case Failed():
                self._frames.out.append(self.fail(event.error))
            case _:
                self._ready()
                self._of_block(event)

    def _of_block(self, event: BlockStart | Delta | Signature | Annotation | BlockStop) -> None:
        match event:
            case BlockStart():
                self._output.begin(event)
            case Delta():
                self._output.delta(event)
            case Signature():
                self._output.sign(event)
            case Annotation():
                self._output.annotate(event)
            case BlockStop():
                self._output.stop(event.index)

    def _start(self, event: Start) -> None:
        self._began = True
        self._output.own = event.source == NAME
        self._output.compacting = self._answer.compacts and not self._output.own
        self._answer.begin(
            event.source, event.id, event.model, event.created, event.service_tier, event.extra
        )

    def _ready(self) -> None:
        """Everything begins with the response's creation, whatever comes first."""
        if not self._began:
            self._start(Start("", ""))
        if not self._created:
            self._create()

    def _create(self) -> None:
        self._created = True
        response = self._answer.response("in_progress", [])
        self._frames.send(_CREATED, {"response": response})
        self._frames.send(_PROGRESS, {"response": response})

    def _aside(self, data: Object) -> None:
        """An event of the provider's own."""
        kind, response = word_in(data, "type"), data.get("response")
        if not isinstance(response, dict):
            self._ready()
            self._output.told(kind, data)
        elif kind in _ENDS or kind == _FAILED:
            self._frames.kept[kind] = {**data, "response": self._renamed(response)}
        else:
            self._answer.keep(response)
            shown = self._renamed(response)
            if not self._created and kind != _CREATED:
                self._frames.send(_CREATED, {"response": shown})
            self._created = True
            self._frames.send(kind, {**data, "response": shown})

    def _renamed(self, response: Object) -> Object:
        return {**response, "model": self._model} if self._model else response

    def _terminal(self) -> None:
        stop = self._finish.stop if self._finish is not None else "stop"
        items = self._output.items
        for kind in _ENDS:
            given = self._frames.kept.get(kind)
            if given is not None:
                response = given["response"]
                return self._end(kind, {**response, "output": _agreed(response, items)})
        status, late = ending(stop)
        if status == "incomplete" and items:
            items[-1] = {**items[-1], "status": status}
        whole = self._answer.response(status, items, self._spent, late=late)
        return self._end(f"response.{status}", whole)

    def _end(self, kind: str, response: Object) -> None:
        self.final = response
        self._frames.send(kind, {"response": response})


def _agreed(response: Object, items: list[JSON]) -> list[JSON]:
    """The items of the provider's last word where they are those that went out, else the latter."""
    given = response.get("output")
    if not isinstance(given, list) or len(given) != len(items):
        return items
    pairs = zip(given, items, strict=True)
    return [theirs if same_item(theirs, ours, encrypted=False) else ours for theirs, ours in pairs]
