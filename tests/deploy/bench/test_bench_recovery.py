"""What a kill and a deleted state cost: the figures, the mentions that are made for it, and a small run of both."""

from __future__ import annotations

import pytest

from deploy.bench.recovery import Interruption, Plan, interrupt, interruption_figures, run, state_figures
from deploy.bench.recovery_state import StateRun, delete_state
from streams.config import Settings
from streams.errors import InputError
from tests.deploy.bench.test_bench_load import account
from tests.models.tiny_model import write_tiny_model


def interruption(seconds: float, **changes: object) -> Interruption:
    return Interruption(ready_s=seconds, on_s=seconds + 1, done_s=seconds + 5, left=700, accounts=account(**changes))


def test_the_median_of_the_runs_counts_and_what_came_twice_is_told() -> None:
    ready, goes_on, done = interruption_figures(
        "worker killed", [interruption(3), interruption(9, second_copies=12), interruption(4)]
    )
    assert (ready.value, goes_on.value, done.value) == (4, 5, 9)
    assert "0 lost, 12 mentioned twice" in done.note
    assert "NOT ALL" not in done.note
    lost = interruption_figures("worker killed", [interruption(3, missing_ids=1)])[-1]
    assert "NOT ALL ACCOUNTED FOR" in lost.note


def test_the_figures_of_a_deleted_state_say_how_many_alerts_are_the_same() -> None:
    found = StateRun(
        companies=500,
        mentions=30_000,
        ready_s=(5.0, 7.0, 6.0),
        bare_s=2.0,
        saved=900,
        saved_mib=3.5,
        alerts=20,
        same=19,
    )
    recovered, alike = state_figures(found)
    assert recovered.value == 6.0
    assert alike.ratio == 0.95


def test_a_named_cluster_is_not_restarted(settings: Settings) -> None:
    with pytest.raises(InputError, match=r"unset kafka\.bootstrap_servers"):
        run(settings, Plan())


@pytest.mark.broker
@pytest.mark.timeout(400)
def test_a_killed_worker_loses_no_message(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model")
    write_tiny_model(folder)
    tiny = settings.model_copy(
        update={"classifier": settings.classifier.model_copy(update={"model": folder, "device": "cpu"})}
    )
    found = interrupt(tiny, Plan(backlog=2_000), instance="bench")
    assert found.accounts.is_complete
    assert 0 < found.ready_s <= found.done_s
    assert found.left < 2_000


@pytest.mark.broker
@pytest.mark.timeout(400)
def test_alerts_are_the_same_after_the_state_was_deleted(settings: Settings) -> None:
    found = delete_state(settings, 16, days=2, per_day=48, repeats=1)
    assert found.mentions == 16 * 2 * 48
    assert found.alerts == found.same > 0
    assert found.saved > 0
    assert len(found.ready_s) == 1
