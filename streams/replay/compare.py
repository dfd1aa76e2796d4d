"""Whether two sets of alert transitions are the same, and where they first part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.records import Alert, Suppressed, decode_alert, encode


@dataclass(frozen=True, slots=True)
class Difference:
    """The first transition, in event time, that is not the same on both sides."""

    kind: Literal["missing", "unexpected", "different"]
    """On the alerts topic it is missing, or nothing in the log accounts for it, or it says something else."""
    alert: Alert
    """As replayed; as found, if nothing accounts for it."""
    fields: tuple[str, ...] = ()
    """Of a different one: the names of the fields that differ."""

    def __str__(self) -> str:
        alert = self.alert
        what = f"{alert.rule} {alert.labels.get('entity', '')} {alert.state} at {alert.at:%Y-%m-%dT%H:%M:%SZ}"
        where = f"alert {alert.id}, transition {alert.transition} ({what})"
        if self.kind == "missing":
            return f"{where} follows from the log, but is not among the alerts that were raised"
        if self.kind == "unexpected":
            return f"{where} was raised, but does not follow from the log"
        return f"{where} was raised with other values in: {', '.join(self.fields)}"


def compare_alerts(replayed: Iterable[Alert], raised: Iterable[Alert]) -> Difference | None:
    """Return the first difference in event time, or None if both are the same, byte by byte.

    A transition that is there twice, as after a worker's crash, is one: receivers tell it by (id, transition). If its
    two records are not the same, that is a difference.
    """
    expected = {(alert.id, alert.transition): alert for alert in replayed}
    found: dict[tuple[str, int], list[Alert]] = {}
    for alert in raised:
        found.setdefault((alert.id, alert.transition), []).append(alert)
    differences = [Difference("missing", alert) for key, alert in expected.items() if key not in found]
    for key, copies in found.items():
        wanted = expected.get(key)
        if wanted is None:
            differences.append(Difference("unexpected", copies[0]))
            continue
        other = next((copy for copy in copies if _bytes(copy) != _bytes(wanted)), None)
        if other is not None:
            differences.append(Difference("different", wanted, _differing(wanted, other)))
    return min(differences, key=lambda found: (found.alert.at, found.alert.id, found.alert.transition), default=None)


def _bytes(alert: Alert) -> bytes:
    # Through bytes and back, as the raised ones were: a whole number in a field of floats is 12 before and 12.0 after.
    return encode(decode_alert(encode(_as_known_then(alert))))


def _as_known_then(alert: Alert) -> Alert:
    """Leave out when a silence ends: it may have been ended before its time, which nobody knew when it was written."""
    kept = alert.suppressed
    if not isinstance(kept, Suppressed) or kept.by != "silence":
        return alert
    return msgspec.structs.replace(alert, suppressed=msgspec.structs.replace(kept, until=None))


def _differing(one: Alert, other: Alert) -> tuple[str, ...]:
    first, second = msgspec.to_builtins(_as_known_then(one)), msgspec.to_builtins(_as_known_then(other))
    return tuple(sorted(_paths(first, second)))


def _paths(one: object, other: object, path: str = "") -> Iterable[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from _paths(one.get(key), other.get(key), f"{path}.{key}" if path else str(key))
    elif one != other:
        yield path
