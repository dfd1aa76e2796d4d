"""The loop on real models, a real registry and real training, all of them small."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.errors import TrainingDataError
from models.files import read_manifest
from retrain.cycle import steps
from retrain.cycle.lock import WORK, BusyError, alone
from retrain.cycle.steps import Run, run_once
from retrain.datasets.assign import trust_key
from retrain.datasets.ledger import Ledger
from retrain.datasets.rows import LABELS, rows_of_labels
from retrain.datasets.snapshot import open_snapshot
from retrain.gate.run import run_gate
from retrain.gate.verdict import Verdict
from retrain.labels.decide import decide
from retrain.labels.store import LabelStore
from retrain.labels.taken_back import TakenBack
from retrain.registry.audit import Entry, read_entries, write_entry
from retrain.registry.promotion import rollback
from streams.config import Settings
from streams.errors import BrokerError
from streams.models_known import find_model
from streams.records import ModelInUse
from tests.retrain.cycle.conftest import LABELLED, judged

Begin = Callable[..., Run]


def test_labels_become_a_better_model_that_is_champion_and_can_be_taken_back(
    begin: Begin, settings: Settings, store: LabelStore, told: list[ModelInUse], beginner: tuple[Path, Path, Path]
) -> None:
    store.add(judged(120))
    run = begin()
    ended = run_once(run)
    assert ended.ending == "promoted", ended.words
    assert ended.model is not None
    assert ended.verdict is not None
    first = read_manifest(beginner[0]).model

    champion = find_model(ended.model.version, settings)
    manifest = read_manifest(champion)
    assert manifest.learned_at == run.desk.now()
    assert {entry["name"] for entry in manifest.training_data} == {
        "sentiment-labels.csv", "sentiment-sentiment.csv", "topic-topic.csv",
    }  # fmt: skip
    assert [one.version for one in told] == [ended.model.version]
    assert (ended.verdict / "VERDICT.md").read_text().startswith(f"# {ended.model.name}")
    assert [entry.step for entry in read_entries(settings.retrain.runs)] == ["passed", "promoted"]
    assert not (settings.retrain.runs / WORK).exists()

    rollback(run.desk)
    assert told[-1].version == first.version


def test_the_champion_is_judged_on_what_it_held_out_itself(
    begin: Begin, settings: Settings, store: LabelStore, beginner: tuple[Path, Path, Path]
) -> None:
    store.add(judged(60))
    ended = run_once(begin(promotes=False))
    entry = read_entries(settings.retrain.runs)[-1]
    assert entry.facts["champion_held_out_the_holdout"] is True
    snapshot = open_snapshot(settings.retrain.datasets / entry.facts["data_set"])
    from retrain.data import read_both
    from retrain.split import split_examples

    examples = read_both([beginner[1]], [beginner[2]])
    split = split_examples(examples, 0.3, 20)  # the champion's own
    trained_on = {examples[index].text for index in split.train}
    assert not trained_on & {row.text for row in snapshot.of("holdout")}
    assert ended.ending == "passed"


def test_labels_that_were_taken_back_are_in_no_later_data_set_and_trusted_no_more(
    begin: Begin, settings: Settings, store: LabelStore
) -> None:
    words = [
        msgspec.structs.replace(one, kind=one.answer, record_key=f"key {number}")
        for number, one in enumerate(judged(120))
    ]
    store.add(words)
    assert run_once(begin()).ending == "promoted"
    ledger = Ledger(settings.retrain.datasets)
    trusted = ledger.trusted()
    before = open_snapshot(settings.retrain.datasets / read_entries(settings.retrain.runs)[0].facts["data_set"])
    gone = {words[number].text for number in range(20)}

    assert store.add([], TakenBack({f"key {number}": () for number in range(20)})).taken_back == 20
    said: list[str] = []
    run_once(replace(begin(), say=said.append))
    after = open_snapshot(settings.retrain.datasets / read_entries(settings.retrain.runs)[-1].facts["data_set"])
    assert not gone & {one.row.text for one in after.rows}
    assert gone <= {one.row.text for one in before.rows}  # what was trained on is on record
    assert any("20 labels that a champion rests on were taken back or changed" in line for line in said)
    assert ledger.trusted() < trusted


def test_labels_that_were_taken_back_stay_a_reason_to_train_until_a_run_has_come_to_a_verdict(
    begin: Begin, settings: Settings, store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        msgspec.structs.replace(one, kind=one.answer, record_key=f"key {number}")
        for number, one in enumerate(judged(120))
    ]
    store.add(words)
    ledger = Ledger(settings.retrain.datasets)
    settings.retrain.datasets.mkdir()
    ledger.trust(trust_key(row) for row in rows_of_labels(decide(words, "sentiment").decided))
    trusted = ledger.trusted()
    write_entry(settings.retrain.runs, Entry(at=LABELLED, by="ana", step="promoted", facts={"labels": 120}))
    store.add([], TakenBack({f"key {number}": () for number in range(60)}))

    def broken(*_: object, **__: object) -> None:
        raise TrainingDataError("no memory is left")

    for step in ("train_model", "run_gate"):
        with monkeypatch.context() as patch:
            patch.setattr(steps, step, broken)
            with pytest.raises(TrainingDataError, match="no memory is left"):
                run_once(begin(only_if_due=True))
        assert ledger.trusted() == trusted, f"{step} came to no verdict"

    asked: list[Collection[str]] = []

    def overhear(*arguments: Any, **named: Any) -> Verdict:
        asked.append(named["trusted"])
        return run_gate(*arguments, **named)

    monkeypatch.setattr(steps, "run_gate", overhear)
    ended = run_once(begin(only_if_due=True, promotes=False))
    assert ended.ending in ("passed", "refused"), ended.words
    assert len(ledger.trusted()) == 60
    assert ledger.trusted() < trusted
    assert asked == [ledger.trusted()], "the gate trusts none that was taken back either"
    assert run_once(begin(only_if_due=True)).ending == "not_due"


def test_a_poisoned_batch_of_labels_is_refused_and_the_champion_stays(
    begin: Begin, settings: Settings, store: LabelStore, told: list[ModelInUse]
) -> None:
    store.add(judged(100))
    assert run_once(begin()).ending == "promoted"
    champion = told[-1].version
    store.add(judged(300, flipped=True, first=1_000))
    ended = run_once(begin())
    assert ended.ending == "refused", ended.words
    assert [one.version for one in told] == [champion]
    assert ended.verdict is not None
    assert json.loads((ended.verdict / "verdict.json").read_text())["promoted"] is False
    run = begin()
    assert run.desk.registry.find("champion").model.version == champion
    assert run.desk.registry.find("challenger").gate == "refused"
    assert read_entries(settings.retrain.runs)[-1].step == "refused"
    # The next night they are no older and no better for having been seen.
    again = run_once(begin())
    assert again.ending == "refused", again.words
    assert {"no worse on older rows", "labels"} & set(read_entries(settings.retrain.runs)[-1].facts["failed"])
    assert [one.version for one in told] == [champion]


def test_without_a_reason_nothing_is_trained(begin: Begin, settings: Settings, store: LabelStore) -> None:
    store.add(judged(20))
    assert run_once(begin(only_if_due=True)).ending == "not_due"
    assert read_entries(settings.retrain.runs)[-1].note == "20 new labels, 50 are a reason"
    assert not settings.retrain.datasets.exists()


def test_without_labels_it_says_where_they_come_from(begin: Begin) -> None:
    with pytest.raises(TrainingDataError, match="squall labels import"):
        run_once(begin())


def test_a_label_from_the_future_is_not_learned_from(begin: Begin, store: LabelStore) -> None:
    late = [msgspec.structs.replace(one, learned_at=LABELLED + timedelta(days=9)) for one in judged(60)]
    store.add(late)
    with pytest.raises(TrainingDataError, match="no label to learn from"):
        run_once(begin())


def test_a_run_until_a_day_trains_on_nothing_that_became_known_later(
    begin: Begin, settings: Settings, store: LabelStore
) -> None:
    store.add(judged(60))
    later = [msgspec.structs.replace(one, learned_at=LABELLED + timedelta(hours=3)) for one in judged(40, first=300)]
    changed = [
        msgspec.structs.replace(one, by="ben", answer="neutral", learned_at=LABELLED + timedelta(hours=3))
        for one in judged(10)
    ]
    store.add([*later, *changed])
    until = LABELLED + timedelta(hours=1)
    retrain = settings.retrain.model_copy(update={"train_until": until})
    run = replace(begin(promotes=False), settings=settings.model_copy(update={"retrain": retrain}))
    run_once(run)
    made = open_snapshot(settings.retrain.datasets / read_entries(settings.retrain.runs)[-1].facts["data_set"])
    labelled = [row for row in made.of("train", "sentiment") if row.origin == LABELS]
    assert made.recipe.train_until == until
    assert labelled
    assert all(row.learned_at is not None and row.learned_at <= until for row in labelled)
    assert {row.text for row in made.of("later")} == {one.text for one in later}
    disputed = {one.text: one.answer for one in judged(10)}  # ben's word against it came later: it was settled then
    assert {row.text: row.label for row in made.of("train") + made.of("holdout") if row.text in disputed} == disputed


def test_a_champion_until_a_day_rests_on_no_label_that_came_later_and_takes_none_from_the_others(
    begin: Begin, settings: Settings, store: LabelStore
) -> None:
    store.add(judged(120))
    later = [msgspec.structs.replace(one, learned_at=LABELLED + timedelta(hours=3)) for one in judged(40, first=300)]
    store.add(later)
    ledger = Ledger(settings.retrain.datasets)
    settings.retrain.datasets.mkdir()
    others = f"{'0' * 24}:sentiment:neutral"  # changed since, perhaps: until that day nobody has said so
    ledger.trust([others])
    retrain = settings.retrain.model_copy(update={"train_until": LABELLED + timedelta(hours=1)})
    ended = run_once(replace(begin(), settings=settings.model_copy(update={"retrain": retrain})))
    assert ended.ending == "promoted", ended.words
    made = open_snapshot(settings.retrain.datasets / read_entries(settings.retrain.runs)[0].facts["data_set"])
    rested_on = {trust_key(row) for row in made.of("train") + made.of("holdout") if row.origin == LABELS}
    assert made.of("later")
    assert ledger.trusted() == rested_on | {others}


def test_an_encoder_that_was_learned_after_the_cut_is_not_started_from(
    begin: Begin, settings: Settings, store: LabelStore, told: list[ModelInUse]
) -> None:
    store.add(judged(120))
    assert run_once(begin()).ending == "promoted"
    retrain = settings.retrain.model_copy(update={"train_until": LABELLED})
    run = replace(begin(), settings=settings.model_copy(update={"retrain": retrain}))
    with pytest.raises(TrainingDataError, match=r"after retrain.train_until: set retrain.base"):
        run_once(run)
    champion = find_model(told[-1].version, settings)  # nor is it when it is named as the base itself
    retrain = retrain.model_copy(update={"base": str(champion)})
    with pytest.raises(TrainingDataError, match="it was learned at 2026-03-17T02:00:00Z, after 2026-03-16T12:00:00Z"):
        run_once(replace(begin(), settings=settings.model_copy(update={"retrain": retrain})))


def test_a_training_file_that_goes_by_the_labels_name_is_refused(
    begin: Begin, settings: Settings, store: LabelStore, tmp_path: Path
) -> None:
    store.add(judged(60))
    other = tmp_path / "labels.csv"
    other.write_bytes(settings.retrain.sentiment[0].read_bytes())
    retrain = settings.retrain.model_copy(update={"sentiment": (other,)})
    run = replace(begin(), settings=settings.model_copy(update={"retrain": retrain}))
    with pytest.raises(TrainingDataError, match=r"no training file can be called labels.csv"):
        run_once(run)


def test_two_runs_never_work_at_once(begin: Begin, settings: Settings, store: LabelStore) -> None:
    store.add(judged(60))
    with alone(settings.retrain.runs), pytest.raises(BusyError, match="another retraining is under way"):
        run_once(begin())
    assert read_entries(settings.retrain.runs) == []


def test_a_step_that_fails_leaves_the_champion_no_debris_and_a_note(
    begin: Begin, settings: Settings, store: LabelStore, told: list[ModelInUse], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(judged(60))

    def no_space(*_: object, **__: object) -> None:
        raise TrainingDataError("challenger: cannot be written (No space left on device)")

    monkeypatch.setattr(steps, "train_model", no_space)
    with pytest.raises(TrainingDataError):
        run_once(begin())
    (entry,) = read_entries(settings.retrain.runs)
    assert (entry.step, entry.note) == ("failed", "challenger: cannot be written (No space left on device)")
    assert not (settings.retrain.runs / WORK).exists()
    assert told == []
    assert begin().desk.registry.called("challenger") is None


def test_workers_that_cannot_be_told_keep_the_champion(settings: Settings, begin: Begin, store: LabelStore) -> None:
    def deaf(_: ModelInUse) -> None:
        raise BrokerError("no Kafka")

    store.add(judged(120))
    run = begin()
    run = replace(run, desk=replace(run.desk, tell=deaf))
    with pytest.raises(BrokerError):
        run_once(run)
    assert run.desk.registry.find("champion").model.name == "beginner"
    assert [entry.step for entry in read_entries(settings.retrain.runs)] == ["passed", "failed"]


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    left = tmp_path / WORK / "files"
    left.mkdir(parents=True)
    (left / "sentiment.csv").write_text("text,label\n")
    with alone(tmp_path) as work:
        assert list(work.iterdir()) == []
    assert not work.exists()
