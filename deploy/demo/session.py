"""What a demonstration starts: a broker, the topics and a worker; and that all of it is gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from deploy.demo.setup import RunFolder, worker_environment, write_files
from deploy.kafka import LocalBroker
from deploy.kafka.files import RunRecord, tail
from deploy.kafka.runtime import find_runtime
from streams.config import Settings
from streams.errors import SquallError
from streams.topics import admin_client, create_topics

STOP_WORKER_S = 30.0
"""A worker takes up to 25 s to finish what is under way."""
_START_KNOWN_S = 60.0
_POLL_S = 0.1
_LOG_LINES = 15


class DemoError(SquallError):
    """The demonstration cannot go on: the reason, for a person."""


class Session:
    """The processes of one run.

    Args:
        settings: of the run (`deploy.demo.setup.run_settings`).
        folder: of the run.
        own_broker: start a broker; otherwise `settings` name a cluster.
        note: receives one line about what is being done.
    """

    def __init__(self, settings: Settings, folder: RunFolder, *, own_broker: bool, note: Callable[[str], None]) -> None:
        self.settings = settings
        self.folder = folder
        self._note = note
        port = int(settings.kafka.bootstrap_servers[0].rpartition(":")[2])
        self._broker = LocalBroker(folder.broker, port, note=note) if own_broker else None
        self._started = threading.Event()
        """Set while nothing is being started. Not the thread itself: in Python 3.11 one whose `join` a signal
        interrupts counts as ended, although it runs on."""
        self._started.set()
        self._worker: subprocess.Popen[bytes] | None = None
        self._has_topics = False

    @property
    def has_own_broker(self) -> bool:
        """The run has a broker of its own, and does not use somebody's cluster."""
        return self._broker is not None

    @property
    def metrics_url(self) -> str:
        """Address of the worker's metrics."""
        return f"http://{self.settings.worker.host}:{self.settings.worker.port}/metrics"

    def start_broker(self) -> None:
        """Start the broker, if the run has one of its own, and make the topics.

        The broker starts in a thread: a signal then reaches this one at any moment, and `close` still knows the broker.

        Raises:
            BrokerError: it does not start, or the cluster cannot be reached.
            TopicError: the cluster refuses a topic.
        """
        write_files(self.settings, self.folder)
        if self._broker is not None:
            find_runtime(self._note)  # here, since a signal ends a download only if it is waited for in this thread
            self._in_thread(self._broker.start)
        self._note("making the topics")
        self._has_topics = True
        self._in_thread(lambda: create_topics(self.settings))

    def start_worker(self) -> None:
        """Start `squall worker`, in a session of its own so that Ctrl-C reaches this process alone."""
        # -P: a folder named `deploy` where the user stands is not ours.
        command = [sys.executable, "-P", "-m", "deploy.cli", "--config", str(self.folder.config), "worker"]
        with self.folder.worker_log.open("wb") as log:
            self._worker = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=worker_environment(self.settings, os.environ),
                start_new_session=True,
            )

    def require_worker(self) -> None:
        """Raise DemoError, with the last lines of its log, if the worker has ended."""
        status = self._worker.poll() if self._worker is not None else None
        if status is None:
            return
        last = "\n".join(f"  {line}" for line in tail(self.folder.worker_log, _LOG_LINES)) or "  (nothing)"
        raise DemoError(f"the worker ended by itself (exit status {status}). The last lines of its log:\n{last}")

    def worker_is_ready(self) -> bool:
        """Ask /readyz. Raises DemoError if the worker has ended."""
        self.require_worker()
        try:
            with urllib.request.urlopen(self.metrics_url.replace("/metrics", "/readyz"), timeout=2):  # noqa: S310
                return True
        except (urllib.error.URLError, OSError):
            return False

    def close(self, *, keep_data: bool, worker_s: float = STOP_WORKER_S) -> list[str]:
        """End everything that was started; it never raises. Returns what could not be tidied up.

        Args:
            worker_s: how long the worker may take to finish what is under way before it is killed.
            keep_data: leave the run's folder, or on a cluster its topics, for a look.
        """
        problems: list[str] = []
        for step in (
            lambda: self._stop_worker(worker_s),
            *(() if keep_data else (self._delete_topics,)),
            self._stop_broker,
        ):
            try:
                step()
            except Exception as error:  # the next step must still be done
                problems.append(str(error))
        if not keep_data and not problems:
            shutil.rmtree(self.folder.root, ignore_errors=True)
        return problems

    def _in_thread(self, work: Callable[[], object]) -> None:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)
            finally:
                self._started.set()

        self._started.clear()
        threading.Thread(target=run, name="demo-start", daemon=True).start()
        while not self._started.wait(_POLL_S):
            pass  # with a time limit, since a wait without one lets no signal through on some systems
        if failures:
            raise failures[0]

    def _stop_worker(self, timeout_s: float) -> None:
        worker = self._worker
        if worker is None or worker.poll() is not None:
            return
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(timeout_s)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def _stop_broker(self) -> None:
        if self._broker is None:
            return
        if self._started.is_set():
            self._broker.stop()
        else:
            self._kill_in_its_start(self._broker)

    def _kill_in_its_start(self, broker: LocalBroker) -> None:
        """Kill a broker as soon as its start has brought it forth; the start then fails, in a thread nobody awaits."""
        deadline_s = time.monotonic() + _START_KNOWN_S
        while not self._started.is_set() and time.monotonic() < deadline_s:
            record = RunRecord.read(broker.files.record)
            if record is not None:
                broker.kill()
                if record.container is None:
                    return
            self._started.wait(_POLL_S)  # with a container it is waited for: the failing start removes the container

    def _delete_topics(self) -> None:
        """Delete the run's topics and groups on somebody's cluster; those of an own broker go with its folder."""
        if self._broker is not None or not self._has_topics:
            return
        self._started.wait(STOP_WORKER_S)  # topics may be in the making
        prefix = self.settings.topics.prefix
        with admin_client(self.settings.kafka) as admin:
            names = sorted(n for n in admin.list_topics() if n.startswith((f"{prefix}.", f"{prefix}-")))
            if names:
                admin.delete_topics(names)
            admin.delete_groups([f"{prefix}-scorer", f"{prefix}-monitor"])
