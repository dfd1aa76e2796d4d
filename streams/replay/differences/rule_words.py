"""What a rule does, in one sentence that a risk manager can check. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

from streams.deliver.words import percent, plural, span
from streams.monitor import Rule
from streams.monitor.options import MarginOptions
from streams.monitor.rules import MinSupport, duration_ms
from streams.monitor.where import where_in_words
from streams.records import Severity
from streams.replay.differences.method_words import other_words

_ORDER: tuple[Severity, ...] = get_args(Severity)


def rule_sentence(rule: Rule) -> str:
    """Return when a rule fires, on how much, how grave that is and when it is over.

    Args:
        rule: a valid rule.
    """
    if rule.is_e_detector:
        fires, calm = _surge(rule), f"the share has been within {_points(rule.resolve.margin)} of the usual"
    elif rule.is_share_threshold:
        fires, calm = _threshold(rule), f"the share has been {_calm_share(rule)}"
    else:
        fires, calm = other_words(rule)
    held = f"after {_span(rule.for_)} in which" if duration_ms(rule.for_) else "when"
    support = "" if rule.type == "composite" else f", on at least {_support(rule.min_support)}"
    reads = "" if rule.where is None else f" It reads {where_in_words(rule.where)} alone."
    if rule.baseline.season is not None:
        reads += f" What is usual goes by the sessions of {rule.baseline.season}."
    kept = f" for {_span(rule.keep_firing_for)}" if duration_ms(rule.keep_firing_for) else ""
    end = f"over when {calm}{kept}"
    return f"Fires {held} {fires}{support}; {_severities(rule)}; {end}; {_cooldown(rule)}.{reads}"


def _surge(rule: Rule) -> str:
    rise = f"more than {_margin(rule.margin)} above what is usual for it"
    if rule.effect_min > (rule.margin.floor if isinstance(rule.margin, MarginOptions) else rule.margin):
        rise += f" (and is seen {_points(rule.effect_min)} above)"
    return (
        f"a company's share of negative stories is {rise}, with evidence that comes by chance at most once in "
        f"{_span(rule.fire.arl or '30d')}"
    )


def _margin(margin: float | MarginOptions) -> str:
    if not isinstance(margin, MarginOptions):
        return _points(margin)
    swings = f"{margin.deviations:g} times as far as it strays in an hour"
    return f"{swings} ({100 * margin.floor:.3g} to {_points(margin.ceiling)})"


def _support(support: MinSupport) -> str:
    voices = support.asked_voices
    named = [] if support.sources is None else [plural(support.sources, "source")]
    named += [] if voices is None else [f"{plural(voices, 'voice')} (sources or authors)"]
    return f"{plural(support.stories, 'story', 'stories')} from {' and '.join(named)}"


def _threshold(rule: Rule) -> str:
    share = percent(rule.fire.gte if rule.fire.gte is not None else 1.0)
    rise = f" and at least {_points(rule.effect_min)} above what is usual for it" if rule.effect_min else ""
    return f"a company's share of negative stories over {_span(rule.window)} is at least {share}{rise}"


def _severities(rule: Rule) -> str:
    named = sorted(rule.severity.items(), key=lambda step: _ORDER.index(step[0]))
    words = []
    for number, (severity, need) in enumerate(named):
        needs = [f"{_points(need.effect)} above the usual"] if need.effect else []
        needs += [f"{plural(need.stories, 'story', 'stories')}"] if need.stories else []
        # The lowest step is what an alert has where none is reached, whatever that step asks for.
        words.append(severity if not number or not needs else f"{severity} from {' and '.join(needs)}")
    return ", ".join(words)


def _calm_share(rule: Rule) -> str:
    lower = rule.calm_bound
    return f"{lower.words} {percent(lower.value)}"


def _cooldown(rule: Rule) -> str:
    if not duration_ms(rule.cooldown.for_):
        return "may fire again at once"
    unless = " unless its severity rises" if rule.cooldown.unless == "severity_increases" else ""
    return f"fires once in {_span(rule.cooldown.for_)}{unless}"


def _points(share: float) -> str:
    points = f"{100 * share:.3g}"
    return f"{points} point" if points == "1" else f"{points} points"


def _span(duration: str) -> str:
    return span(timedelta(milliseconds=duration_ms(duration)))
