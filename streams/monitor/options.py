"""What the monitor and the parts of a rule can be told: plain data, checked where it is read."""

from __future__ import annotations

from typing import Annotated

import msgspec

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class BaselineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the baseline learns."""

    half_life_days: float = 5.0
    prior_share: float = 0.25
    prior_votes: float = 40.0
    """The prior weighs as much as this many votes."""
    warm_votes: float = 100.0
    """With fewer discounted votes of its own the baseline is not `warm`, and an alert says so."""
    season: str | None = None
    """return_period: a market by its code (MIC, such as XNYS), whose sessions are the seasons of the count; see
    `streams.monitor.sessions`. Without one, hours of the day (UTC) on weekdays and weekends are."""


class MarginOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A margin of the company's own: so many deviations of an hour's share, within bounds."""

    floor: _Share = 0.02
    ceiling: _Share = 0.15
    deviations: Annotated[float, msgspec.Meta(ge=0)] = 1.75


class MonitorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the monitor can be told, beside its rules."""

    allowed_lateness_s: int = 120
    story_horizon_s: int = 86_400
    author_votes_per_hour: int = 2
    squall_version: str = "0"
