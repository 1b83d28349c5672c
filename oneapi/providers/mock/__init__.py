"""The built-in mock provider: a `Carrier` inside this process."""

from oneapi.providers.mock.carrier import MockCarrier, MockReply
from oneapi.providers.mock.options import MockOptions, ScriptedCall, ScriptedError

__all__ = ["MockCarrier", "MockOptions", "MockReply", "ScriptedCall", "ScriptedError"]
