"""The whole loop as people run it: a real broker, a real worker, a real registry, 500 verdicts."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer

from models.files import read_manifest
from streams.config import Settings
from streams.records import Mention, Message, Verdict, decode_mention, encode
from tests.retrain.beginner import train_beginner
from tests.retrain.conftest import FILLERS, NEGATIVE, POSITIVE, write_base
from tests.retrain.cycle.conftest import GATE, KNOBS
from tests.streams.app.harness import WorkerProcess, records_of, until

COUNT = 500


@pytest.fixture(scope="module")
def beginner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A model that was trained for a moment, and the files it was trained from: sentiment, topic."""
    return train_beginner(tmp_path_factory.mktemp("beginner"), write_base(tmp_path_factory.mktemp("base")))


@pytest.fixture
def loop_settings(settings_with_topics: Settings, tmp_path: Path, beginner: tuple[Path, Path, Path]) -> Settings:
    champion, sentiment, topic = beginner
    knobs = tmp_path / "training.yaml"
    knobs.write_text(yaml.safe_dump(KNOBS))
    retrain = {
        **{name: str(tmp_path / name) for name in ("labels", "datasets", "runs", "models", "registry")},
        "sentiment": [str(sentiment)], "topic": [str(topic)], "training": str(knobs), "min_labels": 100, **GATE,
    }  # fmt: skip
    values = settings_with_topics.model_dump(mode="json", exclude_unset=True)
    return Settings.model_validate({**values, "classifier": {"model": str(champion)}, "retrain": retrain})


@pytest.fixture
def squall(loop_settings: Settings, tmp_path: Path):  # type: ignore[no-untyped-def]
    """`squall(*words)`: run a command as a user does."""
    config = tmp_path / "operator.yaml"
    config.write_text(yaml.safe_dump(loop_settings.model_dump(mode="json", exclude_unset=True)))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", "--config", str(config), *words],
            capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip

    return run


@pytest.fixture
def producer(loop_settings: Settings) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(**loop_settings.kafka.client_options(), acks="all")
    yield producer
    producer.close()


def truth(number: int) -> str:
    return "positive" if number % 2 == 0 else "negative"


def send(producer: KafkaProducer, settings: Settings, first: int, count: int) -> None:
    for number in range(first, first + count):
        dice = random.Random(number)
        words = [*dice.sample(FILLERS, 6), dice.choice(POSITIVE if number % 2 == 0 else NEGATIVE)]
        dice.shuffle(words)
        text = " ".join([*words, "$MSFT"])
        message = Message(
            id=str(number), source="wire", published_at=datetime.now(UTC), text=text, symbols=("MSFT",), lang="en"
        )
        producer.send(settings.topics.messages, key=b"wire", value=encode(message))
    producer.flush()


def mentions(settings: Settings) -> list[Mention]:
    found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
    return [one for one in found if isinstance(one, Mention)]


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_five_hundred_verdicts_become_a_champion_that_the_running_worker_scores_with_and_a_rollback_takes_it_back(
    loop_settings: Settings,
    squall,
    producer: KafkaProducer,
    tmp_path: Path,
    beginner: tuple[Path, Path, Path],  # type: ignore[no-untyped-def]
) -> None:
    settings = loop_settings
    old = read_manifest(beginner[0])
    with WorkerProcess(settings, tmp_path, role="scorer") as worker:
        worker.wait_ready()
        send(producer, settings, 0, COUNT)
        until(lambda: len(mentions(settings)) >= COUNT or worker.must_live(), "not all messages were scored")
        for number in range(COUNT):
            verdict = Verdict(
                message_id=f"wire:{number}",
                alert_id=None,
                verdict=truth(number),
                by="ana",
                learned_at=datetime.now(UTC),  # type: ignore[arg-type]
            )
            producer.send(settings.topics.labels, key=verdict.message_id.encode(), value=encode(verdict))  # type: ignore[union-attr]
        producer.flush()

        ran = squall("retrain", "--once", "--by", "night-job", "--device", "cpu")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "labels: 500 new" in ran.stderr
        assert "is champion" in ran.stderr
        judged = json.loads((Path(ran.stdout.strip()) / "verdict.json").read_text())
        outcomes = {check["name"]: check["outcome"] for check in judged["checks"]}
        assert {
            "better", "surely no worse", "topics", "no worse on older rows", "labels", "sentiment, source wire",
            "calibration", "speed", "robust to typos", "robust to case", "robust to other companies",
        } <= {name for name, outcome in outcomes.items() if outcome == "passed"}  # fmt: skip
        assert judged["alerts"]["mentions"] == COUNT  # the live history was replayed; these few minutes raise no alert
        (folder,) = (tmp_path / "models").glob("squall-*")
        new = read_manifest(folder)
        shown = f'squall_model_info{{name="{new.name}",version="{new.version}"}}'
        until(lambda: worker.metric(shown) == 1 or worker.must_live(), "the worker does not answer with the champion")
        send(producer, settings, COUNT, 100)
        until(
            lambda: len(mentions(settings)) >= COUNT + 100 or worker.must_live(), "not all were scored by the champion"
        )

        back = squall("models", "rollback", "--note", "a drill")
        assert back.returncode == 0, back.stderr
        shown = f'squall_model_info{{name="{old.name}",version="{old.version}"}}'
        until(lambda: worker.metric(shown) == 1 or worker.must_live(), "the worker did not go back")
        send(producer, settings, COUNT + 100, 100)
        until(lambda: len(mentions(settings)) >= COUNT + 200 or worker.must_live(), "not all were scored in the end")
        assert worker.send(signal.SIGTERM) == 0
    scored = mentions(settings)
    assert Counter(one.message_id for one in scored) == {f"wire:{number}": 1 for number in range(COUNT + 200)}
    by_model = {int(one.message_id.removeprefix("wire:")): one.model.version for one in scored}
    assert {by_model[number] for number in range(COUNT)} == {old.version}
    assert {by_model[number] for number in range(COUNT, COUNT + 100)} == {new.version}
    assert {by_model[number] for number in range(COUNT + 100, COUNT + 200)} == {old.version}
    right = [one.negative > 0.5 for one in scored if COUNT <= int(one.message_id[5:]) < COUNT + 100]
    expected = [
        truth(int(one.message_id[5:])) == "negative" for one in scored if COUNT <= int(one.message_id[5:]) < COUNT + 100
    ]
    assert sum(one == other for one, other in zip(right, expected, strict=True)) > 95

    told = squall("models", "history").stdout
    assert "night-job" in told
    assert "rolled_back" in told
    assert "a drill" in told
    compared = squall("models", "diff", "previous", "champion")
    assert compared.returncode == 0, compared.stderr
    assert "sentiment-labels.csv" in compared.stdout
    due = squall("retrain", "--once", "--if-due", "--detailed-exit-code")
    assert due.returncode == 11, due.stderr
    assert "no training: 0 new labels, 100 are a reason" in due.stderr


def test_a_registry_that_is_down_stops_the_run_before_anything_is_done(loop_settings: Settings, tmp_path: Path) -> None:
    values = loop_settings.model_dump(mode="json", exclude_unset=True)
    values["retrain"]["registry"] = "http://127.0.0.1:9"
    config = tmp_path / "down.yaml"
    config.write_text(yaml.safe_dump(values))
    ran = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "retrain", "--once", "--no-import"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "the registry http://127.0.0.1:9 cannot be opened" in ran.stderr
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--once", "--schedule", "0 2 * * *"), "give --once, or --schedule"),
        ((), "give --once, or --schedule"),
        (("--schedule", "at two"), "no cron expression"),
    ],
)
def test_wrong_use_is_told(squall, words: tuple[str, ...], told: str) -> None:  # type: ignore[no-untyped-def]
    ran = squall("retrain", *words)
    assert ran.returncode == 2
    assert told in ran.stderr


def test_a_schedule_says_when_it_runs_next_and_ends_when_told(loop_settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "schedule.yaml"
    config.write_text(yaml.safe_dump(loop_settings.model_dump(mode="json", exclude_unset=True)))
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "retrain", "--schedule", "0 2 * * *"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert "next run at" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    process.stderr.close()
