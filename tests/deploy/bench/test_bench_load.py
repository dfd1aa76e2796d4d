"""The mixed feed, what is looked at in a worker, the accounts, and a tiny load run on the session's broker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.bench.accounts import Accounts
from deploy.bench.closing import closing_figures, closings
from deploy.bench.feed import SURGE_MESSAGES, everyday_companies
from deploy.bench.load_outcome import Delayed, LoadRun, load_figures
from deploy.bench.mixed_feed import Habits, MixedFeed, fate_of, fates
from deploy.bench.offer import Offered
from deploy.bench.sampling import Sample, slope_per_h
from deploy.cli import bench as command
from models.files import DEFAULT_MODEL
from streams.config import Settings
from streams.records import AheadProgress, Progress, decode_message

NOW = datetime(2026, 3, 18, 10, 0, tzinfo=UTC)
COMPANIES = everyday_companies()
TOPIC = "squall.messages"


def test_the_fates_of_a_feed_are_known_beforehand() -> None:
    assert fates(250) == {"mentioned": 244, "unlinked": 2, "repeated": 2, "refused": 2}
    assert sum(fates(1_234).values()) == 1_234
    assert [fate_of(number) for number in (0, 97, 98, 99, 100)] == [
        "mentioned",
        "unlinked",
        "repeated",
        "refused",
        "mentioned",
    ]


def test_a_repeat_is_the_message_that_it_repeats_on_the_same_partition() -> None:
    feed = MixedFeed(COMPANIES, run="test")
    first, again = feed.row(48, NOW), feed.row(98, NOW)
    assert again.value == first.value
    assert again.number == first.number
    assert feed.message_id(48) == "wire-3:test-48"


def test_texts_differ_name_their_company_and_the_unlinked_name_none() -> None:
    feed = MixedFeed(COMPANIES, run="test")
    rows = [feed.row(number, NOW) for number in range(500)]
    texts = [decode_message(row.value).text for row in rows if row.fate == "mentioned"]
    assert len(set(texts)) == len(texts)
    assert all(text.startswith("$") for text in texts)
    assert "$" not in decode_message(feed.row(97, NOW).value).text.split(" ")[0]
    assert {feed.company(number) for number in range(500)} == set(COMPANIES)


def test_habits_bring_companies_that_give_way_copies_and_surges() -> None:
    feed = MixedFeed(COMPANIES, run="test", habits=Habits(at_once=10, copies=20, surges=2_000))
    early = {feed.company(number).symbol for number in range(200, 1_000)}
    late = {feed.company(number).symbol for number in range(10_200, 11_000)}
    assert len(early) == 11  # ten at once, and one of them has given way to another
    assert not early & late
    assert len({feed.company(number) for number in range(2 * SURGE_MESSAGES)}) == 1
    assert feed.company(4_000) == COMPANIES[2]
    copies = [decode_message(feed.row(number, NOW).value).text for number in (200, 220)]
    assert copies[0].split(" (via")[0].split(" ", 1)[1] == copies[1].split(" (via")[0].split(" ", 1)[1]


def test_a_feed_without_companies_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a company"):
        MixedFeed([], run="test")


def test_the_slope_is_that_of_least_squares_per_hour() -> None:
    assert slope_per_h([(0, 100), (1800, 101), (3600, 102)]) == pytest.approx(2.0)
    assert slope_per_h([(0, 5), (60, 5)]) == 0
    with pytest.raises(ValueError, match="no slope"):
        slope_per_h([(7, 1), (7, 2)])


def test_the_lag_of_a_topic_is_summed_over_its_partitions_and_no_other_topic() -> None:
    metrics = {
        f"squall_waiting_records{{0,{TOPIC}}}": 3.0,
        f"squall_waiting_records{{1,{TOPIC}}}": 4.0,
        "squall_waiting_records{0,squall.mentions}": 50.0,
        "squall_waiting_records": 57.0,
    }
    assert Sample(at_s=0, rss_mib=1, threads=1, files=1, metrics=metrics).waiting(TOPIC) == 7


def sample(at_s: float, waiting: float, *, rss_mib: float = 1_000, overloaded: float = 0) -> Sample:
    metrics = {
        f"squall_waiting_records{{0,{TOPIC}}}": waiting,
        "squall_overloaded": overloaded,
        "squall_messages_total": at_s * 100,
        "squall_step_seconds_sum{score}": at_s / 10,
        "process_cpu_seconds_total": at_s / 2,
    }
    return Sample(at_s=at_s, rss_mib=rss_mib, threads=12, files=30, metrics=metrics)


def account(**changes: object) -> Accounts:
    counts = {"mentioned": 3, "unlinked": 1, "repeated": 1, "refused": 1}
    values = {
        "expected": counts,
        "counted": counts,
        "mentioned_ids": 3,
        "missing_ids": 0,
        "second_copies": 0,
        "refused_places": 1,
    }
    return Accounts(**(values | changes))


def test_the_figures_tell_watched_companies_apart_and_say_when_the_accounts_do_not_agree() -> None:
    stretches = [
        Offered(0, 100, 0, 10_000, 0.0),
        Offered(100, 1_100, 10_000, 20_000, 0.2),
        Offered(1_100, 1_200, 20_000, 30_000, 0.0),
    ]
    delays = [
        Delayed(1_000, 1_100, watched=True, degraded=False),
        Delayed(1_000, 1_200, watched=False, degraded=False),
        Delayed(11_000, 11_300, watched=True, degraded=False),
        Delayed(12_000, 25_000, watched=False, degraded=True),
        Delayed(21_000, 21_100, watched=True, degraded=False),
    ]
    samples = [sample(1, 0), sample(11, 10, overloaded=1), sample(19, 810, overloaded=1, rss_mib=1_500), sample(28, 0)]
    run = LoadRun(20.0, stretches, samples, delays, account(), TOPIC)
    found = {figure.name: figure for figure in load_figures(run)}
    assert found["published in the burst"].ratio == pytest.approx(5.0)
    assert found["lag at its highest"].value == 810
    assert "grows by 100" in found["lag at its highest"].note
    assert found["recovered after the burst"].value == 5.0
    assert found["squall_overloaded is 1"].value == 2
    assert found["watched, during: message to mention, p99"].ratio == pytest.approx(3.0)
    assert found["the others, during: message to mention, p99"].value == 13_000
    assert found["memory at its highest"].ratio == pytest.approx(1.5)
    assert found["accounted for"].note.endswith("all agree")
    lost = load_figures(LoadRun(20.0, stretches, samples, delays, account(missing_ids=1), TOPIC))[-1]
    assert lost.note.endswith("THEY DO NOT AGREE")


def test_accounts_are_exact_only_if_nothing_is_missing_twice_or_counted_otherwise() -> None:
    assert account().is_exact
    assert account(second_copies=1).is_complete
    assert not account(second_copies=1).is_exact
    assert not account(missing_ids=1).is_complete
    assert not account(refused_places=0).is_complete
    assert not account(counted={"mentioned": 4, "unlinked": 0, "repeated": 1, "refused": 1}).is_exact


@pytest.mark.broker
@pytest.mark.timeout(300)
@pytest.mark.skipif(not DEFAULT_MODEL.exists(), reason="no model is shipped in this checkout")
def test_a_tiny_burst_is_accounted_for_to_the_last_message(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.cli.bench_load.settings", lambda: settings)
    file = tmp_path / "figures.json"
    # So short a limit that the watched companies' messages are read ahead on any machine.
    options = "--rate 300 --factor 4 --seconds 3 --calm 2 --watched 12 --degrade-after 0.1"
    result = CliRunner().invoke(command.app, ["load", *options.split(), "--json", str(file)])
    assert result.exit_code == 0, result.output
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())}
    assert figures["accounted for"]["note"].endswith("all agree"), figures["accounted for"]["note"]
    assert figures["accounted for"]["value"] == 5_200
    assert figures["mentions marked degraded"]["value"] > 0
    assert figures["mentions marked degraded"]["note"].endswith("of watched companies 0")


def test_the_closing_of_minutes_is_read_off_the_log_and_that_of_watched_companies_apart() -> None:
    start_ms = round(NOW.timestamp() * 1000)

    def step(partition: int, minutes: float) -> Progress:
        return Progress(partition=partition, partitions=2, event_time=NOW + timedelta(minutes=minutes), idle=False)

    log = [
        (0, start_ms, step(0, 0)),
        (0, start_ms, step(1, 0)),
        (0, start_ms + 90_000, step(0, 1.5)),
        (0, start_ms + 95_000, AheadProgress(partition=1, event_time=NOW + timedelta(minutes=1.5))),
        (0, start_ms + 200_000, step(1, 2)),
        (0, start_ms + 201_000, step(0, 2.6)),
        (0, start_ms + 202_000, step(1, 2.6)),
    ]
    found = closings(log, lateness_ms=30_000)
    assert [(one.due_ms - start_ms, one.waited_ms) for one in found if one.watched] == [
        (30_000, 65_000),
        (90_000, 5_000),
        (150_000, 52_000),
    ]
    assert [(one.due_ms - start_ms, one.waited_ms) for one in found if not one.watched] == [
        (30_000, 170_000),
        (90_000, 110_000),
        (150_000, 52_000),
    ]
    calm = Offered(0, 1, start_ms, start_ms + 100_000, 0.0)
    burst = Offered(1, 2, start_ms + 100_000, start_ms + 200_000, 0.0)
    figures = {figure.name: figure for figure in closing_figures(found, [("before", calm), ("during", burst)])}
    assert figures["watched, before: a minute waits to be closed, longest"].value == 65.0
    assert figures["all, before: a minute waits to be closed, longest"].value == 170.0
    assert figures["watched, during: a minute waits to be closed, longest"].value == 52.0
