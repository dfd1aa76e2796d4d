"""At the end of a run: read what is on Kafka, hold it against what was sent, and tell it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.demo.feed import OwnMessages
from deploy.demo.screen import Screen, checks_table, companies_table, refused_words
from deploy.demo.story import demo_days, malformed
from deploy.demo.verdict import (
    judge_dead_letters,
    judge_incidents,
    judge_mentions,
    judge_replay,
    judge_unread,
    remarks,
    summarise,
)
from deploy.demo.watch import read_all
from streams.assembly import company_names, monitor_options, rules_in_force
from streams.config import Settings
from streams.deliver.words import moment, plural
from streams.ingest.decode import message_id
from streams.monitor import PartitionMonitor
from streams.records import Alert, DeadLetter, LogEntry, Mention, decode_mention
from streams.scoring.build import readable_languages

NEXT_STEPS = """\
What next?
  squall demo --data FILE          your own messages: CSV, JSON lines or Parquet with a text and a time
  squall broker start              a broker that stays, for trying things out; then `squall topics create`,
                                   `squall worker` in one terminal and `squall publish FILE` in another
  squall config show               every setting, what it is for and where it comes from"""


@dataclass(slots=True)
class Outcome:
    """What came out of a run."""

    alerts: list[Alert] = field(default_factory=list)


@dataclass(slots=True)
class _Ledger:
    """The mentions topic, read once."""

    records: dict[int, list[tuple[int, LogEntry]]]
    """(offset, record) by partition, in the order of the log."""

    @property
    def mentions(self) -> list[Mention]:
        """The mentions of all partitions."""
        return [record for log in self.records.values() for _, record in log if isinstance(record, Mention)]


def judge_story(outcome: Outcome, settings: Settings, told_of: Mapping[str, str], seed: int, screen: Screen) -> bool:
    """Check the invented story, print the verdict and say whether all is as planted."""
    names = company_names(settings)
    ledger = _read_mentions(settings)
    days, incidents = demo_days(seed)
    readable = readable_languages(settings)
    unread = {
        message_id(message.source, message.id)
        for message in days
        if readable is not None and message.lang is not None and message.lang not in readable
    }
    letters = _read_dead_letters(settings)
    checks = [
        *judge_incidents(incidents, outcome.alerts, names),
        judge_mentions({name: company for name, company in told_of.items() if name not in unread}, ledger.mentions),
        judge_unread(unread & told_of.keys(), [letter for letter in letters if letter.reason == "no_model"]),
        judge_dead_letters(malformed(), [letter for letter in letters if letter.reason != "no_model"]),
        judge_replay(outcome.alerts, _again(ledger, settings, names)),
    ]
    screen.freeze()
    screen.console.print()
    screen.console.print(checks_table(checks))
    passed = all(check.ok for check in checks)
    if passed:
        screen.say("All is as it should be.", style="bold green")
    else:
        wrong = sum(not check.ok for check in checks)
        screen.say(f"{plural(wrong, 'check')} of {len(checks)} failed, see above.", style="bold red")
    screen.console.print(f"\n{NEXT_STEPS}", markup=False)
    return passed


def judge_own(outcome: Outcome, settings: Settings, own: OwnMessages, screen: Screen) -> bool:
    """Tell what came of the user's messages; the run has failed only if a replay of the log contradicts it."""
    names, rules = company_names(settings), rules_in_force(settings)
    ledger = _read_mentions(settings)
    companies = summarise(ledger.mentions, names, rules)
    replay = judge_replay(outcome.alerts, _again(ledger, settings, names))
    refused = Counter(letter.reason for letter in _read_dead_letters(settings))
    screen.freeze()
    screen.console.print()
    if companies:
        screen.console.print(companies_table(companies))
    first, last = own.messages[0].published_at, own.messages[-1].published_at
    screen.say(f"{plural(len(own.messages), 'message')} from {moment(first)} to {moment(last)} went through.")
    if not own.was_sorted:
        screen.say("The rows did not stand in order of time, so they were sorted first.")
    if own.bad:
        screen.say(f"{plural(len(own.bad), 'row')} of the files could not be used, see above.", style="yellow")
    if refused:
        screen.say(f"The worker refused {refused.total():,}: {refused_words(refused)}.", style="yellow")
    for remark in remarks(companies, sent=len(own.messages), rules=rules):
        screen.say(remark, style="yellow")
    fired = sum(alert.state == "firing" and alert.is_news for alert in outcome.alerts)
    if companies:
        screen.say(f"{plural(fired, 'alert')} fired." if fired else "No alert fired.", style="bold")
    if not replay.ok:
        screen.say(f"{replay.what}: {replay.found}", style="bold red")
    screen.console.print(f"\n{NEXT_STEPS}", markup=False)
    return replay.ok


def _read_mentions(settings: Settings) -> _Ledger:
    log: defaultdict[int, list[tuple[int, LogEntry]]] = defaultdict(list)
    topics = settings.topics
    for record in read_all(settings, topics.mentions, topics.mention_partitions):
        log[record.partition].append((record.offset, decode_mention(record.value)))
    return _Ledger(dict(log))


def _read_dead_letters(settings: Settings) -> list[DeadLetter]:
    topics = settings.topics
    records = read_all(settings, topics.dead_letters, topics.message_partitions)
    return [DeadLetter.from_headers(record.headers, key=record.key, value=record.value) for record in records]


def _again(ledger: _Ledger, settings: Settings, names: Mapping[str, str]) -> list[Alert]:
    """Compute the alerts once more from the log, with no Faust and no broker."""
    options = monitor_options(settings)
    rules = rules_in_force(settings)
    alerts: list[Alert] = []
    for partition, log in ledger.records.items():
        monitor = PartitionMonitor(partition, rules, options, names=names)
        for offset, record in log:
            alerts += monitor.absorb(record, offset)
    return alerts
