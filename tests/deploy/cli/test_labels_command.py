"""`squall labels`: files in, a training file out; and verdicts of a real topic joined with real mentions."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.cli import app, labels, labels_queue
from retrain.data import read_examples
from retrain.labels.store import LabelStore
from streams import verdicts
from streams.config import Settings
from streams.records import Alert, Mention, Verdict, encode
from tests.streams.invented_alert import ALERT
from tests.streams.monitor.invented import mention

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["labels", *(str(one) for one in arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own, whose labels lie in `kept`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQUALL_RETRAIN__LABELS", str(tmp_path / "kept"))
    return tmp_path


def test_labels_of_a_file_come_out_as_a_training_file(folder: Path) -> None:
    rows = ["text,label,by", "Ostermere cuts its dividend,negative,ana", "Quenby wins an order,positive,ana"]
    rows += [
        "Quenby wins an order,positive,ben",
        "Halden opens an office,neutral,ana",
        "Halden opens an office,negative,ben",
    ]
    (folder / "labels.csv").write_text("\n".join(rows))
    result = run("import", "labels.csv")
    assert result.exit_code == 0, result.output
    assert "5 new" in result.output
    assert run("import", "labels.csv", "--learned-at", "2040-01-01T00:00:00Z").output.startswith(
        "labels: 0 new, 0 changed, 5 known"
    )

    assert run("export", "train.csv").exit_code == 0
    examples = read_examples([folder / "train.csv"], "sentiment")
    assert {(one.text, one.label) for one in examples} == {
        ("Ostermere cuts its dividend", 0),
        ("Quenby wins an order", 2),
    }
    shown = run("stats").output
    assert "Krippendorff's alpha" in shown
    assert "ana and ben: the same on 1 of 2" in shown
    assert "Halden opens an office" in shown


def test_an_export_does_not_overwrite_and_knows_nothing_of_later(folder: Path) -> None:
    (folder / "labels.csv").write_text(
        "text,label,learned_at\nEarly,neutral,2026-01-01T00:00:00Z\nLate,neutral,2026-02-01T00:00:00Z\n"
    )
    assert run("import", "labels.csv", "--by", "ana").exit_code == 0
    assert run("export", "train.csv", "--known-at", "2026-01-15T00:00:00Z").exit_code == 0
    with (folder / "train.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["Early"]
    again = run("export", "train.csv")
    assert again.exit_code != 0
    assert "exists already" in str(again.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "nowhere.csv"), "nowhere.csv"),
        (("export", "train.csv"), "squall labels import"),
        (("stats",), "squall labels import"),
        (("check",), "there are none"),
    ],
)
def test_without_labels_each_command_says_what_to_do(folder: Path, arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert told in str(result.exception)


def test_the_table_of_verdicts_is_printed(folder: Path) -> None:
    assert "wrong_entity" in run("verdicts").output


def _scored(folder: Path, count: int) -> Path:
    path = folder / "mentions.jsonl"
    lines = [encode(mention(number, AT + timedelta(minutes=number), 0.02 * (number % 50))) for number in range(count)]
    path.write_bytes(b"\n".join(lines))
    return path


def test_the_queue_asks_for_new_texts_only_and_comes_back_as_labels(folder: Path) -> None:
    history = _scored(folder, 60)
    assert run("queue", "tasks.json", "--n", "5", "--from", history).exit_code == 0
    tasks = json.loads((folder / "tasks.json").read_text())
    assert len(tasks) == 5
    for task in tasks:
        result = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": ["neutral"]}}
        task["annotations"] = [{"completed_by": 3, "created_at": "2026-03-18T09:00:00Z", "result": [result]}]
    (folder / "export.json").write_text(json.dumps(tasks))
    assert "5 new" in run("import", "export.json", "--mentions", history).output
    assert run("queue", "next.csv", "--n", "60", "--from", history).exit_code == 0
    with (folder / "next.csv").open(newline="") as file:
        asked = {row["message_id"] for row in csv.DictReader(file)}
    assert len(asked) == 55
    assert not asked & {task["data"]["message_id"] for task in tasks}
    assert "exists already" in str(run("queue", "next.csv", "--from", history).exception)


def _send(settings: Settings, *records: tuple[str, bytes, Mention | Alert | Verdict | bytes | None]) -> None:
    producer = KafkaProducer(**settings.kafka.client_options())
    for topic, key, record in records:
        value = record if isinstance(record, bytes | None) else encode(record)
        producer.send(topic, key=key, value=value).get(timeout=30)
    producer.close()


@pytest.mark.broker
def test_verdicts_of_the_desk_become_labels_with_their_texts(
    settings_with_topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, topics = settings_with_topics, settings_with_topics.topics
    monkeypatch.setattr(labels, "settings", lambda: settings)
    monkeypatch.setattr(labels_queue, "settings", lambda: settings)
    one, other = mention(1, AT, 0.9), mention(2, AT, 0.2)

    def verdict(kind: str, message: str | None, alert: str | None = None, by: str = "ana") -> Verdict:
        return Verdict(message_id=message, alert_id=alert, verdict=kind, by=by, learned_at=AT)  # type: ignore[arg-type]

    _send(
        settings,
        (topics.mentions, b"AURL", one),
        (topics.mentions, b"AURL", other),
        (topics.alerts, ALERT.id.encode(), ALERT),
        (topics.labels, b"wire:1", verdict("not_negative", "wire:1")),
        (topics.labels, b"wire:1/ben", verdict("neutral", "wire:1", by="ben")),
        (topics.labels, b"wire:2", verdict("wrong_entity", "wire:2")),
        (topics.labels, b"wire:9", verdict("neutral", "wire:9")),
        (topics.labels, b"alert", verdict("true_alarm", None, ALERT.id)),
        (topics.labels, b"bad", b"no JSON"),
    )
    store = tmp_path / "kept"
    result = run("import", "--store", store)
    assert result.exit_code == 0, result.output
    assert "5 new" in result.output  # three on messages, two from the alert's evidence
    assert "1 of messages or alerts that were not found" in result.output
    assert "wire:9" in result.output
    assert f"{topics.labels}[0]@5" in result.output  # the record that is no verdict
    kept = {(word.message_id, word.by): word for word in LabelStore(store).read()}
    assert kept[("wire:1", "ben")].text == one.text
    assert kept[("wire:2", "ana")].answer is None
    assert run("export", tmp_path / "train.csv", "--store", store).exit_code == 0
    assert len(read_examples([tmp_path / "train.csv"], "sentiment")) == 3
    assert run("import", "--store", store, "--strict").exit_code == 1
    assert run("queue", tmp_path / "next.csv", "--store", store).exit_code == 0
    assert "wire:2" in (tmp_path / "next.csv").read_text()  # nobody has said what its sentiment is


@pytest.mark.broker
def test_a_verdict_that_was_taken_back_is_in_the_next_training_file_no_more(
    settings_with_topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, topics = settings_with_topics, settings_with_topics.topics
    monkeypatch.setattr(labels, "settings", lambda: settings)
    told = [
        Verdict(message_id=f"wire:{number}", alert_id=None, verdict="neutral", by="ana", learned_at=AT)
        for number in (1, 2, 3)
    ]
    for number in (1, 2, 3):
        _send(settings, (topics.mentions, b"AURL", mention(number, AT, 0.9)))
    verdicts.send(settings, told)
    store = tmp_path / "kept"
    assert "3 new" in run("import", "--store", store).output

    verdicts.take_back(settings, [verdicts.key_of(told[0]), verdicts.key_of(told[1])])
    again = msgspec.structs.replace(told[1], verdict="positive", learned_at=AT + timedelta(hours=1))
    verdicts.send(settings, [again])
    assert "1 new, 0 changed, 1 known before, 2 taken back" in run("import", "--store", store).output
    assert "0 new, 0 changed, 2 known before, 0 taken back" in run("import", "--store", store).output
    assert [(one.message_id, one.answer) for one in LabelStore(store).read()] == [
        ("wire:2", "positive"), ("wire:3", "neutral"),
    ]  # fmt: skip
    fresh = tmp_path / "fresh"
    assert "2 new" in run("import", "--store", fresh).output  # and who reads it all for the first time sees the same
    assert [one.answer for one in LabelStore(fresh).read()] == ["positive", "neutral"]
