"""Tests of alert rules, in the manner of promtool: invented mentions in, expected alerts out.

A test goes through the monitor of the worker itself: stories are found from the texts, bins close by the watermark, an
alert lives its life. Pure but for reading the files.
"""

from streams.rule_tests.files import RuleTest, RuleTests, load_rule_tests
from streams.rule_tests.run import Outcome, run_test

__all__ = ["Outcome", "RuleTest", "RuleTests", "load_rule_tests", "run_test"]
