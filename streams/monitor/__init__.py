"""The monitor: mentions in, alert transitions out. Pure: no Kafka, no Faust, no torch, no clock.

`PartitionMonitor` is the door. It takes the records of one partition of `squall.mentions` in log order and returns
alert transitions; its state can be saved and restored key by key. The Faust agent, a replay and the rule tests all
call this one object, which is what makes their answers the same.
"""

from streams.compiled import prefer_compiled

prefer_compiled(__name__, __path__)

from streams.monitor.entity import ClosedBin
from streams.monitor.options import MonitorOptions
from streams.monitor.partition import PartitionMonitor
from streams.monitor.rule_files import default_rules, load_rules
from streams.monitor.rules import Rule, RuleSet

__all__ = ["ClosedBin", "MonitorOptions", "PartitionMonitor", "Rule", "RuleSet", "default_rules", "load_rules"]
