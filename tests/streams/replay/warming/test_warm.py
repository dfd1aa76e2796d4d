"""What a history teaches, what its seeds meet in the live state, and how they are sent; without a broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from streams.config import Settings
from streams.errors import BrokerError, InputError
from streams.monitor import MonitorOptions, PartitionMonitor
from streams.monitor.bins import from_ms, to_ms
from streams.monitor.state import EntityState
from streams.records import Seed, decode_mention, encode
from streams.replay.sources.partitioner import partition_of
from streams.replay.sources.source import Numbered, OnBad, SourceFacts
from streams.replay.warming.lessons import Lesson, learn, run_identity, seed_of
from streams.replay.warming.warm import Proposal, propose, require_past, send_seeds
from tests.streams.monitor.invented import START, Record, eager_rules, ended, heard, mention, monitor

MINUTE = timedelta(minutes=1)
OPTIONS = MonitorOptions(allowed_lateness_s=120)


class Source:
    """A log in memory, split by hand."""

    facts = SourceFacts(kind="files", text="invented", parts=(), identity="0" * 16)
    total = None

    def __init__(self, *logs: Sequence[Record | Seed]) -> None:
        self._logs = logs
        self.read = 0

    @property
    def partitions(self) -> Sequence[int]:
        return range(len(self._logs))

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        for offset, record in enumerate(self._logs[partition]):
            self.read += 1
            yield Numbered(offset, record)


def quiet(entity: str, minutes: int = 30, *, first: datetime = START, share: float = 0.2) -> list[Record]:
    made = [mention(n, first + n * MINUTE, share, entity=entity) for n in range(minutes)]
    return [*heard(1), *made, *ended(1, first + (minutes + 10) * MINUTE)]


def taught(*logs: Sequence[Record | Seed], **options: Any) -> dict[str, Lesson]:
    found = learn(Source(*logs), rules=eager_rules(), options=OPTIONS, **options)
    return {lesson.entity: lesson for lesson in found}


def seeds(*logs: Sequence[Record | Seed]) -> list[Seed]:
    return [seed_of(lesson, learned_at=START, identity="x") for lesson in taught(*logs).values()]


def lived(*logs: Sequence[Record | Seed]) -> dict[str, EntityState]:
    """The live state after logs, each on a partition of its own."""
    found: dict[str, EntityState] = {}
    for log in logs:
        watching = monitor()
        for offset, record in enumerate(log):
            watching.absorb(record, offset)
        found |= watching._entities
    return found


def proposed(*logs: Sequence[Record | Seed], live: dict[str, EntityState], force: bool = False) -> dict[str, Proposal]:
    return {one.seed.entity: one for one in propose(seeds(*logs), live, eager_rules(), force=force)}


def test_every_company_of_every_partition_is_learned_up_to_where_its_bins_have_closed() -> None:
    found = taught(quiet("AURL"), quiet("BRND", 20))
    assert list(found) == ["AURL", "BRND"]
    assert from_ms(found["AURL"].until_ms) == START + 38 * MINUTE  # ended 10 minutes later, less the lateness
    assert from_ms(found["BRND"].until_ms) == START + 28 * MINUTE
    learned = found["AURL"].baselines["Surge"]
    assert learned.version == eager_rules().rules[0].version
    assert learned.baseline.votes == pytest.approx(30, rel=0.01)
    assert 25 < learned.lately.votes < 30
    assert learned.unrest.votes == 30  # of a block that is open


def test_a_company_that_is_named_is_learned_as_among_all_others() -> None:
    other = [mention(n, START + n * MINUTE, 0.9, entity="BRND") for n in range(100, 140)]
    log = [*quiet("AURL")[:-1], *other, *ended(1, START + timedelta(hours=3))]
    assert taught(log, entities={"AURL"})["AURL"] == taught(log)["AURL"]
    assert taught(log, entities={"AURL"}).keys() == {"AURL"}


def test_with_an_end_nothing_more_is_read_once_its_bins_have_closed() -> None:
    source = Source(quiet("AURL", 600))
    (found,) = learn(source, rules=eager_rules(), options=OPTIONS, until=START + 30 * MINUTE)
    assert from_ms(found.until_ms) == START + 31 * MINUTE
    assert source.read < 40


def test_a_company_on_two_partitions_is_as_the_later_one_knows_it() -> None:
    later = quiet("AURL", 50, first=START + timedelta(days=1))
    for logs in [(quiet("AURL"), later), (later, quiet("AURL"))]:
        assert taught(*logs)["AURL"] == taught(later)["AURL"]


def test_a_log_that_was_seeded_itself_teaches_what_its_seeds_did() -> None:
    (seed,) = seeds(quiet("AURL", 300))
    found = taught([*heard(1), seed, mention(999, START - MINUTE, 0.2), *ended(1, START)])["AURL"]
    assert found.until_ms == to_ms(seed.baselines["Surge"].at)
    assert found.baselines["Surge"].baseline.votes == seed.baselines["Surge"].votes
    seed_of(found, learned_at=START, identity="x")


def test_nothing_is_learned_from_a_feed_that_has_not_said_how_far_it_is() -> None:
    assert taught([mention(1, START)]) == {}
    assert taught(heard(1)) == {}


def test_how_far_bins_have_closed_is_told_of_each_partition_that_said_how_far_it_is() -> None:
    told: list[datetime] = []
    taught(quiet("AURL"), heard(1), quiet("BRND", 20), on_closed=told.append)
    assert told == [START + 38 * MINUTE, START + 28 * MINUTE]


def test_a_seed_travels_without_loss_and_the_monitor_knows_what_the_history_knew() -> None:
    (lesson,) = taught(quiet("AURL", 137, share=0.123456789)).values()
    data = seed_of(lesson, learned_at=START, identity=run_identity("a", 1))
    seed = decode_mention(encode(data))
    assert seed == data
    assert isinstance(seed, Seed)
    watching = PartitionMonitor(0, eager_rules(), OPTIONS)
    watching.absorb(seed, 0)
    assert dict(watching.baselines()) == {"AURL": lesson.baselines}
    assert lesson.baselines["Surge"].unrest.blocks > 1


def test_identities_of_other_runs_are_others() -> None:
    assert len(run_identity("source", "rules")) == 16
    assert run_identity("source", "rules") != run_identity("source", "other rules")


def test_what_the_live_state_does_not_know_is_new() -> None:
    found = proposed(quiet("AURL"), live=lived(quiet("BRND")))["AURL"]
    assert (found.status, found.live_until, found.is_refused) == ("new", None, False)
    assert found.sending == found.seed


def test_older_is_replaced_and_fresher_is_kept_or_forced() -> None:
    live = lived(quiet("AURL"))
    older = proposed(quiet("AURL", first=START + timedelta(days=1)), live=live)["AURL"]
    assert (older.status, older.live_until) == ("older", START + 30 * MINUTE)
    assert older.sending == older.seed
    history = quiet("AURL", first=START - timedelta(days=1))
    kept = proposed(history, live=live)["AURL"]
    assert (kept.status, kept.sending, kept.is_refused) == ("fresher", None, True)
    forced = proposed(history, live=live, force=True)["AURL"]
    assert forced.status == "fresher"
    assert forced.sending is not None
    assert forced.sending.force


def test_an_open_alert_of_one_rule_keeps_only_that_rules_baseline() -> None:
    live = lived(quiet("AURL"))
    live["AURL"].rules["Surge"].life.state = "pending"
    for force in (False, True):
        found = proposed(quiet("AURL", first=START + timedelta(days=1)), live=live, force=force)["AURL"]
        assert (found.status, found.is_refused) == ("alert open", True)
        assert found.sending is not None
        assert found.sending.baselines.keys() == {"High"}


def test_what_is_there_already_is_not_sent_again() -> None:
    history = quiet("AURL")
    found = proposed(history, live=lived([*heard(1), *seeds(history)]))["AURL"]
    assert (found.status, found.sending, found.is_refused) == ("there already", None, False)


def test_the_live_state_of_a_rule_that_has_changed_is_nothing_to_keep() -> None:
    live = lived(quiet("AURL", 60))
    for memory in live["AURL"].rules.values():
        memory.rule_version = "of old"
    found = proposed(quiet("AURL"), live=live)["AURL"]
    assert (found.status, found.live_until) == ("new", None)


def test_what_is_yet_to_come_is_refused() -> None:
    found = seeds(quiet("AURL"))
    require_past(found, START + timedelta(hours=1))
    require_past([], START)
    with pytest.raises(InputError, match=r"reaches to 2026-03-16T06:38:00Z.*--to"):
        require_past(found, START)


class Delivery:
    is_done = True

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def get(self, timeout: float | None = None) -> object:
        if self._error is not None:
            raise self._error
        return None


class FakeProducer:
    """Keeps what it is given; fails the deliveries from some number on."""

    def __init__(self, fails_from: int = 99) -> None:
        self.sent: list[tuple[str, bytes, bytes, int | None]] = []
        self.closed = False
        self._fails_from = fails_from

    def send(
        self, topic: str, value: bytes, key: bytes, partition: int | None = None, timestamp_ms: int | None = None
    ) -> Delivery:
        self.sent.append((topic, value, key, partition))
        return Delivery(KafkaTimeoutError("no room") if len(self.sent) > self._fails_from else None)

    def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def flush(self, timeout: float | None = None) -> None: ...

    def close(self, timeout: float | None = None) -> None:
        self.closed = True


def test_a_seed_goes_to_its_companys_own_partition() -> None:
    settings, producer = Settings(), FakeProducer()
    wanted = seeds(quiet("AURL"), quiet("BRND"))
    send_seeds(settings, wanted, make_producer=lambda _: producer)
    partitions = settings.topics.mention_partitions
    assert [(topic, key, place) for topic, _, key, place in producer.sent] == [
        (settings.topics.mentions, name.encode(), partition_of(name, partitions)) for name in ("AURL", "BRND")
    ]
    assert [decode_mention(value) for _, value, _, _ in producer.sent] == wanted
    assert producer.closed


def test_a_seed_that_is_not_delivered_is_told_with_how_many_are_there() -> None:
    producer = FakeProducer(fails_from=1)
    with pytest.raises(BrokerError, match=r"1 of 2 seeds are on .*no room.*Give the command again"):
        send_seeds(Settings(), seeds(quiet("AURL"), quiet("BRND")), make_producer=lambda _: producer)
    assert producer.closed
