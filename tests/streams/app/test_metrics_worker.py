"""What a real worker shows on /metrics: every figure, after messages of which each has a known fate."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from aiokafka.partitioner import DefaultPartitioner
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from streams import __version__
from streams.config import Settings
from streams.monitor import load_rules
from streams.records import Mention, Message, decode_mention, encode
from tests.deploy.metrics_table import documented
from tests.models.tiny_model import write_tiny_model
from tests.streams.app.harness import WorkerProcess, records_of, until
from tests.streams.monitor.invented import words

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

RULES = """
rules:
  - alert: AnyVotes
    type: threshold
    window: 60m
    fire: {gte: 0.001}
    resolve: {lt: 0.0}
    effect_min: 0.0
    baseline: {prior_share: 0.001}
    min_support: {stories: 3, sources: 2}
    severity: {warning: {}}
"""
SOURCES = ("wire", "blog")


class Scrape:
    """One look at /metrics."""

    def __init__(self, worker: WorkerProcess) -> None:
        text = worker.get("/metrics")[1]
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.names = {name for name, _ in self.samples}

    def all(self, name: str, /, **labels: str) -> list[float]:
        """The samples of a metric that bear these labels."""
        wanted = set(labels.items())
        return [value for (known, found), value in self.samples.items() if known == name and wanted <= found]

    def one(self, name: str, /, **labels: str) -> float:
        """Its only sample with these labels."""
        (value,) = self.all(name, **labels)
        return value

    def by(self, name: str, label: str) -> dict[str, float]:
        """Its samples by one label, summed over the others."""
        found: dict[str, float] = {}
        for (known, labels), value in self.samples.items():
            if known == name:
                key = dict(labels)[label]
                found[key] = found.get(key, 0.0) + value
        return found


def message(number: int, text: str, at: datetime, source: str | None = None) -> Message:
    return Message(id=str(number), source=source or SOURCES[number % 2], published_at=at, text=text)


def send(settings: Settings, values: Sequence[bytes | Message]) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for number, value in enumerate(values):
        if isinstance(value, Message):
            producer.send(settings.topics.messages, key=value.source.encode(), value=encode(value))
        else:
            producer.send(settings.topics.messages, key=SOURCES[number % 2].encode(), value=value)
    producer.flush()
    producer.close()


@pytest.fixture
def settings(settings_with_topics: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "model").mkdir()
    write_tiny_model(tmp_path / "model")
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "desk.txt").write_text("MSFT\nXOM\nJPM\nWMT\n")
    values = settings_with_topics.model_dump(mode="json", exclude_unset=True)
    values["classifier"] = {"model": str(tmp_path / "model"), "model_languages": "*", "max_windows": 1}
    values["monitor"] = {"rules": str(tmp_path / "rules.yaml"), "allowed_lateness_s": 5}
    values["entities"] = {"watchlists": [str(tmp_path / "desk.txt")]}
    values["worker"] = {"idle_after_s": 1.0}
    return Settings.model_validate(yaml.safe_load(yaml.safe_dump(values)))


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings, tmp_path) as process:
        yield process.wait_ready()


def partition_of(symbol: str) -> int:
    return DefaultPartitioner()(symbol.encode(), [0, 1], [0, 1])


def sentence(number: int) -> str:
    """A text that is a copy of no other, and longer than the small model reads."""
    return words(random.Random(number))


def first_wave(start: datetime) -> list[Message | bytes]:
    """24 messages on MSFT, 12 on AAPL, one of them short enough, 4 on nobody, and 5 that are refused."""
    every = timedelta(seconds=10)
    about_msft = [message(n, f"$MSFT {sentence(n)}", start + n * every) for n in range(24)]
    about_aapl = [message(n, f"$AAPL {sentence(n)}", start + (n - 24) * every) for n in range(24, 35)]
    short = message(35, "$AAPL profit", start)
    on_nobody = [message(n, f"Fair weather {sentence(n)}", start + every) for n in range(36, 40)]
    refused: list[Message | bytes] = [b"{", b"[1]", b'"', b"no json", b"\xff"]
    good = sorted([*about_msft, *about_aapl, short, *on_nobody], key=lambda said: said.published_at)
    return [*good, *refused]


def second_wave(first: Sequence[Message | bytes], start: datetime) -> list[Message | bytes]:
    """6 known ids, 3 reposts of known texts, and 2 messages that come too late to count."""
    again = [said for said in first if isinstance(said, Message) and "$MSFT" in said.text][:6]
    now = datetime.now(UTC)
    reposts = [message(200 + n, f"$MSFT {sentence(n)}", now) for n in range(3)]
    late = [message(300 + n, f"$MSFT {sentence(300 + n)}", start) for n in range(2)]
    return [*again, *reposts, *late]


def mentions_on(settings: Settings) -> list[Mention]:
    found = (decode_mention(record.value) for record in records_of(settings, settings.topics.mentions))
    return [record for record in found if isinstance(record, Mention)]


def test_every_figure_of_the_table_is_there_and_right(
    settings: Settings, worker: WorkerProcess, tmp_path: Path
) -> None:
    began = datetime.now(UTC)
    start = began - timedelta(minutes=8)
    first = first_wave(start)
    send(settings, first)

    def is_open() -> bool:
        worker.must_live()
        scrape = Scrape(worker)
        return scrape.all("squall_alerts_open", state="firing") == [2.0] and scrape.all(
            "squall_company_votes", entity="MSFT"
        ) == [24.0]

    until(is_open, "the alerts on MSFT and AAPL are not shown, or not all bins are closed")
    second = second_wave(first, start)
    send(settings, second)
    sent = len(first) + len(second)
    until(lambda: sum(Scrape(worker).all("squall_messages_total")) == sent, "not all messages are counted")
    until(lambda: Scrape(worker).one("squall_monitor_records_total", outcome="late") == 2, "the late ones do not count")
    until(lambda: sum(Scrape(worker).all("squall_waiting_records")) == 0, "something waits for ever")
    until(lambda: Scrape(worker).all("squall_alerts_delivered_total"), "no alert was delivered")
    mentions = mentions_on(settings)
    assert len(mentions) == 36 + 3 + 2
    votes = [m for m in mentions if m.entity == "MSFT" and m.published_at < began]
    votes = [m for m in votes if int(m.message_id.split(":")[1]) < 24]
    share = math.fsum(m.negative for m in votes) / len(votes)
    truncated = sum(m.truncated for m in mentions)
    assert 1 <= truncated < len(mentions)
    ended = datetime.now(UTC).timestamp()
    rules = load_rules(tmp_path / "rules.yaml")

    scrape = Scrape(worker)
    one, every, by = scrape.one, scrape.all, scrape.by

    def counts(name: str, number: float) -> bool:
        return one(f"{name}_count") == number and 0 <= one(f"{name}_sum") < math.inf

    expected: dict[str, Callable[[], bool]] = {
        "squall_worker_info": lambda: one("squall_worker_info", version=__version__, role="all") == 1,
        "squall_queue_depth": lambda: (
            by("squall_queue_depth", "stage").keys() == {"prepare", "score", "deliver", "absorb", "save"}
        ),
        "squall_step_seconds": lambda: (
            by("squall_step_seconds_count", "step").keys() >= {"prepare", "score", "deliver", "absorb", "save"}
        ),
        "squall_waiting_records": lambda: every("squall_waiting_records") == [0.0] * 4,
        "squall_dead_letters_total": lambda: (
            {reason: count for reason, count in by("squall_dead_letters_total", "reason").items() if count}
            == {"not_json": 3, "wrong_type": 1, "not_utf8": 1}
        ),
        "squall_messages_total": lambda: (
            by("squall_messages_total", "outcome") == {"mentioned": 41, "unlinked": 4, "refused": 5, "repeated": 6}
        ),
        "squall_mentions_total": lambda: one("squall_mentions_total") == len(mentions),
        "squall_message_to_mention_seconds": lambda: counts("squall_message_to_mention_seconds", 41),
        "squall_last_message_seconds": lambda: (
            by("squall_last_message_seconds", "source").keys() == set(SOURCES)
            and all(began.timestamp() - 1 <= at <= ended for at in every("squall_last_message_seconds"))
        ),
        "squall_batch_messages": lambda: one("squall_batch_messages_sum") == 41,
        "squall_batch_token_fill": lambda: (
            0
            < one("squall_batch_token_fill_sum")
            <= one("squall_batch_token_fill_count")
            == one("squall_batch_token_fill_bucket", le="+Inf")
        ),
        "squall_batch_tokens_total": lambda: 38 * 8 < one("squall_batch_tokens_total") <= 38 * 32,
        "squall_truncated_total": lambda: one("squall_truncated_total") == truncated,
        "squall_scored_total": lambda: (
            by("squall_scored_total", "answer") == {"transformer": 38, "memory": 3, "linear": 0}
        ),
        "squall_cache_lookups_total": lambda: by("squall_cache_lookups_total", "outcome") == {"hit": 3, "miss": 38},
        "squall_remembered_texts": lambda: one("squall_remembered_texts") == 38,
        "squall_degraded_total": lambda: one("squall_degraded_total") == 0,
        "squall_overloaded": lambda: one("squall_overloaded") == 0,
        "squall_taken_ahead_total": lambda: one("squall_taken_ahead_total") >= 0,
        "squall_abstained_total": lambda: one("squall_abstained_total") == sum(m.abstained is True for m in mentions),
        "squall_model_info": lambda: one("squall_model_info", name="tiny") == 1,
        "squall_model_swaps_total": lambda: by("squall_model_swaps_total", "outcome") == {"done": 0, "failed": 0},
        "squall_monitor_records_total": lambda: (
            one("squall_monitor_records_total", outcome="counted") >= 36 + 3
            and one("squall_monitor_records_total", outcome="repeated") == 0
        ),
        "squall_monitor_passed_over_total": lambda: one("squall_monitor_passed_over_total") == 0,
        "squall_watermark_seconds": lambda: (
            len(every("squall_watermark_seconds")) == 2
            and all(ended - 600 < at < ended for at in every("squall_watermark_seconds"))
        ),
        "squall_bins_open": lambda: sum(every("squall_bins_open")) in (0, 1),
        "squall_entities": lambda: sum(every("squall_entities")) == 2,
        "squall_alerts_open": lambda: (
            by("squall_alerts_open", "state")
            == {
                "firing": 2,
                "pending": 0,
                "recovering": 0,
                "suppressed": 0,
            }
        ),
        "squall_alerts_total": lambda: (
            one("squall_alerts_total", rule="AnyVotes", state="firing", severity="warning") == 2
            and one("squall_alerts_total", rule="AnyVotes", state="resolved", severity="warning") == 0
        ),
        "squall_alerts_suppressed_total": lambda: (
            by("squall_alerts_suppressed_total", "by") == {"cooldown": 0, "silence": 0, "inhibition": 0}
        ),
        "squall_silences_active": lambda: one("squall_silences_active") == 0,
        "squall_silences_refused_total": lambda: one("squall_silences_refused_total") == 0,
        "squall_published_to_alerted_seconds": lambda: one("squall_published_to_alerted_seconds_count") in (1, 2),
        "squall_rules_info": lambda: one("squall_rules_info", version=rules.version) == 1,
        "squall_rules_reloads_total": lambda: by("squall_rules_reloads_total", "outcome") == {"done": 0, "failed": 0},
        "squall_company_info": lambda: (
            one("squall_company_info", entity="MSFT", name="Microsoft", sector="Information Technology") == 1
            and by("squall_company_info", "entity").keys() == {"MSFT", "XOM", "JPM", "WMT"}
        ),
        "squall_company_votes": lambda: (
            by("squall_company_votes", "entity") == {"MSFT": 24, "XOM": 0, "JPM": 0, "WMT": 0}
        ),
        "squall_company_mentions_total": lambda: by("squall_company_mentions_total", "entity")["MSFT"] in (24, 27),
        "squall_company_negative_share": lambda: (
            by("squall_company_negative_share", "entity") == {"MSFT": pytest.approx(share)}
        ),
        "squall_company_usual_share": lambda: (
            by("squall_company_usual_share", "entity").keys() == {"MSFT"}
            and 0 < one("squall_company_usual_share", entity="MSFT") <= share
        ),
        "squall_company_alert": lambda: (
            one("squall_company_alert", entity="MSFT", rule="AnyVotes", severity="warning") == 1
        ),
        "squall_sector_votes": lambda: (
            one("squall_sector_votes", sector="Information Technology") == 36
            and len(every("squall_sector_votes")) == 11
        ),
        "squall_sector_mentions_total": lambda: (
            one("squall_sector_mentions_total", sector="Information Technology") in (36, 39)
        ),
        "squall_sector_negative_share": lambda: (
            0 < one("squall_sector_negative_share", sector="Information Technology") < 1
        ),
        "squall_alerts_delivered_total": lambda: (
            one("squall_alerts_delivered_total", receiver="terminal", outcome="delivered") == 2
        ),
        "squall_drift_texts": lambda: one("squall_drift_texts") == 0,
        "squall_calibration_error": lambda: math.isnan(one("squall_calibration_error")),
        "squall_calibration_labels": lambda: one("squall_calibration_labels") == 0,
        "squall_shadow_divergence": lambda: math.isnan(one("squall_shadow_divergence")),
        "squall_alerts_waiting": lambda: one("squall_alerts_waiting", receiver="terminal") == 0,
    }
    wrong = [name for name, is_right in expected.items() if not is_right()]
    assert not wrong, {name: every(name) or every(f"{name}_count") for name in wrong}
    unsaid = {name for name, row in documented().items() if row.shown.startswith(("always", "scorer", "monitor"))}
    assert not sorted(unsaid - expected.keys()), "the table promises these: say here what they must be"
    foreign = {name for name in scrape.names if name.startswith("squall_")} - {
        f"{name}{ending}" for name in documented() for ending in ("", "_bucket", "_sum", "_count")
    }
    assert not foreign, "the table does not know them"


def test_a_company_moves_to_another_worker_with_its_partition(
    settings: Settings, worker: WorkerProcess, tmp_path: Path
) -> None:
    watched = {"MSFT", "XOM", "JPM", "WMT"}
    assert {partition_of(symbol) for symbol in watched} == {0, 1}, "the test needs companies of both partitions"

    def shown(process: WorkerProcess) -> set[str]:
        process.must_live()
        return set(Scrape(process).by("squall_company_info", "entity"))

    until(lambda: shown(worker) == watched, "one worker does not show all companies")
    (tmp_path / "second").mkdir()
    with WorkerProcess(settings, tmp_path / "second", role="monitor") as second:
        second.wait_ready()
        until(
            lambda: shown(worker) and shown(second) and shown(worker) | shown(second) == watched,
            "two workers do not share the companies between them",
        )
        for process in (worker, second):
            parts = {partition_of(symbol) for symbol in shown(process)}
            assert len(parts) == 1, "half of the partitions each"
            assert {int(number) for number in Scrape(process).by("squall_entities", "partition")} == parts
        assert not shown(worker) & shown(second)
    until(lambda: shown(worker) == watched, "the companies of the worker that left are not shown again")
