"""When the scorer has fallen so far behind that a quick answer is worth more than a good one. Pure."""

from __future__ import annotations


class Overload:
    """Tells from the age of what is scored whether the worker is overloaded.

    It begins when a message has waited longer than the limit, and ends only when messages wait less than half of it:
    without that distance it would begin and end with every batch.

    Args:
        after_s: the limit, above 0; None is never.

    Raises:
        ValueError: the limit is not above 0.
    """

    def __init__(self, after_s: float | None) -> None:
        if after_s is not None and after_s <= 0:
            msg = f"after_s must be above 0, not {after_s}"
            raise ValueError(msg)
        self._after_s = after_s
        self.active = False

    def observe(self, waited_s: float) -> bool:
        """Take the age of the oldest message of a batch, in seconds since Kafka had it, and return whether the batch is
        to be scored as under overload.
        """
        if self._after_s is not None:
            self.active = waited_s > (self._after_s / 2 if self.active else self._after_s)
        return self.active
