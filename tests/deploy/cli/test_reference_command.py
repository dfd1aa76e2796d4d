"""`squall models reference`: what it takes, what it leaves behind, and what it refuses."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import pytest
import yaml
from kafka import KafkaProducer

from deploy.cli import main
from models.classifier import Classifier
from models.files import read_manifest
from models.prediction import ModelId, Scorer
from streams.config import Settings
from streams.records import Mention, ModelVersion, Origin, Progress, encode
from streams.watch.making import ReferenceMaker
from streams.watch.reference import REFERENCE, Reference, read_reference
from tests.models.tiny_model import write_tiny_model

WORDS = "shares profit loss bank fall rise report quarter sales margin outlook board deal cash plant orders".split()
AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def squall(*arguments: str | Path) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def texts(count: int, company: str = "$MSFT ") -> list[str]:
    pick = random.Random(3)
    return [f"{company}the {' '.join(pick.choices(WORDS, k=8))} of the report" for _ in range(count)]


def reference_of(model: Path) -> Reference:
    found = read_reference(model, read_manifest(model).model)
    assert found is not None
    return found


def mention(number: int, model: ModelId, *, entity: str = "MSFT", negative: float = 0.5) -> Mention:
    return Mention(
        message_id=f"wire:{number}",
        entity=entity,
        relevance=0.9,
        source="wire",
        published_at=AT + timedelta(seconds=number),
        received_at=AT + timedelta(seconds=number),
        scored_at=AT + timedelta(seconds=number),
        text=f"$MSFT shares fall on a report of loss {number}",
        negative=negative,
        neutral=0.25,
        positive=round(0.75 - negative, 4),
        topic="earnings",
        topics={"earnings": 0.9},
        model=ModelVersion(name=model.name, version=model.version),
        origin=Origin(partition=0, offset=number),
        lang="en",
    )


def test_texts_of_files_go_through_the_stage_of_the_worker(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*texts(1_200), *texts(30, company="")]
    (tmp_path / "one.jsonl").write_text("\n".join(json.dumps({"body": row}) for row in rows) + '\n{"body": ""}\n')
    with gzip.open(tmp_path / "two.txt.gz", "wt") as file:
        file.write("\n".join(texts(100)))
    assert squall("models", "reference", tmp_path / "one.jsonl", tmp_path / "two.txt.gz", "--model", model) == 0
    told = capsys.readouterr()
    found = reference_of(model)
    assert found.sources == ("one.jsonl", "two.txt.gz")
    left_out = 1_330 - found.texts
    assert left_out >= 30  # those about no company, and what the language detector takes for another language
    assert found.texts >= 1_200
    assert f"{left_out:,} were left out" in told.out
    assert "one.jsonl:1231: the text is empty" in told.err


def test_a_log_of_mentions_is_taken_as_it_was_scored_each_message_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = read_manifest(model).model
    tier = ModelId(own.name, f"{own.version}+4c1d")
    records: Sequence[object] = [
        Progress(partition=0, partitions=1, event_time=None, idle=False),
        *(mention(number, own if number % 2 else tier, negative=0.1 + 0.6 * (number % 2)) for number in range(1_100)),
        *(mention(number, own, entity="AAPL") for number in range(50)),
    ]
    log = tmp_path / "mentions.jsonl"
    log.write_bytes(b"\n".join(encode(record) for record in records) + b'\n{"type":"mention"}\n')  # type: ignore[arg-type]
    assert squall("models", "reference", log, "--model", model) == 0
    told = capsys.readouterr()
    assert reference_of(model).texts == 1_100
    assert sorted(reference_of(model).signals["sentiment"].counts)[-2:] == [550, 550]
    assert "scored for it" not in told.out
    assert "mentions.jsonl:1152" in told.err


def test_of_a_long_history_a_sample_is_taken_the_same_each_time(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = read_manifest(model).model
    log = tmp_path / "mentions.jsonl"
    log.write_bytes(b"\n".join(encode(mention(n, own, negative=0.1 + n / 10_000)) for n in range(4_000)))
    found = []
    for _ in range(2):
        assert squall("models", "reference", log, "--model", model, "--most", "1000") == 0
        found.append(reference_of(model).signals)
    assert found[0] == found[1]
    assert sum(found[0]["sentiment"].counts) == 1_000
    assert found[0]["sentiment"].edges[0] < 0.11 and found[0]["sentiment"].edges[-1] > 0.49
    assert "of 1,000 texts, a sample of 4,000; 0 were left out" in " ".join(capsys.readouterr().out.split())


class Watched(Mention, frozen=True, kw_only=True, weakref=True):
    """A mention of which it can be told whether anything still holds it."""


def test_however_long_the_history_is_no_more_mentions_are_held_than_are_drawn() -> None:
    model = ModelId("own", "0" * 12)
    held: WeakValueDictionary[int, Watched] = WeakValueDictionary()
    most = 0

    def history() -> Iterator[Mention]:
        nonlocal most
        for number in range(9_000):
            one = Watched(**msgspec.structs.asdict(mention(number % 4_500, model)))
            held[number] = one
            most = max(most, len(held))
            yield one

    def never() -> Scorer:
        raise AssertionError("all of it was scored by this model")

    maker = ReferenceMaker(Settings(), model, never, at=AT, on_progress=lambda _: None, most=1_200)
    maker.add_mentions(history())
    found = maker.build(["history"])
    assert (maker.made.read, maker.made.texts, found.texts) == (9_000, 1_200, 1_200)
    assert most <= 1_202


def test_mentions_of_another_model_are_scored_again(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "mentions.jsonl"
    old = [mention(number, ModelId("old", "0" * 12), negative=0.7) for number in range(1_010)]
    log.write_bytes(b"\n".join(map(encode, old)))
    assert squall("models", "reference", log, "--model", model) == 0
    found = reference_of(model).signals["sentiment"]
    (answer,) = Classifier.load(model).predict([old[0].text])
    assert answer.negative != 0.7
    assert found.edges[0] <= answer.negative <= found.edges[-1]


@pytest.mark.broker
def test_it_is_made_of_a_live_topic(settings_with_topics: Settings, model: Path, tmp_path: Path) -> None:
    settings = settings_with_topics
    own = read_manifest(model).model
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for number in range(1_005):
        for partition in (0, 1):  # about two companies: a mention on each partition
            producer.send(settings.topics.mentions, value=encode(mention(number, own)), partition=partition)
    producer.flush()
    producer.close()
    config = tmp_path / "squall.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    assert squall("--config", config, "models", "reference", "kafka:", "--model", model) == 0
    assert reference_of(model).texts == 1_005
    assert reference_of(model).sources == ("kafka:",)


def test_a_few_texts_are_too_few_and_what_was_there_stays(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / REFERENCE).write_text("as it was")
    (tmp_path / "few.txt").write_text("\n".join([*texts(40), *texts(9, company="")]))
    assert squall("models", "reference", tmp_path / "few.txt", "--model", model) == 2
    told = capsys.readouterr().err
    assert "needs 1,000 texts at least, there are " in told
    assert "others are about no company of the tables" in told
    assert (model / REFERENCE).read_text() == "as it was"


def test_what_cannot_be_read_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert squall("models", "reference", tmp_path / "missing.csv", "--model", model) == 2
    assert "missing.csv: no such file" in capsys.readouterr().err
    assert squall("models", "reference", tmp_path / "missing.csv", "--model", "no-such-model") == 2
    assert "no model 'no-such-model'" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    assert squall("models", "reference", tmp_path / "columns.csv", "--model", model) == 2
    assert "columns.csv" in capsys.readouterr().err
