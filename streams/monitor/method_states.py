"""What the methods beside the share e-detector remember of a company; each only where a rule uses it."""

from __future__ import annotations

import msgspec

from streams.monitor.return_period import ReturnPeriodState
from streams.monitor.zscore import ZscoreState
from streams.records import Evidence


class Counting(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """return_period: the steps that are over, and the one that still grows."""

    period: ReturnPeriodState = msgspec.field(default_factory=ReturnPeriodState)
    open_ms: int = 0
    """Start of the open step; 0 before the first vote."""
    count: float = 0.0
    """Of the open step."""


class Scoring(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """zscore: moments of the windows that are over, and the one that still grows."""

    past: ZscoreState = msgspec.field(default_factory=ZscoreState)
    open_ms: int = 0
    """Start of the open window; 0 before the first vote."""
    votes: int = 0
    """Of the open window, as is the next."""
    total: float = 0.0
    last: float | None = None
    """The window before the open one; None if it had no value."""


class Pace(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """novelty: how many stories a company has, and when the last one came that the rule was for."""

    stories: float = 0.0
    """Faded to `at_ms`."""
    at_ms: int = 0
    since_ms: int = 0
    """Start of the first bin with a vote."""
    last_ms: int = 0
    """End of the last bin with a story that fires."""
    worst: float = 0.0
    """Highest P(negative) of the last bin's stories that the rule reads."""


class Composed(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """composite: what its strongest part had to show, as that part's alert may be over when the composite fires."""

    part: str
    """Name of its rule."""
    severity: int
    """Of the part's alert, as a rank."""
    evidence: Evidence
    models: list[str] = msgspec.field(default_factory=list)
