"""Which way a request goes to a channel: as it is, or translated, and into what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from oneapi.dialects import registry
from oneapi.dialects.base import ChatProvider, Hints, Operation, TaskProvider
from oneapi.providers.account import Account
from oneapi.providers.preset import Quirk
from oneapi.providers.quirks import changing

CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client's endpoint asks for: an operation of a dialect."""

    dialect: str
    operation: Operation


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """How one channel answers one operation for one model.

    With neither `chat` nor `task` the client's own format is relayed: the byte lane, or the edit
    lane where single members must change. `wrap` says how the provider's transport packs a format
    that is otherwise the client's (`Account.wrap`). `other` is the lane for requests that say
    what this provider takes otherwise than the dialect has it.
    """

    dialect: str
    operation: str
    hints: Hints
    chat: ChatProvider | None = None
    task: TaskProvider[Any, Any] | None = None
    wrap: str = ""
    quirks: tuple[Quirk, ...] = ()
    other: Lane | None = None

    @property
    def native(self) -> bool:
        return self.chat is None and self.task is None


def lane_for(
    account: Account, wanted: Wanted, model: str, *, translate: bool = False
) -> Lane | None:
    """The lane to `account` for `model` by its name there, None where it cannot answer.

    The client's own dialect is preferred. `translate` forbids its bytes for chat, where something
    in the answer must be taken apart; so does an account with settings of one of its dialects.
    """
    operation = wanted.operation
    spoken = account.dialects(model)
    own = wanted.dialect in spoken and account.supports(operation.name)
    settings = account.translates(wanted.dialect)
    if own and not ((translate or settings) and operation.task == CHAT):
        return Lane(
            wanted.dialect,
            operation.name,
            account.hints_for(model, wanted.dialect),
            wrap=account.wrap(operation.name),
            quirks=changing(account.quirks_for(wanted.dialect, model, operation.task)),
            other=_other(account, wanted, model),
        )
    if not operation.task:
        return None
    if (
        wanted.dialect in spoken and not settings
    ):  # its own first, where it has another operation for the task
        spoken = (wanted.dialect, *(name for name in spoken if name != wanted.dialect))
    for name in spoken:
        lane = _translated(account, operation.task, name, account.hints_for(model, name))
        if lane is not None:
            return replace(lane, quirks=account.quirks_for(name, model, operation.task))
    return None


def _other(account: Account, wanted: Wanted, model: str) -> Lane | None:
    """The lane for requests that the dialect's own endpoint does not serve well: to one that is
    nearly its own, or for chats too long for it. None where there is none.
    """
    dialect, task = wanted.dialect, wanted.operation.task
    if task == CHAT and account.preset.window:
        return _roomy(account, dialect, model)
    if not task or task == CHAT:
        return None
    provider = registry.task_provider(dialect, task)
    if provider is None or not account.supports(f"{wanted.operation.name.partition('.')[0]}.other"):
        return None
    hints, quirks = account.hints_for(model, dialect), account.quirks_for(dialect, model, task)
    return Lane(dialect, provider.OPERATIONS[0], hints, task=provider, quirks=quirks)


def _roomy(account: Account, dialect: str, model: str) -> Lane | None:
    """The account's first dialect, in which a request can say how much the model is to read."""
    first = account.dialects(model)[0]
    if first == dialect:
        return None
    lane = _translated(account, CHAT, first, account.hints_for(model, first))
    return lane and replace(lane, quirks=account.quirks_for(first, model, CHAT))


def _translated(account: Account, task: str, dialect: str, hints: Hints) -> Lane | None:
    if task == CHAT:
        chat = registry.chat_provider(dialect)
        if chat is None or not account.supports(chat.OPERATION):
            return None
        return Lane(dialect, chat.OPERATION, hints, chat=chat, wrap=account.wrap(chat.OPERATION))
    provider = registry.task_provider(dialect, task)
    if provider is None or not any(map(account.supports, provider.OPERATIONS)):
        return None
    return Lane(dialect, provider.OPERATIONS[0], hints, task=provider)
