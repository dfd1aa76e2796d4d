"""Topics of one's own: a name and a handful of example sentences in a YAML file, and no training.

topics = read_own_topics(path)            # models.own_topics.file
own = OwnTopics.fit(topics, embed)        # on the vectors of the network's one pass
assess(topics, embed)                     # precision and recall, by leaving one out
"""

from __future__ import annotations

from models.own_topics.estimate import Estimate
from models.own_topics.file import OwnTopic, parse_own_topics, read_own_topics
from models.own_topics.scorer import Assessment, OwnTopics, assess

__all__ = ["Assessment", "Estimate", "OwnTopic", "OwnTopics", "assess", "parse_own_topics", "read_own_topics"]
