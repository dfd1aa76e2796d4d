"""What is usual now, and the margin: shrinkage to the level of days, unrest beyond chance, bounds."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.bins import HOUR_MS
from streams.monitor.detect import usual_share_of
from streams.monitor.usual import (
    RECENT_HALF_LIFE_H,
    RECENT_PRIOR_VOTES,
    Lately,
    MarginOptions,
    Unrest,
    learn_lately,
    learn_unrest,
    margin,
    usual_share,
    usual_votes,
)
from tests.streams.monitor.invented import START, eager_rules, ended, heard, mention, monitor

OWN = MarginOptions()
shares = st.floats(0, 1)


def restless(seed: int, *, swings: float, votes: int = 40, hours: int = 300, level: float = 0.2) -> Unrest:
    """What is known of a company whose share is drawn anew every hour, `swings` (a deviation) around its level."""
    rng = random.Random(seed)
    unrest = Unrest()
    for hour in range(1, hours + 1):
        share = min(1.0, max(0.0, rng.gauss(level, swings)))
        for part in (0, 1):  # a block is closed by what comes an hour after its beginning
            scores = [float(rng.random() < share) for _ in range(votes // 2)]
            learn_unrest(
                unrest,
                votes=len(scores),
                negative=math.fsum(scores),
                squares=math.fsum(score * score for score in scores),
                usual=level,
                at_ms=2 * hour * HOUR_MS + part * HOUR_MS,
            )
    return unrest


def test_without_recent_votes_the_level_of_days_is_usual() -> None:
    assert usual_share(Lately(), 0.23) == 0.23
    assert usual_votes(Lately(), 480.0) == pytest.approx(480)


@given(st.floats(0, 1e4), shares, shares)
def test_the_usual_share_lies_between_the_level_and_the_last_hours(votes: float, recent: float, level: float) -> None:
    found = usual_share(Lately(votes=votes, negative=votes * recent), level)
    assert min(recent, level) - 1e-9 <= found <= max(recent, level) + 1e-9
    if votes == RECENT_PRIOR_VOTES:
        assert found == pytest.approx((recent + level) / 2)


def test_as_many_recent_votes_as_the_level_weighs_count_half() -> None:
    lately = Lately(votes=RECENT_PRIOR_VOTES, negative=0.5 * RECENT_PRIOR_VOTES)
    assert usual_share(lately, 0.1) == pytest.approx(0.3)
    # The variance of a mean of halves: of 60 votes, and of a level that is as good as known.
    assert usual_votes(lately, 1e12) == pytest.approx(4 * RECENT_PRIOR_VOTES)


@given(st.floats(0, 1e4), st.floats(40, 1e6))
def test_recent_votes_make_the_interval_of_a_new_company_narrower(votes: float, level_votes: float) -> None:
    worth = usual_votes(Lately(votes=votes), level_votes)
    assert worth > 0
    if level_votes <= RECENT_PRIOR_VOTES:
        assert worth >= level_votes * (1 - 1e-9)


def test_recent_votes_fade_by_half_in_six_hours() -> None:
    lately = Lately()
    learn_lately(lately, votes=8, negative=4, at_ms=HOUR_MS)
    learn_lately(lately, votes=1, negative=0, at_ms=HOUR_MS + int(RECENT_HALF_LIFE_H * HOUR_MS))
    assert (lately.votes, lately.negative) == pytest.approx((5, 2))


def test_a_company_of_which_nothing_is_known_has_a_margin_of_seven_points() -> None:
    assert margin(OWN, Unrest()) == pytest.approx(1.75 * 0.04)


@pytest.mark.parametrize("swings", [0.03, 0.05, 0.07])
def test_the_margin_is_so_many_deviations_of_an_hours_share_beyond_what_chance_explains(swings: float) -> None:
    found = [margin(OWN, restless(seed, swings=swings)) for seed in range(12)]
    assert sum(found) / 12 == pytest.approx(1.75 * swings, rel=0.2)


def test_chance_alone_is_no_unrest_and_the_margin_stays_within_its_bounds() -> None:
    quiet = [margin(OWN, restless(seed, swings=0.0)) for seed in range(12)]
    assert sum(quiet) / 12 < 0.05  # by chance alone an hour of 40 votes strays by 0.063
    assert min(quiet) >= 0.02
    assert margin(OWN, restless(1, swings=0.4)) == 0.15
    assert margin(OWN, Unrest(variance=-50.0, blocks=90.0)) == 0.02
    assert margin(MarginOptions(floor=0.0, deviations=0.0), restless(1, swings=0.1)) == 0.0


def test_a_number_is_the_same_margin_for_every_company() -> None:
    assert margin(0.12, Unrest()) == margin(0.12, restless(1, swings=0.4)) == 0.12


def test_a_block_waits_for_an_hour_and_for_twenty_votes() -> None:
    unrest = Unrest()
    for minute in range(60):
        learn_unrest(unrest, votes=5, negative=1, squares=1, usual=0.2, at_ms=(1 + minute) * 60_000)
    assert (unrest.votes, unrest.blocks) == (300, 0)
    learn_unrest(unrest, votes=1, negative=0, squares=0, usual=0.9, at_ms=61 * 60_000)
    assert (unrest.votes, unrest.blocks) == (0, 1)
    for hour in range(2, 21):
        learn_unrest(unrest, votes=1, negative=0, squares=0, usual=0.2, at_ms=hour * HOUR_MS)
    assert (unrest.votes, unrest.blocks) == (19, 1)


def test_a_spike_rule_follows_the_last_hours_and_a_threshold_rule_keeps_to_the_level_of_days() -> None:
    watching = monitor()
    log = [mention(n, START + timedelta(minutes=20 * n), 0.05) for n in range(200)]
    log += [mention(200 + n, log[-1].published_at + timedelta(minutes=5 * n), 0.16) for n in range(1, 90)]
    for offset, record in enumerate([*heard(1), *log, *ended(1, log[-1].published_at + timedelta(hours=1))]):
        watching.absorb(record, offset)
    surge, high = eager_rules().rules
    memories = watching._entities["AURL"].rules
    assert usual_share_of(surge, memories["Surge"]) > usual_share_of(high, memories["High"]) + 0.01
    assert memories["High"].lately == Lately()
    assert memories["High"].unrest == Unrest()
