"""What the settings say about companies, rules and the monitor, made into objects.

The worker and the replay both build their monitors from here: a replay gives the same alerts only if nothing about
them differs. No Kafka, no Faust, no torch.
"""

from __future__ import annotations

from streams import __version__
from streams.config import Settings
from streams.ingest.entities import load_table, sp500
from streams.ingest.entities.table import EntityTable
from streams.monitor import MonitorOptions, RuleSet, default_rules, load_rules


def monitor_options(settings: Settings) -> MonitorOptions:
    """Return what the monitor is told, beside its rules."""
    options = settings.monitor
    return MonitorOptions(
        allowed_lateness_s=options.allowed_lateness_s,
        story_horizon_s=options.story_horizon_s,
        author_votes_per_hour=options.author_votes_per_hour,
        squall_version=__version__,
    )


def rules_in_force(settings: Settings) -> RuleSet:
    """Read the rule file of the settings, or the rules that are shipped. Raises RuleError."""
    return load_rules(settings.monitor.rules) if settings.monitor.rules else default_rules()


def entity_table(settings: Settings) -> EntityTable:
    """Load the tables of the settings as one. Raises InputError for one that cannot be used."""
    tables = [load_table(path) for path in settings.entities.tables]
    if settings.entities.include_sp500:
        tables.insert(0, sp500())
    first, *others = tables or [EntityTable([])]
    return first.merged(others)


def company_names(settings: Settings) -> dict[str, str]:
    """Return the display names of all companies by symbol. Raises InputError for a table that cannot be used."""
    return {entity.symbol: entity.name for entity in entity_table(settings)}


def company_sectors(settings: Settings) -> dict[str, str]:
    """Return the sectors of all companies by symbol; empty where a table has none. Raises InputError as above."""
    return {entity.symbol: entity.sector.strip() for entity in entity_table(settings)}
