from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.bench.replay import run
from streams.errors import InputError


def test_the_real_command_is_measured_on_what_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "mentions.jsonl"
    rows = [
        {
            "id": str(number),
            "entity": "OSTMB",
            "source": "wire",
            "author": f"author-{number}",
            "published_at": f"2026-03-02T{number // 60:02}:{number % 60:02}:00Z",
            "negative": 0.1,
            "neutral": 0.8,
            "positive": 0.1,
            "text": f"Ostermere Bank opens branch {number}",
        }
        for number in range(120)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rate, by_cpu, memory = run([str(file)])
    assert rate.note.startswith("120 mentions in ")
    assert 0 < rate.value < by_cpu.value * 1.5, "the wall clock is no faster than the processor"
    assert 20 < memory.value < 2_000


def test_a_replay_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ended with"):
        run([str(tmp_path / "missing.jsonl")])
