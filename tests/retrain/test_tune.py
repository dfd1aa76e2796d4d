from __future__ import annotations

import csv
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import BackendMissingError, TrainingDataError
from retrain.card import CardFacts
from retrain.job import TrainingJob, Watchers
from retrain.settings import TrainingSettings
from retrain.settings_parts import LoraSettings
from retrain.tune import Tuned, suggest, tune
from tests.retrain.test_train import SETTINGS

optuna = pytest.importorskip("optuna", reason="pip install optuna")

SHORT = replace(SETTINGS, epochs=1)


@pytest.fixture
def job(sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path) -> TrainingJob:
    return TrainingJob(
        (sentiment_file,), (topic_file,), str(tiny_base), tmp_path / "model", "tiny", CardFacts("b"), device="cpu"
    )


def search(job: TrainingJob, trials: int, settings: TrainingSettings = SHORT) -> Tuned:
    return tune(job, settings, trials, Watchers(lambda line: None))


def rows(found: Tuned) -> list[dict[str, str]]:
    with found.table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_begins_with_the_given_settings_and_returns_the_best_with_a_table_of_all(job: TrainingJob) -> None:
    found = search(job, 3)
    table = rows(found)
    assert [row["trial"] for row in table] == ["0", "1", "2"]
    assert float(table[0]["learning_rate"]) == SHORT.learning_rate
    assert table[0]["batch_size"] == str(SHORT.batch_size)
    done = [row for row in table if row["state"] == "complete"]
    assert f"{found.score:.4f}" == max(row["score"] for row in done)
    best = max(done, key=lambda row: float(row["score"]))
    assert found.settings.learning_rate == float(best["learning_rate"])
    assert found.settings.epochs == SHORT.epochs
    assert sorted(path.name for path in job.out.parent.glob("model*")) == ["model.study.db", "model.trials.csv"]


def test_a_search_that_is_called_again_goes_on_and_one_of_other_rows_is_refused(job: TrainingJob) -> None:
    first = rows(search(job, 1))
    assert [row["trial"] for row in rows(search(job, 1))] == ["0"], "all trials were there already"
    again = rows(search(job, 2))
    assert again[0] == first[0]
    assert len(again) == 2
    with pytest.raises(TrainingDataError, match=r"model\.study\.db: a study of other settings; remove it"):
        search(job, 3, replace(SHORT, epochs=2))


def test_a_trial_that_a_kill_has_left_is_counted_as_failed(job: TrainingJob) -> None:
    search(job, 1)
    study = optuna.load_study(study_name="settings", storage=f"sqlite:///{job.out.parent}/model.study.db")
    study.ask()
    found = search(job, 2)
    assert [row["state"] for row in rows(found)] == ["complete", "fail", "complete"]
    assert found.trials == 2


def test_trials_that_lag_behind_the_median_are_ended(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.tune._STARTUP_TRIALS", 1)
    slow = replace(SETTINGS, epochs=3)
    first = search(job, 1, slow)
    assert rows(first)[0]["state"] == "complete"
    with sqlite3.connect(first.study) as study:  # as if the first had been perfect from the beginning
        study.execute("UPDATE trial_intermediate_values SET intermediate_value = 1.0")
    states = [row["state"] for row in rows(search(job, 3, slow))]
    assert "pruned" in states[1:]


def test_the_space_holds_the_given_settings_wherever_they_lie() -> None:
    odd = replace(
        SHORT, learning_rate=0.3, batch_size=7, weight_decay=0.0, lora=LoraSettings(rank=3), class_weights={"topic": {}}
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    found = suggest(trial, odd)
    assert found["lora.rank"] in (3, 4, 8, 16, 32)
    assert {"adversarial", "class_weights"}.isdisjoint(found)
    assert trial.distributions["learning_rate"].high == 0.3
    assert trial.distributions["weight_decay"].low == 0.0
    assert 7 in trial.distributions["batch_size"].choices


def test_two_searches_do_not_share_a_study(job: TrainingJob) -> None:
    import fcntl

    search(job, 1)
    with (job.out.parent / "model.study.db").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrainingDataError, match="another search uses it now"):
            search(job, 2)


def test_a_file_that_is_no_study_is_told(job: TrainingJob) -> None:
    (job.out.parent / "model.study.db").write_text("this is no database, and never was one" * 50)
    with pytest.raises(TrainingDataError, match="no study can be kept there"):
        search(job, 1)


def test_without_optuna_the_message_says_what_to_install(job: TrainingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BackendMissingError, match="pip install optuna"):
        search(job, 1)
