"""How often a score as high as this comes: the tail of a stream of scores, learned from the stream itself.

A model's p-value says how rare something is if the model is right, and for counts of messages none is. What a desk
can rely on is the stream's own tail: a high quantile q of the scores, followed by stochastic approximation (Robbins
and Monro 1951); exceedances closer together than a few hours are one cluster; the clusters' peaks exceed q by m on
average, and there are zeta clusters a day. If the excess is exponential, a cluster as high as y comes once in
exp((y - q) / m) / zeta days. Two things are added to that, and both vanish as clusters grow many and exponential:

- The excess may be Weibull's, exp(-((y - q) / s)^k) with mean m: its shape k is read off the clusters' coefficient of
  variation, shrunk to 1. Streams with bursts of all sizes have k < 1, and would alarm far too often with k = 1.
- m and k are not known but estimated, from n clusters for each, so instead of exp(x) stands (1 + x / n)^n, which is
  what exp(x) becomes if the rate behind x is Gamma-distributed: it claims less where there is less to go by.

What stands in the tail now is judged by what stood there before: an open cluster teaches only after it has ended.
"""

from __future__ import annotations

import math

import msgspec

from streams.monitor.bins import DAY_MS, HOUR_MS

_LARGEST_EXCESS = 10.0
"""A cluster teaches an excess of at most this many times the mean, or one event would decide what is rare for months;
an exponential excess nearly never is."""
_LARGEST_LOG = 50.0
_PARAMETERS = 2
"""Mean and shape are both read off the same clusters."""
_LARGEST_RELATIVE = 1e6
"""Beyond, numbers overflow and words fail."""
_SHAPES = (0.5, 1.2)
"""A peak is the highest of its cluster, which alone makes k look larger than that of the tail: little of it is
believed."""


class TailOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the tail is learned."""

    quantile: float = 0.99
    """Share of steps below the tail."""
    first_quantile: float = 5.0
    """Where the quantile starts."""
    settling_steps: float = 288.0
    """The first exceedances move the quantile as if so many steps lay behind."""
    memory_days: float = 60.0
    """The quantile follows as if there were no more history than this."""
    half_life_days: float = 90.0
    """With which clusters fade."""
    cluster_gap_hours: float = 3.0
    prior_weight: float = 4.0
    """The priors weigh as much as so many clusters, and as so many days."""
    prior_excess: float = 1.5
    prior_per_day: float = 1.0
    shape_prior_weight: float = 20.0
    """The exponential shape weighs as much as so many clusters."""


class TailState(msgspec.Struct, omit_defaults=True):
    """What is known of the tail."""

    quantile: float = -1.0
    """Below 0 before the first step."""
    steps: float = 0.0
    """Steps that the quantile was learned from."""
    history_ms: int = 0
    """Time observed, not faded."""
    clusters: float = 0.0
    """Ended ones, faded."""
    excess: float = 0.0
    """Sum of their peaks' excess over the quantile, faded."""
    squares: float = 0.0
    """Sum of the squares of the peaks' excess, faded."""
    days: float = 0.0
    """Time observed, faded."""
    peak: float = 0.0
    """Highest excess of the open cluster; 0 if none is open."""
    peak_ms: int = 0
    """Its last exceedance."""


def history_days(state: TailState) -> float:
    """Days observed."""
    return state.history_ms / DAY_MS


def mean_excess(state: TailState, options: TailOptions) -> float:
    """Mean excess of a cluster's peak over the quantile."""
    weight = options.prior_weight
    return (weight * options.prior_excess + state.excess) / (weight + state.clusters)


def shape(state: TailState, options: TailOptions) -> float:
    """Weibull shape of the excess: 1 is exponential, less is a heavier tail.

    The coefficient of variation c gives k = c^-1.086, to some per cent (Justus et al. 1978).
    """
    weight = options.shape_prior_weight
    mean = mean_excess(state, options)
    squares = state.squares / (mean * mean) + weight * 2
    variation = max(0.05, squares / (weight + state.clusters) - 1)
    k: float = variation**-0.543
    return min(_SHAPES[1], max(_SHAPES[0], k))


def clusters_per_day(state: TailState, options: TailOptions) -> float:
    """Rate of clusters per day."""
    weight = options.prior_weight
    return (weight * options.prior_per_day + state.clusters) / (weight + state.days)


def period_days(state: TailState, options: TailOptions, excess: float) -> float:
    """Return period of a cluster whose peak exceeds the quantile by this much, in days; rising with the excess.

    It follows the fitted tail wherever it leads: how far that may be believed is for the caller to say.
    """
    effective = (options.prior_weight + state.clusters) / _PARAMETERS
    k = shape(state, options)
    relative = min(_LARGEST_RELATIVE, max(0.0, excess) / mean_excess(state, options))
    scaled = (relative * math.gamma(1 + 1 / k)) ** k
    log_rarity = effective * math.log1p(scaled / effective)
    return math.exp(min(_LARGEST_LOG, log_rarity)) / clusters_per_day(state, options)


def observe(state: TailState, options: TailOptions, score: float, *, end_ms: int, step_ms: int) -> float | None:
    """Judge one score by the tail so far, then learn from it.

    Args:
        state: changed in place.
        options: how the tail is learned.
        score: the step's score, on the scale on which excesses are exponential.
        end_ms: end of the step; steps come in order.
        step_ms: length of the step.

    Returns:
        The fitted return period in days; None for a score that is not in the tail.
    """
    if state.quantile < 0:
        state.quantile = options.first_quantile
    if state.peak and end_ms - state.peak_ms >= options.cluster_gap_hours * HOUR_MS:
        _end_cluster(state, options)
    excess = score - state.quantile
    period = None
    if excess > 0:
        period = period_days(state, options, excess)
        state.peak = max(state.peak, excess)
        state.peak_ms = end_ms
    _move_quantile(state, options, above=excess > 0, step_ms=step_ms)
    _grow_older(state, options, step_ms)
    return period


def pass_quietly(state: TailState, options: TailOptions, *, end_ms: int, elapsed_ms: int, step_ms: int) -> None:
    """Learn from a stretch of steps none of which reached the tail; the same as so many calls of `observe`.

    Args:
        state: changed in place.
        options: how the tail is learned.
        end_ms: end of the stretch.
        elapsed_ms: its length.
        step_ms: length of a step.
    """
    if state.quantile < 0:
        state.quantile = options.first_quantile
    if state.peak and end_ms - state.peak_ms >= options.cluster_gap_hours * HOUR_MS:
        _end_cluster(state, options)
    _move_quantile(state, options, above=False, step_ms=step_ms, steps=elapsed_ms / step_ms)
    _grow_older(state, options, elapsed_ms)


def discount(state: TailState, keep: float) -> None:
    """Let all that was learned so far weigh less, as from now on scores are made in another way; the history stays."""
    state.steps *= keep
    state.clusters *= keep
    state.excess *= keep
    state.squares *= keep
    state.days *= keep


def _end_cluster(state: TailState, options: TailOptions) -> None:
    excess = min(state.peak, _LARGEST_EXCESS * mean_excess(state, options))
    state.excess += excess
    state.squares += excess * excess
    state.clusters += 1
    state.peak = 0.0
    state.peak_ms = 0


def _move_quantile(state: TailState, options: TailOptions, *, above: bool, step_ms: int, steps: float = 1.0) -> None:
    """One step of Robbins and Monro; the gain is the best one for an exponential tail, whose density at q is p / m."""
    share = 1 - options.quantile
    seen = min(state.steps + options.settling_steps, options.memory_days * DAY_MS / step_ms)
    gain = mean_excess(state, options) / (share * seen)
    state.quantile = max(0.0, state.quantile + gain * steps * ((1.0 if above else 0.0) - share))
    state.steps += steps


def _grow_older(state: TailState, options: TailOptions, elapsed_ms: int) -> None:
    keep = 0.5 ** (elapsed_ms / (options.half_life_days * DAY_MS))
    state.clusters *= keep
    state.excess *= keep
    state.squares *= keep
    state.days = state.days * keep + elapsed_ms / DAY_MS
    state.history_ms += elapsed_ms
