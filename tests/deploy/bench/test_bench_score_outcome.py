from __future__ import annotations

import msgspec
import pytest

from deploy.bench.score_contenders import Answer, Contender, Kind
from deploy.bench.score_outcome import Missing, Run, outcome

TRUTH = [0, 1, 2, 1]


def run(name: str, kind: Kind, seconds: list[float], labels: list[int], truth: list[int] | None = TRUTH) -> Run:
    return Run(
        contender=Contender(name, kind, "any"),
        seconds=seconds,
        answer=Answer([1.0], labels, 512.0, {}),
        about={"ready": True, "batch_size": 32},
        tokens=40,
        labels=truth,
    )


RUNS = [
    run("slow pipe", "pipeline", [4.0, 4.0, 4.0], TRUTH),
    run("quick pipe", "pipeline", [2.0, 2.0, 2.0], TRUTH),
    run("other", "other", [1.0, 1.0, 9.0], TRUTH),
    run("squall, torch float32", "ours", [1.0, 1.0, 1.0], TRUTH),
    run("squall, fast", "ours", [0.25, 0.5, 0.1], TRUTH),
    run("squall, rash", "ours", [0.01, 0.01, 0.01], [0, 1, 2, 2]),
    run("squall, tiers", "first tier", [0.1, 0.1, 0.1], TRUTH),
    run("squall, reposts", "cache", [0.05, 0.05, 0.05], [0, 1, 2, 2]),
]


def test_speeds_are_medians_and_ratios_are_of_the_fastest_that_loses_no_accuracy() -> None:
    found = outcome(RUNS, [])
    rows = {row.name: row for row in found.contenders}
    assert rows["other"].messages_per_s == 4.0
    assert rows["other"].tokens_per_s == 40.0
    assert rows["squall, fast"].messages_per_s == 16.0
    assert found.ratio_vs_pipeline == 8.0
    assert found.ratio_vs_best_other == 4.0
    assert found.ratio_first_tier_vs_pipeline == pytest.approx(20.0)
    assert found.ratio_cache_vs_pipeline == pytest.approx(40.0)
    assert found.best == {
        "pipeline": "quick pipe",
        "other": "other",
        "ours": "squall, fast",
        "first tier": "squall, tiers",
        "cache": "squall, reposts",
    }


def test_accuracy_is_held_against_our_network_in_float32_but_not_on_the_stream_with_reposts() -> None:
    rows = {row.name: row for row in outcome(RUNS, []).contenders}
    assert rows["squall, fast"].points_against_float32 == 0.0
    assert rows["squall, rash"].accuracy == 0.75
    assert rows["squall, rash"].macro_f1 == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert rows["squall, rash"].points_against_float32 == pytest.approx(-25.0)
    assert rows["squall, reposts"].points_against_float32 is None


def test_without_labels_there_is_speed_alone() -> None:
    (row,) = outcome([run("other", "other", [1.0], TRUTH, None)], []).contenders
    assert (row.accuracy, row.macro_f1, row.points_against_float32) == (None, None, None)
    assert row.messages_per_s == 4.0


def test_an_accuracy_of_nothing_is_a_figure_too() -> None:
    wrong = run("squall, odd", "ours", [1.0], [2, 2, 0, 0])
    rows = {row.name: row for row in outcome([RUNS[3], wrong], []).contenders}
    assert rows["squall, odd"].accuracy == 0.0
    assert rows["squall, odd"].points_against_float32 == -100.0


def test_the_json_has_the_agreed_keys_and_names_what_is_missing() -> None:
    found = msgspec.to_builtins(outcome(RUNS[3:5], [Missing("other", "no network")]))
    assert {"contenders", "ratio_vs_pipeline", "ratio_vs_best_other"} <= set(found)
    for row in found["contenders"]:
        assert {"name", "messages_per_s", "tokens_per_s", "accuracy", "macro_f1"} <= set(row)
    assert found["ratio_vs_pipeline"] is None
    assert found["ratio_vs_best_other"] is None
    assert found["missing"] == [{"name": "other", "reason": "no network"}]
