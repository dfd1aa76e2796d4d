"""The worker's log: one line a record on standard error, and no floods."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from streams.masking import MaskingFormatter

_CHATTY = ("aiokafka", "faust", "mode", "kafka", "streams.app.lean", "streams.app.store")


class Throttle(logging.Filter):
    """Lets a library say the same thing once in a while: without a broker aiokafka says it a thousand times a second.

    What is the same is told by the message before its arguments are filled in. Once a record passes again, it says how
    many were held back.

    Args:
        every_s: least time between two records that say the same.
        clock: seconds that only go forward.
    """

    def __init__(self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is to be logged."""
        if record.name.startswith("squall") or record.levelno >= logging.CRITICAL:
            return True
        key = (record.name, str(record.msg)[:120])
        said_s, held = self._last.get(key, (None, 0))
        now_s = self._clock()
        if said_s is not None and now_s - said_s < self._every_s:
            self._last[key] = (said_s, held + 1)
            return False
        self._last[key] = (now_s, 0)
        if held:
            record.msg = f"{record.getMessage()} ({held} more like this were held back)"
            record.args = None
        return True


def set_up(level: str) -> None:
    """Send the process's log to standard error.

    Args:
        level: least level of Squall's own lines; the libraries' are shown from WARNING on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(Throttle())
    logging.basicConfig(level=level, handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
