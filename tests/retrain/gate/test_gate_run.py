"""The gate on real model folders: tiny ones, with random weights."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import pytest

from models.classifier import Classifier
from models.errors import ModelFilesError, TrainingDataError
from retrain.datasets.rows import Row
from retrain.datasets.snapshot import Recipe, Snapshot, build
from retrain.gate.alerts import compare_alerts
from retrain.gate.bounds import Bounds
from retrain.gate.run import Stretch, run_gate
from retrain.gate.verdict import write_verdict
from streams.config import Settings
from streams.monitor import MonitorOptions, default_rules
from streams.records import Mention, encode
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.source import MentionSource, Numbered, OnBad
from tests.models.tiny_model import write_tiny_model
from tests.streams.monitor.invented import incident

AT = datetime(2026, 3, 17, tzinfo=UTC)
LAX = Bounds(
    min_gain=-1, max_loss=1, max_slice_loss=1, max_calibration_error=1, min_speed=0, max_consistency_loss=1,
    min_swap_consistency=0, max_alerts_lost=9, max_alerts_added=9,
)  # fmt: skip


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, Path]:
    """Two models that know nothing, each in its own way."""
    folders = (tmp_path / "champion", tmp_path / "challenger")
    for seed, folder in enumerate(folders):
        folder.mkdir()
        write_tiny_model(folder, seed=seed, name=folder.name)
    return folders


def taught_by(model: Path, tmp_path: Path) -> Snapshot:
    """A data set whose labels are one model's own answers: that one is right about everything."""
    dice = random.Random(5)
    words = "shares of the bank fall rise profit loss at of http note desk plant order".split()
    texts = [" ".join(dice.choices(words, k=9)) + f" $QBYF {number}" for number in range(160)]
    answers = Classifier.load(model).predict(texts)
    rows = [
        Row(text=text, task=task, label=label, origin="news.csv", lang="en" if number % 2 else "de")
        for number, (text, one) in enumerate(zip(texts, answers, strict=True))
        for task, label in (("sentiment", one.label), ("topic", one.topic))
    ]
    return build(tmp_path / "sets", rows, Recipe(inputs=(), holdout_share=0.5))  # type: ignore[arg-type]


def test_the_model_that_is_right_passes_and_the_other_way_round_it_is_refused(
    tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    champion, challenger = tiny
    snapshot = taught_by(challenger, tmp_path)
    bounds = Bounds(min_speed=0, max_calibration_error=1, max_consistency_loss=1, min_swap_consistency=0)
    good = run_gate(champion, challenger, snapshot, bounds=bounds, at=AT)
    assert good.promoted, good.failed
    assert good.measured.macro_f1["sentiment"].challenger == 1.0
    bad = run_gate(challenger, champion, snapshot, bounds=bounds, at=AT)
    assert not bad.promoted
    assert "better" in [check.name for check in bad.failed]
    write_verdict(bad, tmp_path)
    text = (tmp_path / "VERDICT.md").read_text()
    assert text.startswith("# champion ")
    assert "is refused" in text.splitlines()[0]
    assert "- **better**: macro F1" in text
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert written["promoted"] is False
    assert {entry["value"] for entry in written["slices"] if entry["by"] == "lang"} == {"de", "en"}


def test_the_same_models_data_and_seed_give_the_same_figures(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    snapshot = taught_by(tiny[1], tmp_path)
    one, other = (run_gate(*tiny, snapshot, bounds=LAX, at=AT) for _ in range(2))
    assert one.measured.macro_f1 == other.measured.macro_f1
    assert one.measured.slices == other.measured.slices
    assert one.measured.consistency == other.measured.consistency


def test_a_folder_that_is_no_model_is_told(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    snapshot = taught_by(tiny[0], tmp_path)
    with pytest.raises(ModelFilesError):
        run_gate(tiny[0], tmp_path / "nowhere", snapshot, bounds=LAX, at=AT)


def test_a_holdout_without_sentiment_judges_nobody(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [Row(text=f"word{n} of{n} desk{n * 7}", task="topic", label="macro", origin="t.csv") for n in range(60)]
    snapshot = build(tmp_path / "sets", rows, Recipe(inputs=(), holdout_share=0.5))
    with pytest.raises(TrainingDataError, match="holds out no sentiment rows"):
        run_gate(*tiny, snapshot, bounds=LAX, at=AT)


def _history(tmp_path: Path) -> Stretch:
    path = tmp_path / "mentions.jsonl"
    path.write_bytes(b"\n".join(encode(one) for one in incident(random.Random(3))))
    return Stretch(open_mentions([str(path)], Settings()), default_rules(), MonitorOptions())


class _Teller:
    """Answers as the mentions were scored when they were invented, or that nothing is ever negative."""

    def __init__(self, classifier: Classifier, negatives: dict[str, float]) -> None:
        self._template = classifier.predict(["the bank"])[0]
        self._negatives = negatives

    def __call__(self, texts):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        found = []
        for text in texts:
            negative = self._negatives.get(text, 0.0)
            found.append(replace(self._template, negative=negative, neutral=round(1 - negative, 4), positive=0.0))
        return found


def test_a_challenger_that_never_sees_a_negative_story_loses_the_incident(
    tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    stretch = _history(tmp_path)
    mentions = incident(random.Random(3))
    as_scored = {mention.text: mention.negative for mention in mentions}
    classifier = Classifier.load(tiny[0])
    found = compare_alerts(
        stretch.source,
        _Teller(classifier, as_scored),
        _Teller(classifier, {}),
        rules=stretch.rules,
        options=stretch.options,
    )
    assert found.mentions == len(mentions)
    assert found.champion >= 1
    assert found.challenger == 0
    assert len(found.difference.removed) == found.champion


class _Watched(Mention, frozen=True, kw_only=True, weakref=True):
    """A mention of which it can be told whether anything still holds it."""


class _Long:
    """A stretch as long as one likes, made while it is read: one incident of a history at ever more companies."""

    def __init__(self, source: MentionSource, times: int) -> None:
        self.facts, self.partitions, self.total = source.facts, source.partitions, None
        self.held: WeakValueDictionary[int, _Watched] = WeakValueDictionary()
        self._source, self._times = source, times

    def records(self, partition: int, *, after: int = -1, on_bad: OnBad) -> Iterator[Numbered]:
        offset = 0
        for one in self._source.records(partition, on_bad=on_bad):
            for company in range(self._times if isinstance(one.record, Mention) else 1):
                record = one.record
                if isinstance(record, Mention):
                    values = msgspec.structs.asdict(record)
                    record = _Watched(**{**values, "entity": f"{record.entity}{company}"})
                    self.held[offset] = record
                yield Numbered(offset, record)
                offset += 1


@pytest.mark.parametrize("times", [3, 12])
def test_a_long_history_is_read_batch_by_batch_and_no_mention_is_held(
    tiny: tuple[Path, Path], tmp_path: Path, times: int
) -> None:
    mentions = incident(random.Random(3))
    source = _Long(_history(tmp_path).source, times)
    classifier = Classifier.load(tiny[0])
    most = 0

    class Looking(_Teller):
        def __call__(self, texts):  # type: ignore[no-untyped-def]
            nonlocal most
            most = max(most, len(source.held))
            return super().__call__(texts)

    as_scored = {mention.text: mention.negative for mention in mentions}
    tellers = Looking(classifier, as_scored), Looking(classifier, {})
    found = compare_alerts(source, *tellers, rules=default_rules(), options=MonitorOptions())
    assert found.mentions == len(mentions) * times > 512
    assert found.champion >= times
    assert most <= 2 * 512
    alerts = [one.alert for one in found.difference.removed]
    assert alerts
    assert not any(alert.evidence.messages for alert in alerts)


def test_history_is_part_of_the_verdict(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    verdict = run_gate(*tiny, taught_by(tiny[1], tmp_path), bounds=LAX, at=AT, stretch=_history(tmp_path))
    assert verdict.measured.alerts is not None
    assert [check for check in verdict.checks if check.name.startswith("alerts")]
    assert verdict.measured.alerts.mentions == len(incident(random.Random(3)))
    assert verdict.stretch is not None
