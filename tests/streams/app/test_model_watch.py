"""The model under watch in a real worker on a real broker: drift, verdicts, a challenger, and nothing of it live."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kafka import KafkaProducer

from deploy.cli import main
from models.classifier import Classifier
from models.files import read_manifest
from models.labels import SENTIMENTS
from models.reliability import calibration_error
from streams.config import Settings
from streams.control import tell_workers
from streams.records import Mention, Message, ModelInUse, Verdict, VerdictKind, decode_mention, encode
from streams.topics import create_topics
from streams.watch.psi import MARKED
from streams.watch.shadow import jensen_shannon_bits
from tests.models.tiny_model import write_tiny_model
from tests.streams.app.harness import WorkerProcess, records_of, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

WORDS = "shares profit loss bank fall rise report quarter sales margin outlook board deal cash plant orders".split()
STRANGE = "zyxo qwop vlurm kesht brint ogdu pelf snarv thrip wamp jorl mibs".split()
SEEDS = range(1, 40)


def usual(seed: int, count: int) -> list[str]:
    """Texts of eight or so words that are all known."""
    pick = random.Random(seed)
    return [f"$MSFT {' '.join(pick.choices(WORDS, k=pick.randint(6, 10)))}" for _ in range(count)]


def strange(count: int) -> list[str]:
    """Texts three times as long, of words that nobody has heard."""
    pick = random.Random(5)
    return [f"$MSFT {' '.join(pick.choices(STRANGE, k=28))}" for _ in range(count)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small models that differ on some usual texts; the first one, `live`, has a reference."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "live").mkdir()
    write_tiny_model(folder / "live", seed=SEEDS[0], name="live")
    texts = usual(1, 50)
    live = [found.label for found in Classifier.load(folder / "live").predict(texts)]
    for seed in SEEDS[1:]:
        rival = folder / "rival"
        rival.mkdir(exist_ok=True)
        write_tiny_model(rival, seed=seed, name="rival")
        if [found.label for found in Classifier.load(rival).predict(texts)] != live:
            break
    (folder / "texts.txt").write_text("\n".join(usual(2, 1_500)))
    with pytest.raises(SystemExit) as ended:
        main(["models", "reference", str(folder / "texts.txt"), "--model", str(folder / "live")])
    assert ended.value.code == 0
    return folder


@pytest.fixture
def settings(settings_with_topics: Settings, models: Path) -> Settings:
    watch = {"window_texts": 400, "min_texts": 200, "window_labels": 50, "min_labels": 50}
    return settings_with_topics.model_copy(
        update={
            "classifier": settings_with_topics.classifier.model_copy(update={"model": models / "live"}),
            "worker": settings_with_topics.worker.model_copy(update={"batch_messages": 16}),
            "watch": settings_with_topics.watch.model_copy(update=watch),
        }
    )


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings, tmp_path, role="scorer") as process:
        yield process.wait_ready()


def publish(settings: Settings, topic: str, records: list[tuple[str, bytes | None]]) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for key, value in records:
        producer.send(topic, key=key.encode(), value=value)
    producer.flush()
    producer.close()


def send(settings: Settings, texts: list[str], *, begin: int = 0, at: datetime | None = None) -> None:
    messages = [
        Message(id=str(begin + number), source="wire", published_at=at or datetime.now(UTC), text=text, lang="en")
        for number, text in enumerate(texts)
    ]
    publish(settings, settings.topics.messages, [("wire", encode(message)) for message in messages])


def mentions_of(settings: Settings) -> list[Mention]:
    found = [decode_mention(record.value) for record in records_of(settings, settings.topics.mentions)]
    return [record for record in found if isinstance(record, Mention)]


def psi(worker: WorkerProcess, signal: str) -> float | None:
    return worker.metric(f'squall_drift_psi{{signal="{signal}"}}')


def reaches(worker: WorkerProcess, name: str, value: float) -> Callable[[], bool]:
    return lambda: worker.metric(name) == value or worker.must_live()


def test_texts_of_another_kind_lift_the_drift_and_a_model_brings_its_own_reference_or_none(
    settings: Settings, worker: WorkerProcess, models: Path
) -> None:
    send(settings, usual(3, 150))
    until(reaches(worker, "squall_drift_texts", 150), "the texts are not in the window")
    assert psi(worker, "length") is None  # too few to say anything
    send(settings, usual(4, 250), begin=150)
    until(reaches(worker, "squall_drift_texts", 400), "the texts are not in the window")
    for signal in ("sentiment", "topic", "length", "unknown_tokens"):
        index = psi(worker, signal)
        assert index is not None, signal
        assert index < 0.1, signal
    send(settings, strange(400), begin=400)
    until(reaches(worker, "squall_messages_total", 800), "the texts are not scored")
    for signal in ("length", "unknown_tokens"):
        until(lambda: (psi(worker, signal) or 0) > MARKED, f"{signal} does not rise")  # noqa: B023
    assert worker.metric("squall_drift_texts") == 400

    rival = read_manifest(models / "rival")
    tell_workers(settings, ModelInUse(name=rival.name, version=rival.version, at=datetime.now(UTC), by="desk"))
    until(reaches(worker, 'squall_model_swaps_total{outcome="done"}', 1), "the model was not exchanged")
    until(lambda: psi(worker, "length") is None, "the drift of the model before is still shown")
    assert f"squall models reference TEXTS --model {models / 'rival'}" in worker.log.read_text()


def test_verdicts_are_joined_with_the_answers_and_show_agreement_and_calibration(
    settings: Settings, worker: WorkerProcess
) -> None:
    send(settings, usual(6, 60))
    until(lambda: len(mentions_of(settings)) == 60 or worker.must_live(), "the messages are not scored")
    answers = {
        mention.message_id: (mention.negative, mention.neutral, mention.positive) for mention in mentions_of(settings)
    }

    def verdict(name: str, kind: VerdictKind) -> tuple[str, bytes]:
        said = Verdict(message_id=name, alert_id=None, verdict=kind, by="desk", learned_at=datetime.now(UTC))
        return name, encode(said)

    kinds: list[VerdictKind] = ["negative", "neutral", "positive"]
    judged: dict[str, VerdictKind] = {name: kinds[number % 3] for number, name in enumerate(sorted(answers)[:50])}
    records = [verdict(name, kind) for name, kind in judged.items()]
    records += [verdict("wire:unheard", "negative"), verdict("wire:59", "wrong_entity"), ("wire:x", b"{no verdict")]

    def all_are_read() -> bool:
        # Again and again, as the reader begins at the end of the topic; a verdict that comes twice counts once.
        publish(settings, settings.topics.labels, records)
        return (worker.metric("squall_labels_total") or 0) >= 52 or worker.must_live()

    until(all_are_read, "the verdicts are not read")
    labels = {name: SENTIMENTS[int(np.argmax(answers[name]))] for name in judged}
    agreed = sum(labels[name] == kind for name, kind in judged.items())

    def total(outcome: str) -> float:
        lines = worker.get("/metrics")[1].splitlines()
        found = [line for line in lines if line.startswith("squall_labels_total") and f'outcome="{outcome}"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    assert (total("agreed"), total("differed"), total("unknown"), total("apart")) == (agreed, 50 - agreed, 1, 1)
    assert worker.metric("squall_calibration_labels") == 50
    confidence = np.asarray([max(answers[name]) for name in judged])
    right = np.asarray([labels[name] == kind for name, kind in judged.items()])
    assert worker.metric("squall_calibration_error") == pytest.approx(calibration_error(confidence, right))
    assert "is passed over" in worker.log.read_text()

    first, second = list(judged)[:2]
    by_subject = json.dumps(["message", first, None, "desk"], separators=(",", ":"))
    publish(settings, settings.topics.labels, [(by_subject, None), (second, None)])
    until(reaches(worker, "squall_calibration_labels", 48), "the verdicts that were taken back still count")


def without_clocks(mentions: list[Mention]) -> list[bytes]:
    """The bytes of mentions, but for when they arrived and were scored."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return sorted(encode(msgspec.structs.replace(mention, received_at=at, scored_at=at)) for mention in mentions)


def test_a_challenger_is_compared_with_live_answers_and_the_mentions_are_the_same_bytes_without_it(
    settings: Settings, models: Path, tmp_path: Path
) -> None:
    texts, at = usual(7, 200), datetime.now(UTC)
    alone = settings.model_copy(
        update={"topics": settings.topics.model_copy(update={"prefix": f"{settings.topics.prefix}-alone"})}
    )
    create_topics(alone)
    shadowed = settings.model_copy(
        update={"watch": settings.watch.model_copy(update={"challenger": models / "rival", "share": 1.0})}
    )
    for name, each in (("alone", alone), ("shadowed", shadowed)):
        (tmp_path / name).mkdir()
        with WorkerProcess(each, tmp_path / name, role="scorer") as worker:
            worker.wait_ready()
            if each is shadowed:
                rival = read_manifest(models / "rival").version
                until(
                    reaches(worker, f'squall_shadow_info{{name="rival",version="{rival}"}}', 1),
                    "the challenger is not loaded",
                )
            send(each, texts, at=at)
            until(lambda: len(mentions_of(each)) == 200 or worker.must_live(), "not all are scored")  # noqa: B023
            if each is shadowed:
                until(reaches(worker, "squall_shadow_texts_total", 200), "the challenger has not scored them all")
                told = {
                    outcome: worker.metric(f'squall_shadow_texts_total{{outcome="{outcome}"}}')
                    for outcome in ("agreed", "differed")
                }
                divergence = worker.metric("squall_shadow_divergence")
    assert without_clocks(mentions_of(shadowed)) == without_clocks(mentions_of(alone))

    live, rival_answers = (Classifier.load(models / name).predict(texts) for name in ("live", "rival"))
    pairs = list(zip(live, rival_answers, strict=True))
    differed = sum(one.label != other.label for one, other in pairs)
    assert differed > 0
    assert told == {"agreed": 200 - differed, "differed": differed}
    bits = [
        jensen_shannon_bits((one.negative, one.neutral, one.positive), (other.negative, other.neutral, other.positive))
        for one, other in pairs
    ]
    assert divergence == pytest.approx(np.mean(bits), rel=0.01)


def test_a_challenger_that_cannot_be_loaded_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    missing = settings.watch.model_copy(update={"challenger": tmp_path / "no-model", "share": 1.0})
    with WorkerProcess(settings.model_copy(update={"watch": missing}), tmp_path, role="scorer") as worker:
        worker.wait_ready()
        send(settings, usual(8, 20))
        until(lambda: len(mentions_of(settings)) == 20 or worker.must_live(), "not all are scored")
        until(lambda: "the challenger cannot be used" in worker.log.read_text(), "the log does not say so")
