"""What the classifier can answer: three sentiments and twenty topics, in the order of the network's outputs.

The ids are stable: they stand in mentions, alerts and rules, and in the manifest of every trained model. The
topics are those of the public Twitter Financial News topic set, in its order; the display names are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

SENTIMENTS: tuple[str, ...] = ("negative", "neutral", "positive")
"""Sentiment ids; the position of an id is the index of the head's output."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: a stable id for machines, a name for people, and the name that the public set gives it."""

    id: str
    name: str
    source_name: str


TOPICS: tuple[Topic, ...] = (
    Topic("analyst-update", "Analyst views", "Analyst Update"),
    Topic("central-banks", "Central banks", "Fed | Central Banks"),
    Topic("company-news", "Company and product news", "Company | Product News"),
    Topic("debt", "Government and corporate debt", "Treasuries | Corporate Debt"),
    Topic("dividend", "Dividends", "Dividend"),
    Topic("earnings", "Earnings", "Earnings"),
    Topic("energy", "Energy and oil", "Energy | Oil"),
    Topic("financials", "Financial results and filings", "Financials"),
    Topic("currencies", "Currencies", "Currencies"),
    Topic("general-news", "General news and opinion", "General News | Opinion"),
    Topic("metals", "Gold, metals and materials", "Gold | Metals | Materials"),
    Topic("ipo", "Initial public offerings", "IPO"),
    Topic("legal", "Law and regulation", "Legal | Regulation"),
    Topic("deals", "Mergers, acquisitions and investments", "M&A | Investments"),
    Topic("macro", "Economy", "Macro"),
    Topic("markets", "Markets", "Markets"),
    Topic("politics", "Politics", "Politics"),
    Topic("people", "Personnel changes", "Personnel Change"),
    Topic("commentary", "Stock commentary", "Stock Commentary"),
    Topic("price-move", "Share price moves", "Stock Movement"),
)
"""The topics; the position of a topic is its label id and the index of the head's output."""

TOPIC_IDS: tuple[str, ...] = tuple(topic.id for topic in TOPICS)
"""Topic ids in label order."""

TOPIC_NAMES: dict[str, str] = {topic.id: topic.name for topic in TOPICS}
"""From a topic's id to its display name."""

UNKNOWN_TOPIC = "unknown"
"""The topic of what no model of topics has read; it is not one of `TOPICS`."""
