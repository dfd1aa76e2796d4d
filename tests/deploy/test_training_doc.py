"""deploy/docs/TRAINING.md and the code name the same knobs, with the same defaults."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from retrain.settings import TrainingSettings
from retrain.settings_file import read_settings

DOC = Path(__file__).parents[2] / "deploy" / "docs" / "TRAINING.md"
NOT_A_VALUE = {"bf16", "lora.targets", "augment.kinds"}
"""Their default depends on the machine, on peft, or is a list."""


def knobs(part: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in fields(part):
        value = getattr(part, entry.name)
        found |= knobs(value, f"{entry.name}.") if is_dataclass(value) else {prefix + entry.name: value}
    return found


def test_every_knob_stands_in_the_table_with_its_default() -> None:
    section = DOC.read_text().split("## Knobs")[1].split("\n## ")[0]
    told = dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", section, re.MULTILINE))
    wanted = knobs(TrainingSettings())
    assert sorted(told) == sorted(wanted)
    for name, default in wanted.items():
        if isinstance(default, float | int) and name not in NOT_A_VALUE:
            assert float(told[name]) == pytest.approx(default), name
        elif name not in NOT_A_VALUE:
            assert told[name] == default


def test_the_example_of_a_file_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOC.read_text(), re.DOTALL)
    path = tmp_path / "knobs.yaml"
    path.write_text(block)
    assert read_settings(path).lora.targets == ("query", "value")


def test_the_searched_knobs_are_those_that_are_told() -> None:
    from retrain.settings_parts import LoraSettings
    from retrain.tune import _start

    section = DOC.read_text().split("## Searching for settings")[1]
    told = set(re.findall(r"^\| `([\w.]+)`", section, re.MULTILINE))
    assert told == {*_start(TrainingSettings()), *_start(TrainingSettings(lora=LoraSettings(rank=4)))}
