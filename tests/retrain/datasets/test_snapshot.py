from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from models.errors import TrainingDataError
from retrain.data import read_examples
from retrain.datasets.assign import text_key
from retrain.datasets.ledger import FILE, FROZEN, Ledger
from retrain.datasets.rows import LABELS, Row, market_of, rows_of_files, rows_of_labels
from retrain.datasets.snapshot import ROWS, Recipe, build, open_snapshot, write_training_files
from retrain.labels.decide import decide
from retrain.labels.judgement import Judgement
from streams.errors import InputError
from tests.retrain.labels.conftest import NOON


def rows(count: int, *, origin: str = "news.csv", task: str = "sentiment", first: int = 0) -> list[Row]:
    labels = {"sentiment": ("negative", "neutral", "positive"), "topic": ("earnings", "legal", "macro")}[task]
    return [
        Row(
            text=f"item{number * 31} of {origin} says {origin}{number} about {origin}{number * 7} for {number * 3}",
            task=task,  # type: ignore[arg-type]
            label=labels[number % 3],
            origin=origin,
            learned_at=NOON if origin == LABELS else None,
        )
        for number in range(first, first + count)
    ]


RECIPE = Recipe(inputs=({"name": "news.csv", "task": "sentiment", "rows": 60, "sha256": "0" * 64},), holdout_share=0.3)


def test_a_data_set_comes_back_as_it_was_made_and_the_same_input_is_the_same_folder(tmp_path: Path) -> None:
    made = build(tmp_path, [*rows(60), *rows(20, origin=LABELS)], RECIPE)
    assert open_snapshot(made.folder) == made
    again = build(tmp_path, [*rows(20, origin=LABELS), *reversed(rows(60))], RECIPE)
    assert again.folder == made.folder
    assert {one.place for one in made.rows} == {"train", "holdout"}


def test_the_holdout_is_frozen_while_labels_come_in(tmp_path: Path) -> None:
    first = build(tmp_path, rows(60), RECIPE)
    second = build(tmp_path, [*rows(60), *rows(40, origin=LABELS)], RECIPE)
    assert second.version != first.version
    assert set(first.of("holdout")) < set(second.of("holdout"))
    assert set(first.of("train")) < set(second.of("train"))
    assert not {row.text for row in first.of("train")} & {row.text for row in second.of("holdout")}


def test_a_near_duplicate_of_a_holdout_text_that_is_missing_from_this_run_is_not_trained_on(tmp_path: Path) -> None:
    first = build(tmp_path, rows(60), RECIPE)
    held_out = first.of("holdout")
    reworded = [
        Row(text=f"{row.text} indeed", task=row.task, label=row.label, origin=LABELS, learned_at=NOON)
        for row in held_out
    ]
    gone = {row.text for row in held_out}
    kept = [row for row in rows(60) if row.text not in gone]
    second = build(tmp_path, [*kept, *rows(30, first=200), *reworded], RECIPE)
    assert not {row.text for row in reworded} & {row.text for row in second.of("train")}
    assert {row.text for row in reworded} <= {row.text for row in second.of("left_out")}
    third = build(tmp_path, [*rows(60), *reworded], RECIPE)  # and the holdout is still the same when it is back
    assert {row.text for row in third.of("holdout")} == gone


def test_the_ledger_of_the_holdout_holds_no_text(tmp_path: Path) -> None:
    first = build(tmp_path, rows(60), RECIPE)
    content = (tmp_path / FROZEN).read_text()
    assert len(content.splitlines()) == len({row.text for row in first.of("holdout")})
    assert re.fullmatch(r"([0-9a-f]+[ \n])+", content)


def test_a_crash_between_the_two_ledgers_loses_no_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(tmp_path / "whole", rows(60), RECIPE)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "cut", rows(60), RECIPE)
    held_out = {row.text for row in whole.of("holdout")}
    assert set(Ledger(tmp_path / "cut").frozen()) == {text_key(text) for text in held_out}
    again = build(tmp_path / "cut", rows(60), RECIPE)  # and the next run gives the same sides
    assert {row.text for row in again.of("holdout")} == held_out
    assert Ledger(tmp_path / "cut").read() == Ledger(tmp_path / "whole").read()


def test_a_ledger_of_before_there_were_fingerprints_gets_them_with_the_next_data_set(tmp_path: Path) -> None:
    build(tmp_path, rows(60), RECIPE)
    before = (tmp_path / FROZEN).read_text()
    (tmp_path / FROZEN).unlink()
    build(tmp_path, rows(60), RECIPE)
    assert (tmp_path / FROZEN).read_text() == before


@pytest.mark.parametrize("line", ["0123 12 xyz", "0123 ffffff"])
def test_a_spoilt_fingerprint_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / FROZEN).write_text(f"{line}\n")
    with pytest.raises(InputError, match=rf"{FROZEN}:1: no fingerprint"):
        build(tmp_path, rows(60), RECIPE)
    assert Ledger(tmp_path).read() == {}


def test_another_recipe_cannot_thaw_the_holdout(tmp_path: Path) -> None:
    first = build(tmp_path, rows(60), RECIPE)
    other = Recipe(inputs=RECIPE.inputs, holdout_share=0.9, seed=99)
    assert set(build(tmp_path, rows(60), other).of("holdout")) == set(first.of("holdout"))


def test_an_altered_data_set_does_not_open(tmp_path: Path) -> None:
    made = build(tmp_path, rows(60), RECIPE)
    other = build(tmp_path / "other", rows(59), RECIPE)
    shutil.copy(other.folder / ROWS, made.folder / ROWS)
    with pytest.raises(InputError, match="altered or renamed"):
        open_snapshot(made.folder)
    with pytest.raises(InputError, match="no data set"):
        open_snapshot(tmp_path / "nowhere")


def test_training_files_hold_the_training_side_and_no_holdout_row(tmp_path: Path) -> None:
    recipe = Recipe(inputs=RECIPE.inputs, holdout_share=0.3, repeat_labels=3)
    made = build(tmp_path, [*rows(60), *rows(20, origin=LABELS), *rows(60, task="topic")], recipe)
    folder = tmp_path / "files"
    folder.mkdir()
    files = write_training_files(made, folder)
    texts = [one.text for task in ("sentiment", "topic") for one in read_examples(files[task], task)]
    assert set(texts) == {row.text for row in made.of("train")}
    assert not set(texts) & {row.text for row in made.of("holdout")}
    labelled = [row.text for row in made.of("train") if row.origin == LABELS]
    assert all(texts.count(text) == 3 for text in labelled)
    assert sorted(path.name for path in files["sentiment"]) == ["sentiment-labels.csv", "sentiment-news.csv"]


def test_old_rows_are_thinned_and_labels_are_not(tmp_path: Path) -> None:
    recipe = Recipe(inputs=RECIPE.inputs, holdout_share=0.2, most_old=10)
    made = build(tmp_path, [*rows(60), *rows(20, origin=LABELS)], recipe)
    origins = [row.origin for row in made.of("train")]
    assert origins.count("news.csv") == 10
    assert origins.count(LABELS) >= 10
    assert made.counts()[("sentiment", "left_out")] > 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_side_without_rows_is_refused_and_gives_no_side(tmp_path: Path, share: float) -> None:
    with pytest.raises(TrainingDataError, match="no sentiment row is left on the"):
        build(tmp_path, rows(20), Recipe(inputs=RECIPE.inputs, holdout_share=share))
    assert Ledger(tmp_path).read() == {}


def test_a_label_that_nobody_holds_any_more_is_trusted_no_longer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.trust(["a:sentiment:negative", "b:sentiment:neutral"])
    for _ in range(2):
        ledger.distrust(["a:sentiment:negative", "c:sentiment:neutral"])
        assert ledger.trusted() == {"b:sentiment:neutral"}


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="name training files, or import labels"):
        build(tmp_path, [], RECIPE)


def test_a_spoilt_ledger_is_told_with_its_line(tmp_path: Path) -> None:
    build(tmp_path, rows(60), RECIPE)
    path = tmp_path / FILE
    path.write_text(path.read_text() + "x what\n")
    lines = len(path.read_text().splitlines())
    with pytest.raises(InputError, match=rf"{FILE}:{lines}: not a side"):
        build(tmp_path, rows(60), RECIPE)


def test_rows_come_from_files_and_from_settled_labels(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), ("Quenby wins an order", "bullish")])
    (read,) = rows_of_files([path], "sentiment", lang="en")
    assert (read.label, read.origin, read.slices()) == ("positive", "news.csv", {"origin": "news.csv", "lang": "en"})
    word = Judgement(
        message_id="wire:1", text="Halden opens an office", task="sentiment", answer="neutral", kind="neutral",
        by="ana", learned_at=NOON, source="wire", entity="0700.HK", topic="people",
    )  # fmt: skip
    (row,) = rows_of_labels(decide([word], "sentiment").decided)
    assert row.slices() == {"origin": LABELS, "source": "wire", "topic": "people", "market": "HK"}
    assert market_of("BRK.B") == ""
