"""Another model under load, on a real broker: no message is lost or scored twice, and a bad model changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer

from models.files import WEIGHTS, read_manifest
from streams.config import Settings
from streams.records import Mention, Message, decode_mention, encode
from tests.models.tiny_model import write_tiny_model
from tests.streams.app.harness import WorkerProcess, records_of, until


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of model folders: two small ones and one whose weights are damaged."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("first", 1), ("second", 2), ("damaged", 3)):
        (folder / name).mkdir()
        write_tiny_model(folder / name, seed=seed, name=name)
    weights = folder / "damaged" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-8])
    return folder


@pytest.fixture
def settings(settings_with_topics: Settings, models: Path) -> Settings:
    classifier = settings_with_topics.classifier.model_copy(update={"model": models / "first"})
    return settings_with_topics.model_copy(
        update={
            "classifier": classifier,
            "worker": settings_with_topics.worker.model_copy(update={"batch_messages": 16}),
        }
    )


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings, tmp_path, role="scorer") as process:
        yield process.wait_ready()


def use(settings: Settings, folder: Path, model: str) -> subprocess.CompletedProcess[str]:
    """`squall models use`, as an operator runs it."""
    config = folder / "operator.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "models", "use", model, "--by", "night-desk"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Load:
    """Messages, as many as are asked for, each with a number of its own."""

    def __init__(self, settings: Settings) -> None:
        self._producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
        self._topic = settings.topics.messages
        self.sent = 0

    def send(self, count: int) -> None:
        for number in range(self.sent, self.sent + count):
            text = f"$MSFT shares fall on a loss, line {number}"
            message = Message(id=str(number), source="wire", published_at=datetime.now(UTC), text=text)
            self._producer.send(self._topic, key=b"wire", value=encode(message))
        self._producer.flush()
        self.sent += count

    def close(self) -> None:
        self._producer.close()


@pytest.fixture
def load(settings: Settings) -> Iterator[Load]:
    load = Load(settings)
    yield load
    load.close()


def mentions_of(settings: Settings) -> list[Mention]:
    found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
    return [record for record in found if isinstance(record, Mention)]


def models_of(settings: Settings) -> Counter[str]:
    return Counter(mention.model.name for mention in mentions_of(settings))


def keeps_sending(load: Load, settings: Settings, done: Callable[[Counter[str]], bool]) -> Callable[[], bool]:
    """A condition that sends some more messages each time it is looked at."""

    def look() -> bool:
        load.send(20)
        return done(models_of(settings))

    return look


def test_a_model_is_exchanged_under_load_and_no_message_is_lost_or_scored_twice(
    settings: Settings, worker: WorkerProcess, load: Load, models: Path, tmp_path: Path
) -> None:
    until(keeps_sending(load, settings, lambda found: found["first"] > 0), "nothing was scored by the first model")
    told = use(settings, tmp_path, "second")
    assert told.returncode == 0, told.stderr
    second = read_manifest(models / "second")
    assert f"second {second.version}" in " ".join(told.stdout.split())
    until(keeps_sending(load, settings, lambda found: found["second"] > 0), "the second model never took over")
    load.send(100)
    until(lambda: len(mentions_of(settings)) >= load.sent or worker.must_live(), "not all messages were scored")
    scored = mentions_of(settings)
    assert Counter(mention.message_id for mention in scored) == {f"wire:{n}": 1 for n in range(load.sent)}
    # In the order of the log, the old model answers up to some batch, and the new one from there on.
    by_offset = [m.model.name for m in sorted(scored, key=lambda m: (m.scored_at, m.origin.offset))]
    assert by_offset == sorted(by_offset)  # "first" before "second"
    assert {m.model.version for m in scored if m.model.name == "second"} == {second.version}
    assert worker.metric('squall_model_swaps_total{outcome="done"}') == 1
    assert worker.metric(f'squall_model_info{{name="second",version="{second.version}"}}') == 1


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_in_place_loudly(
    settings: Settings, worker: WorkerProcess, load: Load, models: Path, tmp_path: Path
) -> None:
    # What an operator cannot load is refused at his own desk ...
    refused = use(settings, tmp_path, "damaged")
    assert refused.returncode == 2
    assert WEIGHTS in refused.stderr
    # ... and what only the workers cannot load is refused by them.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(models / "first", elsewhere / "first")
    (elsewhere / "unknown").mkdir()
    write_tiny_model(elsewhere / "unknown", seed=9, name="unknown")
    there = settings.classifier.model_copy(update={"model": elsewhere / "first"})
    assert use(settings.model_copy(update={"classifier": there}), tmp_path, "unknown").returncode == 0
    until(lambda: worker.metric('squall_model_swaps_total{outcome="failed"}') == 1, "the failure was not counted")
    assert "unknown" in worker.log.read_text()
    assert "first" in worker.log.read_text().split("cannot be used")[1]
    load.send(40)
    until(lambda: len(mentions_of(settings)) >= 40 or worker.must_live(), "the worker scores no more")
    assert set(models_of(settings)) == {"first"}


def test_a_worker_that_starts_later_answers_with_the_model_that_was_decided_on(
    settings: Settings, load: Load, tmp_path: Path
) -> None:
    assert use(settings, tmp_path, "second").returncode == 0
    with WorkerProcess(settings, tmp_path, role="scorer") as worker:
        worker.wait_ready()
        load.send(10)
        until(lambda: len(mentions_of(settings)) >= 10 or worker.must_live(), "nothing was scored")
    assert set(models_of(settings)) == {"second"}
