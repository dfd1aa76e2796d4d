"""The demonstration from start to end: start everything, publish, watch, judge, and leave nothing running."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from deploy.demo import setup
from deploy.demo.feed import Feed, OwnMessages, read_files
from deploy.demo.judge import Outcome, judge_own, judge_story
from deploy.demo.screen import Figures, Screen, bad_rows
from deploy.demo.session import DemoError, Session
from deploy.demo.verdict import reached
from deploy.demo.watch import Watch
from deploy.kafka import free_port
from streams.config import Settings
from streams.errors import InputError, SquallError

STALL_S = 120.0
"""Without any progress for this long the run is given up: long enough for a slow machine to load the model."""

HURRIED_STOP_S = 3.0
"""After Ctrl-C nobody waits for a batch whose results are thrown away."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OK, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for."""

    files: tuple[Path, ...] = ()
    """The user's own messages; without them the invented story is told."""
    seed: int = 7
    keep: bool = False
    """Leave data and logs on disk (or topics on the cluster) also when all went well."""
    plain: bool = False
    assume_utc: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of a message to the column of the files, where it has an unusual name."""


class Terminated(BaseException):
    """SIGTERM, or SIGHUP: the terminal was closed."""


def run_demo(options: Options, base: Settings, console: Console) -> int:
    """Run it and return the exit status: 0, 1 with the reason shown, 130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        InputError: a file of the user's cannot be read, or holds no message; nothing was started then.
    """
    own = _read_own(options, base, console) if options.files else None
    run_id = setup.run_id()
    folder = setup.new_folder(setup.ROOT, run_id)
    own_broker = base.uses_local_broker
    settings = setup.run_settings(
        base,
        folder,
        run_id=run_id,
        bootstrap=f"127.0.0.1:{free_port()}" if own_broker else None,
        worker_port=free_port(),
        invented=own is None,
    )
    screen = Screen(console, plain=options.plain)
    session = Session(settings, folder, own_broker=own_broker, note=screen.doing)
    run = _Run(options, settings, session, screen, own)
    status = FAILED
    with _sigterm_raises():
        try:
            with screen:
                status = run.go()
        except KeyboardInterrupt:
            status = INTERRUPTED
        except Terminated:
            status = TERMINATED
        except SquallError as error:
            console.print(f"\nThe demonstration failed: {error}", style="red", markup=False, highlight=False)
        finally:
            _from_now_on_ignore_signals()
            _tidy_up(run, status, console)
    return status


class _Run:
    """One run: its parts, and the steps in order."""

    def __init__(
        self, options: Options, settings: Settings, session: Session, screen: Screen, own: OwnMessages | None
    ) -> None:
        self.options = options
        self.settings = settings
        self.session = session
        self.screen = screen
        self.own = own
        self.feed = Feed(settings)
        self._began_s = time.monotonic()
        self._step_s = self._began_s
        self._first_alert_s: float | None = None

    def go(self) -> int:
        """Do everything up to the verdict and return the exit status."""
        self._announce()
        self.screen.doing("Starting Kafka")
        self.session.start_broker()
        self._finished("Kafka is ready, and the topics are made")
        self.screen.doing("Starting a worker: it loads the model")
        self.session.start_worker()
        if self.own is None:
            self.feed.tell_story(self.options.seed)
        else:
            self.feed.send_messages(self.own.messages)
        with Watch(self.settings, self.session.metrics_url) as watch:
            outcome = self._follow(watch)
        self.screen.doing("Checking")
        outcome.alerts.sort(key=lambda alert: (alert.at, alert.id, alert.transition))
        if self.own is None:
            passed = judge_story(outcome, self.settings, self.feed.handed.told_of, self.options.seed, self.screen)
        else:
            passed = judge_own(outcome, self.settings, self.own, self.screen)
        return OK if passed else FAILED

    def _announce(self) -> None:
        if not self.session.has_own_broker:
            servers = ", ".join(self.settings.kafka.bootstrap_servers)
            after = "stay there" if self.options.keep else "are deleted at the end"
            self.screen.say(
                f"kafka.bootstrap_servers names {servers}: that cluster is used and no broker is started. The run's "
                f"own topics ({self.settings.topics.prefix}.*) {after}."
            )
        if self.own is None:
            self.screen.say(
                "Everything that follows is invented: twelve companies, two weeks of ordinary messages about them, and "
                "then three days with two crises and three decoys, played in under half a minute. The companies are "
                "watched by the same worker and model as real ones are."
            )

    def _follow(self, watch: Watch) -> Outcome:
        """Watch until everything is judged.

        Raises:
            DemoError: the worker ended, or nothing moved for too long.
            SquallError: publishing failed.
        """
        wait = _Patience(STALL_S)
        self._until(watch, wait, self.session.worker_is_ready, "the worker does not get ready")
        self._finished("the worker is ready")
        handed = self.feed.handed
        if self.own is None:
            self.screen.doing("learning what is usual")
            self._until(watch, wait, lambda: self._history_is_scored(watch), "the history is not scored")
            self._finished(f"{handed.messages:,} messages of ordinary weeks are scored")
            self.feed.go_on()
        self.screen.doing("watching")
        self._until(watch, wait, lambda: handed.done, "publishing does not get on")
        self.screen.doing("finishing what is under way")
        self._until(watch, wait, lambda: self._is_settled(watch), "what was published is not all judged")
        first = "" if self._first_alert_s is None else f"; the first alert {self._first_alert_s:.0f} s after the start"
        self._finished(f"{handed.records:,} records are through{first}")
        return Outcome(alerts=list(watch.alerts))

    def _history_is_scored(self, watch: Watch) -> bool:
        handed = self.feed.handed
        return handed.history_done and watch.worker.scored >= handed.messages

    def _is_settled(self, watch: Watch) -> bool:
        handed = self.feed.handed
        if watch.worker.scored < handed.records or handed.reached is None:
            return False
        target = reached(handed.reached, self.settings.monitor.allowed_lateness_s)
        partitions = self.settings.topics.mention_partitions
        if len(watch.worker.watermarks) < partitions or min(watch.worker.watermarks.values()) < target:
            return False
        watch.look_at_offsets()
        return watch.lag.to_score == 0 and watch.lag.to_judge == 0 and watch.has_all_alerts

    def _until(self, watch: Watch, wait: _Patience, arrived: Callable[[], bool], reason: str) -> None:
        while True:
            for alert in watch.look():
                self.screen.alert(alert)
                if alert.state == "firing" and self._first_alert_s is None:
                    self._first_alert_s = time.monotonic() - self._began_s
            self.session.require_worker()
            if self.feed.handed.error is not None:
                raise self.feed.handed.error
            self.screen.update(self._figures(watch))
            if arrived():
                wait.renew()
                return
            marks = (self.feed.handed.records, watch.worker.scored, watch.worker.event_time, watch.lag.to_judge)
            if wait.is_over(marks, time.monotonic()):
                msg = (
                    f"{reason}: nothing has moved for {STALL_S:.0f} s ({watch.lag.to_score:,} records wait to be "
                    f"scored, {watch.lag.to_judge:,} to be judged)"
                )
                raise DemoError(msg)

    def _figures(self, watch: Watch) -> Figures:
        worker, handed = watch.worker, self.feed.handed
        return Figures(
            phase=handed.phase,
            published=handed.records,
            scored=worker.scored,
            scored_per_s=watch.scored_per_s,
            batches=worker.batches,
            batch_messages=worker.batch_messages,
            # Kafka's own lag counts feed marks too, which would puzzle.
            to_score=max(0, handed.records - worker.scored),
            to_judge=watch.lag.to_judge,
            mentions=worker.mentions,
            refused=worker.refused,
            alerts=Counter({alert.id: alert.state for alert in watch.alerts}.values()),
            event_time=worker.event_time,
        )

    def _finished(self, what: str) -> None:
        now_s = time.monotonic()
        self.screen.done(what, now_s - self._step_s)
        self._step_s = now_s


class _Patience:
    """Notices that nothing moves any more. The clock is an argument."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._marks: Sequence[object] | None = None
        self._since_s: float | None = None

    def renew(self) -> None:
        """A step is done: begin to wait anew."""
        self._since_s = None

    def is_over(self, marks: Sequence[object], now_s: float) -> bool:
        """Whether the marks have been the same for too long."""
        if self._since_s is None or marks != self._marks:
            self._marks, self._since_s = marks, now_s
        return now_s - self._since_s > self._limit_s


def _read_own(options: Options, base: Settings, console: Console) -> OwnMessages:
    own = read_files(options.files, base, columns=options.columns, assume_utc=options.assume_utc)
    if own.bad:
        console.print(bad_rows(own.bad), style="red", markup=False, highlight=False, soft_wrap=True)
    if not own.messages:
        names = ", ".join(str(path) for path in options.files)
        count = f"all {len(own.bad):,} rows are bad" if own.bad else "there is no row"
        msg = f"no message in {names}: {count}"
        raise InputError(msg)
    return own


def _tidy_up(run: _Run, status: int, console: Console) -> None:
    run.feed.stop()
    failed = status == FAILED
    with suppress(OSError, SystemExit):  # whoever reads this may have gone, and the processes must end all the same
        console.print(
            "Stopping the worker and the broker ..." if run.session.has_own_broker else "Stopping the worker ..."
        )
    keep_data = run.options.keep or failed
    if status in (INTERRUPTED, TERMINATED):
        problems = run.session.close(keep_data=keep_data, worker_s=HURRIED_STOP_S)
    else:
        problems = run.session.close(keep_data=keep_data)
    for problem in problems:
        console.print(f"Not tidied up: {problem}", style="yellow", markup=False, highlight=False)
    folder = run.session.folder
    if failed:
        logs = [folder.worker_log, folder.broker_log] if run.session.has_own_broker else [folder.worker_log]
        there = [str(log) for log in logs if log.exists()]
        console.print(f"The logs: {', '.join(there) or folder.root}", markup=False, highlight=False, soft_wrap=True)
    elif run.options.keep:
        text = f"Data and logs are kept in {folder.root}"
        if run.session.has_own_broker:
            port = run.settings.kafka.bootstrap_servers[0].rpartition(":")[2]
            text += f"\nTo look at the topics again: squall broker start --data-dir {folder.broker} --port {port}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if status in (INTERRUPTED, TERMINATED):
        console.print("Stopped; nothing is left running.", highlight=False)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _from_now_on_ignore_signals() -> None:
    """The tidying up is short, and a second Ctrl-C in its middle would leave processes behind."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
