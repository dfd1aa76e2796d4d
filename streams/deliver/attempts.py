"""One attempt to hand an alert to a receiver, and what can come of it. Patience lies in `streams.deliver.patient`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from streams.records import Alert


class TryAgain(Exception):  # noqa: N818 - a step on the way, never seen outside delivery
    """An attempt failed in a way that may pass.

    Args:
        why: for a person; it holds no secret.
        after_s: how long the receiver asked to wait; 0 if it did not say.
    """

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.after_s = after_s


class Refused(Exception):  # noqa: N818 - the same
    """The receiver will not take this alert, however often it is asked.

    Args:
        why: for a person; it holds no secret.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Channel(Protocol):
    """A way to one receiver, which knows its shape and tries once."""

    @property
    def address(self) -> str:
        """What may be shown of where it leads."""

    async def send(self, alert: Alert) -> str:
        """Send one firing or resolved alert, once, and return what the receiver answered.

        Raises:
            TryAgain: it may work later.
            Refused: it will not.
        """

    async def aclose(self) -> None:
        """Let go of connections."""


@runtime_checkable
class Repeater(Protocol):
    """A receiver that wants to be told again and again of what fires."""

    resend_every_s: float
    """Time between two copies."""

    async def resend(self, what: Callable[[], Sequence[Alert]]) -> int:
        """Send copies, and return of how many alerts; what goes wrong is only logged.

        Args:
            what: asked when nothing else is under way, so that no copy overtakes an end.
        """
