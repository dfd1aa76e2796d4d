from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from models.errors import TrainingDataError
from retrain.settings import TrainingSettings
from retrain.settings_file import read_settings, write_settings
from retrain.settings_parts import AugmentSettings, LoraSettings


def read(folder: Path, text: str) -> TrainingSettings:
    path = folder / "knobs.yaml"
    path.write_text(text)
    return read_settings(path)


def test_what_a_file_leaves_out_keeps_its_default_also_within_a_part(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "epochs: 3\nlearning_rate: 5e-5\nlora: {rank: 8, targets: [query]}\naugment:\n  share: 0.3\n"
        "class_weights: {sentiment: {negative: 2}}\n",
    )
    assert found == TrainingSettings(
        epochs=3,
        learning_rate=5e-5,
        lora=LoraSettings(rank=8, targets=("query",)),
        augment=AugmentSettings(share=0.3),
        class_weights={"sentiment": {"negative": 2}},
    )
    assert read(tmp_path, "") == TrainingSettings()


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=2, runs=3, combine="soup", augment=AugmentSettings(0.1, ("case",)))
    assert read(tmp_path, write_settings(settings)) == settings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch: 3", "unknown knob 'epoch'; did you mean 'epochs'"),
        ("lora: {ranks: 3}", r"unknown knob 'lora\.ranks'; did you mean 'lora\.rank'"),
        ("lora: 8", "lora must be a mapping"),
        ("[1]", "the settings must be a mapping"),
        ("epochs: three", "epochs must be a whole number, got 'three'"),
        ("epochs: 2.5", "epochs must be a whole number"),
        ("epochs: true", "epochs must be a whole number"),
        ("learning_rate: fast", "learning_rate must be a number, got 'fast'"),
        ("learning_rate: .nan", "learning_rate must be greater than 0"),
        ("bf16: 1", "bf16 must be true or false"),
        ("combine: 3", "combine must be a word"),
        ("combine: mix", "combine must be one of best, soup, distil"),
        ("combine: soup", "needs runs of at least 2"),
        ("folds: 1", "folds must be 0 or at least 2"),
        ("augment: {kinds: typos}", r"augment\.kinds must be a list"),
        ("augment: {kinds: [rhymes]}", "must name some of typos, case, links, entities"),
        ("augment: {share: 1.5}", r"augment\.share must lie between 0 and 1"),
        ("class_weights: heavy", "class_weights must be none, balanced or weights"),
        ("class_weights: {mood: {negative: 1}}", "unknown task 'mood'"),
        ("class_weights: {sentiment: {bad: 1}}", "unknown sentiment class 'bad'"),
        ("class_weights: {sentiment: {negative: 0}}", "must be a number above 0"),
        ("class_weights: {sentiment: [1, 2]}", "needs weights by class"),
        ("pseudo: {threshold: 0}", r"pseudo\.threshold"),
        ("pseudo: {weight: 2}", r"pseudo\.weight"),
        ("domain: {mask_share: 1.0}", r"domain\.mask_share"),
        ("domain: {learning_rate: 0}", r"domain\.learning_rate"),
        ("lora: {rank: -1}", r"lora\.rank must be at least 0"),
        ("lora: {alpha: 0}", r"lora\.alpha"),
        ("a: b: c", "not YAML"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_file_and_knob(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TrainingDataError, match=rf"knobs\.yaml: .*{words}"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"nowhere\.yaml: cannot be read"):
        read_settings(tmp_path / "nowhere.yaml")


def test_every_knob_is_documented_where_it_is_defined() -> None:
    parts = [TrainingSettings(), *[part for part in vars_of(TrainingSettings()) if is_dataclass(part)]]
    for part in parts:
        told = type(part).__doc__ or ""
        for entry in fields(part):
            assert f"\n        {entry.name}: " in told, f"{type(part).__name__}.{entry.name} is not explained"


def vars_of(settings: TrainingSettings) -> list[object]:
    return [getattr(settings, entry.name) for entry in fields(settings)]
