"""Which companies and sectors /metrics shows, and that what it shows of them is what the monitor knows."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from streams.app import metrics
from streams.app.company_series import (
    MOST_SECTORS,
    NO_SECTOR,
    OTHER,
    Companies,
    Company,
    HourWindow,
    PartitionSeries,
    choose_companies,
    load_companies,
)
from streams.app.monitor import MonitorService
from streams.app.monitor_figures import FAMILIES, SHOWN, MonitorCollector, Samples, Watched, look
from streams.app.sender import Sender
from streams.assembly import entity_table
from streams.config import Settings
from streams.errors import InputError
from streams.ingest.entities.table import Entity, EntityTable
from streams.monitor import ClosedBin, MonitorOptions, PartitionMonitor, RuleSet
from streams.monitor.bins import BIN_MS, HOUR_MS, to_ms
from streams.monitor.detect import usual_share_of
from streams.records import Alert, Silence, SilenceMatcher
from tests.streams.monitor.invented import (
    LATENESS_S,
    START,
    Record,
    eager_rules,
    ended,
    heard,
    in_order,
    incident,
    mention,
)

COMPANIES = Companies(
    watched={"AURL": Company("Aurelia", "Energy")}, sectors={"AURL": "Energy", "BRND": "Materials", "CLDE": "Energy"}
)
BINS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 9)), max_size=80)


def closed(entity: str, minute: int, votes: int, share: float = 0.5, mentions: int | None = None) -> ClosedBin:
    return ClosedBin(entity, minute * BIN_MS, votes if mentions is None else mentions, votes, votes * share, {})


def watched_run(
    log: Sequence[Record], rules: RuleSet | None = None, companies: Companies = COMPANIES
) -> tuple[PartitionMonitor, PartitionSeries]:
    """A monitor with its series, after a log."""
    series = PartitionSeries(companies)
    options = MonitorOptions(allowed_lateness_s=LATENESS_S, squall_version="test")
    monitor = PartitionMonitor(0, rules or eager_rules(), options, on_bin=series.on_bin)
    for offset, record in enumerate(log):
        monitor.absorb(record, offset)
    return monitor, series


def seen(monitor: PartitionMonitor, series: PartitionSeries, rules: RuleSet | None = None) -> dict[str, Samples]:
    found = look({0: Watched(monitor, series)}, rules or eager_rules(), COMPANIES)
    return {family.name: samples for family, samples in found.items()}


@given(BINS, st.integers(0, 300 * BIN_MS))
def test_the_last_hour_is_the_sixty_minutes_that_had_ended(bins: list[tuple[int, int]], until_ms: int) -> None:
    window = HourWindow()
    past = sorted((minute, votes) for minute, votes in bins if (minute + 1) * BIN_MS <= until_ms)
    for minute, votes in past:
        window.add(minute * BIN_MS, votes, 0.25 * votes)
    since = until_ms // BIN_MS - 60
    expected = sum(votes for minute, votes in past if minute >= since)
    assert window.sums(until_ms) == (expected, 0.25 * expected)


@given(st.lists(st.integers(0, 10_000), max_size=300), st.integers(1, 12))
def test_the_memory_of_an_hour_is_bounded_whatever_comes(minutes: list[int], votes: int) -> None:
    window = HourWindow()
    for minute in sorted(minutes):
        window.add(minute * BIN_MS, votes, 0.0)
    assert len(window._bins) <= HOUR_MS // BIN_MS


def test_a_watch_list_that_is_too_long_is_cut_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    table = EntityTable([Entity(symbol=f"C{number}", name=f"Company {number}", sector="Energy") for number in range(9)])
    watched = [f"C{number}" for number in (3, 1, 3, 2, 0)]
    with caplog.at_level(logging.WARNING):
        assert list(choose_companies(table, watched, most=4).watched) == ["C3", "C1", "C2", "C0"]
    assert not caplog.records, "a company that two lists name counts once"
    with caplog.at_level(logging.WARNING):
        assert list(choose_companies(table, watched, most=2).watched) == ["C3", "C1"]
    assert "4 companies are on watch lists and the first 2 have series" in caplog.text
    assert "worker.most_company_series" in caplog.text


def test_sectors_are_those_of_the_tables_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    many = [Entity(symbol=f"C{number}", name=f"Company {number}", sector=f"Sector {number}") for number in range(80)]
    with caplog.at_level(logging.WARNING):
        sectors = choose_companies(EntityTable([*many, Entity(symbol="NONE", name="Plain")]), [], most=1).sectors
    assert len(set(sectors.values())) == MOST_SECTORS + 1
    assert (sectors["C0"], sectors["C79"]) == ("Sector 0", OTHER)
    assert f"more than {MOST_SECTORS} sectors" in caplog.text
    assert choose_companies(EntityTable([Entity(symbol="NONE", name="Plain")]), [], most=1).sectors == {
        "NONE": NO_SECTOR
    }


def test_the_shipped_table_names_the_sector_of_every_company() -> None:
    sectors = choose_companies(entity_table(Settings()), [], most=0).sectors
    assert len(sectors) == 500
    assert len(set(sectors.values())) == 11
    assert NO_SECTOR not in sectors.values()
    assert sectors["AAPL"] == "Information Technology"


def test_watch_lists_are_read_from_the_settings_as_the_table_writes_them(tmp_path: Path) -> None:
    (tmp_path / "desk.txt").write_text("NASDAQ:MSFT\nGOOG\n")
    settings = Settings.model_validate(
        {"entities": {"watchlists": [tmp_path / "desk.txt"]}, "worker": {"most_company_series": 5}}
    )
    companies = load_companies(settings)
    assert list(companies.watched) == ["MSFT", "GOOGL"]
    assert companies.watched["MSFT"] == Company("Microsoft", "Information Technology")
    missing = settings.model_copy(
        update={"entities": settings.entities.model_copy(update={"watchlists": (tmp_path / "gone.txt",)})}
    )
    with pytest.raises(InputError, match=r"gone.txt: cannot be read"):
        load_companies(missing)


def test_each_company_belongs_to_one_partition_and_to_that_of_its_mentions() -> None:
    symbols = list(choose_companies(entity_table(Settings()), [], most=0).sectors)
    companies = Companies({symbol: Company(symbol, "Energy") for symbol in symbols})
    parts = [companies.of_partition(number, 4).watched for number in range(4)]
    assert sorted(symbol for part in parts for symbol in part) == sorted(symbols)
    place = DefaultPartitioner()
    assert all(place(symbol.encode(), [0, 1, 2, 3], [0, 1, 2, 3]) == 2 for symbol in parts[2])


def test_the_figures_of_a_company_are_those_of_its_own_last_hour() -> None:
    mentions = incident(random.Random(5))
    loud = max(m.published_at for m in mentions if m.negative > 0.7)
    until = loud.replace(second=0, microsecond=0)
    heard_by_then = [m for m in mentions if m.published_at < until]
    end = until + timedelta(seconds=LATENESS_S)
    monitor, series = watched_run([*heard(3), *heard_by_then, *ended(3, end)])
    assert monitor.watermark_ms == to_ms(until)
    last = [m for m in heard_by_then if m.entity == "AURL" and m.published_at >= until - timedelta(hours=1)]
    found = seen(monitor, series)
    ((labels, count),) = found["squall_company_votes"]
    assert labels == ("AURL",), "BRND is on no watch list"
    assert 5 < count <= len(last), "an author has two votes"
    ((_, share),) = found["squall_company_negative_share"]
    assert share > 0.6
    mentioned = sum(m.entity == "AURL" for m in heard_by_then)
    assert found["squall_company_mentions_total"] == [(("AURL",), mentioned)]
    assert found["squall_company_info"] == [(("AURL", "Aurelia", "Energy"), 1)]
    assert dict(found["squall_sector_mentions_total"]) == {
        ("Energy",): mentioned,
        ("Materials",): len(heard_by_then) - mentioned,
    }


def test_the_share_is_the_mean_of_the_votes() -> None:
    start = START + timedelta(hours=3)
    said = [mention(number, start + timedelta(minutes=3 * number), number / 10) for number in range(1, 9)]
    end = said[-1].published_at + timedelta(minutes=5)
    monitor, series = watched_run([*heard(1), *said, *ended(1, end)])
    found = seen(monitor, series)
    assert found["squall_company_votes"] == [(("AURL",), 8)]
    assert found["squall_company_negative_share"] == [(("AURL",), pytest.approx(0.45))]
    assert dict(found["squall_sector_negative_share"]) == {("Energy",): pytest.approx(0.45)}


def test_copies_are_mentions_and_no_votes() -> None:
    series = PartitionSeries(COMPANIES)
    series.on_bin(closed("AURL", 0, votes=2, share=0.9, mentions=7))
    shown = series.companies["AURL"]
    assert shown.mentions == 7
    assert shown.hour.sums(BIN_MS) == (2, pytest.approx(1.8))


def test_sectors_are_weighed_by_votes_over_companies_and_partitions() -> None:
    one, other = PartitionSeries(COMPANIES), PartitionSeries(COMPANIES)
    one.on_bin(closed("AURL", 0, votes=1, share=1.0))
    one.on_bin(closed("CLDE", 0, votes=3, share=0.2))
    other.on_bin(closed("CLDE", 5, votes=4, share=0.5))
    other.on_bin(closed("GONE", 5, votes=1, share=0.0))
    at = SimpleNamespace(watermark_ms=10 * BIN_MS, open_bins=0, entities={})
    found = look({0: Watched(at, one), 1: Watched(at, other)}, eager_rules(), COMPANIES)  # type: ignore[arg-type]
    assert dict(found[metrics.SECTOR_SHARE]) == {
        ("Energy",): pytest.approx((1.0 + 0.6 + 2.0) / 8),
        (NO_SECTOR,): 0.0,
    }
    assert dict(found[metrics.SECTOR_VOTES]) == {("Energy",): 8, ("Materials",): 0, (NO_SECTOR,): 1}


def test_a_quiet_hour_has_no_share_and_an_unheard_company_no_usual_one() -> None:
    monitor, series = watched_run([*heard(1), *ended(1, incident(random.Random(1))[0].published_at)])
    found = seen(monitor, series)
    assert found["squall_company_negative_share"] == []
    assert found["squall_company_usual_share"] == []
    assert found["squall_company_votes"] == [(("AURL",), 0)]
    assert found["squall_company_mentions_total"] == [(("AURL",), 0)]
    assert found["squall_sector_negative_share"] == []


def test_open_alerts_are_counted_by_rule_and_state_and_shown_by_company_while_they_fire() -> None:
    monitor, series = watched_run([])
    latest: dict[tuple[str, str], Alert] = {}
    states = Counter[str]()
    for offset, record in enumerate(in_order(incident(random.Random(5)))):
        alerts = monitor.absorb(record, offset)
        for alert in alerts:
            latest[alert.labels["entity"], alert.rule] = alert
            states[alert.state] += 1
        if not alerts:
            continue
        found = seen(monitor, series)
        assert dict(found["squall_alerts_open"]) == {
            (rule.alert, state): sum(alert.rule == rule.alert and alert.state == state for alert in latest.values())
            for rule in eager_rules().rules
            for state in ("pending", "firing", "recovering", "suppressed")
        }
        assert sorted(found["squall_company_alert"]) == sorted(
            ((entity, alert.rule, alert.severity), 1)
            for (entity, _), alert in latest.items()
            if alert.state in ("firing", "recovering") and entity == "AURL"
        )
    assert states["firing"] and states["resolved"], "else nothing was tested"


def test_an_alert_whose_rise_is_silenced_is_shown_as_it_was_told() -> None:
    monitor, series = watched_run([])
    matcher = SilenceMatcher(name="severity", op="=", value="critical")
    until = START + timedelta(days=9)
    monitor.silence([Silence(id="s", matchers=(matcher,), starts_at=START, ends_at=until, by="desk", comment="")])
    told: dict[str, str] = {}
    silenced = 0
    for offset, record in enumerate(in_order(incident(random.Random(4)))):
        alerts = monitor.absorb(record, offset)
        for alert in alerts:
            if alert.state == "firing":
                told[alert.rule] = alert.severity
            elif alert.state == "resolved":
                del told[alert.rule]
        if any(alert.state == "suppressed" and alert.rule in told for alert in alerts):
            silenced += 1
        if not alerts:
            continue
        found = seen(monitor, series)
        assert sorted(found["squall_company_alert"]) == sorted((("AURL", *one), 1) for one in told.items())
        opened = dict(found["squall_alerts_open"])
        assert sum(opened[rule, state] for rule in told for state in ("firing", "recovering")) == len(told)
    assert silenced, "else nothing was tested"


def test_what_is_usual_is_what_the_first_spike_rule_holds_a_bin_against() -> None:
    rules = eager_rules()
    monitor, series = watched_run(in_order(incident(random.Random(5))))
    memory = monitor.entities["AURL"].rules["Surge"]
    ((_, usual),) = seen(monitor, series)["squall_company_usual_share"]
    assert usual == usual_share_of(rules.rules[0], memory)
    only_threshold = RuleSet(rules=rules.rules[1:])
    ((_, level),) = seen(monitor, series, only_threshold)["squall_company_usual_share"]
    assert level == usual_share_of(rules.rules[1], monitor.entities["AURL"].rules["High"])
    assert seen(monitor, series, RuleSet(rules=()))["squall_company_usual_share"] == []


def test_after_a_restart_the_hour_goes_on_as_far_as_a_threshold_rule_remembers_it() -> None:
    mentions = incident(random.Random(5))
    log = in_order(mentions)[:-3]  # in the middle of things: no partition has said its last word
    before, gathered = watched_run(log)
    saved = dict(before.changes().entities + before.changes().clock)
    restored_series = PartitionSeries(COMPANIES)
    restored = PartitionMonitor(0, eager_rules(), MonitorOptions(allowed_lateness_s=LATENESS_S))
    restored.restore([(key, value) for key, value in saved.items() if value is not None])
    restored_series.take_up(restored.entities)
    assert before.watermark_ms is not None
    half_an_hour = before.watermark_ms // BIN_MS * BIN_MS - 30 * BIN_MS  # the rule's window
    wanted = [bin_ for bin_ in gathered.companies["AURL"].hour._bins if bin_[0] >= half_an_hour]
    kept = [bin_ for bin_ in restored_series.companies["AURL"].hour._bins if bin_[0] >= half_an_hour]
    assert kept == wanted
    sector = [bin_ for bin_ in restored_series.sectors["Energy"].hour._bins if bin_[0] >= half_an_hour]
    assert sector == wanted
    assert restored_series.companies["AURL"].mentions == 0


def test_of_a_partition_that_has_gone_nothing_is_left() -> None:
    monitor, series = watched_run(in_order(incident(random.Random(5))))
    registry = CollectorRegistry()
    collector = MonitorCollector(registry)
    assert samples(registry) == {}
    collector.show(look({0: Watched(monitor, series)}, eager_rules(), COMPANIES))
    shown = samples(registry)
    assert {"squall_company_info", "squall_entities", "squall_bins_open", "squall_alerts_open"} <= set(shown)
    collector.show(look({}, eager_rules(), COMPANIES))
    assert samples(registry) == {}
    assert {metric.name for metric in registry.collect()} == {
        family.name.removesuffix("_total") for family in FAMILIES
    }, "their names and help stay"


def samples(registry: CollectorRegistry) -> dict[str, Metric]:
    return {sample.name: metric for metric in registry.collect() for sample in metric.samples}


def test_later_news_pushes_the_old_out_even_where_nothing_more_is_heard() -> None:
    mentions = incident(random.Random(5))
    log = in_order(mentions)
    monitor, series = watched_run(log)
    quiet = max(m.published_at for m in mentions) + timedelta(hours=5)
    for offset, record in enumerate(ended(3, quiet), start=len(log)):
        monitor.absorb(record, offset)
    found = seen(monitor, series)
    assert found["squall_company_votes"] == [(("AURL",), 0)]
    assert found["squall_company_negative_share"] == []
    assert found["squall_company_usual_share"] != []


async def test_a_look_that_fails_shows_nothing_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no figures today")

    fatal: list[BaseException] = []
    settings = Settings.model_validate({"worker": {"data_dir": tmp_path}})
    service = MonitorService(settings, eager_rules(), Sender({}), fatal.append, names={}, companies=COMPANIES)
    monkeypatch.setattr("streams.app.monitor.look", fail)
    with caplog.at_level(logging.ERROR):
        await service._look()
    await service.stop()
    assert not fatal
    assert "cannot be shown on /metrics; alerts go on" in caplog.text
    assert all(not metric.samples for metric in SHOWN.collect())
