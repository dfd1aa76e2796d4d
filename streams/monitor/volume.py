"""How much is usual for a key: the baseline of counts, with its season.

The level is a discounted Gamma of the rate per hour: counts over hours, both fading with a half-life. The season is a
multiplier for each of a few kinds of hour (by default hour of day x weekday or weekend, UTC), learned against the
level, shrunk to 1, and used only once there are two weeks to learn it from. All of it is a fixed number of values per
key, however long the history.

Time in which nothing is reported here (the source was down) is no data: neither counts nor hours grow. Time in which
the source was up and the key was not mentioned is data, and is reported with a count of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from streams.monitor.bins import DAY_MS, HOUR_MS

SeasonKey = Callable[[int], int]
"""From a time in milliseconds to the kind of its hour, 0 to LARGEST_SEASON_KEY; it may change on the hour only. A
market's sessions are another such function."""
LARGEST_SEASON_KEY = 167
_MONDAY_MS = 4 * DAY_MS
"""The epoch was a Thursday; the first Monday came four days later."""
_WINSOR_DEVIATIONS = 3.0
"""A count is learned up to this many standard deviations above what was expected ..."""
_WINSOR_LEAST = 1.0
"""... and one mention more, as a rate near 0 must be able to rise."""


class VolumeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the baseline of counts learns."""

    half_life_days: float = 5.0
    prior_per_hour: float = 1.0
    """The rate that stands in until there is history of its own, such as a sector's or the whole feed's."""
    prior_hours: float = 1.0
    """The prior weighs as much as this many hours."""
    warm_hours: float = 24.0
    """With fewer hours of its own the baseline is not `warm`."""
    season_after_days: float = 14.0
    """The season is learned from the first hour on, and used after so many days of data."""
    season_half_life_hours: float = 20.0
    """In hours of the cell's own: at five a week, four weeks of weekdays."""
    season_prior_hours: float = 2.0
    """A cell is shrunk to 1 as by so many hours that went as the level says ..."""
    season_prior_counts: float = 8.0
    """... and as by so many counts: a few mentions make no season."""


class VolumeState(msgspec.Struct, omit_defaults=True):
    """What is known as of `at_ms`."""

    counts: float = 0.0
    """Faded."""
    hours: float = 0.0
    """Faded, weighed by the season where that is in use."""
    seen_hours: float = 0.0
    """Hours with data, not faded."""
    at_ms: int = 0
    season_counts: list[float] = msgspec.field(default_factory=list)
    """Per kind of hour, faded; [season keys seen so far]."""
    season_expected: list[float] = msgspec.field(default_factory=list)
    """What the level without a season expected in the same time; [season keys seen so far]."""


def hour_and_weekend(at_ms: int) -> int:
    """Season key 0 to 23 for the hours (UTC) of a weekday, 24 to 47 for those of a Saturday or Sunday."""
    hour = at_ms // HOUR_MS % 24
    return hour + 24 if (at_ms - _MONDAY_MS) // DAY_MS % 7 >= 5 else hour


def is_warm(state: VolumeState, options: VolumeOptions) -> bool:
    """Whether the baseline rests on enough hours of its own."""
    return state.seen_hours >= options.warm_hours


def is_seasonal(state: VolumeState, options: VolumeOptions) -> bool:
    """Whether there is data enough for the season to be used."""
    return state.seen_hours >= options.season_after_days * 24


def level_per_hour(state: VolumeState, options: VolumeOptions) -> float:
    """Posterior mean of the rate per hour, the season apart."""
    return (options.prior_per_hour * options.prior_hours + state.counts) / (options.prior_hours + state.hours)


def multiplier(state: VolumeState, options: VolumeOptions, key: int) -> float:
    """How much busier this kind of hour is than the level says; 1 while the season is not in use."""
    return _learned_multiplier(state, options, key) if is_seasonal(state, options) else 1.0


def _learned_multiplier(state: VolumeState, options: VolumeOptions, key: int) -> float:
    if key >= len(state.season_counts):
        return 1.0
    prior = options.season_prior_counts + options.season_prior_hours * level_per_hour(state, options)
    return (state.season_counts[key] + prior) / (state.season_expected[key] + prior)


def expected(
    state: VolumeState, options: VolumeOptions, at_ms: int, window_ms: int, *, season: SeasonKey = hour_and_weekend
) -> float:
    """Return the expected count of the window [at_ms, at_ms + window_ms), from what is known so far."""
    level = level_per_hour(state, options)
    return sum(level * multiplier(state, options, key) * hours for key, hours in _kinds(at_ms, window_ms, season))


def winsorised(count: float, expectation: float, *, dispersion: float = 0.0) -> float:
    """Return a count, cut down to what the baseline may learn from.

    Args:
        count: what was counted.
        expectation: what was expected.
        dispersion: variance is expectation + dispersion expectation^2; 0 for Poisson counts.
    """
    variance = expectation + dispersion * expectation * expectation
    return min(count, expectation + _WINSOR_LEAST + _WINSOR_DEVIATIONS * math.sqrt(variance))


def update(
    state: VolumeState,
    options: VolumeOptions,
    *,
    count: float,
    at_ms: int,
    window_ms: int,
    dispersion: float = 0.0,
    learn: bool = True,
    season: SeasonKey = hour_and_weekend,
) -> None:
    """Fade what is known and add the count of the window [at_ms, at_ms + window_ms).

    Args:
        state: changed in place.
        options: how the baseline learns.
        count: what was counted; 0 if the source was up and nothing came.
        at_ms: start of the window; windows come in order and do not overlap.
        window_ms: its length, above 0.
        dispersion: see `winsorised`.
        learn: False while an alert fires: an incident must not become its own excuse. The state stays as it is.
        season: kind of each hour.

    Raises:
        ValueError: the count or the length of the window is no possible one.
    """
    if not 0 <= count < math.inf or window_ms <= 0:
        msg = f"a window of {window_ms} ms cannot hold {count} mentions"
        raise ValueError(msg)
    if not learn:
        return
    end_ms = at_ms + window_ms
    level = level_per_hour(state, options)
    kinds = _kinds(at_ms, window_ms, season)
    weighed_hours = sum([multiplier(state, options, key) * hours for key, hours in kinds])
    learned = count
    if is_warm(state, options):  # before, the prior would decide what may be learned
        # A busy kind of hour must be able to show that it is one, also before the season is used.
        seasonal_hours = sum([_learned_multiplier(state, options, key) * hours for key, hours in kinds])
        learned = winsorised(count, level * max(weighed_hours, seasonal_hours), dispersion=dispersion)
    if state.at_ms and end_ms > state.at_ms:
        keep = 0.5 ** ((end_ms - state.at_ms) / (options.half_life_days * DAY_MS))
        state.counts *= keep
        state.hours *= keep
    state.at_ms = max(state.at_ms, end_ms)
    state.counts += learned
    state.hours += weighed_hours
    state.seen_hours += window_ms / HOUR_MS
    for key, hours in kinds:
        _learn_season(state, options, key, count=learned * hours * HOUR_MS / window_ms, hours=hours, level=level)


def _learn_season(
    state: VolumeState, options: VolumeOptions, key: int, *, count: float, hours: float, level: float
) -> None:
    missing = key + 1 - len(state.season_counts)
    if missing > 0:
        if key > LARGEST_SEASON_KEY:
            msg = f"season key {key} is above {LARGEST_SEASON_KEY}"
            raise ValueError(msg)
        state.season_counts += [0.0] * missing
        state.season_expected += [0.0] * missing
    keep = 0.5 ** (hours / options.season_half_life_hours)
    state.season_counts[key] = state.season_counts[key] * keep + count
    state.season_expected[key] = state.season_expected[key] * keep + level * hours


def _kinds(at_ms: int, window_ms: int, season: SeasonKey) -> list[tuple[int, float]]:
    """Hours of a window by season key; a window across the hour is cut there."""
    end_ms = at_ms + window_ms
    if at_ms // HOUR_MS == (end_ms - 1) // HOUR_MS:
        return [(season(at_ms), window_ms / HOUR_MS)]
    kinds = []
    while at_ms < end_ms:
        until_ms = min(end_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
        kinds.append((season(at_ms), (until_ms - at_ms) / HOUR_MS))
        at_ms = until_ms
    return kinds
