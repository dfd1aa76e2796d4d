from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from retrain.labels import live
from retrain.labels.choose import choose
from retrain.labels.live import MOST_CANDIDATES, candidates
from streams.config import Settings
from streams.foremost import Foremost
from streams.records import encode
from tests.streams.monitor.invented import mention

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path) -> str:
    path = tmp_path / "mentions.jsonl"
    made = [mention(number, AT + timedelta(minutes=number), 0.001 * (number * 7919 % 1_000)) for number in range(600)]
    path.write_bytes(b"\n".join(map(encode, [*made, *made[-1:]])))
    return str(path)


def test_of_a_long_history_the_messages_that_the_model_is_least_sure_of_are_held(
    history: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    class Watched(Foremost[object]):
        def add(self, key: str, rank: float, item: object) -> None:
            super().add(key, rank, item)
            held.append(len(self))

    monkeypatch.setattr(live, "Foremost", Watched)
    everything = candidates(Settings(), [history])
    assert len(everything) == 600
    held.clear()
    found = candidates(Settings(), [history], most=100)
    assert (len(found), max(held)) == (100, 100)
    # A tenth of them is what is chosen among anyway, so the same are asked for.
    assert choose(found, 5) == choose(everything, 5)


def test_the_bound_leaves_ten_candidates_of_different_stories_for_each_text_that_is_asked_for() -> None:
    assert MOST_CANDIDATES >= 200 * 10
