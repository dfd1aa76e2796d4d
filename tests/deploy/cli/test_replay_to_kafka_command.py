"""`squall replay --to-kafka`: what it says of wrong use, and the words of a rehearsal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from deploy.cli import frame, replay_to_kafka
from deploy.cli.replay import replay
from streams.config import Settings
from streams.errors import InputError
from streams.replay.rehearsals.to_kafka import Play, PlayWatch


def run(*arguments: str) -> Result:
    app = typer.Typer(add_completion=False)
    app.command()(replay)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_the_live_topics_are_refused() -> None:
    result = run("history.csv", "--to-kafka", "--prefix", "squall")
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("--prefix squall: under squall stand the live topics")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to-kafka"], "needs --prefix"),
        (["--prefix", "replay-x"], "add --to-kafka"),
        (["--to-kafka", "--prefix", "replay-x", "--out", "run", "--entity", "AAPL"], "leave out --out, --entity"),
        (["--to-kafka", "--prefix", "replay-x", "--as-scored", "--check"], "leave out --check"),
        (["--to-kafka", "--prefix", "replay-x", "--from", "yesterday"], "no time with an offset"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], words: str) -> None:
    result = run("history.csv", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(("as_scored", "role"), [(True, "monitor"), (False, "all")])
def test_a_paced_play_says_at_its_start_how_to_rehearse(
    as_scored: bool, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame.invocation, "config", Path("my desk.yaml"))
    said = io.StringIO()
    monkeypatch.setattr(replay_to_kafka, "err", lambda: Console(file=said, width=60))

    def stopped(play: Play, settings: Settings, watch: PlayWatch) -> None:
        watch.on_start("replay-x.mentions", 4, 10, ("replay-x.mentions",))
        raise KeyboardInterrupt

    monkeypatch.setattr(replay_to_kafka, "play_to_kafka", stopped)
    with pytest.raises(KeyboardInterrupt):
        replay_to_kafka.run_play(Play(("x.csv",), "replay-x", as_scored=as_scored, speed=60.0), Settings())
    assert said.getvalue().splitlines()[1:] == [
        "Rehearse with a worker of its own, whose alerts go to the receivers of the configuration:",
        "  SQUALL_TOPICS__PREFIX=replay-x SQUALL_WORKER__DATA_DIR=.squall/worker-replay-x SQUALL_WORKER__PORT=0 "
        f"squall --config 'my desk.yaml' worker --role {role}",
        "playing",
        "Stopped before anything was played.",
    ]
