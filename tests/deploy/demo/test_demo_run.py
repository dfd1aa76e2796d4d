"""`squall demo` as a person runs it: a real broker, a real worker, the shipped model; and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka import LocalBroker
from streams.config import KafkaSettings
from streams.topics import admin_client

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

Environment = dict[str, str]


@pytest.fixture
def environ() -> Environment:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    return kept | {"COLUMNS": "200"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a run stands; no process that was started there may outlive the test."""
    yield tmp_path
    assert processes_of(tmp_path) == []


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "deploy.cli", *arguments]


def squall(place: Path, environ: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=place,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=350,
        check=False,
    )


def processes_of(place: Path) -> list[str]:
    """Brokers and workers whose command line names the place."""
    every = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
    return [line for line in every.stdout.splitlines() if str(place) in line]


def runs(place: Path) -> list[Path]:
    return list((place / ".squall" / "demo").glob("*"))


def test_the_demonstration_raises_its_two_alerts_and_no_other(place, environ):
    done = squall(place, environ, "demo", "--plain")
    assert done.returncode == 0, done.stdout
    assert "All is as it should be." in done.stdout
    assert "FAILED" not in done.stdout
    verdicts = re.findall(r"│ ok +│ (.+?): .*│ (alert at|no alert)", done.stdout)
    assert [name for name, found in verdicts if found == "alert at"] == ["Brindlemoor Foods", "Ostermere Bank"]
    for company in ("Brindlemoor Foods (BRMFD)", "Ostermere Bank (OSTMB)"):
        assert re.search(rf"│ {re.escape(company)}: \d+ % of \d+ stories in the last .* are negative", done.stdout)
    first = re.search(r"the first alert (\d+) s after the start", done.stdout)
    assert first is not None
    assert int(first[1]) < 90
    assert runs(place) == [], "nothing is kept of a run that went well"


OWN = """\
id,published_at,text
1,2026-03-02T10:05:00Z,"$AAPL tumbles after weak sales warning, analysts cut targets"
2,2026-03-02T10:00:00Z,Microsoft raises its outlook after strong growth
3,2026-03-02T10:06:00,No offset in this row about Microsoft
4,2026-03-02T11:00:00Z,nothing about anybody
"""


def test_own_messages_are_told_by_company_and_bad_rows_by_line(place, environ):
    (place / "own.csv").write_text(OWN, encoding="utf-8")
    done = squall(place, environ, "demo", "--plain", "--data", "own.csv")
    assert done.returncode == 0, done.stdout
    assert re.search(r"│ Apple Inc\. \(AAPL\) +│ +1 │", done.stdout)
    assert re.search(r"│ Microsoft \(MSFT\) +│ +1 │", done.stdout)
    assert "own.csv: line 4: published_at: 2026-03-02T10:06:00 has no offset" in done.stdout
    assert "3 messages from 2 March 2026 10:00 UTC to 2 March 2026 11:00 UTC went through." in done.stdout
    assert "The rows did not stand in order of time" in done.stdout
    assert "No company has enough history" in done.stdout
    assert "No alert fired." in done.stdout


def test_on_a_named_cluster_no_broker_is_started_and_the_topics_are_deleted_at_the_end(
    place, environ, kafka: LocalBroker
):
    (place / "other.jsonl").write_text('{"published_at": "2026-03-02T10:00:00Z", "text": "hello"}\n', encoding="utf-8")
    environ |= {"SQUALL_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap, "SQUALL_TOPICS__PREFIX": "their"}
    done = squall(place, environ, "demo", "--plain", "--data", "other.jsonl")
    assert done.returncode == 0, done.stdout
    assert f"names {kafka.bootstrap}: that cluster is used and no broker is started" in done.stdout
    assert "None of the 1 message speaks of a company that Squall knows" in done.stdout
    assert runs(place) == []
    with admin_client(KafkaSettings(bootstrap_servers=(kafka.bootstrap,))) as admin:
        assert [name for name in admin.list_topics() if name.startswith("their-demo-")] == []
        assert [group for group in admin.list_groups() if "their-demo-" in str(group)] == []


def test_a_worker_that_cannot_start_ends_the_run_with_its_own_words_and_the_logs_named(place, environ):
    environ |= {"SQUALL_CLASSIFIER__MODEL": str(place / "no-such-model")}
    done = squall(place, environ, "demo", "--plain")
    assert done.returncode == 1, done.stdout
    words = " ".join(done.stdout.split())
    assert "The demonstration failed: the worker ended by itself" in words
    assert "no-such-model" in words
    (run,) = runs(place)
    for log in (run / "worker.log", run / "broker" / "logs" / "server.log"):
        assert log.stat().st_size
        assert str(log) in done.stdout


def test_a_file_without_messages_starts_nothing(place, environ):
    (place / "bad.csv").write_text("text,time\nhello,soon\n", encoding="utf-8")
    done = squall(place, environ, "demo", "--plain", "--data", "bad.csv")
    assert done.returncode == 2
    assert "bad.csv: line 2: time: 'soon' is no time" in done.stdout
    assert "no message in bad.csv: all 1 rows are bad" in done.stdout
    assert not (place / ".squall").exists()


@pytest.mark.parametrize(
    ("line", "number", "status"),
    [
        ("Starting Apache Kafka on", signal.SIGINT, 130),
        ("Starting a worker", signal.SIGTERM, 143),
        ("the worker is ready", signal.SIGINT, 130),
    ],
)
def test_a_run_that_is_stopped_leaves_no_process_and_no_data(place, environ, line, number, status):
    # Ctrl-C in a terminal reaches the foreground group: here that is the demonstration alone, as it is there.
    with subprocess.Popen(
        command("demo", "--plain"),
        cwd=place,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        seen = []
        for said in run.stdout:
            seen.append(said)
            if line in said:
                break
        run.send_signal(number)
        rest = run.stdout.read()
        assert run.wait(60) == status, "".join(seen) + rest
    assert "nothing is left running" in rest
    assert runs(place) == []
    deadline_s = time.monotonic() + 10  # what is killed takes a moment to be gone
    while processes_of(place) and time.monotonic() < deadline_s:
        pass
    assert processes_of(place) == []
