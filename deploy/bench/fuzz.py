"""Spoilt records through a real broker and a real worker: it must not end, and every one must be accounted for.

The books are kept from the topics. What stands on the messages topic is read back; a record is *mentioned* if a mention
names its place (`origin`), and *refused* if a dead letter does. Nothing is written of the others, so each of them must
explain itself: it is a feed mark, it repeats the id of a record that was taken, or, taken alone, its text is about no
company of the table. And what the worker counted must come to the same numbers.

After the messages, spoilt mentions, alerts, verdicts and control records go where such belong. Mentions that cannot be
read are refused to the dead letters, as messages are; of the others the worker's log names each that it passes over.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from deploy.bench.accounts import read_dead_letters
from deploy.bench.feed import everyday_companies
from deploy.bench.figures import Figure
from deploy.bench.mixed_feed import Row
from deploy.bench.mutations import odd_headers, odd_key, spoil
from deploy.bench.offer import publish_rows
from deploy.bench.rig import SQUALL, Note, Rig, WorkerProcess, cluster, rig
from models.benchmark import generate_texts
from models.testing import FakeClassifier
from streams.config import Settings
from streams.deliver.invented import invented_alerts
from streams.errors import RecordError
from streams.ingest.decode import message_id
from streams.records import (
    FEED_MARK_KEY,
    Mention,
    decode_alert,
    decode_control,
    decode_mention,
    decode_message,
    decode_verdict,
)
from streams.replay.log import read_topic
from streams.scoring import RawRecord, ScoringStage
from streams.scoring.build import make_stage

Place = tuple[int, int]
"""Partition and offset."""

_TAKEN_AND_REFUSED = ("no_model", "unscorable")
"""Reasons for which a message is refused after its id was taken."""
_REPEATS = 0.1
"""Share of records that bear the id of an earlier one."""
_UNLINKED = 0.2
_SOURCES = ("wire", "chirp", "a:b", "100%", "wires \u202e", "Ünïcode-Draht")
_LONGEST_S = 366 * 86_400.0
_TEXTS = 2_048


@dataclass(frozen=True, slots=True)
class Plan:
    """How much.

    Attributes:
        messages: spoilt messages.
        others: spoilt records on each of the other four topics.
        seed: of all of it.
    """

    messages: int = 100_000
    others: int = 1_000
    seed: int = 7


@dataclass(frozen=True, slots=True)
class FuzzRun:
    """What became of it.

    Attributes:
        published: records on the messages topic.
        fates: of those, by what the topics say: mentioned, refused, repeated, unlinked, marks.
        unexplained: places of the others.
        counted: the worker's own `squall_messages_total`, by outcome.
        reasons: dead letters of messages, by reason.
        second_copies: mentions and dead letters beyond the first of the same.
        others: by topic: published, of those not to be read, and of those accounted for.
        seconds: how long the worker took for the messages.
    """

    published: int
    fates: dict[str, int]
    unexplained: tuple[Place, ...]
    counted: dict[str, int]
    reasons: dict[str, int]
    second_copies: int
    others: dict[str, tuple[int, int, int]]
    seconds: float

    @property
    def is_exact(self) -> bool:
        """Whether every record is accounted for, by the topics and by the worker's own count."""
        silent = self.fates["repeated"] + self.fates["unlinked"]
        return (
            not self.unexplained
            and sum(self.fates.values()) == self.published
            and self.counted["mentioned"] == self.fates["mentioned"]
            and self.counted["refused"] == self.fates["refused"]
            and self.counted["repeated"] + self.counted["unlinked"] == silent
            and all(bad == found for _, bad, found in self.others.values())
        )


def run(settings: Settings, plan: Plan, *, note: Note = lambda line: None, worker: Sequence[str] = SQUALL) -> FuzzRun:
    """Send spoilt records, and return what became of them.

    Raises:
        SquallError: the broker or the worker fails, with the end of its log.
    """
    companies = everyday_companies()
    sections: dict[str, dict[str, object]] = {
        "classifier": {"first_tier": True, "degrade_after_s": 2.0},
        "ingest": {"duplicate_horizon_s": _LONGEST_S},
        "delivery": {"terminal": True},
    }
    with (
        cluster(settings, note) as current,
        rig(current, companies, watched=[companies[0].symbol], sections=sections, command=worker) as one,
    ):
        topics = one.settings.topics
        with one.worker("all") as process:
            process.wait_ready()
            began = datetime.now(UTC)
            note(f"{plan.messages:,} spoilt messages, seed {plan.seed}")
            limit = one.settings.ingest.max_bytes
            rows = spoilt_messages(plan.messages, plan.seed, max_bytes=limit)
            publish_rows(one.settings, topics.messages, topics.message_partitions, rows)
            _wait_until_done(process, topics.messages, plan.messages)
            seconds = (datetime.now(UTC) - began).total_seconds()
            counted = process.metrics()
            note("Looking for each of them")
            books = _books(one.settings)
            note(f"{plan.others:,} spoilt records on each of the other topics")
            others = _spoil_others(one, process, plan)
        return FuzzRun(
            counted={
                fate: round(counted.get(f"squall_messages_total{{{fate}}}", 0))
                for fate in ("mentioned", "unlinked", "repeated", "refused")
            },
            others=others,
            seconds=seconds,
            **books,
        )


def spoilt_messages(count: int, seed: int, *, max_bytes: int) -> Iterator[Row]:
    """Yield messages to which something has happened; the same for the same seed, but for their dates."""
    dice = random.Random(seed)  # noqa: S311  # a bench holds no secrets
    texts = generate_texts(_TEXTS, seed)
    now = datetime.now(UTC)
    for number in range(count):
        text = dice.choice(texts)
        if dice.random() < _UNLINKED:
            text = text.split(" ", 1)[1]
        first = dice.randrange(number) if number and dice.random() < _REPEATS else number
        source = _SOURCES[first % len(_SOURCES)]
        fields = {
            "id": f"fuzz-{first}",
            "source": source,
            "published_at": (now - timedelta(seconds=dice.uniform(0, 3600))).isoformat(),
            "text": f"{text} {number}",
        }
        for name, value in (
            ("title", text),
            ("author", "Ines Vallor"),
            ("url", "https://wire.example/1"),
            ("lang", "en"),
        ):
            if dice.random() < 0.3:
                fields[name] = value
        yield Row(
            odd_key(source.encode(), dice), spoil(fields, dice, max_bytes=max_bytes), number, headers=odd_headers(dice)
        )


def _wait_until_done(process: WorkerProcess, topic: str, count: int) -> None:
    """Wait until nothing waits on a topic, which the worker learns from Kafka's offsets."""

    def done() -> bool:
        metrics = process.metrics()
        waiting = [value for name, value in metrics.items() if name.startswith("squall_waiting") and topic in name]
        return bool(waiting) and not sum(waiting) and metrics.get("squall_messages_total", 0) > 0

    process.wait(done, f"not all records of {topic} were read", 120 + count / 50)


def _books(settings: Settings) -> dict[str, Any]:
    """Look for every record of the messages topic."""
    names: dict[Place, str] = {}
    mentioned: Counter[tuple[Place, str]] = Counter()
    for record in read_topic(settings, settings.topics.mentions):
        item = decode_mention(record.value)
        if isinstance(item, Mention):
            place = (item.origin.partition, item.origin.offset)
            mentioned[place, item.entity] += 1
            names[place] = item.message_id
    refused: Counter[Place] = Counter()
    reasons: Counter[str] = Counter()
    taken = set(names.values())
    letters = (letter for letter in read_dead_letters(settings) if letter.topic == settings.topics.messages)
    for letter in letters:
        refused[letter.partition, letter.offset] += 1
        reasons[letter.reason] += 1
        if letter.reason in _TAKEN_AND_REFUSED and (name := _name(letter.value)) is not None:
            taken.add(name)
    stage = make_stage(settings, FakeClassifier())
    fates = Counter({"mentioned": len(names), "refused": len(refused), "repeated": 0, "unlinked": 0, "marks": 0})
    silent: dict[Place, str | None] = {}
    published = 0
    for record in read_topic(settings, settings.topics.messages):
        published += 1
        place = (record.partition, record.offset)
        if place in names or place in refused:
            continue
        name = _name(record.value)
        if record.key != FEED_MARK_KEY and name in taken:
            fates["repeated"] += 1
        elif (fate := alone(record, stage)) is None:
            silent[place] = name
        else:
            fates[fate] += 1
            if name is not None:
                taken.add(name)
    # A message that is about no company makes its repeats in the same batch repeats, also one that names a company.
    unexplained = [place for place, name in silent.items() if name not in taken]
    fates["repeated"] += len(silent) - len(unexplained)
    return {
        "published": published,
        "fates": dict(fates),
        "unexplained": tuple(unexplained),
        "reasons": dict(reasons.most_common()),
        "second_copies": sum(mentioned.values()) - len(mentioned) + sum(refused.values()) - len(refused),
    }


def alone(record: Any, stage: ScoringStage) -> str | None:
    """Say what a record comes to if nothing is written of it, taken alone: `marks`, `unlinked`, or None.

    Args:
        record: of the messages topic, as kafka-python reads it.
        stage: has seen nothing.
    """
    received_at = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
    prepared = stage.prepare([RawRecord(record.partition, record.offset, record.key, record.value, received_at)])
    for ready in prepared.ready:
        stage.turns.end(ready.message_id)  # it is not delivered here: the next one of its id is looked at alone too
    if prepared.marks:
        return "marks"
    return "unlinked" if prepared.unlinked else None


def _name(value: bytes | None) -> str | None:
    """Return the message id that a record bears; None for what is no message."""
    try:
        message = decode_message(value)
    except RecordError:
        return None
    return message_id(message.source, message.id)


def _spoil_others(one: Rig, process: WorkerProcess, plan: Plan) -> dict[str, tuple[int, int, int]]:
    """Send spoilt records to the other topics; by topic, return how many, how many of them cannot be read, and how many
    of those are accounted for.
    """
    good = {name: _good(name, one.settings) for name in _READERS}
    sent = {name: _spoil(one.settings, name, good[name], plan) for name in _READERS}
    # The log tells at once of the first record that is passed over, and of those of the next seconds in one number with
    # the first one after that.
    time.sleep(_HELD_BACK_S)
    for name in _IN_LOG:
        publish_rows(one.settings, getattr(one.settings.topics, name), 1, [Row(b"key", b"the last one", 0)])
    found = {}
    for name, (published, bad) in sent.items():
        last = name in _IN_LOG
        missing = f"not all {bad:,} spoilt records of {name} are accounted for"

        def all_told(name: str = name, expected: int = bad + last) -> bool:
            return _told(one.settings, process, name) == expected

        process.wait(all_told, missing, 120.0)
        found[name] = (published, bad, _told(one.settings, process, name) - last)
    process.wait(process.is_ready, "the worker is not ready after it", 60.0)
    return found


def _spoil(settings: Settings, name: str, good: Mapping[str, Any], plan: Plan) -> tuple[int, int]:
    """Send spoilt records to a topic; return how many, and how many of them cannot be read."""
    topic: str = getattr(settings.topics, name)
    partitions = settings.topics.mention_partitions if name in ("mentions", "alerts") else 1
    dice = random.Random(f"{plan.seed}/{name}")  # noqa: S311  # a bench holds no secrets
    rows = [
        Row(odd_key(b"key", dice) or b"key", spoil(good, dice), number, headers=odd_headers(dice))
        for number in range(plan.others)
    ]
    publish_rows(settings, topic, partitions, rows)
    decode, is_silent = _READERS[name]
    bad = 0
    for row in rows:
        if row.value is None and is_silent:
            continue  # a tombstone says that nothing is said any more
        try:
            decode(row.value)
        except RecordError:
            bad += 1
    return len(rows), bad


def _told(settings: Settings, process: WorkerProcess, name: str) -> int:
    """Return how many records of a topic were refused, or passed over as the log says."""
    topic: str = getattr(settings.topics, name)
    if name not in _IN_LOG:
        letters = (letter for letter in read_dead_letters(settings) if letter.topic == topic)
        return len({(letter.partition, letter.offset) for letter in letters})
    lines = re.findall(rf"{re.escape(topic)}(?:\[\d+\])?@\d+ is .*passed over.*", process.read_log())
    held = [re.search(r"\((\d+) more like this were held back\)", line) for line in lines]
    return len(lines) + sum(int(found[1]) for found in held if found)


_IN_LOG = ("alerts", "labels", "control")
_HELD_BACK_S = 11.0
_READERS: dict[str, tuple[Callable[[bytes | None], object], bool]] = {
    "mentions": (decode_mention, False),
    "alerts": (decode_alert, False),
    "labels": (decode_verdict, True),
    "control": (decode_control, True),
}


def _good(name: str, settings: Settings) -> Mapping[str, Any]:
    """Return a good record of a topic, as plain values."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    if name == "mentions":
        for record in read_topic(settings, settings.topics.mentions):
            if isinstance(decode_mention(record.value), Mention):
                found: Mapping[str, Any] = msgspec.json.decode(record.value)
                return found
    if name == "labels":
        return {"message_id": "wire:fuzz-1", "alert_id": None, "verdict": "negative", "by": "desk", "learned_at": now}
    if name == "control":
        return {"type": "model", "name": "no-such-model", "version": "000000000000", "at": now, "by": "desk"}
    good: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(invented_alerts()[0]))
    return good


def fuzz_figures(found: FuzzRun) -> list[Figure]:
    """Return the figures."""
    published = found.published
    figures = [
        Figure(
            name="messages accounted for",
            value=sum(found.fates.values()),
            unit="messages",
            against=f"published {published:,}",
            ratio=sum(found.fates.values()) / max(1, published),
            note=" + ".join(f"{number:,} {fate}" for fate, number in found.fates.items())
            + f"; unexplained {len(found.unexplained)}; the worker counts "
            + ", ".join(f"{number:,} {fate}" for fate, number in found.counted.items()),
        ),
        Figure(name="written twice", value=found.second_copies, unit="records", note="mentions and dead letters"),
        Figure(
            name="refused",
            value=found.fates["refused"],
            unit="messages",
            note=", ".join(f"{number:,} {reason}" for reason, number in found.reasons.items()),
        ),
        Figure(name="read in", value=round(found.seconds, 1), unit="s"),
    ]
    return figures + [
        Figure(
            name=f"{name}: cannot be read, and accounted for",
            value=accounted,
            unit="records",
            against=f"of {bad:,} among {total:,}",
            ratio=accounted / max(1, bad),
        )
        for name, (total, bad, accounted) in found.others.items()
    ]
