"""What two runs have in common and what not: alerts, rules, inputs; backtests of a rule."""
