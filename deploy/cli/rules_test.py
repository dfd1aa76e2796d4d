"""`squall rules test`: invented mentions in, expected alerts out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.frame import out

if TYPE_CHECKING:
    from streams.records import Alert
    from streams.rule_tests import Outcome
    from streams.rule_tests.files import Expected


def test(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of rule tests, YAML.")],
    rules: Annotated[
        Path | None, typer.Option(help="Test this rule file instead of the one that the tests name.")
    ] = None,
) -> None:
    """Run tests of alert rules: invented mentions in, expected alerts out.

    Exit status: 0 all tests passed, 1 one did not, or a file is not valid. deploy/examples/rule_tests.yaml shows what a
    file may say.
    """
    from streams.deliver.words import plural
    from streams.rule_tests import load_rule_tests, run_test

    loaded = [load_rule_tests(file, rules=rules) for file in files]  # all are valid before one is run
    console = out()
    failed = total = 0
    for found in loaded:
        for one in found.tests:
            outcome = run_test(one, found.rules)
            total += 1
            failed += not outcome.passed
            for line in _words(outcome):
                console.print(line, markup=False, soft_wrap=True)
    passed = f"{plural(total - failed, 'test')} passed"
    names = ", ".join(dict.fromkeys(found.rules_name for found in loaded))
    console.print(f"{passed}, {failed} failed; rules: {names}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _words(outcome: Outcome) -> list[str]:
    test = outcome.test
    if outcome.passed:
        return [f"ok      {test.name}"]
    lines = [f"FAILED  {test.name} ({test.where})"]
    lines += [f"          missing: {_wanted(wanted, test.entity)}" for wanted in outcome.missing]
    lines += [f"          not expected: {_raised(alert)}" for alert in outcome.unexpected]
    if outcome.raised:
        lines += ["          raised in all:"]
        lines += [f"            {_raised(alert)}" for alert in outcome.raised]
    else:
        lines += ["          nothing was raised"]
    return lines


def _wanted(wanted: Expected, entity: str) -> str:
    severity = f" ({wanted.severity})" if wanted.severity else ""
    until = f" to {wanted.to}" if wanted.to else " on"
    return f"{wanted.alert} {wanted.state}{severity} of {wanted.entity or entity}, from {wanted.from_}{until}"


def _raised(alert: Alert) -> str:
    from streams.deliver.measures import measured
    from streams.rule_tests.run import since_start

    observed = alert.evidence.observed
    share = measured(alert.evidence) or f"{100 * observed.share:.0f} % of {observed.stories} stories"
    return (
        f"{alert.rule} {alert.state} ({alert.severity}) of {alert.labels['entity']} at {since_start(alert.at)}: {share}"
    )
