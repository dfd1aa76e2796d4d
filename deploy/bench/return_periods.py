"""Does "once in 30 days" come once in 30 days? Return periods on quiet streams, nominal against actual.

The streams are made here: counts per five minutes with a day and a weekend of their own, a level that wanders, and
gamma-distributed bursts, so that they vary far more than Poisson's. Nothing ever happens in them; every alarm is one
that the method promised to raise only so often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.bench.figures import Figure
from streams.monitor import return_period
from streams.monitor.bins import DAY_MS, HOUR_MS
from streams.monitor.return_period import ReturnPeriodOptions, ReturnPeriodState

STEP_MS = 300_000
STEPS_PER_DAY = DAY_MS // STEP_MS
START_MS = 19_723 * DAY_MS
"""1 January 2024, a Monday."""
COOLDOWN_MS = 12 * HOUR_MS
AIM = (0.5, 1.5)
"""Actual over nominal number of alarms."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    rates_per_h: tuple[float, ...] = (2.4, 24.0, 240.0)
    nominal_days: tuple[float, ...] = (7.0, 14.0, 30.0)
    keys: int = 12
    """Streams per rate."""
    days: int = 130
    counted_from_day: int = 32
    """Before, no period of 30 days can be had: a day to warm up and 30 of history."""
    seed: int = 1


def quiet_stream(rate_per_h: float, days: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Counts per five minutes of a key to which nothing happens; [days x 288].

    Args:
        rate_per_h: mean number of mentions per hour.
        days: length, from a Monday on.
        rng: source of randomness.
    """
    n = days * STEPS_PER_DAY
    step = np.arange(n)
    hour = step % STEPS_PER_DAY / 12
    peak, width = rng.uniform(12, 18), rng.uniform(2.5, 5)
    day = rng.uniform(0.25, 0.5) + np.exp(-0.5 * ((hour - peak) / width) ** 2)
    weekend = np.where(step // STEPS_PER_DAY % 7 >= 5, rng.uniform(0.35, 0.8), 1.0)
    shape = day * weekend
    level = np.exp(_wander(rng, n, steps=6 * 12, sd=0.35) + _wander(rng, n, steps=10 * STEPS_PER_DAY, sd=0.15))
    bursts = rng.gamma(4.0, 0.25, size=n)
    counts: NDArray[np.int64] = rng.poisson(rate_per_h / 12 * shape / shape.mean() * level / level.mean() * bursts)
    return counts


def _wander(rng: np.random.Generator, n: int, *, steps: float, sd: float) -> NDArray[np.float64]:
    keep = np.exp(-1 / steps)
    path = np.empty(n)
    value = rng.normal(scale=sd)
    for i, noise in enumerate(rng.normal(scale=sd * np.sqrt(1 - keep * keep), size=n)):
        path[i] = value = keep * value + noise
    return path


def alarms(counts: Sequence[int], nominal_days: float, options: ReturnPeriodOptions) -> Iterator[int]:
    """Yield the steps at which an alarm is raised, as a rule with this return period and a cooldown would.

    While it fires (until nothing was in the tail for three hours, and for a day at most) the baseline learns nothing.
    """
    state = ReturnPeriodState()
    fired_ms = high_ms = -DAY_MS
    gap_ms = options.tail.cluster_gap_hours * HOUR_MS
    firing = False
    for i, count in enumerate(counts):
        at_ms = START_MS + i * STEP_MS
        firing = firing and at_ms - high_ms < gap_ms and at_ms - fired_ms < DAY_MS
        found = return_period.step(state, options, count=count, at_ms=at_ms, learn=not firing)
        if found is None:
            continue
        high_ms = at_ms
        if found.days >= nominal_days and at_ms - fired_ms >= COOLDOWN_MS and not firing:
            fired_ms, firing = at_ms, True
            yield i


def run(plan: Plan | None = None, options: ReturnPeriodOptions | None = None) -> list[Figure]:
    """Count alarms on quiet streams, per rate and nominal return period, and over all rates."""
    plan, options = plan or Plan(), options or ReturnPeriodOptions()
    first = plan.counted_from_day * STEPS_PER_DAY
    raised = dict.fromkeys(((rate, nominal) for rate in plan.rates_per_h for nominal in plan.nominal_days), 0)
    for rate in plan.rates_per_h:
        for key in range(plan.keys):
            rng = np.random.default_rng([plan.seed, round(rate * 10), key])
            counts = quiet_stream(rate, plan.days, rng).tolist()
            for nominal in plan.nominal_days:
                raised[rate, nominal] += sum(i >= first for i in alarms(counts, nominal, options))
    days = plan.keys * (plan.days - plan.counted_from_day)
    figures = [
        _figure(f"{rate:g} mentions/h", nominal, raised[rate, nominal], days)
        for rate in plan.rates_per_h
        for nominal in plan.nominal_days
    ]
    for nominal in plan.nominal_days:
        total = sum(raised[rate, nominal] for rate in plan.rates_per_h)
        figures.append(_figure("all rates", nominal, total, days * len(plan.rates_per_h)))
    return figures


def _figure(what: str, nominal_days: float, raised: int, days: float) -> Figure:
    due = days / nominal_days
    return Figure(
        name=f"{what}: once in {nominal_days:g} days",
        value=raised,
        unit="alarms",
        against=f"{due:.1f} due; aim {AIM[0]:g} to {AIM[1]:g}",
        ratio=raised / due,
        note=f"{days / 7:,.0f} ticker-weeks",
    )
