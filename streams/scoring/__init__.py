"""From messages to mentions: ingest, link and score in batches, and say how far each partition has come.

No Kafka and no Faust here: `streams.app` feeds it records and delivers what it returns.
"""

from streams.scoring.feeds import AheadClock, FeedClock
from streams.scoring.stage import Outcome, Prepared, RawRecord, ScoringStage, StageOptions

__all__ = ["AheadClock", "FeedClock", "Outcome", "Prepared", "RawRecord", "ScoringStage", "StageOptions"]
