from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.prediction import ModelId
from retrain.registry.audit import Entry, Step, write_entry
from retrain.registry.beside import disagreement, is_in_use

AT = datetime(2026, 3, 17, 12, tzinfo=UTC)
OLD, NEW = ModelId("old", "1" * 12), ModelId("new", "2" * 12)


def entry(step: Step, model: ModelId | None = None, champion: ModelId | None = None) -> Entry:
    return Entry(at=AT, by="ana", step=step, model=model, champion=champion)


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [entry("failed"), entry("not_due")],
        [entry("promoted", NEW, OLD)],
        [entry("used", OLD)],  # no champion is known
        [entry("used", NEW, NEW)],
        [entry("promoted", NEW, OLD), entry("used", OLD, NEW), entry("rolled_back", OLD, NEW)],
        [entry("promoted", NEW, OLD), entry("used", OLD, NEW), entry("used", NEW, NEW)],
        [entry("used", OLD, NEW), entry("promoted", NEW, OLD), entry("refused", OLD)],
    ],
)
def test_where_champion_and_workers_mean_the_same_nothing_is_told(entries: list[Entry]) -> None:
    assert disagreement(entries) is None


@pytest.mark.parametrize(
    "entries",
    [
        [entry("used", OLD, NEW)],
        [entry("promoted", NEW), entry("used", OLD)],  # the registry was down
        [entry("promoted", NEW), entry("used", OLD, NEW), entry("refused", ModelId("other", "3")), entry("failed")],
        [entry("used", NEW, NEW), entry("used", OLD)],
    ],
)
def test_another_model_than_the_champion_is_told_until_it_is_ended(entries: list[Entry]) -> None:
    told = disagreement(entries)
    assert told is not None
    assert told.startswith(f"workers were told to answer with old {'1' * 12} (2026-03-17 12:00 UTC, by ana)")
    assert f"the registry's champion is new {'2' * 12}: squall models promote or rollback" in told


def test_a_registry_that_nobody_has_made_is_not_opened(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert not is_in_use(str(tmp_path / "registry"), runs)
    assert is_in_use("http://127.0.0.1:9", runs)
    assert is_in_use(str(tmp_path), runs)
    write_entry(runs, entry("promoted", NEW))
    assert is_in_use(str(tmp_path / "registry"), runs)
