from __future__ import annotations

from dataclasses import replace

import pytest

from retrain.gate.alerts import AlertDifference
from retrain.gate.bounds import Bounds
from retrain.gate.figures import Difference
from retrain.gate.judge import Check, Measured, judge, passes
from streams.replay.differences.difference import RunDifference
from streams.replay.differences.episodes import Episode
from tests.streams.invented_alert import ALERT, AT

EPISODE = Episode(
    id="a1", rule="surge", entity="OSTMB", opened=AT, fired=AT, ended=None, severity="critical", alert=ALERT
)


def gained(points: float, *, rows: int = 1_000, width: float = 0.5) -> Difference:
    gain = points / 100
    return Difference(rows, 0.80, 0.80 + gain, gain - width / 100, gain + width / 100)


def alerts(*, lost: int = 0, added: int = 0) -> AlertDifference:
    difference = RunDifference(same=(), changed=(), shifted=(), added=(EPISODE,) * added, removed=(EPISODE,) * lost)
    return AlertDifference(10_000, 12, 12 - lost + added, difference)


GOOD = Measured(
    macro_f1={"sentiment": gained(1.0), "topic": gained(0.1)},
    before=gained(-0.3),
    label_agreement=(300, 0.7),
    slices={"sentiment": {("origin", "labels"): gained(4.0), ("lang", "de"): gained(-9.0, rows=12, width=8.0)}},
    calibration_error=(0.02, 0.025),
    speed=(800.0, 790.0),
    consistency={"typos": (0.95, 0.94), "entities": (0.97, 0.96), "links": None},
    alerts=alerts(),
)


def failed(measured: Measured, bounds: Bounds | None = None) -> list[str]:
    return [check.name for check in judge(measured, bounds or Bounds()) if check.outcome == "failed"]


def test_a_model_that_is_better_in_every_respect_passes() -> None:
    assert failed(GOOD) == []
    assert passes(judge(GOOD, Bounds()))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"macro_f1": {"sentiment": gained(0.1), "topic": gained(0.0)}}, "better"),
        ({"macro_f1": {"sentiment": gained(1.0, width=3.0)}}, "surely no worse"),
        ({"macro_f1": {"sentiment": gained(1.0), "topic": gained(-1.5)}}, "topics"),
        ({"before": gained(-0.6)}, "no worse on older rows"),
        ({"label_agreement": (300, 0.35)}, "labels"),
        ({"slices": {"sentiment": {("source", "wire"): gained(-2.5, rows=400)}}}, "sentiment, source wire"),
        ({"calibration_error": (0.02, 0.05)}, "calibration"),
        ({"speed": (800.0, 600.0)}, "speed"),
        ({"consistency": {"typos": (0.95, 0.90)}}, "robust to typos"),
        ({"consistency": {"entities": (0.80, 0.85)}}, "robust to other companies"),
        ({"alerts": alerts(lost=2)}, "alerts lost"),
        ({"alerts": alerts(added=4)}, "alerts added"),
    ],
)
def test_one_thing_that_is_worse_is_enough_to_be_refused(change: dict[str, object], name: str) -> None:
    worse = replace(GOOD, **change)  # type: ignore[arg-type]
    assert failed(worse) == [name]
    assert not passes(judge(worse, Bounds()))


def test_a_model_that_is_better_on_average_and_worse_on_one_slice_is_refused() -> None:
    slices = {("lang", "de"): gained(-2.1, rows=100), ("lang", "en"): gained(5.0, rows=900)}
    assert failed(replace(GOOD, macro_f1={"sentiment": gained(4.0)}, slices={"sentiment": slices})) == [
        "sentiment, lang de"
    ]


def test_a_slice_of_few_rows_is_shown_and_not_judged() -> None:
    checks = {check.name: check for check in judge(GOOD, Bounds())}
    assert checks["sentiment, lang de"].outcome == "not judged"
    assert "fewer than 100 rows" in checks["sentiment, lang de"].words


def test_a_slice_of_few_rows_that_is_surely_worse_is_judged_all_the_same() -> None:
    slices = {"sentiment": {("lang", "de"): gained(-30.0, rows=40, width=12.0)}}
    assert failed(replace(GOOD, slices=slices)) == ["sentiment, lang de"]


def test_a_fall_by_the_very_bound_is_allowed() -> None:
    assert failed(replace(GOOD, slices={"sentiment": {("lang", "de"): Difference(500, 0.80, 0.78, -0.03, 0.0)}})) == []


def test_history_on_which_neither_model_raises_anything_says_nothing() -> None:
    empty = replace(GOOD, alerts=AlertDifference(10_000, 0, 0, alerts().difference))
    (found,) = [check for check in judge(empty, Bounds()) if check.name.startswith("alerts")]
    assert found.outcome == "not judged"


def test_a_champion_that_is_badly_calibrated_itself_sets_the_bound() -> None:
    assert failed(replace(GOOD, calibration_error=(0.08, 0.07))) == []


def test_without_history_alerts_are_not_judged_and_that_is_told() -> None:
    checks = judge(replace(GOOD, alerts=None), Bounds())
    assert Check("alerts", "not judged", "there was no stretch of history to replay") in checks


def test_the_words_of_a_check_say_what_was_found_and_what_was_asked_for() -> None:
    (better,) = [check for check in judge(GOOD, Bounds()) if check.name == "better"]
    assert better.words == (
        "macro F1 0.8100, the champion's 0.8000: +1.00 points (+0.50 to +1.50) on 1,000 rows; asked for is +0.20"
    )
