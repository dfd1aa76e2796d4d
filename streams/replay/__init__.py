"""History through the same code again: what was on `squall.mentions` gives the alerts that it gave when it was live.

A monitor's state is a function of its partition of the log and of nothing else, so a replay needs no saved state, no
Faust and no consumer group, and its alerts are the same bytes.
"""

from streams.compiled import prefer_compiled

prefer_compiled(__name__, __path__)

from streams.replay.compare import Difference, compare_alerts
from streams.replay.core import LogRecord, replay_partition

__all__ = [
    "Difference",
    "LogRecord",
    "compare_alerts",
    "replay_partition",
]
