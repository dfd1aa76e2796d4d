"""What a rule measured beside the share of negative stories: counts, sentiment, z-scores. In words, and pure."""

from __future__ import annotations

from datetime import timedelta

from msgspec import UNSET

from streams.deliver.words import percent, plural, span
from streams.monitor.annotations import in_unit
from streams.monitor.return_period import days_in_words, period_in_words
from streams.records import Evidence, Measure


def measured(evidence: Evidence) -> str:
    """Return what was measured against what is usual, or against what the rule asks for; empty for a share.

    Such as `41 stories in 2 hours, against a usual 6`.
    """
    measure = evidence.measure
    if measure is UNSET:
        return ""
    window = span(timedelta(seconds=measure.window_s))
    value = f"{_value(evidence.signal, measure.value)} in {window}"
    if evidence.signal == "mean_sentiment":
        value = f"a mean sentiment of {in_unit(evidence.signal, measure.value)} in {window}"
    if measure.usual is None:
        return f"{value}, where the rule asks for {in_unit(evidence.signal, evidence.threshold)}"
    return f"{value}, against a usual {in_unit(evidence.signal, measure.usual)}"


def _value(signal: str, value: float) -> str:
    if signal == "volume":
        return plural(value, "story", "stories")
    return plural(value, "negative story", "negative stories") if signal == "negative_count" else percent(value)


def against_threshold(evidence: Evidence) -> str:
    """Return what a measure was held against, and what it came to; empty for a share."""
    measure = evidence.measure
    if measure is UNSET:
        return ""
    if measure.return_period_days is not UNSET:
        asked = days_in_words(evidence.threshold)
        return f"{_period(measure)}, against a threshold of {asked.removeprefix('once in about ')}"
    if measure.z is not UNSET:
        return f"z-score {measure.z:.1f} against a threshold of {evidence.threshold:g}"
    signal = evidence.signal
    return f"{in_unit(signal, measure.value)} against a threshold of {in_unit(signal, evidence.threshold)}"


def _period(measure: Measure) -> str:
    days = measure.return_period_days
    return "" if days is UNSET else period_in_words(days, beyond_history=measure.beyond_history is True)


def measured_chinese(evidence: Evidence, window: str) -> str:
    """Return what `measured` says in simplified Chinese; empty for a share.

    Args:
        evidence: the evidence.
        window: the measure's window in words.
    """
    measure = evidence.measure
    if measure is UNSET:
        return ""
    signal, shown = evidence.signal, in_unit(evidence.signal, measure.value)
    if signal == "mean_sentiment":
        value = f"{window}内的平均情绪为 {shown}"
    else:
        value = f"{window}内有 {shown} 条{'负面' if signal == 'negative_count' else ''}报道"
    if measure.usual is None:
        return f"{value}，规则的阈值为 {in_unit(signal, evidence.threshold)}"
    return f"{value}，平时为 {in_unit(signal, measure.usual)}"


def surprise_chinese(evidence: Evidence) -> str:
    """Return how unusual a measure is, in simplified Chinese; empty where nothing but a threshold was passed."""
    measure = evidence.measure
    if measure is UNSET:
        return ""
    if measure.return_period_days is not UNSET:
        words = period_in_words(
            measure.return_period_days, beyond_history=measure.beyond_history is True, language="zh"
        )
        return f"对这家公司来说，这么多报道{'是 ' if measure.beyond_history is True else ''}{words}"
    if measure.z is not UNSET:
        side = "高于" if measure.z >= 0 else "低于"
        return f"{side}这家公司自身历史 {abs(measure.z):.1f} 个标准差，对出现频率不作判断"
    return ""
