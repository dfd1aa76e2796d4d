"""The report as text: what it says of a run, its alerts and its limits, and how large it grows."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from streams.records import Counterfactual, Quality
from streams.replay.report import ReportOptions
from streams.replay.report.alert_view import alert_view, number
from streams.replay.report.charts import overview_chart
from streams.replay.report.figures import alerts_per_rule
from streams.replay.report.lives import lives, strongest_first
from streams.replay.report.page import render
from tests.streams.replay.report.report_invented import (
    DAY,
    HOUR,
    START,
    evidence,
    hours,
    life,
    of_company,
    report,
    transition,
)
from tests.streams.replay.report.report_text import PageText, page_of


def test_it_says_what_was_replayed_and_how_to_do_it_again() -> None:
    text = page_of(life("a1", START + 2 * DAY)).text
    for words in (
        "history.csv",
        "2 March 2026 00:00 UTC to 15 March 2026 23:59 UTC",
        "hash 00ff00ff00ff00ff",
        "scored again: small@3",
        "squall replay history.csv --out run",
        "version ba9876543210",
        "rule Surge 0123456789ab",
        "All times are UTC",
    ):
        assert words in text


def test_an_alert_is_told_with_its_evidence_in_plain_words() -> None:
    text = page_of(life("a1", START + 2 * DAY + 9 * HOUR)).text
    for words in (
        "Quillmark Ferries (QLMK)",
        "78 % of 12 stories in the last 60 minutes are negative, against a usual 24 %.",
        "By chance, a rise like this comes at most once in about 60 days at this company.",
        "78 % negative (90 % interval 61 % to 89 %)",
        "24 % (90 % interval 22 % to 27 %, from 412 votes of its own); the rule asks for more than 34 %",
        "e-value 86,400 against a threshold of 43,200, 2 times as much",
        "4 March 2026 08:00 UTC (estimate), told 60 minutes later",
        "it would still have fired (e-value 51,000)",
        "Law and regulation 70 %, Company and product news 30 %",
        "12 stories in 31 messages from 5 sources and 9 authors",
        "7 copies, counted once",
        "and 10 more stories, 40 % of the evidence",
        "4 March 2026 08:30 UTC: worth a look",
        "4 March 2026 09:00 UTC: fired (warning)",
        "4 March 2026 11:00 UTC: over",
        "lasted 2 hours",
        "squall replay kafka: --as-scored --entity QLMK --to 2026-03-03T09:00:00Z",
    ):
        assert words in text, words


def test_a_threshold_alert_claims_nothing_about_chance() -> None:
    plain = evidence(START + DAY, e_value=None, threshold=0.75, counterfactual=None, topics={})
    alerts = life("a1", START + DAY, evidence=plain)
    text = page_of(alerts).text
    assert "a share of 78 % against a threshold of 75 %" in text
    assert "Without its strongest story" not in text
    assert "the rule asks for" not in text
    assert alert_view(lives(alerts)[0]).scale.tested is None


def test_the_first_firing_is_shown_and_the_highest_severity_counts() -> None:
    at = START + DAY
    rise = evidence(at + HOUR, in_words="much later")
    alerts = [*life("a1", at)[:2], transition("a1", "firing", at + HOUR, 2, severity="critical", evidence=rise)]
    (found,) = lives(alerts)
    assert (found.severity, found.shown.transition, found.ended) == ("critical", 1, None)
    view = alert_view(found)
    assert view.lasted == "not over when the range ended"
    assert "much later" not in str(view.facts)
    assert len(view.life) == 3


def test_what_was_pending_does_not_make_an_alert_more_severe() -> None:
    at = START + DAY
    alerts = [transition("a", "pending", at, 0, severity="critical"), transition("a", "firing", at + HOUR, 1)]
    assert lives(alerts)[0].severity == "warning"
    assert lives(alerts[:1])[0].severity == "critical"


def test_an_alert_that_fired_before_the_range_is_no_alert_of_the_range() -> None:
    (over,) = [alert for alert in life("a1", START) if alert.state == "resolved"]
    (found,) = lives([over])
    assert (found.fired, found.fired_before, found.begin) == (None, True, START)
    text = page_of([over]).text
    assert "0 alerts fired" in text
    assert "0 rises that came to nothing" in text
    assert "fired before the range" in text


def test_transitions_may_come_in_any_order_and_twice() -> None:
    alerts = [*life("a1", START + DAY), *life("b2", START + 2 * DAY)]
    assert render(report(alerts)) == render(report([*reversed(alerts), *alerts]))


def test_strength_is_severity_then_evidence_then_rise() -> None:
    at = START + DAY
    strong = evidence(at, e_value=1e9)
    calm = evidence(at, observed=msgspec.structs.replace(strong.observed, share=0.4))
    alerts = [
        *life("calm", at, evidence=calm),
        *life("plain", at),
        *life("info", at, severity="info", evidence=strong),
        *life("strong", at, evidence=strong),
        *life("critical", at, severity="critical"),
    ]
    assert [found.id for found in strongest_first(lives(alerts))] == ["critical", "strong", "plain", "calm", "info"]


def test_of_very_many_alerts_the_strongest_are_shown_in_full_and_it_says_so() -> None:
    alerts = [alert for n in range(40) for alert in life(f"a{n}", START + n * HOUR * 8)]
    alerts += life("strongest", START + DAY, severity="critical")
    page = page_of(alerts, options=ReportOptions(alerts_in_full=5, alert_rows=30))
    shown = [element["id"] for element in page.all("details") if "alert" in (element.get("class") or "")]
    assert len(shown) == 5
    assert shown[0] == "alert-strongest"
    assert "41 alerts fired. The 5 strongest are shown with all their evidence" in page.text
    assert "6 more are left out here; all of them are in alerts.jsonl" in page.text
    ids = {element["id"] for _, element in page.elements if "id" in element}
    links = [element["href"] or "" for element in page.all("a")]
    assert all(link[1:] in ids for link in links if link.startswith("#"))  # no link leads to what was left out


def test_a_rise_that_came_to_nothing_called_nobody() -> None:
    at = START + DAY
    alerts = [transition("p", "pending", at, 0), transition("p", "inactive", at + HOUR, 1)]
    text = page_of(alerts).text
    assert "0 alerts fired" in text
    assert "1 rise that came to nothing" in text
    assert "never fired" in text
    assert "No alert fired in this range." in text


def test_figures_are_per_week_and_company() -> None:
    alerts = [alert for n in range(6) for alert in life(f"a{n}", START + n * DAY)]
    text = page_of(alerts, days=14).text
    assert "6 alerts fired 6 warning" in text
    assert "1.5 per week and company" in text  # 6 alerts, two weeks, two companies
    assert "0.43 a day in all" in text


def test_every_rule_is_counted_also_one_that_never_fired() -> None:
    at = START + DAY
    found = lives(
        [
            *life("a", at),
            *life("b", at, severity="critical"),
            transition("c", "pending", at, 0),
            *life("d", at, rule="Gone"),
        ]
    )
    assert alerts_per_rule(("Quiet", "Surge"), found) == [
        ("Quiet", 0, (0, 0, 0), 0),
        ("Surge", 2, (0, 1, 1), 1),
        ("Gone", 1, (0, 1, 0), 0),
    ]
    text = page_of(life("a", at), rules=("Surge", "Quiet")).text
    assert "Surge 1 0 1 0 0 Quiet 0 0 0 0 0" in text


def test_what_limits_a_run_is_said() -> None:
    at = START + DAY
    limited = evidence(
        at,
        quality=Quality(late=2, truncated=0, clamped=1, capped=3, warm=False),
        counterfactual=Counterfactual(e_value=900.0, fires=False),
    )
    data = report(life("a1", at, evidence=limited), notes=("Hour 23 is over-weighted.",))
    figures = msgspec.structs.replace(
        data.figures, late=4, duplicates=20, suppressed=3, bad={"bad_time": 1, "not_json": 2}
    )
    text = PageText(render(msgspec.structs.replace(data, figures=figures))).text
    for words in (
        "1 of 2 companies had fewer than 60 mentions a day",
        "1 alert of 1 fired while the company had little history of its own",
        "1 alert of 1 would not have fired yet without the strongest story",
        "4 mentions came later than the allowed lateness",
        "20 mentions had been read before",
        "3 further alerts fell into a cooldown or were inhibited",
        "3 rows could not be used",
        "3 bad rows bad_time 1, not_json 2",
        "Hour 23 is over-weighted.",
        "2 messages came too late and are not counted.",
    ):
        assert words in text, words


def test_an_empty_run_is_a_report_too() -> None:
    data = report()
    facts = msgspec.structs.replace(data.facts, first_event=None, last_event=None)
    figures = msgspec.structs.replace(data.figures, mentions_read=0, companies=0)
    text = PageText(render(msgspec.structs.replace(data, facts=facts, figures=figures, timeline=[]))).text
    assert "no mention was read" in text
    assert "No mention lies in the range: nothing was tested." in text
    assert "No company was mentioned in this range." in text


def test_a_range_is_what_was_asked_for_as_far_as_there_is_data() -> None:
    facts = report().facts
    asked = msgspec.structs.replace(facts, asked_from=START - DAY, asked_until=START + 3 * DAY)
    assert (asked.start, asked.end) == (START, START + 3 * DAY)
    later = msgspec.structs.replace(facts, asked_from=START + DAY, asked_until=START + 300 * DAY)
    assert (later.start, later.end) == (START + DAY, facts.last_event)
    past = msgspec.structs.replace(facts, asked_from=START + 99 * DAY, asked_until=None)
    assert past.start == past.end


def test_plotly_is_embedded_once_however_many_charts_there_are() -> None:
    timeline = [point for n in range(60) for point in hours(f"C{n}", 24 * 14, every=3)]
    html = render(report(life("a1", START + DAY), timeline=timeline))
    assert html.count("plotly.js v") == 1
    assert len(html) < 15_000_000


def test_sixty_companies_over_two_years_stay_small() -> None:
    names = [f"C{n:02d}" for n in range(60)]
    timeline = (point for name in names for point in hours(name, 24 * 731, every=6))
    alerts = [alert for n in range(300) for alert in life(f"a{n}", START + n * 2 * DAY, **of_company(names[n % 60]))]
    data = report(alerts, days=731)
    figures = msgspec.structs.replace(data.figures, companies=60)
    html = render(msgspec.structs.replace(data, figures=figures, timeline=timeline))
    assert len(html.encode()) < 15_000_000
    blocks = re.findall(r'<script type="application/json" id="company-C\d\d-data">(.*?)</script>', html)
    assert len(blocks) == 60
    for block in blocks:
        assert 700 < len(json.loads(block)["coarse"]["t"]) <= 750


def test_the_days_add_up_and_those_without_an_alert_are_there() -> None:
    found = lives([*life("a", START + HOUR), *life("b", START + 23 * HOUR), *life("c", START + 4 * DAY)])
    chart = overview_chart(found, start=START, end=START + 10 * DAY)
    assert chart["warning"] == [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert sum(chart["info"]) == sum(chart["critical"]) == 0


def test_many_years_are_counted_by_weeks() -> None:
    chart = overview_chart(lives(life("a", START + DAY)), start=START, end=START + 20 * 365 * DAY)
    assert len(chart["warning"]) <= 1_501
    assert sum(chart["warning"]) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (0.347, "0.347"), (43_200.0, "43,200"), (2_400_000.0, "2.4 million"), (3e9, "3.0 billion")],
)
def test_numbers_are_for_people(value: float, words: str) -> None:
    assert number(value) == words
    assert number(3.1e17) == "3.1e+17"
