"""`squall rules explain`: why a rule fired for a company at a moment, or why not."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.columns import named_columns
from deploy.cli.frame import err, out, settings
from deploy.cli.history_options import symbol_of
from deploy.cli.times import moment

if TYPE_CHECKING:
    from streams.monitor.explain import Explanation
    from streams.monitor.explain_methods import Check, Measured
    from streams.monitor.rules import Rule
    from streams.replay.explain import Moment

_NAMES = {
    "evidence": "evidence (e-value)",
    "share": "negative share",
    "effect": "rise over the usual",
    "cooldown": "cooldown, minutes left",
    "return_period": "return period",
    "z": "z-score",
    "story": "worst new story",
    "pace": "usual stories a day",
    "volume": "stories",
    "negative_count": "negative stories",
    "mean_sentiment": "mean sentiment",
    "negative_share": "negative share",
}


def explain(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Scored mentions: files or folders, or kafka: and a topic.")
    ],
    entity: Annotated[str, typer.Option(help="The company (its symbol).")],
    at: Annotated[str, typer.Option(help="The moment, such as 2020-03-09T14:00:00Z.")],
    rules: Annotated[
        Path | None,
        typer.Option(help="Rule file. Unset: the configured rules; name the file after `squall rules use`."),
    ] = None,
    *,
    trust_stories: Annotated[bool, typer.Option("--trust-stories", help="Take the stories that they name.")] = False,
    sort: Annotated[bool, typer.Option("--sort", help="Put the rows in the order of time first.")] = False,
    assume_utc: Annotated[bool, typer.Option("--assume-utc", help="Take times without an offset as UTC.")] = False,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=COLUMN, for a column of another name.")] = None,
) -> None:
    """Say what every rule knew of a company at a moment: what was usual, what there was, and what it asks for.

    The history is replayed up to there, from its beginning. Raw messages are scored first with `squall replay`, whose
    folder holds the mentions.

    Exit status: 0, or 1 where there is no mention of the company until then or the source cannot be read.
    """
    from streams.assembly import monitor_options
    from streams.replay.explain import explain_at
    from streams.replay.plan import read_rules
    from streams.replay.sources.open_source import open_mentions
    from streams.replay.sources.options import FileOptions, Window
    from streams.replay.sources.source import BadRecord

    current = settings()
    symbol = symbol_of(current, entity)
    when = moment(at, "--at")
    if symbol is None or when is None:
        raise typer.BadParameter("give --entity and --at")
    bad: Counter[str] = Counter()

    def count(record: BadRecord) -> None:
        bad[record.reason] += 1

    source = open_mentions(
        sources,
        current,
        options=FileOptions(columns=named_columns(column or ()), assume_utc=assume_utc, sort=sort),
        window=Window(),
        trust_stories=trust_stories,
    )
    read = read_rules(rules or current.monitor.rules)
    found = explain_at(source, read.rules, monitor_options(current), entity=symbol, at=when, on_bad=count)
    for line in _words(found):
        out().print(line, markup=False, soft_wrap=True)
    for reason, number in sorted(bad.items()):
        err().print(f"{number:,} rows could not be used: {reason}", markup=False)


def _words(found: Moment) -> list[str]:
    lines = [
        f"{found.entity} at {_time(found.at)}: its last minute with mentions ended at {_time(found.bin_end)} "
        f"({found.mentions} mentions, {found.votes} of them counted)"
    ]
    for rule in found.rules:
        lines += ["", *_rule(rule)]
    raised = [f"  {_time(alert.at)}  {alert.rule} {alert.state} ({alert.severity})" for alert in found.alerts[-10:]]
    return [*lines, "", "Its alerts until then:" if raised else "It had no alerts until then.", *raised]


def _rule(found: Explanation) -> list[str]:
    from streams.monitor.bins import from_ms
    from streams.monitor.where import where_in_words

    rule = found.rule
    since = "" if found.since_ms is None else f" since {_time(from_ms(found.since_ms))}"
    history = "" if found.warm else " (an assumption in part: there is little history of its own)"
    usual = f"  usually {_percent(found.usual)} negative{history}"
    if rule.is_e_detector:
        usual += f"; evidence gathers above {_percent(found.usual + found.margin)}"
    kept = "" if found.kept is None else f", by {found.kept.by} {found.kept.what}"
    if kept and found.state != "suppressed":
        kept = f"; that its severity rose is kept back{kept[1:]}"
    lines = [f"{rule.alert} ({rule.type}): {found.state}{since}{kept}"]
    if rule.where is not None:
        lines.append(f"  reads: {where_in_words(rule.where)}")
    if rule.type != "composite":
        lines.append(usual)
    if found.measured is not None:
        lines.append(_measured(rule, found.measured))
    elif found.share is not None and (rule.is_e_detector or rule.type == "threshold"):
        onset = "" if found.onset_ms is None else f", from {_time(from_ms(found.onset_ms))} on"
        what = f"run{onset}" if rule.is_e_detector else f"window of {rule.window}"
        lines.append(f"  {what}: {_percent(found.share)} of {found.votes} stories are negative")
    lines += [_check(check) for check in found.checks]
    if found.state in ("firing", "recovering") or (found.kept is not None and found.kept.by != "cooldown"):
        return lines
    unmet = ", ".join(_NAMES.get(check.name, check.name) for check in found.unmet)
    if any(check.name == "cooldown" for check in found.unmet):
        lines.append("  a firing that the cooldown keeps back spends its evidence")
    held = "" if rule.for_ms == 0 else f" once that has held for {rule.for_}"
    return [*lines, f"  does not fire: {unmet}" if unmet else f"  all is there: it fires{held}"]


def _measured(rule: Rule, found: Measured) -> str:
    from streams.deliver.words import span
    from streams.monitor.annotations import in_unit

    window = span(timedelta(milliseconds=found.window_ms))
    what = _NAMES[rule.signal]
    if found.value is None:
        return f"  {what} in {window}: none, as there are no stories"
    usual = "" if found.usual is None else f", usually {in_unit(rule.signal, found.usual)}"
    return f"  {what} in {window}: {in_unit(rule.signal, found.value)}{usual}"


def _shown(name: str, value: float) -> str:
    if name in ("share", "effect", "story", "negative_share"):
        return _percent(value)
    if name == "return_period":
        return f"{value:,.1f} days"
    digits = {"pace": 1, "z": 2, "mean_sentiment": 2}.get(name, 0)
    return f"{value:,.{digits}f}"


def _check(check: Check) -> str:
    asked = "at most" if check.name == "cooldown" else check.side
    met = "yes" if check.met else "NO"
    name = _NAMES.get(check.name, check.name)
    value, needed = _shown(check.name, check.value), _shown(check.name, check.needed)
    return f"  {name:<24} {value:>12}   needs {asked} {needed:<10} {met}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
