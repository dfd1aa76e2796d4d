"""How many standard deviations a value lies above its own past: exponentially weighted, with a long half-life.

Simple and auditable: two moments and a weight per key (West 1979, "Updating mean and variance estimates", with
exponential weights). It is no measure of how often a value comes; `streams.monitor.return_period` is.
"""

from __future__ import annotations

import math

import msgspec

from streams.monitor.bins import DAY_MS

_ONE_BY_ONE = 64
"""Values of 0 that are learned one by one at most, where 0 is far from usual."""


class ZscoreOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mean and deviation are learned."""

    half_life_days: float = 14.0
    warm_values: float = 100.0
    """With fewer (faded) values there is no score."""
    least_deviation: float = 0.0
    """The deviation is taken for no less than this, in the value's unit: a share that never moved may still move."""
    winsor: float = 6.0
    """A value is learned at most this many deviations away from the mean, once there is a score."""


class ZscoreState(msgspec.Struct, omit_defaults=True):
    """Weighted moments as of `at_ms`."""

    weight: float = 0.0
    """Sum of the values' weights."""
    mean: float = 0.0
    squares: float = 0.0
    """Weighted sum of squared deviations from the mean."""
    at_ms: int = 0


class Zscore(msgspec.Struct, frozen=True, kw_only=True):
    """A value against its own past."""

    z: float
    mean: float
    deviation: float


def zscore(state: ZscoreState, options: ZscoreOptions, value: float) -> Zscore | None:
    """Score a value by what is known; None while too little is, or while the past did not vary at all."""
    if state.weight < options.warm_values:
        return None
    deviation = max(options.least_deviation, math.sqrt(max(0.0, state.squares) / state.weight))
    if deviation <= 0:
        return None
    return Zscore(z=(value - state.mean) / deviation, mean=state.mean, deviation=deviation)


def step(state: ZscoreState, options: ZscoreOptions, *, value: float, at_ms: int, learn: bool = True) -> Zscore | None:
    """Score a value by what was known before it, then learn from it.

    Args:
        state: changed in place.
        options: how it is learned.
        value: the value, such as a count or a share.
        at_ms: its time; one that goes back fades nothing.
        learn: False while an alert fires: the state stays as it is.

    Raises:
        ValueError: the value is not finite.
    """
    if not math.isfinite(value):
        msg = f"{value} cannot be scored: a value must be finite"
        raise ValueError(msg)
    found = zscore(state, options, value)
    if learn:
        _learn(state, options, value=value, at_ms=at_ms, found=found)
    return found


def pass_zeros(state: ZscoreState, options: ZscoreOptions, *, count: int, every_ms: int, at_ms: int) -> None:
    """Learn so many values of 0 at once, however many there are: windows in which nothing was counted.

    The first ones are learned one by one, as long as the mean is so far from 0 that a 0 is winsorised; what is left
    has a closed form, as a 0 adds to the weight and to no moment.

    Args:
        state: changed in place.
        options: how it is learned.
        count: how many values.
        every_ms: time between two of them.
        at_ms: time of the first.
    """
    left = count
    for _ in range(min(count, _ONE_BY_ONE)):
        found = zscore(state, options, 0.0)
        if found is None or found.z >= -options.winsor:
            break
        _learn(state, options, value=0.0, at_ms=at_ms, found=found)
        at_ms += every_ms
        left -= 1
    if left <= 0:
        return
    keep = 0.5 ** (every_ms / (options.half_life_days * DAY_MS))
    since_ms = at_ms - state.at_ms if state.at_ms else 0
    faded = state.weight * 0.5 ** (since_ms / (options.half_life_days * DAY_MS)) * keep ** (left - 1)
    moment = faded * (state.squares / state.weight + state.mean * state.mean) if state.weight else 0.0
    total = faded * state.mean
    state.weight = faded + (1 - keep**left) / (1 - keep)
    state.mean = total / state.weight
    state.squares = max(0.0, moment - state.weight * state.mean * state.mean)
    state.at_ms = at_ms + (left - 1) * every_ms


def _learn(state: ZscoreState, options: ZscoreOptions, *, value: float, at_ms: int, found: Zscore | None) -> None:
    if found is not None:
        reach = options.winsor * found.deviation
        value = min(max(value, found.mean - reach), found.mean + reach)
    if state.at_ms and at_ms > state.at_ms:
        keep = 0.5 ** ((at_ms - state.at_ms) / (options.half_life_days * DAY_MS))
        state.weight *= keep
        state.squares *= keep
    state.at_ms = max(state.at_ms, at_ms)
    state.weight += 1
    off = value - state.mean
    state.mean += off / state.weight
    state.squares += off * (value - state.mean)
