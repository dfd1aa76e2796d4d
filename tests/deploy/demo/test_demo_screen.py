"""The demonstration's figures: read from the worker's metrics, and told in words."""

from datetime import UTC, datetime

from deploy.demo.screen import Figures, alert_words, bad_rows, figures_line, figures_rows, refused_words
from deploy.demo.watch import Rate, WorkerView, read_metrics

METRICS = """\
# HELP squall_messages_total Messages read
# TYPE squall_messages_total counter
squall_messages_total{outcome="mentioned"} 40.0
squall_messages_total{outcome="refused"} 2.0
# HELP squall_messages_created Messages read
# TYPE squall_messages_created gauge
squall_messages_created{outcome="mentioned"} 1.7e+09
# TYPE squall_mentions_total counter
squall_mentions_total 45.0
# TYPE squall_dead_letters_total counter
squall_dead_letters_total{reason="not_json"} 2.0
# TYPE squall_batch_messages histogram
squall_batch_messages_bucket{le="64.0"} 2.0
squall_batch_messages_bucket{le="+Inf"} 2.0
squall_batch_messages_count 2.0
squall_batch_messages_sum 40.0
# TYPE squall_watermark_seconds gauge
squall_watermark_seconds{partition="0"} 1.7735616e+09
squall_watermark_seconds{partition="1"} 1.7735612e+09
"""


def test_metrics_are_read_and_event_time_is_what_every_partition_has_reached():
    view = read_metrics(METRICS)
    assert (view.scored, view.mentions, view.refused) == (42, 45, {"not_json": 2})
    assert (view.batches, view.batch_messages) == (2, 40)
    assert view.event_time == datetime.fromtimestamp(1_773_561_200, tz=UTC)


def test_a_worker_that_has_done_nothing_yet_is_no_error():
    assert read_metrics("") == WorkerView()
    assert WorkerView().event_time is None


def test_the_rate_looks_at_the_last_seconds_only():
    rate = Rate(over_s=3)
    rate.add(0, 0)
    rate.add(0, 9)
    assert rate.per_second == 0, "two looks at the same moment"
    rate = Rate(over_s=3)
    for second in range(10):
        rate.add(second, 100 * second if second < 5 else 400)
    assert rate.per_second == 0
    rate.add(10, 700)
    assert rate.per_second == 100


def test_figures_are_told_in_words():
    figures = Figures(
        phase="days", published=5_000, scored=4_200, scored_per_s=812.4, batches=10, batch_messages=4_200,
        to_score=800, to_judge=12, mentions=4_100, refused={"not_json": 1, "unscorable": 2},
        alerts={"firing": 1, "resolved": 2}, event_time=datetime(2026, 3, 17, 9, 41, tzinfo=UTC),
    )  # fmt: skip
    rows = dict(figures_rows(figures))
    assert rows["Scored"] == "4,200 (812 a second, 420 in a batch)"
    assert rows["Waiting"] == "800 to be scored, 12 to be judged"
    assert rows["Refused"] == "1 not JSON, 2 unscorable"
    assert rows["Alerts"] == "1 firing, 2 over"
    assert "judged up to 17 March 2026 09:41 UTC" in figures_line(figures)


def test_nothing_is_told_as_nothing():
    assert refused_words({}) == alert_words({}) == "none"
    assert dict(figures_rows(Figures()))["Judged"] == "-"
    assert "judged up to" not in figures_line(Figures())


def test_a_file_of_the_wrong_shape_does_not_fill_the_screen():
    told = bad_rows([f"line {n}" for n in range(1_000)]).splitlines()
    assert told[0] == "line 0"
    assert told[-1] == "... and 980 more bad rows"
    assert len(told) == 21
    assert bad_rows(["line 1"]) == "line 1"
