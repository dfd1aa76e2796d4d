"""The report as text: what it says, that nothing breaks out of it, and that nothing is left half-written."""

from __future__ import annotations

import gzip
import json
import random
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InputError
from streams.records import Counterfactual, Quality, encode
from streams.replay import results
from streams.replay.report import ReportOptions, report_data, write_report
from streams.replay.report.alert_view import alert_view, element_id, number, safe_url
from streams.replay.report.charts import overview_chart, script_json
from streams.replay.report.command import command
from streams.replay.report.figures import alerts_per_rule
from streams.replay.report.lives import lives, strongest_first
from streams.replay.report.page import render
from tests.streams.monitor.invented import in_order, incident, run
from tests.streams.replay.report.report_invented import (
    DAY,
    HOSTILE,
    HOUR,
    RULES,
    START,
    evidence,
    hours,
    life,
    message,
    of_company,
    report,
    transition,
)


class _Page(HTMLParser):
    """The page's elements, and its text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _page(*args: Any, **kwargs: Any) -> _Page:
    return _Page(render(report(*args, **kwargs)))


def test_it_says_what_was_replayed_and_how_to_do_it_again() -> None:
    text = _page(life("a1", START + 2 * DAY)).text
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
    text = _page(life("a1", START + 2 * DAY + 9 * HOUR)).text
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
    text = _page(alerts).text
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
    text = _page([over]).text
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
    page = _page(alerts, options=ReportOptions(alerts_in_full=5, alert_rows=30))
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
    text = _page(alerts).text
    assert "0 alerts fired" in text
    assert "1 rise that came to nothing" in text
    assert "never fired" in text
    assert "No alert fired in this range." in text


def test_figures_are_per_week_and_company() -> None:
    alerts = [alert for n in range(6) for alert in life(f"a{n}", START + n * DAY)]
    text = _page(alerts, days=14).text
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
    text = _page(life("a", at), rules=("Surge", "Quiet")).text
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
    text = _Page(render(msgspec.structs.replace(data, figures=figures))).text
    for words in (
        "1 of 2 companies had fewer than 60 mentions a day",
        "1 alert of 1 fired while the company had little history of its own",
        "1 alert of 1 would not have fired yet without the strongest story",
        "4 mentions came later than the allowed lateness",
        "20 mentions had been read before",
        "3 further firings fell into a cooldown",
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
    text = _Page(render(msgspec.structs.replace(data, facts=facts, figures=figures, timeline=[]))).text
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


def test_hostile_texts_stay_text() -> None:
    told = evidence(
        START + DAY,
        in_words=HOSTILE,
        topics={HOSTILE: 1.0},
        messages=(message(1, text=HOSTILE, title=HOSTILE + "!", author=HOSTILE, source=HOSTILE, topic=HOSTILE),),
    )
    alerts = life("a1", START + DAY, evidence=told, replay=HOSTILE, versions={"model": HOSTILE}, rule_version=HOSTILE)
    alerts += life(HOSTILE, START + 2 * DAY, **of_company(HOSTILE, HOSTILE))
    data = report(alerts, rules_text=RULES + HOSTILE, names={"QLMK": HOSTILE}, versions={HOSTILE: HOSTILE})
    facts = msgspec.structs.replace(
        data.facts, source=HOSTILE, parts=(HOSTILE,), command=HOSTILE, options={HOSTILE: HOSTILE}, models=(HOSTILE,)
    )
    timeline = [*hours("QLMK", 48), *hours(HOSTILE, 48)]
    html = render(msgspec.structs.replace(data, facts=facts, timeline=timeline))
    page = _Page(html)
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    scripts = page.all("script")
    assert [script.get("type") for script in scripts].count(None) == 2  # plotly's and ours
    assert html.count("<script") == len(scripts) == html.count("</script>")
    assert page.text.count(HOSTILE) > 15
    blocks = re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', html, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert json.loads(block)
        assert not set("<>&") & set(block)


@given(st.text())
def test_json_in_a_script_can_neither_end_it_nor_change_what_it_says(text: str) -> None:
    written = script_json({"text": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"text": text}


@given(st.lists(st.text(min_size=1), unique=True, max_size=4))
def test_every_name_has_a_fragment_of_its_own(names: list[str]) -> None:
    ids = [element_id("company", name) for name in names]
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"company-[\w.-]+", found, re.ASCII) for found in ids)


def test_common_symbols_make_fragments_that_one_can_write() -> None:
    assert element_id("company", "BRK.B") == "company-BRK.B"
    assert element_id("company", "0700.HK") == "company-0700.HK"
    assert element_id("company", "A&B_C") == "company-A_26_B_5f_C"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " https://quill.example",
        "data:text/html,<script>1</script>",
        "file:///etc/hosts",
        "//quill.example/a",
        "https://",
        "https://user:word@quill.example/",
        "https:\\\\quill.example",
        "http://[broken",
        "https://quill.example/" + "a" * 3_000,
        "",
        None,
    ],
)
def test_a_link_that_is_not_plainly_http_is_no_link(url: str | None) -> None:
    assert safe_url(url) == (None, "")
    told = evidence(START + DAY, messages=(message(url=url),))
    links = _page(life("a1", START + DAY, evidence=told)).all("a")
    assert all((link["href"] or "").startswith("#") for link in links)


def test_a_link_tells_nobody_where_it_was_followed_from() -> None:
    page = _page(life("a1", START + DAY))
    (link,) = [link for link in page.all("a") if not (link["href"] or "").startswith("#")]
    assert link["href"] == "https://quill.example/ferries?a=1&b=2"
    assert {"noopener", "noreferrer"} <= set((link["rel"] or "").split())
    assert "open at quill.example" in page.text


def test_the_policy_lets_nothing_be_fetched_and_names_the_scripts_by_hash() -> None:
    page = _page()
    policy = next(meta["content"] or "" for meta in page.all("meta") if meta.get("http-equiv"))
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-\S+' 'sha256-\S+'", rules["script-src"])
    assert rules["img-src"] == "data: blob:"
    assert not {"connect-src", "font-src", "frame-src"} & set(rules)
    assert not [element for element in page.elements if element[1].get("src") or element[0] == "link"]


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


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    alerts = [*life("a1", START + DAY), *life("b2", START + DAY)]
    for name in ("one.html", "two.html"):
        write_report(report(alerts), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_text_that_no_encoding_holds_does_not_stop_a_report(tmp_path: Path) -> None:
    write_report(report(names={"QLMK": "Quill\ud800mark"}, versions={"odd \udfff": "\ud800"}), tmp_path / "r.html")
    assert "Quill" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_timeline_that_breaks_off_leaves_no_report(tmp_path: Path) -> None:
    broken = tmp_path / "timeline.jsonl.gz"
    broken.write_bytes(gzip.compress(b'{"entity": "QLMK"}\n'))
    with pytest.raises(InputError, match="line 1"):
        write_report(report(timeline=results.read_timeline(broken)), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def _summary(**changes: Any) -> results.Summary:
    versions = results.Versions(
        squall="0.1.0",
        python="3.11",
        records={"alert": 1},
        rules="ba9876543210",
        rules_file="desk.yaml",
        rules_sha256="ab" * 32,
        models={"small@3": 42},
    )
    values: dict[str, Any] = {
        "mode": "as-scored",
        "source": results.SourceSummary(
            kind="files",
            text="a b.jsonl",
            identity="77" * 8,
            parts=[{"name": "a b.jsonl", "bytes": 12, "sha256": "e3"}],
        ),
        "options": {"monitor": {"allowed_lateness_s": 120}, "entity": None, "warm_up": "all"},
        "messages": {"messages": 700, "bad_rows": 3},
        "report_from": None,
        "report_until": START + 5 * DAY,
        "first_event": START,
        "last_event": START + 2 * DAY,
        "mentions": 600,
        "companies": 1,
        "late": 0,
        "duplicates": 0,
        "suppressed": 0,
        "bad": {},
        "transitions": 3,
        "fired": 1,
        "fired_by_severity": {"warning": 1},
        "fired_per_day": {},
        "most_alerts": [results.CompanySummary(entity="BRYN", name="Brynholt", alerts=0)],
        "rules": [],
        "versions": versions,
    }
    return results.Summary(**{**values, **changes})


def test_a_finished_run_has_all_that_a_report_needs(tmp_path: Path) -> None:
    alerts = life("a1", START + DAY)
    (tmp_path / results.SUMMARY).write_bytes(encode(_summary()))
    (tmp_path / results.ALERTS).write_bytes(b"".join(results.alert_line(alert) for alert in alerts))
    (tmp_path / results.RULES).write_text(RULES, encoding="utf-8")
    lines = b"".join(encode(point) + b"\n" for point in hours("QLMK", 48))
    (tmp_path / results.TIMELINE).write_bytes(gzip.compress(lines))
    data = report_data(results.load_run(tmp_path))
    assert data.names == {"BRYN": "Brynholt", "QLMK": "Quillmark Ferries"}
    assert data.margin == 0.1
    assert data.facts.options == {"monitor.allowed_lateness_s": "120", "warm_up": "all"}
    page = _Page(render(data))
    for words in (
        "squall replay 'a b.jsonl' --as-scored --to 2026-03-07T00:00:00Z --warm-up all --rules rules.yaml --out again",
        "bad rows 3, messages 700",
        "with the scores that the mentions came with: small@3",
        "a b.jsonl, bytes 12, sha256 e3",
        "desk.yaml (sha256 " + "ab" * 32,
        "from the beginning to 7 March 2026 00:00 UTC",
        "2 March 2026 00:00 UTC to 4 March 2026 00:00 UTC",
        "288 mentions 312 more outside the range",
        "Quillmark Ferries QLMK",
    ):
        assert words in page.text, words


def test_the_command_names_all_that_a_summary_knows() -> None:
    versions = msgspec.structs.replace(_summary().versions, rules_file="default_rules.yaml")
    parts = [{"name": "a.csv"}, {"name": "b.csv"}]
    told = _summary(
        mode="rescored",
        source=results.SourceSummary(kind="files", text="a.csv b.csv", identity="7", parts=parts),
        options={
            "model": "small@3f9a",
            "entity": "QLMK",
            "known_at": "2026-03-09T00:00:00Z",
            "warm_up": "36h",
            "columns": {"text": "the body"},
            "default_source": "wire",
            "assume_utc": True,
            "sort": True,
        },
        report_from=START,
        report_until=None,
        versions=versions,
    )
    assert command(told) == (
        "squall replay a.csv b.csv --model 3f9a --from 2026-03-02T00:00:00Z --warm-up 36h "
        "--known-at 2026-03-09T00:00:00Z --entity QLMK --column 'text=the body' --source wire --assume-utc --sort "
        "--out again"
    )
    kafka = results.SourceSummary(kind="kafka", text="kafka:?from=a&to=b", identity="7", parts=[{"topic": "t"}])
    told = _summary(source=kafka, options={"trust_stories": True}, report_until=None, versions=versions)
    assert command(told) == "squall replay 'kafka:?from=a&to=b' --as-scored --trust-stories --out again"


def test_rules_that_cannot_be_read_are_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / results.SUMMARY).write_bytes(encode(_summary()))
    (tmp_path / results.ALERTS).write_bytes(b"")
    (tmp_path / results.RULES).write_text("rules: of a later version\n", encoding="utf-8")
    (tmp_path / results.TIMELINE).write_bytes(gzip.compress(b""))
    data = report_data(results.load_run(tmp_path))
    assert data.margin is None
    assert "rules: of a later version" in unescape(render(data))


def test_what_the_monitor_raises_is_told() -> None:
    raised = run(in_order(incident(random.Random(3))))
    fired = [found for found in lives(raised) if found.fired is not None]
    assert fired
    page = _page(raised)
    for found in fired:
        assert f"alert-{found.id}" in {element.get("id") for element in page.all("details")}
        for told in found.shown.evidence.messages:
            assert told.text in page.text
