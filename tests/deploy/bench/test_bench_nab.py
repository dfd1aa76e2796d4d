"""Scores for the Numenta Anomaly Benchmark: causal, cooled down, and written as its scorers read them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.bench.nab import COOLDOWN_MS, METHODS, Series, cool_down, read_series, run
from deploy.cli.nab import nab
from streams.errors import InputError
from streams.monitor.bins import to_ms

START = datetime(2024, 1, 1, tzinfo=UTC)


def invented(days: float, *, burst_at: Sequence[int] = ()) -> Series:
    """A series of our own: about twenty mentions per step, and four hundred where a burst is planted."""
    rng = Random(8)
    times = [START + timedelta(minutes=5 * i) for i in range(round(days * 288))]
    counts = [float(400 if i in burst_at else round(rng.gammavariate(6, 20 / 6))) for i in range(len(times))]
    return Series("invented.csv", [f"{at:%Y-%m-%d %H:%M:%S}" for at in times], [to_ms(at) for at in times], counts)


def written(folder: Path, series: Series) -> Path:
    (folder / "realTweets").mkdir()
    rows = zip(series.timestamps, series.counts, strict=True)
    text = "timestamp,value\n" + "".join(f"{at},{count:.0f}\n" for at, count in rows)
    (folder / "realTweets" / series.name).write_text(text)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_a_score_does_not_know_the_rows_after_it(method: str) -> None:
    series = invented(4, burst_at=(900, 1000))
    cut = 950
    half = Series(series.name, series.timestamps[:cut], series.times_ms[:cut], series.counts[:cut])
    assert list(METHODS[method](series))[:cut] == list(METHODS[method](half))


@pytest.mark.parametrize("method", METHODS)
def test_a_burst_has_the_highest_score(method: str) -> None:
    series = invented(10, burst_at=(2600,))
    scores = list(METHODS[method](series))
    assert len(scores) == len(series.counts)
    assert max(range(len(scores)), key=scores.__getitem__) == 2600


def test_after_an_alarm_only_a_higher_one_is_heard_for_twelve_hours() -> None:
    hours = [0, 1, 2, 3, 11, 12, 14, 30]
    scores = [0.0, 5.0, 5.0, 7.0, 4.0, 6.0, 7.0, 1.0]
    assert cool_down([hour * 3_600_000 for hour in hours], scores) == [0, 5, 0, 7, 0, 0, 0, 1]
    assert COOLDOWN_MS == 12 * 3_600_000


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 5).map(float)), min_size=1, max_size=60))
def test_the_cooldown_is_what_comparing_all_pairs_gives(rows: list[tuple[int, float]]) -> None:
    times_ms = [sum(gap for gap, _ in rows[: i + 1]) * 3_600_000 for i in range(len(rows))]
    scores = [score for _, score in rows]
    expected = [
        score if all(score > scores[j] for j in range(i) if times_ms[i] - times_ms[j] < COOLDOWN_MS) else 0.0
        for i, score in enumerate(scores)
    ]
    assert cool_down(times_ms, scores) == expected


def test_scores_are_written_per_method_with_a_row_for_every_row(tmp_path: Path) -> None:
    series = invented(5, burst_at=(1200,))
    run(written(tmp_path, series), tmp_path / "scores")
    for method in METHODS:
        with (tmp_path / "scores" / method / "invented.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["timestamp"] for row in rows] == series.timestamps
        scores = [float(row["score"]) for row in rows]
        assert scores[1200] == max(scores[288:])


def test_a_folder_without_the_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no realTweets"):
        read_series(tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("timestamp,value\n2024-01-01 00:00:00,3\nsoon,4\n", r"bad\.csv:3: expected the columns timestamp,value"),
        ("timestamp,value\n2024-01-01 00:00:00,-3\n", r"bad\.csv:2: -3 is no possible count"),
        ("timestamp,value\n2024-01-01 00:00:00,nan\n", r"bad\.csv:2: nan is no possible count"),
        ("timestamp,value\n2024-01-01 00:05:00,3\n2024-01-01 00:00:00,3\n", r"bad\.csv:3: .* is not after"),
        ("time,mentions\n2024-01-01 00:00:00,3\n", r"bad\.csv:2: expected the columns"),
        ("timestamp,value\n2024-01-01 00:00:00\n", r"bad\.csv:2: expected the columns"),
    ],
)
def test_a_line_that_is_no_count_is_refused_with_its_place(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "realTweets").mkdir()
    (tmp_path / "realTweets" / "bad.csv").write_text(lines)
    with pytest.raises(InputError, match=said):
        read_series(tmp_path)


def test_rows_closer_than_a_step_are_scored_nothing_and_harm_nothing(tmp_path: Path) -> None:
    (tmp_path / "realTweets").mkdir()
    rows = "".join(f"{START + timedelta(minutes=2 * i):%Y-%m-%d %H:%M:%S},5\n" for i in range(50))
    (tmp_path / "realTweets" / "dense.csv").write_text("timestamp,value\n" + rows)
    assert all(len(one.scores) == 50 for one in run(tmp_path))


def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(nab)
    return app


def test_the_command_shows_every_method_and_writes_scores_and_figures(tmp_path: Path) -> None:
    data = written(tmp_path, invented(5, burst_at=(1200,)))
    figures, scores = tmp_path / "figures.json", tmp_path / "scores"
    result = CliRunner().invoke(command(), [str(data), "--out", str(scores), "--json", str(figures)])
    assert result.exit_code == 0, result.output
    names = [figure["name"] for figure in msgspec.json.decode(figures.read_bytes())]
    assert names == [f"invented, {method}" for method in METHODS]
    assert sorted(path.name for path in scores.iterdir()) == sorted(METHODS)


def test_scores_that_cannot_be_written_are_an_error_that_says_where(tmp_path: Path) -> None:
    data = written(tmp_path, invented(0.1))
    (tmp_path / "scores").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="cannot write"):
        run(data, tmp_path / "scores")
