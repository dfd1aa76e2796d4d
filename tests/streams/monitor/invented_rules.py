"""A rule set with every type, method and signal, each of which fires on the incident of `invented.py`."""

from __future__ import annotations

from streams.monitor import RuleSet
from streams.monitor.rule_files import parse_rules
from tests.streams.monitor.invented import EAGER

OTHER = """
  - alert: Both
    type: composite
    fire: {all: [Burst, AnyBad], none: [Praise], within: 2h}
    keep_firing_for: 5m
    cooldown: {for: 1h}
    annotations: {summary: "{entity}: {parts}"}
  - alert: AnyBad
    type: composite
    fire: {any: [Surge, Mood], within: 30m}
    cooldown: {for: 1h}
  - alert: Burst
    type: spike
    method: return_period
    signal: volume
    windows: [5m, 30m, 2h]
    fire: {return_period: 3h}
    pending: {return_period: 1h}
    resolve: {return_period: 1h}
    keep_firing_for: 10m
    cooldown: {for: 2h}
    annotations: {summary: "{entity}: {value} in {window}, usually {usual}, {return_period}"}
  - alert: BadCount
    type: spike
    method: return_period
    signal: negative_count
    windows: [10m, 1h]
    fire: {return_period: 3h}
    keep_firing_for: 10m
    cooldown: {for: 2h}
  - alert: Zed
    type: spike
    method: zscore
    signal: negative_count
    window: 5m
    fire: {gte: 2}
    min_support: {stories: 2}
    keep_firing_for: 10m
    cooldown: {for: 1h}
    annotations: {summary: "{entity}: {value} negative stories, z {z} of {threshold}"}
  - alert: Lower
    type: spike
    method: zscore
    signal: mean_sentiment
    window: 30m
    fire: {lte: -3}
    min_support: {stories: 2}
    cooldown: {for: 1h}
  - alert: Mood
    type: threshold
    signal: mean_sentiment
    window: 30m
    fire: {lte: -0.6}
    resolve: {gt: -0.4}
    keep_firing_for: 5m
    cooldown: {for: 1h}
  - alert: Six
    type: threshold
    signal: negative_count
    window: 20m
    fire: {gt: 5}
    resolve: {lte: 2}
    keep_firing_for: 5m
    cooldown: {for: 1h}
  - alert: LegalVolume
    type: threshold
    signal: volume
    where: {topic: legal, source: {not: wire-3}}
    window: 30m
    fire: {gte: 4}
    cooldown: {for: 1h}
  - alert: Praise
    type: threshold
    where: {topic: [praise]}
    window: 30m
    fire: {lt: 0.1}
    effect_min: 0.0
    resolve: {gte: 0.5}
  - alert: Novel
    type: novelty
    where: {source: [wire-1, wire-2]}
    fire: {gte: 0.9}
    relevance: 0.5
    quiet_below: 200
    keep_firing_for: 20m
    cooldown: {for: 30m}
    annotations: {summary: "{entity}: {value} against {threshold}"}
"""
NAMES = {"Surge", "High", "Both", "AnyBad", "Burst", "BadCount", "Zed", "Mood", "Six", "LegalVolume", "Novel"}
"""Those that fire on it; nobody praises."""


def all_rules() -> RuleSet:
    """The eager rules and one or two of every other kind."""
    return parse_rules(EAGER + OTHER, name="all.yaml")
