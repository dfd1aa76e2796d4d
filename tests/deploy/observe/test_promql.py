"""The reader of expressions finds what it is to find."""

from __future__ import annotations

import pytest

from tests.deploy.observe.promql import known, problems

SERIES = {"squall_scored_total": {"job", "instance", "answer"}, "job:squall_messages:rate5m": {"job"}}


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        ("rate(squall_scorde_total[5m])", "there is no metric squall_scorde_total"),
        ('squall_scored_total{answr="linear"}', "squall_scored_total has no label answr"),
        ('squall_scored_total{job=~"a", answr!~"linear"}', "squall_scored_total has no label answr"),
        ("sum by (receiver) (squall_scored_total)", "nothing in it has the label receiver"),
        ("job:squall_messages:rate6m > 0", "there is no metric job:squall_messages:rate6m"),
        ("1 + 1", "it asks for no metric at all"),
    ],
)
def test_what_there_is_not_is_named(expr: str, problem: str) -> None:
    assert problems(expr, SERIES) == [problem]


@pytest.mark.parametrize(
    "expr",
    [
        'sum by (job, answer) (rate(squall_scored_total{answer="{job}", instance=~"a|b"}[5m]))',
        "squall_scored_total / on (job) group_left job:squall_messages:rate5m",
        'squall_scored_total or on () label_replace(vector(0), "why", "squall_none", "", "")',
    ],
)
def test_what_there_is_passes(expr: str) -> None:
    assert problems(expr, SERIES) == []


def test_the_code_s_metrics_are_found_with_their_labels() -> None:
    found = known()
    assert found["squall_waiting_records"] >= {"topic", "partition", "job"}
    assert "le" in found["squall_message_to_mention_seconds_bucket"]
    assert "squall_company_alert" in found
    assert "squall_drift_psi" in found
    assert "process_cpu_seconds_total" in found
    assert found["job_topic:squall_waiting_records:sum"] == {"job", "topic"}
