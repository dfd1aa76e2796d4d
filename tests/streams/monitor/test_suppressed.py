"""What is kept back: silences by event time, what is told when they end, and that nothing of it hangs on the order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.deliver.book import Book
from streams.errors import RecordError
from streams.monitor import PartitionMonitor
from streams.monitor.bins import from_ms
from streams.monitor.lifecycle import Condition
from streams.records import Alert, Silence, SilenceMatcher, Suppressed, control_key, decode_control, encode
from tests.streams.monitor.invented import START, Record, as_bytes, in_order, incident, monitor
from tests.streams.monitor.test_lifecycle import MINUTE, Company, saw
from tests.streams.monitor.test_order import disturbed, seeds
from tests.streams.monitor.test_rule_types import NOVEL, Stream, fired, rules

QUIET = Suppressed(by="silence", what="s1", until=from_ms(900 * MINUTE))
DAY = timedelta(days=2)


def silence(
    *matchers: tuple[str, str, str], since: datetime = START, until: datetime = START + DAY, id_: str = "s1"
) -> Silence:
    """One of Aurelia alone, without matchers."""
    chosen = matchers or (("entity", "=", "AURL"),)
    return Silence(
        id=id_,
        matchers=tuple(SilenceMatcher(name=name, op=op, value=value) for name, op, value in chosen),  # type: ignore[arg-type]
        starts_at=since,
        ends_at=until,
        by="desk",
        comment="known",
    )


def silenced(log: Sequence[Record], *silences: Silence, watching: PartitionMonitor | None = None) -> list[Alert]:
    watching = watching or monitor()
    watching.silence(silences)
    return [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]


def kept(alerts: Sequence[Alert]) -> set[tuple[str, str]]:
    return {(one.suppressed.by, one.suppressed.what) for one in alerts if isinstance(one.suppressed, Suppressed)}


# --- a life, minute by minute


def test_what_is_silenced_is_written_as_suppressed_and_its_end_as_inactive() -> None:
    company = Company(keep_firing_for="2m")
    company.kept_by = QUIET
    assert company.see("fires") == ["suppressed"]
    assert company.last[0].kept == QUIET
    assert company.life.standing == "suppressed"
    assert company.see("holds", "fires") == []
    assert company.see("calm", "calm") == []  # nor is it said that it calms down
    assert company.see("calm") == ["inactive"]
    assert company.last[0].kept == QUIET
    assert [number for _, number in company.numbers] == [0, 1]
    assert (company.life.kept, company.life.untold) == (None, False)


def test_when_the_silence_ends_while_it_fires_somebody_is_called_and_told_of_the_end() -> None:
    company = Company(keep_firing_for="1m")
    company.kept_by = QUIET
    company.see("fires", "holds")
    company.kept_by = None
    assert company.see("holds") == ["firing"]
    assert (company.last[0].kept, company.last[0].again) == (None, False)
    assert company.see("calm", "calm") == ["resolved"]


def test_when_the_silence_ends_while_it_is_calm_nobody_is_called_unless_it_comes_back() -> None:
    company = Company(keep_firing_for="3m")
    company.kept_by = QUIET
    company.see("fires", "calm")
    company.kept_by = None
    assert company.see("calm") == []
    assert company.see("holds") == ["firing"]
    assert company.see("calm", "calm", "calm", "calm") == ["resolved"]


def test_a_new_story_that_was_silenced_is_told_when_the_silence_ends_though_nothing_of_its_kind_follows() -> None:
    company = Company(type="novelty", fire={"gte": 0.9}, keep_firing_for="3m")
    company.kept_by = QUIET
    assert company.see("fires", "calm") == []
    company.kept_by = Suppressed(by="silence", what="s2")
    assert company.see("calm") == ["suppressed"]
    company.kept_by = None
    assert company.see("calm") == ["firing", "recovering"]
    assert company.life.standing == "recovering"
    assert company.see("calm") == ["resolved"]


def test_of_what_was_told_and_is_silenced_afterwards_the_end_still_goes_out() -> None:
    company = Company(keep_firing_for="1m")
    assert company.see("fires") == ["firing"]
    company.kept_by = QUIET
    assert company.see("holds") == []
    assert company.see("calm") == ["recovering"]
    assert company.see("calm") == ["resolved"]
    assert company.last[0].kept is None


def test_a_rise_in_severity_that_is_silenced_is_told_when_the_silence_ends() -> None:
    company = Company()
    company.see("fires")
    company.kept_by = QUIET
    assert company.see(saw("fires", "critical")) == ["suppressed"]
    assert company.life.standing == "firing"  # for whoever was told of it
    company.kept_by = None
    assert company.see(saw("holds", "critical")) == ["firing"]
    assert company.life.severity == "critical"
    assert company.see("calm") == ["resolved"]


def test_a_rise_that_stays_silenced_changes_nothing_about_the_end_that_is_owed() -> None:
    company = Company()
    company.see("fires")
    company.kept_by = QUIET
    assert company.see(saw("fires", "critical")) == ["suppressed"]
    assert company.last[0].severity == "critical"
    assert company.see("calm") == ["resolved"]
    assert company.last[0].severity == "warning"  # whoever is told that it is over was told of a warning


def test_a_rise_that_is_silenced_in_the_minute_of_the_end_leaves_the_end_in_the_words_that_were_told() -> None:
    company = Company()
    company.see("fires")
    company.kept_by = QUIET
    rises_and_ends = Condition(opens=False, holds=False, fires=False, calm=True, severity="critical")
    assert company.see(rises_and_ends) == ["suppressed", "resolved"]
    assert [written.severity for written in company.last] == ["critical", "warning"]


def test_nobody_is_called_for_what_was_silenced_in_the_minute_in_which_it_ends() -> None:
    company = Company()
    company.kept_by = QUIET
    company.see("fires")
    company.kept_by = None
    rises_and_ends = Condition(opens=False, holds=False, fires=False, calm=True, severity="critical")
    assert company.see(rises_and_ends) == ["inactive"]
    assert company.last[0].kept == QUIET


def test_a_cooldown_counts_from_the_first_call_and_not_from_what_was_silenced() -> None:
    company = Company(cooldown={"for": "1h"})
    company.kept_by = QUIET
    company.see("fires", "calm")
    assert company.life.cooldown_until_ms == 0
    company.kept_by = None
    assert company.see("fires") == ["firing"]
    assert company.life.cooldown_until_ms == 63 * MINUTE


def test_another_silence_in_its_place_is_said_and_a_longer_one_of_the_same_id_is_not() -> None:
    company = Company()
    company.kept_by = QUIET
    company.see("fires")
    company.kept_by = Suppressed(by="silence", what="s1", until=None)
    assert company.see("holds") == []
    company.kept_by = Suppressed(by="silence", what="s2")
    assert company.see("holds") == ["suppressed"]
    assert company.last[0].kept == company.kept_by


def test_an_alert_of_a_state_from_before_was_told_and_ends_as_ever() -> None:
    company = Company(keep_firing_for="5m")
    company.see("fires", "calm")
    company.life.kept, company.life.untold = None, False  # what an older state says
    company.kept_by = QUIET
    assert company.see("calm", "calm", "calm", "calm", "calm") == ["resolved"]


conditions = st.builds(
    Condition,
    opens=st.booleans(),
    holds=st.booleans(),
    fires=st.booleans(),
    calm=st.booleans(),
    severity=st.sampled_from(["info", "warning", "critical"]),
)
minutes = st.lists(st.tuples(conditions, st.sampled_from([None, "s1", "s2"])), max_size=40)


@given(minutes, st.sampled_from(["0m", "2m"]), st.sampled_from(["0m", "5m"]))
def test_receivers_hear_of_an_end_if_and_only_if_they_heard_of_the_beginning(
    seen: list[tuple[Condition, str | None]], keep: str, cooldown: str
) -> None:
    company = Company(keep_firing_for=keep, cooldown={"for": cooldown})
    called: dict[str, str] = {}
    for condition, quiet in seen:
        company.kept_by = None if quiet is None else Suppressed(by="silence", what=quiet)
        company.see(condition)
        for written in company.last:
            name = company.life.alert_id
            assert (written.kept is not None) == (written.state == "suppressed") or written.state == "inactive"
            if written.state == "firing" and not written.again:
                assert quiet is None
                called[name] = written.severity
            elif written.again or written.state in ("recovering", "resolved"):
                assert called[name] == written.severity
            elif written.state == "inactive":
                assert name not in called
        standing, told = company.life.standing, company.life.alert_id in called
        if company.life.state == "firing":
            assert standing == "suppressed" if not told else standing in ("firing", "recovering")
        if company.last and company.last[-1].kept is None:
            state = company.last[-1].state
            assert standing == ("inactive" if state in ("inactive", "resolved") else state)
    numbers: dict[str, list[int]] = {}
    for name, number in company.numbers:
        numbers.setdefault(name, []).append(number)
    assert all(found == list(range(len(found))) for found in numbers.values())


# --- a stream


def test_a_silence_of_one_company_keeps_back_all_its_alerts_with_their_evidence() -> None:
    log = in_order(incident(random.Random(1)))
    plain = silenced(log)
    quiet = silenced(log, silence())
    assert {alert.state for alert in plain} >= {"firing", "recovering", "resolved"}
    assert not [alert for alert in quiet if alert.is_news]
    suppressed = [alert for alert in quiet if alert.state == "suppressed"]
    first = next(alert for alert in plain if alert.state == "firing")
    again = next(alert for alert in suppressed if alert.id == first.id)
    assert again.evidence == first.evidence
    assert again.suppressed == Suppressed(by="silence", what="s1", until=START + DAY)
    assert again.fired_at is None
    ends = [alert for alert in quiet if alert.state == "inactive" and alert.suppressed]
    assert {alert.id for alert in suppressed} >= {alert.id for alert in ends} != set()
    assert as_bytes(silenced(log, silence(("entity", "=", "BRND")))) == as_bytes(plain)


@pytest.mark.parametrize(
    ("matcher", "fits"),
    [
        (("alertname", "=", "Surge"), {"Surge"}),
        (("rule", "!=", "Surge"), {"High"}),
        (("rule", "=~", "S.*|H.*"), {"Surge", "High"}),
        (("rule", "=~", "Sur"), set()),
        (("rule", "!~", "H.*"), {"Surge"}),
        (("severity", "=~", "info|warning|critical"), {"Surge", "High"}),
        (("desk", "=", "credit"), set()),
        (("desk", "!=", "credit"), {"Surge", "High"}),
    ],
)
def test_matchers_see_labels_rule_and_severity_and_all_must_fit(matcher: tuple[str, str, str], fits: set[str]) -> None:
    log = in_order(incident(random.Random(1)))
    found = silenced(log, silence(("entity", "=", "AURL"), matcher))
    assert {alert.rule for alert in found if ("silence", "s1") in kept([alert])} == fits


def test_a_silence_applies_by_event_time_and_what_still_fires_after_it_is_told() -> None:
    log = in_order(incident(random.Random(1)))
    first = next(alert for alert in silenced(log) if alert.state == "firing")
    short = silence(until=first.at + timedelta(seconds=1))
    found = [alert for alert in silenced(log, short) if alert.id == first.id]
    found = [alert for alert in found if alert.state != "pending"]
    assert [alert.state for alert in found][:2] == ["suppressed", "firing"]
    assert found[1].at > first.at
    assert found[1].fired_at == first.at
    assert found[-1].state == "resolved"
    over = silence(until=first.at)
    assert as_bytes(silenced(log, over)) == as_bytes(silenced(log))


def test_a_new_story_is_told_after_its_silence_on_an_ordinary_day() -> None:
    made = Stream().usual(3, 4).burst(timedelta(days=2), 1, 0.93, source="newswire").made
    log = in_order(sorted(made, key=lambda one: one.published_at))
    novel = {**NOVEL, "keep_firing_for": "3h"}
    (told,) = fired(silenced(log, watching=monitor(rules(novel))))
    short = silence(until=told.at + timedelta(minutes=30))
    found = silenced(log, short, watching=monitor(rules(novel)))
    assert [alert.state for alert in found] == ["suppressed", "firing", "recovering", "resolved"]
    assert found[1].evidence.messages == told.evidence.messages
    assert (found[1].fired_at, found[1].id) == (told.at, told.id)
    assert found[1].at >= short.ends_at
    whole_time = silence(until=told.at + timedelta(hours=3))
    found = silenced(log, whole_time, watching=monitor(rules(novel)))
    assert [alert.state for alert in found] == ["suppressed", "inactive"]


def test_a_receiver_of_what_is_critical_hears_nothing_of_an_alert_whose_rise_was_silenced() -> None:
    severities = {name: Book(lambda alert, name=name: alert.severity == name) for name in ("warning", "critical")}  # type: ignore[misc]
    heard: dict[str, list[tuple[str, str]]] = {name: [] for name in severities}
    log = in_order(incident(random.Random(4)))
    found = silenced(log, silence(("severity", "=", "critical")))
    for alert in found:
        for name, book in severities.items():
            if book.expect(0, alert):
                book.told(0, alert, alert.at.timestamp())
                heard[name].append((alert.id, alert.state))
    told = {alert.id for alert in found if alert.state == "firing"}
    assert told & {alert.id for alert in found if alert.state == "suppressed"}, "else nothing was tested"
    assert heard["critical"] == []
    assert {id_ for id_, state in heard["warning"] if state == "resolved"} == told


def test_a_silence_that_comes_and_goes_while_the_monitor_runs_takes_effect_with_the_next_bin() -> None:
    log = in_order(incident(random.Random(1)))
    watching, found = monitor(), list[Alert]()
    watching.silence([silence()])
    for offset, record in enumerate(log):
        found += watching.absorb(record, offset)
        if found and found[-1].state == "suppressed":
            watching.silence([])
    states = [alert.state for alert in found if alert.rule == "Surge"]
    assert states[states.index("suppressed") + 1] == "firing"
    assert states[-1] == "resolved"


def test_what_was_kept_back_is_counted_by_what_kept_it() -> None:
    watching = monitor()
    found = silenced(in_order(incident(random.Random(1))), silence(), watching=watching)
    by_hand: dict[str, int] = {}
    for alert in found:
        if alert.state == "suppressed" and isinstance(alert.suppressed, Suppressed):
            by_hand[alert.suppressed.by] = by_hand.get(alert.suppressed.by, 0) + 1
    assert watching.take_counters().suppressed == by_hand
    assert by_hand["silence"] > 0
    assert watching.take_counters().suppressed == {}


@settings(max_examples=25, deadline=None)
@given(stream=seeds, order=seeds, begins=st.integers(26, 30), lasts=st.integers(1, 240))
def test_any_order_with_a_fifth_redelivered_gives_byte_identical_alerts_under_silences(
    stream: int, order: int, begins: int, lasts: int
) -> None:
    mentions = incident(random.Random(stream))
    since = START + timedelta(hours=begins)
    silences = (
        silence(since=since, until=since + timedelta(minutes=lasts)),
        silence(("severity", "=", "critical"), since=since, id_="s2"),
    )
    expected = silenced(in_order(mentions), *silences)
    assert as_bytes(silenced(disturbed(mentions, random.Random(order)), *silences)) == as_bytes(expected)


@settings(max_examples=15, deadline=None)
@given(stream=seeds, every=st.integers(5, 40))
def test_saved_and_restored_while_suppressed_it_goes_on_as_it_would_have(stream: int, every: int) -> None:
    log = in_order(incident(random.Random(stream)))
    silences = (silence(until=START + timedelta(hours=29)),)
    expected = silenced(log, *silences)
    store: dict[str, bytes] = {}
    found: list[Alert] = []
    for begin in range(0, len(log), every):
        watching = monitor()
        watching.silence(silences)
        watching.restore(store.items())
        for offset in range(begin, min(len(log), begin + every)):
            found += watching.absorb(log[offset], offset)
        changes = watching.changes()
        for key, value in [*changes.entities, *changes.clock]:
            if value is None:
                store.pop(key, None)
            else:
                store[key] = value
    assert [encode(alert) for alert in found] == [encode(alert) for alert in expected]


# --- the record


def test_an_alert_that_nothing_keeps_back_is_written_as_before() -> None:
    (first, *_) = [alert for alert in silenced(in_order(incident(random.Random(1)))) if alert.state == "firing"]
    assert b"suppressed" not in encode(first)
    assert b"again" not in encode(first)


def test_a_silence_has_a_key_of_its_own_and_survives_the_wire() -> None:
    record = silence(("rule", "=~", "Surge|High"))
    assert control_key(record) == b"silence:s1"
    assert decode_control(encode(record)) == record


@pytest.mark.parametrize(
    "changed",
    [
        (b'"op":"="', b'"op":"~"'),
        (b'"id":"s1"', b'"id":"two words"'),
        (b'"matchers":[{"name":"entity","op":"=","value":"AURL"}]', b'"matchers":[]'),
        (b'"by":"desk",', b""),
    ],
)
def test_what_is_no_silence_is_refused_where_it_is_read(changed: tuple[bytes, bytes]) -> None:
    written = encode(silence())
    assert changed[0] in written
    with pytest.raises(RecordError):
        decode_control(written.replace(*changed))


def test_a_broken_regular_expression_leaves_the_silences_before_it_in_place() -> None:
    watching = monitor()
    watching.silence([silence()])
    with pytest.raises(ValueError, match=r"entity=~\"\(\" holds no regular expression"):
        watching.silence([silence(("entity", "=~", "("))])
    found = [
        alert
        for offset, record in enumerate(in_order(incident(random.Random(1))))
        for alert in watching.absorb(record, offset)
    ]
    assert not [alert for alert in found if alert.is_news]


def test_one_that_was_expired_before_it_began_never_applies() -> None:
    log = in_order(incident(random.Random(1)))
    never = silence(since=START + DAY, until=datetime(2026, 3, 1, tzinfo=UTC))
    assert as_bytes(silenced(log, never)) == as_bytes(silenced(log))
