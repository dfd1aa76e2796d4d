"""The monitor's rules: the configured ones or those that `squall.control` brings, exchanged while the worker works."""

from __future__ import annotations

import logging

from streams.app import metrics
from streams.config import Settings
from streams.errors import SquallError
from streams.monitor import RuleSet
from streams.monitor.rule_files import parse_rules
from streams.records import RulesInUse

_log = logging.getLogger(__name__)


class RulesInForce:
    """Knows which rules apply, and takes others when told. What is not valid changes nothing, loudly.

    Args:
        settings: the configuration, for the name of the rule file.
        configured: the rules of the configuration, which apply until others are decided on.
    """

    def __init__(self, settings: Settings, configured: RuleSet) -> None:
        file = settings.monitor.rules
        self.rules = configured
        self.name = file.name if file else "shipped"
        self._show(1)

    def begin(self, record: RulesInUse | None) -> None:
        """Take what was decided on before this worker began; if it is not valid here, the configured rules apply."""
        if record is not None and self.change(record):
            _log.warning("the configured rules are not in force: %s of `squall rules use` are", self.name)

    def change(self, record: RulesInUse) -> bool:
        """Take other rules; False if they are those in force, or not valid."""
        try:
            rules = parse_rules(record.text, name=record.name)
        except (SquallError, ValueError, TypeError, RecursionError) as error:  # whatever it is, the worker goes on
            metrics.RULES_RELOADS.labels("failed").inc()
            _log.critical(
                "the rules that %s decided on cannot be used, %s stay in force: %s", record.by, self.name, error
            )
            return False
        if rules.version == self.rules.version:
            return False
        if rules.version != record.version:
            _log.warning(
                "%s is version %s here and was %s where it was decided on: another Squall reads it otherwise",
                record.name, rules.version, record.version,
            )  # fmt: skip
        self._show(0)
        self.rules, self.name = rules, record.name
        self._show(1)
        metrics.RULES_RELOADS.labels("done").inc()
        _log.info("rules %s, version %s, are in force from here on, as %s decided", self.name, rules.version, record.by)
        return True

    def _show(self, value: int) -> None:
        metrics.RULES.labels(self.name, self.rules.version).set(value)
