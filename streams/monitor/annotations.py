"""An alert's annotations: a rule's templates with what its evidence says in their {placeholders}."""

from __future__ import annotations

from msgspec import UNSET

from streams.monitor.return_period import days_in_words, period_in_words
from streams.monitor.rules import Rule, fill
from streams.records import Evidence

_SHARE = "negative_share"
_NONE = "none"
"""What stands for a number that a rule of this kind does not have."""


def annotations_of(rule: Rule, entity: str, name: str | None, evidence: Evidence) -> dict[str, str]:
    """Fill a rule's annotations.

    Args:
        rule: the rule.
        entity: the company's symbol.
        name: its display name; it becomes an annotation of its own. None if it has none.
        evidence: what the placeholders stand for.
    """
    if not rule.annotations:
        return {} if name is None else {"name": name}
    values = {"entity": entity if name is None else f"{name} ({entity})", **_values(evidence)}
    filled = {key: fill(text, values) for key, text in sorted(rule.annotations.items())}
    return filled if name is None else {"name": name, **filled}


def _values(evidence: Evidence) -> dict[str, str]:
    observed, measure = evidence.observed, evidence.measure
    minutes = (observed.window_end - observed.window_start).total_seconds() / 60
    found = {
        "share": f"{observed.share:.0%}",
        "baseline": f"{evidence.baseline.share:.0%}",
        "stories": str(observed.stories),
        "sources": str(observed.sources),
        "minutes": f"{minutes:.0f}",
        "in_words": evidence.in_words,
        "signal": evidence.signal,
        "window": _span(minutes if measure is UNSET else measure.window_s / 60),
        "z": _NONE,
        "return_period": _NONE,
        "parts": _NONE if evidence.parts is UNSET else " and ".join(evidence.parts),
    }
    if measure is UNSET:
        found["value"], found["usual"] = found["share"], found["baseline"]
        has_share = evidence.e_value is None
        found["threshold"] = f"{evidence.threshold:.0%}" if has_share else f"{evidence.threshold:.6g}"
        return found
    found["value"] = in_unit(evidence.signal, measure.value)
    found["usual"] = "unknown" if measure.usual is None else in_unit(evidence.signal, measure.usual)
    found["threshold"] = in_unit(evidence.signal, evidence.threshold)
    if measure.z is not UNSET:
        found["z"], found["threshold"] = f"{measure.z:.1f}", f"{evidence.threshold:g}"
    if measure.return_period_days is not UNSET:
        found["return_period"] = period_in_words(
            measure.return_period_days, beyond_history=measure.beyond_history is True
        )
        found["threshold"] = days_in_words(evidence.threshold)
    return found


def in_unit(signal: str, value: float) -> str:
    """Say a signal's value: a share in per cent, a sentiment from -1 to 1, a count."""
    if signal == _SHARE:
        return f"{value:.0%}"
    if signal == "mean_sentiment":
        return f"{value:.2f}"
    return f"{value:.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def _span(minutes: float) -> str:
    """Say a window: `2 hours`, `90 minutes`."""
    hours, rest = divmod(round(minutes), 60)
    if hours and not rest:
        return f"{hours} hour" if hours == 1 else f"{hours} hours"
    return f"{minutes:.0f} minute" if round(minutes) == 1 else f"{minutes:.0f} minutes"
