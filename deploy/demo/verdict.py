"""Did the demonstration come out as planted? Pure: what was sent and what came out, in; checks in plain words, out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.demo.incidents import Incident
from streams.deliver.words import clock, moment, percent, plural, span
from streams.ingest.decode import message_id
from streams.monitor.rules import RuleSet
from streams.records import Alert, DeadLetter, Mention, decode_message, encode

SURGE_RULE = "NegativeShareSurge"
NOTICED_WITHIN = timedelta(hours=3)
"""An alert belongs to an incident if it comes at most this long after the incident's end."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so."""

    what: str
    found: str
    ok: bool


@dataclass(frozen=True, slots=True)
class CompanySummary:
    """What came in about one company of the user's."""

    symbol: str
    name: str
    mentions: int
    negative: float
    """Mean P(negative), 0 to 1."""
    has_baseline: bool
    """There was enough for an idea of what is usual; copies of a story count here, so it may say yes too soon."""


def judge_incidents(incidents: Sequence[Incident], alerts: Iterable[Alert], names: Mapping[str, str]) -> list[Check]:
    """Hold the alerts that fired against what was planted.

    Args:
        incidents: planted, real ones and decoys.
        alerts: every alert record.
        names: company names by symbol.
    """
    fired = sorted((alert for alert in alerts if alert.state == "firing" and alert.is_news), key=lambda alert: alert.at)
    checks = []
    explained: set[tuple[str, int]] = set()
    for incident in incidents:
        own = [alert for alert in fired if _belongs(alert, incident)]
        what = f"{names.get(incident.entity, incident.entity)}: {incident.about} ({_hours(incident)})"
        if not incident.should_fire:
            explained |= {(alert.id, alert.transition) for alert in own}
            found = "no alert, and there should be none" if not own else f"a false alarm at {moment(own[0].at)}"
            checks.append(Check(what, found, not own))
            continue
        explained |= {(alert.id, alert.transition) for alert in own}
        surge = next((alert for alert in own if alert.rule == SURGE_RULE), None)
        if surge is None:
            checks.append(Check(what, "no alert, but there should be one", ok=False))
        else:
            after = span(surge.at - incident.start)
            checks.append(
                Check(what, f"alert at {clock(surge.at, beside=incident.start)}, {after} after it began", True)
            )
    others = [alert for alert in fired if (alert.id, alert.transition) not in explained]
    found = "no alert" if not others else _listed(_words(alert, names) for alert in others)
    checks.append(Check("All other companies and hours", found, not others))
    return checks


def judge_dead_letters(expected: Sequence[tuple[str, bytes]], letters: Iterable[DeadLetter]) -> Check:
    """Every malformed record must be among the dead letters, byte by byte and with its reason, and nothing else."""
    wanted = Counter(expected)
    found = Counter((letter.reason, letter.value or b"") for letter in letters)
    missing, surplus = wanted - found, found - wanted
    what = f"{plural(len(expected), 'malformed record')} among the messages"
    if not missing and not surplus:
        return Check(what, "each set aside as a dead letter with its reason", ok=True)
    parts = [f"not set aside for {_reason(reason)}: {value[:40]!r}" for reason, value in missing]
    parts += [f"set aside for {_reason(reason)}, unexpectedly: {value[:40]!r}" for reason, value in surplus]
    return Check(what, _listed(parts), ok=False)


def judge_mentions(told_of: Mapping[str, str], mentions: Iterable[Mention]) -> Check:
    """Every message about a company must be scored for that company.

    Args:
        told_of: company by message id, as the messages were written; empty for a message about none.
        mentions: every mention on Kafka.
    """
    scored = {(mention.message_id, mention.entity) for mention in mentions}
    due = [(message, company) for message, company in told_of.items() if company]
    missing = [f"{message} ({company})" for message, company in due if (message, company) not in scored]
    what = f"{plural(len(due), 'message')} about a company"
    if missing:
        return Check(what, f"{len(missing):,} without a score: {_listed(missing)}", ok=False)
    return Check(what, "each linked to its company and scored", ok=bool(due))


def judge_unread(expected: Collection[str], letters: Iterable[DeadLetter]) -> Check:
    """Every message in a language without a model must be kept, unscored, and nothing else for that reason.

    Args:
        expected: ids of those messages.
        letters: dead letters with the reason `no_model`.
    """
    kept = {message_id(found.source, found.id) for found in (decode_message(letter.value) for letter in letters)}
    what = f"{plural(len(expected), 'message')} in a language without a model"
    if kept == set(expected):
        return Check(what, "each kept unscored, to be sent again once there is one", ok=True)
    parts = [f"not kept: {name}" for name in sorted(set(expected) - kept)]
    parts += [f"kept, unexpectedly: {name}" for name in sorted(kept - set(expected))]
    return Check(what, _listed(parts), ok=False)


def judge_replay(alerts: Iterable[Alert], again: Iterable[Alert]) -> Check:
    """The alerts computed once more from the mentions on Kafka must be the same, byte by byte."""
    first, second = (sorted(encode(alert) for alert in set_) for set_ in (alerts, again))
    what = f"The {plural(len(first), 'alert record')}, computed again from the log"
    if first == second:
        return Check(what, "the same, byte by byte", ok=True)
    differing = Counter(first) - Counter(second)
    return Check(what, f"{differing.total():,} of {len(first):,} differ; {len(second):,} came out", ok=False)


def summarise(mentions: Sequence[Mention], names: Mapping[str, str], rules: RuleSet) -> list[CompanySummary]:
    """Return what came in per company, most mentions first.

    Args:
        mentions: every mention on Kafka.
        names: company names by symbol.
        rules: those in force; the first says how much history a baseline takes.
    """
    baseline = rules.rules[0].baseline
    half_life = timedelta(days=baseline.half_life_days)
    by_company: dict[str, list[Mention]] = {}
    for mention in {(m.message_id, m.entity): m for m in mentions}.values():
        by_company.setdefault(mention.entity, []).append(mention)
    found = []
    for symbol, own in by_company.items():
        last = max(mention.published_at for mention in own)
        votes = sum(0.5 ** ((last - mention.published_at) / half_life) for mention in own)
        negative = sum(mention.negative for mention in own) / len(own)
        name = names.get(symbol, symbol)
        found.append(CompanySummary(symbol, name, len(own), negative, has_baseline=votes >= baseline.warm_votes))
    return sorted(found, key=lambda company: (-company.mentions, company.symbol))


def remarks(companies: Sequence[CompanySummary], *, sent: int, rules: RuleSet) -> list[str]:
    """Say plainly what the user's messages were too few or too short for. Pure.

    Args:
        companies: what came in per company.
        sent: how many messages were sent.
        rules: those in force.
    """
    if not companies:
        return [
            f"None of the {plural(sent, 'message')} speaks of a company that Squall knows, so there was nothing to "
            "score. It knows the S&P 500 by symbol and name; add your own companies in entities.tables."
        ]
    if any(company.has_baseline for company in companies):
        return []
    need = rules.rules[0].baseline
    return [
        f"No company has enough history to tell what is usual for it: that takes about {need.warm_votes:.0f} "
        f"messages within some {need.half_life_days:.0f} days, and {companies[0].name} has the most with "
        f"{companies[0].mentions:,}. Until then a general assumption stands in ({percent(need.prior_share)} negative)."
    ]


def reached(last: datetime, lateness_s: int) -> datetime:
    """Return the event time at which everything up to `last` is judged, as far as it ever will be without more."""
    # One second less: the metric is a float, and the monitor counts whole milliseconds.
    return last - timedelta(seconds=lateness_s + 1)


def _belongs(alert: Alert, incident: Incident) -> bool:
    same = alert.labels.get("entity") == incident.entity
    return same and incident.start <= alert.at <= incident.end + NOTICED_WITHIN


def _hours(incident: Incident) -> str:
    begin, end = incident.start, incident.end
    return f"{begin.day} {begin:%B %H:%M} to {clock(end, beside=begin)}"


def _words(alert: Alert, names: Mapping[str, str]) -> str:
    entity = alert.labels.get("entity", "")
    return f"{names.get(entity, entity)} ({alert.rule}) at {moment(alert.at)}"


def _reason(reason: str) -> str:
    return reason.replace("_", " ")


def _listed(parts: Iterable[str]) -> str:
    every = list(parts)
    more = f" and {len(every) - _SHOWN:,} more" if len(every) > _SHOWN else ""
    return "; ".join(every[:_SHOWN]) + more
