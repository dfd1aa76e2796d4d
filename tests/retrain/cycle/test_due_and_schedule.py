from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.kafka import free_port
from retrain.cycle.due import is_due, labels_seen, read_drift
from retrain.cycle.schedule import next_run, run_on_schedule
from retrain.registry.audit import Entry
from streams.errors import ConfigError

NOON = datetime(2026, 3, 17, 12, tzinfo=UTC)


def due(labels: int, seen: int = 0, *, gone: int = 0, **drift: float) -> tuple[bool, str]:
    found = is_due(labels=labels, seen=seen, gone=gone, min_labels=200, drift=drift, max_psi=0.25, max_distance=0.5)
    return found.is_due, found.words


def test_enough_new_labels_are_a_reason_and_fewer_are_not() -> None:
    assert due(450, 250) == (True, "200 new labels")
    assert due(449, 250) == (False, "199 new labels, 200 are a reason")


def test_labels_that_were_taken_back_hide_no_new_ones_and_are_a_reason_themselves() -> None:
    assert due(350, 250, gone=100) == (True, "200 new labels")
    assert due(50, 250, gone=200) == (True, "200 labels of the champion were taken back or changed")
    assert due(240, 250, gone=10)[0] is False


def test_drift_is_a_reason_once_there_is_something_to_learn_from() -> None:
    assert due(260, 250, sentiment=0.3, length=0.1) == (True, "drift (sentiment 0.30) and 10 new labels")
    assert due(250, 250, sentiment=0.3)[0] is False
    assert due(260, 250, sentiment=0.2)[0] is False


def test_the_distance_of_the_texts_is_a_reason_by_a_bound_of_its_own() -> None:
    assert due(260, 250, embedding=0.6) == (True, "drift (embedding 0.60) and 10 new labels")
    assert due(260, 250, embedding=0.4, topic=0.1)[0] is False


def test_what_the_last_run_had_seen_is_what_the_last_verdict_says() -> None:
    def entry(step: str, **facts: int) -> Entry:
        return Entry(at=NOON, by="ana", step=step, facts=facts)  # type: ignore[arg-type]

    assert labels_seen([]) == 0
    entries = [
        entry("passed", labels=100),
        entry("promoted"),
        entry("refused", labels=300),
        entry("failed"),
        entry("not_due"),
    ]
    assert labels_seen(entries) == 300


METRICS = """# HELP squall_drift_psi Drift
# TYPE squall_drift_psi gauge
squall_drift_psi{signal="sentiment"} 0.31
squall_drift_psi{signal="topic"} 0.02
# TYPE squall_drift_embedding gauge
squall_drift_embedding 0.7
# TYPE other gauge
other 1
"""


def test_drift_is_read_off_a_worker() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        found = read_drift(f"http://127.0.0.1:{server.server_address[1]}/metrics")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert found == {"sentiment": 0.31, "topic": 0.02, "embedding": 0.7}


def test_a_worker_that_is_not_there_is_no_drift_of_zero() -> None:
    with pytest.raises(OSError, match="refused"):
        read_drift(f"http://127.0.0.1:{free_port()}/metrics")
    with pytest.raises(ValueError, match="does not begin with http"):
        read_drift("file:///etc/passwd")


def test_the_next_run_is_the_first_time_after_now() -> None:
    assert next_run("0 2 * * *", NOON) == datetime(2026, 3, 18, 2, tzinfo=UTC)
    assert next_run("0 12 * * *", NOON) == NOON + timedelta(days=1)


@pytest.mark.parametrize("wrong", ["", "at two", "61 2 * * *", "0 2 * *", "0 0 31 2 *"])
def test_what_is_no_cron_expression_is_told_with_an_example(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"no cron expression: five fields|no time that ever comes"):
        next_run(wrong, NOON)


def test_runs_come_at_their_times_and_end_when_told() -> None:
    clock, ran = [NOON], []
    stopping = threading.Event()

    def wait(event: threading.Event, seconds: float) -> bool:
        clock[0] += timedelta(seconds=seconds)
        return event.is_set()

    def work() -> None:
        ran.append(clock[0])
        clock[0] += timedelta(minutes=90)  # longer than the hour: the time that passes meanwhile is left out
        if len(ran) == 3:
            stopping.set()

    said: list[str] = []
    run_on_schedule("0 * * * *", work, stopping=stopping, say=said.append, now=lambda: clock[0], wait=wait)
    assert [one.hour for one in ran] == [13, 15, 17]
    assert said[0] == "next run at 2026-03-17 13:00 UTC"
