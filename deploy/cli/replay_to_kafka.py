"""`squall replay --to-kafka`: history played into topics of its own, and the words that go with it."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from deploy.cli.frame import err, invocation, out
from deploy.cli.replay_progress import RunDisplay
from deploy.cli.replay_words import BadRows
from deploy.cli.stopping import STOPPED
from streams.config import Settings
from streams.deliver.words import plural
from streams.replay.rehearsals.rehearsal import rehearsal_settings
from streams.replay.rehearsals.to_kafka import Play, Played, PlayWatch, check_play, play_to_kafka


def run_play(play: Play, current: Settings) -> Played:
    """Play history into the topics of a rehearsal, and say how to rehearse and how to tidy up.

    Args:
        play: what, and where to.
        current: the live configuration.

    Raises:
        SquallError: see `streams.replay.rehearsals.to_kafka.play_to_kafka`.
        KeyboardInterrupt: it was stopped; how far it came has been told. So with `deploy.cli.stopping.Terminated`.
    """
    console = err()
    bad = BadRows(console, counted=False)
    check_play(play, current)
    with tempfile.TemporaryDirectory(prefix="squall-replay-") as scratch, RunDisplay(console) as display:
        reached = _Reached(console, display, play, current)
        watch = PlayWatch(on_start=reached.started, on_progress=reached.update, on_bad=bad)
        options = replace(play.files, scratch=Path(scratch))
        try:
            played = play_to_kafka(replace(play, files=options), current, watch)
        except STOPPED:
            display.__exit__(None, None, None)
            reached.stopped()
            raise
        finally:
            bad.conclude()
    _print_played(out(), play, played)
    _print_commands(out(), play, current)
    _print_removal(out(), play)
    return played


class _Reached:
    """How far a play has come."""

    def __init__(self, console: Console, display: RunDisplay, play: Play, current: Settings) -> None:
        self._console = console
        self._display = display
        self._play = play
        self._current = current
        self._total: int | None = None
        self._topic = ""
        self._count = 0
        self._at: datetime | None = None

    def started(self, topic: str, partitions: int, total: int | None, made: tuple[str, ...]) -> None:
        """The topics are there."""
        self._topic, self._total = topic, total
        if made:
            self._say(
                f"Made {plural(len(made), 'topic')} under {self._play.prefix}, {topic} with "
                f"{plural(partitions, 'partition')} as in the settings; what is played is kept until they are removed "
                "(retention.ms=-1), as its times are those of the history"
            )
        if self._play.speed is not None:
            _print_commands(self._console, self._play, self._current)
        self._display.begin("playing", total)

    def update(self, count: int, event_time: datetime) -> None:
        """Some more was played."""
        self._count, self._at = count, event_time
        self._display.update(count, self._total, event_time)

    def stopped(self) -> None:
        """Ctrl-C or SIGTERM: say where."""
        if self._at is None:
            self._say("Stopped before anything was played.")
            return
        at = f"{self._at:%Y-%m-%dT%H:%M:%SZ}"
        self._say(f"Stopped at {at}, after about {plural(self._count, 'record')}; what was played is on {self._topic}.")
        self._say(f"The same command with --from {at} --warm-up 0h --force goes on from there.")
        _print_removal(self._console, self._play)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)


def _print_played(console: Console, play: Play, played: Played) -> None:
    noun = "mention" if play.as_scored else "message"
    span = "" if played.first is None else f", {played.first:%Y-%m-%d %H:%M:%S} to {played.last:%Y-%m-%d %H:%M:%S} UTC"
    bad = f"; {plural(played.bad, 'bad row')} left out" if played.bad else ""
    text = f"Played {plural(played.count, noun)} into {played.topic} in {played.seconds:,.1f} s{span}{bad}"
    console.print(text, markup=False, soft_wrap=True)


def _print_commands(console: Console, play: Play, current: Settings) -> None:
    """How a worker of the rehearsal is run: beside the live one, and with nothing of its."""
    target = rehearsal_settings(current, play.prefix)
    folder = current.worker.data_dir.with_name(f"{current.worker.data_dir.name}-{play.prefix}")
    config = "" if invocation.config is None else f"--config {shlex.quote(str(invocation.config))} "
    # Its scorer would find no messages, and tell the monitors that the time is now.
    role = "monitor" if play.as_scored else "all"
    variables = (
        f"SQUALL_TOPICS__PREFIX={target.topics.prefix} SQUALL_WORKER__DATA_DIR={shlex.quote(str(folder))} "
        "SQUALL_WORKER__PORT=0"
    )
    told = "Rehearse with a worker of its own, whose alerts go to the receivers of the configuration:"
    console.print(told, markup=False, soft_wrap=True)
    console.print(f"  {variables} squall {config}worker --role {role}", markup=False, soft_wrap=True)


def _print_removal(console: Console, play: Play) -> None:
    console.print("When it is over, stop that worker and remove the topics:")
    console.print(f"  squall topics remove --prefix {play.prefix}", markup=False, soft_wrap=True)
