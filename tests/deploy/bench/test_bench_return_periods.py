"""Nominal against actual return periods: the streams are quiet, and alarms are counted as a rule would raise them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from deploy.bench.return_periods import AIM, STEPS_PER_DAY, Plan, alarms, quiet_stream, run
from deploy.cli.return_periods import return_periods
from streams.monitor.return_period import ReturnPeriodOptions


def test_a_quiet_stream_has_its_rate_a_day_and_more_variance_than_poisson() -> None:
    counts = quiet_stream(240, 60, np.random.default_rng(1))
    assert counts.sum() / (60 * 24) == pytest.approx(240, rel=0.05)
    by_hour = counts.reshape(60, 24, 12).sum(axis=2).mean(axis=0)
    assert by_hour.max() > 1.5 * by_hour.min()
    same_hour = counts.reshape(60, STEPS_PER_DAY)[:, 150]
    assert same_hour.var() > 2 * same_hour.mean()


def test_the_same_seed_is_the_same_stream() -> None:
    one, same, other = (quiet_stream(24, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_burst_is_one_alarm_and_not_one_for_every_step_of_it() -> None:
    counts = quiet_stream(24, 40, np.random.default_rng(3)).tolist()
    at = 35 * STEPS_PER_DAY
    counts[at : at + 6] = [200] * 6
    raised = [i for i in alarms(counts, 30, ReturnPeriodOptions()) if at <= i < at + 144]
    assert raised == [at]


def test_without_thirty_days_of_history_nothing_is_once_in_thirty_days() -> None:
    counts = quiet_stream(24, 20, np.random.default_rng(3)).tolist()
    counts[-1] = 10_000
    assert list(alarms(counts, 30, ReturnPeriodOptions())) == []
    assert list(alarms(counts, 14, ReturnPeriodOptions()))[-1] == len(counts) - 1


def test_once_in_seven_days_comes_about_that_often() -> None:
    plan = Plan(rates_per_h=(24.0,), nominal_days=(7.0,), keys=3, days=67, seed=2)
    figure = run(plan)[0]
    assert figure.ratio is not None
    assert AIM[0] <= figure.ratio <= AIM[1]
    assert figure.against.startswith("15.0 due")


def test_the_command_shows_every_rate_and_period(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(return_periods)
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["--keys", "1", "--days", "40", "--json", str(figures)])
    assert result.exit_code == 0, result.output
    names = [figure["name"] for figure in msgspec.json.decode(figures.read_bytes())]
    assert len(names) == 12
    assert names[0] == "2.4 mentions/h: once in 7 days"
    assert names[-1] == "all rates: once in 30 days"
