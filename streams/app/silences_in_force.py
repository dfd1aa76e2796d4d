"""The silences that `squall.control` brings: every monitor knows all of them, and applies them by event time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from streams.app import metrics
from streams.monitor.keeping import Keeper
from streams.records import Control, Silence
from streams.silences import KEPT

_log = logging.getLogger(__name__)


class SilencesInForce:
    """Knows the silences. One that cannot be applied changes nothing, loudly.

    Args:
        now: the present time, UTC.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._known: dict[str, Silence] = {}

    @property
    def silences(self) -> tuple[Silence, ...]:
        """All that are to be applied, also those that were over not long ago: messages may be read late."""
        return tuple(self._known.values())

    def begin(self, records: Iterable[Control]) -> None:
        """Take what stood on the topic before this worker began."""
        for record in records:
            if isinstance(record, Silence):
                self.change(record)

    def change(self, record: Silence) -> bool:
        """Take a silence in the place of the one with its id; False if it cannot be applied."""
        try:
            Keeper((record,))
        except (ValueError, ArithmeticError, TypeError, RecursionError) as error:  # whatever it is, the worker goes on
            if record.ends_at <= self._now():
                return False  # nor is it meant to silence anything any more
            metrics.SILENCES_REFUSED.inc()
            _log.critical("silence %s of %s cannot be applied, and silences nothing: %s", record.id, record.by, error)
            return False
        now = self._now()
        self._known[record.id] = record
        self._known = {name: one for name, one in self._known.items() if one.ends_at > now - KEPT}
        self._show(now)
        _log.info(
            "silence %s of %s: %s, from %s until %s",
            record.id,
            record.by,
            ", ".join(map(str, record.conditions)),
            record.starts_at,
            record.ends_at,
        )
        return True

    def forget(self, id_: str) -> bool:
        """A silence was taken from the topic, and silences nothing from here on; False if it was not known."""
        if self._known.pop(id_, None) is None:
            return False
        self._show(self._now())
        _log.info("silence %s was taken away", id_)
        return True

    def _show(self, now: datetime) -> None:
        metrics.SILENCES.set(sum(one.starts_at <= now < one.ends_at for one in self._known.values()))
