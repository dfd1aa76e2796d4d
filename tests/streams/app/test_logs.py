"""A flood of one message becomes a line now and then; Squall's own lines always pass."""

from __future__ import annotations

import logging

from streams.app.logs import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def record(name: str, msg: str, *args: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, msg, args, None)


def test_the_same_message_passes_once_in_ten_seconds_and_says_how_many_were_held_back() -> None:
    clock = Clock()
    throttle = Throttle(10.0, clock)
    passed = []
    for second in range(21):
        clock.now = 100.0 + second
        one = record("aiokafka.conn", "cannot connect to %s", f"node-{second}")
        if throttle.filter(one):
            passed.append(one.getMessage())
    assert passed == [
        "cannot connect to node-0",
        "cannot connect to node-10 (9 more like this were held back)",
        "cannot connect to node-20 (9 more like this were held back)",
    ]


def test_other_messages_other_loggers_and_our_own_lines_are_not_held_back() -> None:
    throttle = Throttle(10.0, Clock())
    assert throttle.filter(record("aiokafka", "one"))
    assert throttle.filter(record("aiokafka", "two"))
    assert throttle.filter(record("faust", "one"))
    assert all(throttle.filter(record("squall.worker", "again")) for _ in range(3))
    assert all(throttle.filter(record("faust", "dying", level=logging.CRITICAL)) for _ in range(3))
