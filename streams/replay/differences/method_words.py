"""What a rule of another type, method or signal than the negative share fires on, and when it is over. Pure."""

from __future__ import annotations

from datetime import timedelta

from streams.deliver.words import percent, span
from streams.monitor import Rule
from streams.monitor.annotations import in_unit
from streams.monitor.bounds import Bound
from streams.monitor.rules import duration_ms

_SIGNALS = {
    "negative_share": "share of negative stories",
    "negative_count": "number of negative stories",
    "volume": "number of stories",
    "mean_sentiment": "mean sentiment",
}


def other_words(rule: Rule) -> tuple[str, str]:
    """Return what a rule fires on, and with what it is over, as parts of a sentence."""
    if rule.type == "composite":
        return _parts(rule), "that has not been so"
    if rule.type == "novelty":
        return _novelty(rule), "no such story has come"
    signal = f"a company's {_SIGNALS[rule.signal]}"
    if rule.method == "return_period":
        *shorter, longest = [_span(window) for window in rule.windows or ("5m", "30m", "2h")]
        windows = f"{', '.join(shorter)} or {longest}" if shorter else longest
        fires = f"{signal} in {windows} is such as comes once in {_span(rule.fire.return_period or '30d')}"
        return fires, f"it has been such as comes more often than once in {_span(f'{round(rule.calm_days * 1440)}m')}"
    fire, calm = rule.fire_bound, rule.calm_bound
    if rule.method == "zscore":
        fires = f"{signal} in {_span(rule.window)} is {fire.words} {fire.value:g} standard deviations off its own past"
        return fires, f"it has been {calm.words} {calm.value:g}"
    return f"{signal} over {_span(rule.window)} is {_bound(rule, fire)}", f"it has been {_bound(rule, calm)}"


def _bound(rule: Rule, bound: Bound) -> str:
    return f"{bound.words} {in_unit(rule.signal, bound.value)}"


def _novelty(rule: Rule) -> str:
    bound = rule.fire_bound
    about = f", of a relevance of at least {rule.relevance:g}," if rule.relevance else ""
    quiet = "" if rule.quiet_below is None else f" that usually has fewer than {rule.quiet_below:g} stories a day"
    return f"a company{quiet} has a new story{about} that is {bound.words} {percent(bound.value)} negative"


def _parts(rule: Rule) -> str:
    fire = rule.fire
    asked = [f"{' and '.join(fire.all_)} fire" + ("s" if len(fire.all_) == 1 else "")] if fire.all_ else []
    asked += [f"{' or '.join(fire.any_)} fires"] if fire.any_ else []
    if fire.none:
        asked.append(f"{fire.none[0]} does not" if len(fire.none) == 1 else f"neither {' nor '.join(fire.none)} does")
    within = f" (or did in the last {_span(fire.within)})" if duration_ms(fire.within) else ""
    return f"{', and '.join(asked)}{within}"


def _span(duration: str) -> str:
    return span(timedelta(milliseconds=duration_ms(duration)))
