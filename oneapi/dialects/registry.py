"""Every dialect by its name. Modules are imported when a name is first asked for: most gateways
speak three.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final, cast

from oneapi.dialects.base import ChatFace, ChatProvider, ClientDialect, TaskFace, TaskProvider

_MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai-chat": "openai",
        "openai-responses": "responses",
        "anthropic": "anthropic",
        "gemini": "gemini",
        "ollama": "ollama",
        "bedrock-converse": "bedrock",
        "cohere": "cohere",
        "dashscope": "dashscope",
        "cloudflare": "cloudflare",
        "deepl": "deepl",
        "replicate": "replicate",
        "rerank": "rerank",
    }
)
NAMES: Final = tuple(_MODULES)


def _module(name: str) -> ModuleType:
    return import_module(f"oneapi.dialects.{_MODULES[name]}")


def client(name: str) -> ClientDialect:
    """A dialect that clients speak. Raises KeyError for a name that is none."""
    return cast(ClientDialect, _module(name))


def face(name: str, operation: str) -> ChatFace | None:
    """The client's side of a chat operation, None where the operation is no chat."""
    faces: Mapping[str, ChatFace] = getattr(_module(name), "FACES", {})
    return faces.get(operation)


def chat_provider(name: str) -> ChatProvider | None:
    """The provider's side of chat, None for a dialect without chat."""
    found: ChatProvider | None = getattr(_module(name), "CHAT_PROVIDER", None)
    return found


def task_face(name: str, operation: str) -> TaskFace[Any, Any] | None:
    """The client's side of an operation that is answered whole."""
    faces: Mapping[str, TaskFace[Any, Any]] = getattr(_module(name), "TASK_FACES", {})
    return faces.get(operation)


def task_provider(name: str, task: str) -> TaskProvider[Any, Any] | None:
    """The provider's side of a task other than chat."""
    found: Mapping[str, TaskProvider[Any, Any]] = getattr(_module(name), "TASK_PROVIDERS", {})
    return found.get(task)
