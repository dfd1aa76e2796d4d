"""The demonstration's verdict: it passes what is right, and names what is wrong."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from deploy.demo.incidents import Incident
from deploy.demo.verdict import (
    judge_dead_letters,
    judge_incidents,
    judge_mentions,
    judge_replay,
    judge_unread,
    reached,
    remarks,
    summarise,
)
from streams.monitor import default_rules
from streams.records import (
    Alert,
    Baseline,
    DeadLetter,
    Evidence,
    Mention,
    ModelVersion,
    Observed,
    Origin,
    Quality,
)

NINE = datetime(2026, 3, 17, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = {"BRMFD": "Brindlemoor Foods", "PLWTM": "Pellworth Motors", "OSTMB": "Ostermere Bank"}
SURGE = Incident("surge", "BRMFD", NINE, NINE + 3 * HOUR, should_fire=True, about="a food recall")
DECOY = Incident("volume_burst", "PLWTM", NINE, NINE + 4 * HOUR, should_fire=False, about="many messages")


def alert(entity="BRMFD", at=NINE + HOUR, *, state="firing", rule="NegativeShareSurge", transition=0) -> Alert:
    return Alert(
        id=f"{rule}-{entity}",
        transition=transition,
        state=state,
        severity="warning",
        rule=rule,
        rule_version="1",
        labels={"alertname": rule, "entity": entity},
        annotations={},
        at=at,
        starts_at=at,
        evidence=Evidence(
            signal="negative_share",
            observed=Observed(
                share=0.7, low=0.6, high=0.8, votes=30, messages=30, stories=30, sources=5, authors=20,
                window_start=at - HOUR, window_end=at,
            ),
            baseline=Baseline(share=0.2, low=0.1, high=0.3, margin=0.12, votes=300, warm=True),
            e_value=50_000.0,
            threshold=43_200.0,
            in_words="rarely",
            onset=at - HOUR,
            delay_s=3600,
            topics={},
            counterfactual=None,
            messages=(),
            quality=Quality(late=0, truncated=0, clamped=0, capped=0, warm=True),
        ),
        versions={},
        replay="",
    )  # fmt: skip


def mention(message_id: str, entity="BRMFD", *, negative=0.5, at=NINE) -> Mention:
    return Mention(
        message_id=message_id, entity=entity, relevance=1.0, source="wire", published_at=at, received_at=at,
        scored_at=at, text="t", negative=negative, neutral=0.0, positive=1 - negative, topic="commentary",
        topics={}, model=ModelVersion(name="m", version="1"), origin=Origin(partition=0, offset=0),
    )  # fmt: skip


def failed(checks) -> list[str]:
    return [f"{check.what}: {check.found}" for check in checks if not check.ok]


def test_a_surge_that_fired_and_a_decoy_that_did_not_pass():
    checks = judge_incidents([SURGE, DECOY], [alert(), alert(state="resolved", transition=1)], NAMES)
    assert failed(checks) == []
    assert checks[0].found == "alert at 10:00, 60 minutes after it began"


@pytest.mark.parametrize(
    "alerts",
    [
        [],
        [alert(state="pending")],
        [alert(rule="NegativeShareHigh")],
        [alert(at=NINE - timedelta(minutes=1))],
        [alert(at=NINE + 6 * HOUR + timedelta(minutes=1))],
        [alert("OSTMB")],
    ],
    ids=["none", "only pending", "another rule", "too early", "too late", "another company"],
)
def test_a_surge_without_its_alert_fails(alerts):
    what = failed(judge_incidents([SURGE], alerts, NAMES))[0]
    assert what.startswith("Brindlemoor Foods: a food recall (17 March 09:00 to 12:00): no alert, but")


def test_a_backstop_rule_that_fires_beside_the_surge_is_no_false_alarm():
    assert failed(judge_incidents([SURGE], [alert(), alert(rule="NegativeShareHigh")], NAMES)) == []


def test_an_alert_on_a_decoy_fails_at_the_decoy():
    checks = judge_incidents([SURGE, DECOY], [alert(), alert("PLWTM", NINE + 5 * HOUR)], NAMES)
    (what,) = failed(checks)
    assert what.startswith("Pellworth Motors: many messages")
    assert "a false alarm at 17 March 2026 14:00 UTC" in what


@pytest.mark.parametrize("stray", [alert("OSTMB"), alert("BRMFD", NINE + 20 * HOUR, transition=4)])
def test_an_alert_that_nothing_planted_explains_fails(stray):
    (what,) = failed(judge_incidents([SURGE, DECOY], [alert(), stray], NAMES))
    assert what.startswith("All other companies and hours:")
    assert NAMES[stray.labels["entity"]] in what


EXPECTED = (("not_json", b"{"), ("empty_text", b"{}"), ("empty_text", b"{}"))


def letter(reason: str, value: bytes) -> DeadLetter:
    return DeadLetter(
        value=value, key=None, reason=reason, detail="", topic="t", partition=0, offset=0, refused_by="squall"
    )


def test_dead_letters_are_compared_by_reason_and_bytes_each_as_often_as_it_was_sent():
    letters = [letter(*pair) for pair in EXPECTED]
    assert judge_dead_letters(EXPECTED, letters).ok
    assert not judge_dead_letters(EXPECTED, letters[:2]).ok
    assert not judge_dead_letters(EXPECTED, [*letters, letter("not_json", b"more")]).ok
    wrong = judge_dead_letters(EXPECTED, [letter("not_utf8", b"{"), *letters[1:]])
    assert not wrong.ok
    assert "not set aside for not json: b'{'" in wrong.found


def test_a_message_without_a_mention_of_its_company_is_named():
    told_of = {"a:1": "BRMFD", "a:2": "PLWTM", "a:3": ""}
    assert judge_mentions(told_of, [mention("a:1"), mention("a:2", "PLWTM")]).ok
    check = judge_mentions(told_of, [mention("a:1"), mention("a:2", "BRMFD")])
    assert not check.ok
    assert check.found == "1 without a score: a:2 (PLWTM)"


def unread(number: int) -> DeadLetter:
    text = {"id": str(number), "source": "a", "published_at": "2026-03-17T08:00:00Z", "text": "x", "lang": "zh"}
    return letter("no_model", json.dumps(text).encode())


def test_messages_in_a_language_without_a_model_must_be_kept_each_of_them_and_no_other():
    assert judge_unread({"a:1", "a:2"}, [unread(1), unread(2)]).ok
    lost = judge_unread({"a:1", "a:2"}, [unread(1)])
    assert not lost.ok
    assert "not kept: a:2" in lost.found
    more = judge_unread({"a:1"}, [unread(1), unread(3)])
    assert not more.ok
    assert "kept, unexpectedly: a:3" in more.found


def test_nothing_published_is_no_success():
    assert not judge_mentions({}, []).ok


def test_a_replay_that_differs_in_one_record_fails():
    alerts = [alert(), alert("OSTMB")]
    assert judge_replay(alerts, reversed(alerts)).ok
    assert not judge_replay(alerts, alerts[:1]).ok
    assert not judge_replay(alerts, [alerts[0], alert("OSTMB", NINE + 2 * HOUR)]).ok


def test_companies_are_summed_up_once_per_message_and_know_whether_they_have_a_history():
    many = [mention(f"b:{n}", "OSTMB", negative=0.2) for n in range(120)]
    old = [mention(f"c:{n}", "PLWTM", at=NINE - timedelta(days=40) * (n > 0)) for n in range(119)]
    bank, motors, food = summarise([*many, *many, *old, mention("a:1")], NAMES, default_rules())
    assert (bank.name, bank.mentions, bank.has_baseline) == ("Ostermere Bank", 120, True)
    assert bank.negative == pytest.approx(0.2)
    assert (motors.symbol, motors.mentions, motors.has_baseline) == ("PLWTM", 119, False)
    assert (food.mentions, food.has_baseline) == (1, False)


def test_it_says_plainly_what_the_messages_were_too_few_for():
    rules = default_rules()
    (unknown,) = remarks([], sent=7, rules=rules)
    assert unknown.startswith("None of the 7 messages speaks of a company that Squall knows")
    few = summarise([mention("a:1")], NAMES, rules)
    (short,) = remarks(few, sent=1, rules=rules)
    assert "Brindlemoor Foods has the most with 1" in short
    enough = summarise([mention(f"a:{n}") for n in range(200)], NAMES, rules)
    assert remarks(enough, sent=200, rules=rules) == []


def test_judged_up_to_is_the_last_message_less_the_lateness():
    assert reached(NINE, 120) < NINE - timedelta(seconds=120) <= reached(NINE, 118)
