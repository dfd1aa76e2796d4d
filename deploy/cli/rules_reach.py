"""Whether rules that go by a market's sessions can be put in force today."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.monitor import RuleSet
from streams.monitor.sessions import check_reach


def check_seasons(rules: RuleSet) -> None:
    """Check that the sessions of the rules' markets are known today.

    Args:
        rules: read, and not yet in force.

    Raises:
        RuleError: of a market they are not; the message says until when they are, and what to do.
    """
    now = datetime.now(UTC)
    for market in sorted({rule.baseline.season for rule in rules.rules if rule.baseline.season is not None}):
        check_reach(market, now)
