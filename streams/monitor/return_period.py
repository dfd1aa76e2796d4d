"""Unusual volume, as a return period: "more messages than this come once in about 74 days for this ticker".

Each step of five minutes is scored over several windows (5 minutes, 30 minutes, 2 hours) against the baseline of
`streams.monitor.volume`, by the odds against so high a count under a negative binomial whose dispersion is learned per
window. Of the windows' scores the highest counts, as y = ln(1 + odds) = -ln p. That p is no probability of an alarm,
as the model is never quite right; but where it is right y is exponential, whatever the rate and the window, so it is
a good scale on which `streams.monitor.tail` learns how often the stream itself goes that high.

A return period is never stretched past the history that it rests on: what the fit calls rarer than that is "the
highest in 40 days of history" and no more. A rule that asks for 30 days can so not fire in a key's first 30 days.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from streams.monitor import tail as tails
from streams.monitor import volume as volumes
from streams.monitor.bins import DAY_MS, HOUR_MS
from streams.monitor.tail import TailOptions, TailState
from streams.monitor.volume import SeasonKey, VolumeOptions, VolumeState, hour_and_weekend

_WIDEST = 3.0
"""A count teaches the dispersion up to this many standard deviations: beyond is the tail's business."""
_LEAST_DISPERSION = 1e-6
"""As good as Poisson's."""
_KEPT_AT_SEASON = 0.25
"""What was learned of the tail before the season came into use weighs so much of what it did: most of what stood out
then was the time of day."""
_SMALL_ROOT = 1e-4
"""So near the expectation the formula divides nothing by nothing."""


class ReturnPeriodOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is scored, and how it learns."""

    step_ms: int = 300_000
    windows_steps: tuple[int, ...] = (1, 6, 24)
    """Lengths of the windows in steps, ascending."""
    dispersion_half_life_days: float = 10.0
    prior_dispersion: float = 0.2
    """Until there is a history of its own: variance is mean + dispersion mean^2."""
    dispersion_prior_steps: float = 72.0
    """The prior weighs as much as so many busy steps."""
    volume: VolumeOptions = VolumeOptions()
    tail: TailOptions = TailOptions()


class ReturnPeriodState(msgspec.Struct, omit_defaults=True):
    """One key's memory; a fixed number of values."""

    volume: VolumeState = msgspec.field(default_factory=VolumeState)
    tail: TailState = msgspec.field(default_factory=TailState)
    end_ms: int = 0
    """End of the last step."""
    counts: list[float] = msgspec.field(default_factory=list)
    """Of the last steps, oldest first; [steps of the longest window, at most]."""
    expected: list[float] = msgspec.field(default_factory=list)
    """What was expected of each before it came; 0 for a step without data."""
    squares: list[float] = msgspec.field(default_factory=list)
    """What the counts vary beyond Poisson's, weighted and faded; [windows]."""
    weights: list[float] = msgspec.field(default_factory=list)
    """Weights behind `squares`, faded; [windows]."""


class ReturnPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """How rare the present volume is; only made of what is in the tail at all."""

    days: float
    """Return period, at most `history_days`."""
    fitted_days: float
    """What the fit says without that limit: it ranks, and is no promise."""
    history_days: float
    """History of the tail, in days."""
    window_ms: int
    """The window in which it stands out most."""
    observed: float
    expected: float
    score: float
    """y in that window."""

    @property
    def beyond_history(self) -> bool:
        """Whether this is rarer than the history can tell."""
        return self.fitted_days > self.history_days


def step(
    state: ReturnPeriodState,
    options: ReturnPeriodOptions,
    *,
    count: float,
    at_ms: int,
    learn: bool = True,
    season: SeasonKey = hour_and_weekend,
) -> ReturnPeriod | None:
    """Judge one step by what was known before it, then learn from it.

    Args:
        state: changed in place.
        options: what is scored.
        count: mentions of the step [at_ms, at_ms + step_ms).
        at_ms: its start, not before the end of the step before; a gap is time without data.
        learn: False while an alert fires: baseline and dispersion stay as they are. The tail learns all the same, or
            what fires would never count among what has happened.
        season: see `streams.monitor.volume`.

    Returns:
        The return period; None if the volume is not in the tail, or the baseline is not warm.

    Raises:
        ValueError: the step is out of order, or the count is no possible one.
    """
    if state.end_ms and at_ms < state.end_ms:
        msg = f"the step at {at_ms} ms begins before the end of the one before, {state.end_ms} ms"
        raise ValueError(msg)
    if not 0 <= count < math.inf:
        msg = f"{count} is no possible count of mentions"
        raise ValueError(msg)
    step_ms = options.step_ms
    usual = volumes.expected(state.volume, options.volume, at_ms, step_ms, season=season)
    _remember(state, options, count=count, usual=usual, at_ms=at_ms)
    found = None
    if volumes.is_warm(state.volume, options.volume):
        found = _judge(state, options)
        if learn:
            _learn_dispersion(state, options)
    seasonal = volumes.is_seasonal(state.volume, options.volume)
    volumes.update(
        state.volume,
        options.volume,
        count=count,
        at_ms=at_ms,
        window_ms=step_ms,
        dispersion=_dispersions(state, options)[0],
        learn=learn,
        season=season,
    )
    if not seasonal and volumes.is_seasonal(state.volume, options.volume):
        tails.discount(state.tail, _KEPT_AT_SEASON)
    return found


def glance(
    state: ReturnPeriodState,
    options: ReturnPeriodOptions,
    *,
    count: float,
    at_ms: int,
    season: SeasonKey = hour_and_weekend,
) -> ReturnPeriod | None:
    """Judge a step that may still grow, and learn nothing: what `step` would say if it ended with this count.

    More mentions are never less rare, so that what is said now holds when the step has ended.

    Args:
        state: left as it is.
        options: what is scored.
        count: mentions of the step so far.
        at_ms: its start, not before the end of the step before.
        season: see `streams.monitor.volume`.
    """
    if not volumes.is_warm(state.volume, options.volume):
        return None
    usual = volumes.expected(state.volume, options.volume, at_ms, options.step_ms, season=season)
    seen = msgspec.structs.replace(
        state, tail=msgspec.structs.replace(state.tail), counts=list(state.counts), expected=list(state.expected)
    )
    _remember(seen, options, count=count, usual=usual, at_ms=at_ms)
    return _judge(seen, options)


def pass_without_data(state: ReturnPeriodState, options: ReturnPeriodOptions, *, until_ms: int) -> None:
    """Take note that nothing is known of the time since the last step, as the source was down: whole steps of it.

    Args:
        state: changed in place. Nothing happens before the first step.
        options: what is scored.
        until_ms: when the source was back.
    """
    if not state.end_ms or until_ms < state.end_ms + options.step_ms:
        return
    missing = (until_ms - state.end_ms) // options.step_ms
    longest = options.windows_steps[-1]
    state.counts = (state.counts + [0.0] * min(missing, longest))[-longest:]
    state.expected = (state.expected + [0.0] * min(missing, longest))[-longest:]
    state.end_ms += missing * options.step_ms


def pass_quietly(
    state: ReturnPeriodState, options: ReturnPeriodOptions, *, until_ms: int, season: SeasonKey = hour_and_weekend
) -> None:
    """Learn that the key was not mentioned since its last step, although the source was up.

    A key that was silent for a week is not stepped two thousand times: beyond the longest window, whose steps are
    taken one by one, time is learned in hours. Nothing happens before the first step and in less than a step's time.

    Args:
        state: changed in place.
        options: what is scored.
        until_ms: the next step's start.
        season: see `streams.monitor.volume`.
    """
    step_ms = options.step_ms
    for _ in range(options.windows_steps[-1]):
        if not state.end_ms or state.end_ms + step_ms > until_ms:
            return
        step(state, options, count=0, at_ms=state.end_ms, season=season)
    while (left_ms := (until_ms - state.end_ms) // step_ms * step_ms) > 0:
        at_ms = state.end_ms
        to_the_hour_ms = HOUR_MS - at_ms % HOUR_MS
        window_ms = min(left_ms, max(1, to_the_hour_ms // step_ms) * step_ms)
        if volumes.is_warm(state.volume, options.volume):
            tails.pass_quietly(
                state.tail, options.tail, end_ms=at_ms + window_ms, elapsed_ms=window_ms, step_ms=step_ms
            )
        volumes.update(state.volume, options.volume, count=0, at_ms=at_ms, window_ms=window_ms, season=season)
        state.end_ms = at_ms + window_ms
        state.counts.clear()
        state.expected.clear()


def in_words(period: ReturnPeriod, *, language: Literal["en", "zh"] = "en") -> str:
    """Say a return period to a person: "once in about 74 days"."""
    return period_in_words(period.days, beyond_history=period.beyond_history, language=language)


def period_in_words(days: float, *, beyond_history: bool, language: Literal["en", "zh"] = "en") -> str:
    """The same as `in_words`, of a period that is never more than the history's days."""
    if beyond_history:
        whole = max(1, math.floor(days))
        if language == "zh":
            return f"{whole} 天历史中的最高水平"
        return f"the highest in {whole} {'day' if whole == 1 else 'days'} of history"
    return days_in_words(days, language=language)


def days_in_words(days: float, *, language: Literal["en", "zh"] = "en") -> str:
    """Say a return period in days to a person, to two digits: hours under two days, years from two years on."""
    number, (one, unit, chinese) = days, ("day", "days", "天")
    if days < 2:
        number, (one, unit, chinese) = max(1.0, days * 24), ("hour", "hours", "小时")
    elif days >= 730:
        number, (one, unit, chinese) = days / 365.25, ("year", "years", "年")
    rounded = float(f"{number:.2g}")
    figure = f"{rounded:,.0f}" if rounded >= 10 or rounded == round(rounded) else f"{rounded:.1f}"
    if language == "zh":
        return f"大约每 {figure} {chinese}一次"
    return f"once in about {figure} {one if figure == '1' else unit}"


def _judge(state: ReturnPeriodState, options: ReturnPeriodOptions) -> ReturnPeriod | None:
    scores = _rarities(state, options)
    score = max(scores)
    history_days = tails.history_days(state.tail)
    fitted_days = tails.observe(state.tail, options.tail, score, end_ms=state.end_ms, step_ms=options.step_ms)
    if fitted_days is None:
        return None
    steps = options.windows_steps[scores.index(score)]
    return ReturnPeriod(
        days=min(fitted_days, history_days),
        fitted_days=fitted_days,
        history_days=history_days,
        window_ms=steps * options.step_ms,
        observed=sum(state.counts[-steps:]),
        expected=sum(state.expected[-steps:]),
        score=score,
    )


def _remember(
    state: ReturnPeriodState, options: ReturnPeriodOptions, *, count: float, usual: float, at_ms: int
) -> None:
    longest = options.windows_steps[-1]
    missing = min(longest, (at_ms - state.end_ms) // options.step_ms) if state.end_ms else 0
    if missing:
        state.counts += [0.0] * missing
        state.expected += [0.0] * missing
    state.counts.append(float(count))  # as it is after a snapshot
    state.expected.append(usual)
    if len(state.counts) > longest:
        del state.counts[:-longest]
        del state.expected[:-longest]
    state.end_ms = at_ms + options.step_ms


def _rarities(state: ReturnPeriodState, options: ReturnPeriodOptions) -> list[float]:
    dispersions = _dispersions(state, options)
    return [
        rarity(sum(state.counts[-n:]), sum(state.expected[-n:]), dispersion)
        for n, dispersion in zip(options.windows_steps, dispersions, strict=True)
    ]


def rarity(count: float, expected: float, dispersion: float) -> float:
    """Return -ln P(X >= count) for a negative binomial X, 0 for a count that is not above its expectation.

    By the saddlepoint formula of Lugannani and Rice (1980) in Barndorff-Nielsen's form r* = r + ln(u / r) / r, with
    the continuity correction for lattices (Daniels 1987): a few logarithms, and some per cent of the probability.

    Args:
        count: what was counted.
        expected: mean of X.
        dispersion: its variance is expected + dispersion expected^2.
    """
    x = count - 0.5
    if x <= expected or expected <= 0:
        return 0.0
    size = 1 / max(dispersion, _LEAST_DISPERSION)
    lift = math.log1p((x - expected) / (expected + size))
    tilt = math.log(x / expected) - lift
    root = math.sqrt(max(0.0, 2 * (x * tilt - size * lift)))
    if root < _SMALL_ROOT:
        return math.log(2)
    tilted = 2 * math.sinh(tilt / 2) * math.sqrt(x + x * x / size)
    return -_log_normal_tail(root + math.log(tilted / root) / root)


def _log_normal_tail(z: float) -> float:
    if z < 25:
        return math.log(math.erfc(z / math.sqrt(2)) / 2)
    return -z * z / 2 - math.log(z * math.sqrt(2 * math.pi))


def _dispersions(state: ReturnPeriodState, options: ReturnPeriodOptions) -> list[float]:
    """Dispersion per window, by moments: the mean of ((x - mu)^2 - mu) / mu^2 with weights mu / (1 + mu)."""
    prior = options.dispersion_prior_steps
    if not state.weights:
        return [options.prior_dispersion] * len(options.windows_steps)
    return [
        max(0.0, (prior * options.prior_dispersion + square) / (prior + weight))
        for square, weight in zip(state.squares, state.weights, strict=True)
    ]


def _learn_dispersion(state: ReturnPeriodState, options: ReturnPeriodOptions) -> None:
    keep = 0.5 ** (options.step_ms / (options.dispersion_half_life_days * DAY_MS))
    if not state.weights:
        state.squares, state.weights = ([0.0] * len(options.windows_steps) for _ in range(2))
    dispersions = _dispersions(state, options)
    for i, (n, dispersion) in enumerate(zip(options.windows_steps, dispersions, strict=True)):
        mean = sum(state.expected[-n:])
        if mean <= 0:
            continue
        most = _WIDEST * _WIDEST * (mean + dispersion * mean * mean)
        square = min((sum(state.counts[-n:]) - mean) ** 2, most)
        state.squares[i] = state.squares[i] * keep + (square - mean) / (mean * (1 + mean))
        state.weights[i] = state.weights[i] * keep + mean / (1 + mean)
