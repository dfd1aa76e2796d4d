"""When a soak is flat, what it shows, and a few seconds of one with a real worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.bench.soak import Plan, SoakRun, line, soak_figures
from deploy.cli import bench as command
from streams.config import Settings
from tests.deploy.bench.test_bench_load import TOPIC, account, sample
from tests.models.tiny_model import write_tiny_model

PLAN = Plan(minutes=3, most_mib_per_h=30)


def soaked(*rss_mib: float, **changes: object) -> SoakRun:
    samples = [sample(30.0 * number, 5, rss_mib=memory) for number, memory in enumerate(rss_mib)]
    values = {"plan": PLAN, "samples": samples, "topic": TOPIC, "alerts": 4, "accounts": account()}
    return SoakRun(**(values | changes))


def test_what_grows_while_it_warms_up_is_no_leak_and_what_grows_after_it_is() -> None:
    assert soaked(900, 1_000, 1_100, 1_100, 1_100, 1_100.1, 1_100).is_flat
    leaking = soaked(1_000, 1_000, 1_000, 1_001, 1_002, 1_003, 1_004)
    assert leaking.mib_per_h == pytest.approx(120)
    assert not leaking.is_flat


def test_a_missing_message_is_not_flat() -> None:
    assert not soaked(1_000, 1_000, 1_000, 1_000, 1_000, accounts=account(missing_ids=1)).is_flat


def test_the_figures_hold_the_slope_against_what_is_flat() -> None:
    figures = {figure.name: figure for figure in soak_figures(soaked(1_000, 1_000, 1_000, 1_001, 1_002, 1_003, 1_004))}
    assert figures["memory grows by"].ratio == pytest.approx(4)
    assert figures["memory"].value == 1_004
    assert figures["lag at its highest"].value == 5
    assert figures["accounted for"].note == "0 missing, 0 twice"


def test_one_look_fits_on_one_line() -> None:
    shown = line(sample(60, 5), TOPIC, 60)
    assert "1.0 min" in shown
    assert "lag      5" in shown
    assert "\n" not in shown


@pytest.mark.broker
@pytest.mark.timeout(300)
def test_a_short_soak_accounts_for_all_and_tells_what_it_saw(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    tiny = settings.model_copy(
        update={"classifier": settings.classifier.model_copy(update={"model": folder, "device": "cpu"})}
    )
    monkeypatch.setattr("deploy.cli.bench_load.settings", lambda: tiny)
    file = tmp_path / "figures.json"
    options = "--minutes 0.1 --rate 100 --backlog 500 --every 0.5 --most-mib-per-h 1000000"
    result = CliRunner().invoke(command.app, ["soak", *options.split(), "--json", str(file)])
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())}
    assert figures["accounted for"]["value"] == 1_100, result.output
    assert figures["accounted for"]["note"].startswith("0 missing")
    assert figures["memory"]["value"] > 50
