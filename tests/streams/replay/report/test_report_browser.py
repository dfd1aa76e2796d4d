"""The report in a real browser: it draws, it answers, it fetches nothing, and nothing hostile runs in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from streams.replay.report import ReportData, write_report
from tests.streams.replay.report.report_invented import (
    DAY,
    HOSTILE,
    HOUR,
    START,
    evidence,
    hours,
    life,
    message,
    of_company,
    report,
)

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QLMK = "#company-QLMK-more .chart"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium for this module: while playwright runs, no asyncio test can."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs a browser: install Debian's package chromium, or Google Chrome")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found)
        yield running
        running.close()


@dataclass
class Visit:
    """An open report, and what the browser had to complain of."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self, chart: str = ".chart.overview") -> None:
        """Wait until a chart is drawn."""
        self.page.wait_for_selector(f"{chart}[data-drawn]")

    def evaluate(self, script: str) -> Any:
        """Ask the page."""
        return self.page.evaluate(script)

    def trace(self, name: str, chart: str = _QLMK) -> dict[str, Any]:
        """The drawn trace of that name: its x and y."""
        script = f"document.querySelector('{chart}').data.find((t) => t.name === '{name}')"
        found: dict[str, Any] = self.evaluate(f"(({{x, y, line}}) => ({{x, y, line}}))({script})")
        return found

    def range(self) -> list[float]:
        """From when to when the timeline is shown, ms."""
        axis = f"document.querySelector('{_QLMK}').layout.xaxis.range"
        found: list[float] = self.evaluate(f"{axis}.map((at) => typeof at === 'number' ? at : Date.parse(at + 'Z'))")
        return found


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Open:
    """`with visit(data, fragment="", **context) as v`: write the report and open it; complaints fail the test."""

    @contextmanager
    def open_report(data: ReportData, fragment: str = "", **context: Any) -> Iterator[Visit]:
        path = tmp_path / "report.html"
        write_report(data, path)
        opened = browser.new_context(**context)
        page = opened.new_page()
        found = Visit(page)
        page.on("console", lambda said: found.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(path.as_uri() + fragment)
        try:
            yield found
            assert found.complaints == []
            assert [url for url in found.requests if not url.startswith(path.as_uri())] == []
        finally:
            opened.close()

    return open_report


def _alerts() -> list[Any]:
    at = START + 3 * DAY
    return [
        *life("a1", at),
        *life("a2", at + 4 * DAY, severity="critical"),
        *life("b1", at + 5 * DAY, **of_company("BRYN", "Brynholt")),
    ]


def test_it_opens_and_draws_the_alerts_per_day(visit: Open) -> None:
    with visit(report(_alerts())) as found:
        found.drawn()
        assert sum(found.trace("warning", ".chart.overview")["y"]) == 2
        assert sum(found.trace("critical", ".chart.overview")["y"]) == 1
        assert len(found.trace("warning", ".chart.overview")["x"]) == 14


def test_a_company_is_drawn_when_it_is_opened_and_not_before(visit: Open) -> None:
    with visit(report(_alerts())) as found:
        found.drawn()
        assert found.evaluate("document.querySelectorAll('.js-plotly-plot').length") == 1
        found.page.click("#company-QLMK button.open")
        found.drawn(_QLMK)
        assert len(found.trace("share of negative votes")["x"]) == 24 * 14
        assert len(found.trace("mentions")["x"]) == 24 * 14
        assert found.trace("warning alert")["x"] == [(START + 3 * DAY).timestamp() * 1000]
        assert found.evaluate("document.querySelectorAll('.js-plotly-plot').length") == 2
        found.page.click("#company-QLMK button.open")
        assert found.page.is_hidden("#company-QLMK-more")
        assert found.page.get_attribute("#company-QLMK button.open", "aria-expanded") == "false"


def test_a_fragment_opens_a_company_or_an_alert(visit: Open) -> None:
    with visit(report(_alerts()), "#company-QLMK") as found:
        found.drawn(_QLMK)
        found.page.evaluate("document.querySelectorAll('details.alert').forEach((alert) => { alert.open = false; })")
        found.page.click("#company-QLMK-more .links a >> nth=0")
        found.page.wait_for_selector("#alert-a2[open]")
        assert found.evaluate("location.hash") == "#alert-a2"


def test_a_symbol_with_odd_characters_can_be_opened(visit: Open) -> None:
    data = report(timeline=[*hours("A&B's/\u516c\u53f8", 48)])
    with visit(data) as found:
        found.page.click("tbody.company button.open")
        found.page.wait_for_selector(".chart.timeline[data-drawn]")


def test_hours_without_a_mention_are_a_gap_in_the_line(visit: Open) -> None:
    with visit(report(), "#company-BRYN") as found:
        found.drawn("#company-BRYN-more .chart")
        share = found.trace("share of negative votes", "#company-BRYN-more .chart")["y"]
        assert share[0] is not None
        assert share[1] is None
        usual = found.trace("usual share", "#company-BRYN-more .chart")["y"]
        assert None not in usual


def test_two_years_are_drawn_by_the_day_and_an_alert_by_the_hour(visit: Open) -> None:
    at = START + 400 * DAY
    data = report(life("a1", at), days=731)
    with visit(data, "#company-QLMK") as found:
        found.drawn(_QLMK)
        assert len(found.trace("share of negative votes")["x"]) == 731
        found.page.click("#alert-a1 a.show")
        found.page.wait_for_function(f"document.querySelector('{_QLMK}').dataset.focus === 'alert-a1'")
        found.page.wait_for_selector("#company-QLMK-more .whole")
        assert len(found.trace("share of negative votes")["x"]) == 73
        middle = at.timestamp() * 1000
        assert found.range() == [middle - 1.5 * 86_400_000, middle + 1.5 * 86_400_000]
        found.page.click("#company-QLMK-more .whole")
        assert len(found.trace("share of negative votes")["x"]) == 731
        assert found.page.is_hidden("#company-QLMK-more .whole")


def test_hostile_texts_stay_text(visit: Open) -> None:
    told = evidence(START + DAY, in_words=HOSTILE, messages=(message(text=HOSTILE, title=HOSTILE + "!"),))
    alerts = [
        *life("a1", START + DAY, evidence=told, annotations={"name": HOSTILE, "summary": HOSTILE}),
        *life("b1", START + DAY, **of_company(HOSTILE)),
    ]
    data = report(alerts, timeline=[*hours("QLMK", 48), *hours(HOSTILE, 48)], names={"QLMK": HOSTILE})
    facts = msgspec.structs.replace(data.facts, source=HOSTILE)
    with visit(msgspec.structs.replace(data, facts=facts)) as found:
        found.drawn()
        for button in found.page.query_selector_all("button.open"):
            button.click()
        found.page.wait_for_function("document.querySelectorAll('.chart.timeline[data-drawn]').length === 2")
        assert HOSTILE[:20] in found.page.inner_text("#alert-a1 .messages")
        assert found.evaluate("document.title").startswith("Replay of </script>")
        assert found.evaluate("document.querySelectorAll('img').length") == 0
        assert found.evaluate("document.querySelectorAll('script:not([type])').length") == 2


def test_a_script_that_got_in_all_the_same_would_not_run(visit: Open) -> None:
    with visit(report()) as found:
        refused = found.evaluate(
            """() => new Promise((done) => {
                document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
                const script = document.createElement("script");
                script.textContent = "document.title = 'broken out'";
                document.body.append(script);
            })"""
        )
        assert refused == "script-src-elem"
        assert "broken out" not in found.page.title()
        assert all("Content Security Policy" in said for said in found.complaints)
        found.complaints.clear()


def test_nothing_can_be_fetched_even_by_the_page_itself(visit: Open) -> None:
    with visit(report()) as found:
        answer = found.evaluate("fetch('http://127.0.0.1:9/').then(() => 'fetched', (error) => error.name)")
        assert answer == "TypeError"
        assert any("connect-src" in said or "default-src" in said for said in found.complaints)
        found.complaints.clear()


def test_it_can_be_used_by_the_keyboard(visit: Open) -> None:
    with visit(report(_alerts())) as found:
        found.drawn()
        found.page.keyboard.press("Tab")
        assert found.evaluate("document.activeElement.className") == "skip"
        found.page.focus("#company-QLMK button.open")
        found.page.keyboard.press("Enter")
        found.drawn(_QLMK)
        found.page.focus("#alert-b1 > summary")
        before = found.evaluate("document.querySelector('#alert-b1').open")
        found.page.keyboard.press("Enter")
        assert found.evaluate("document.querySelector('#alert-b1').open") is not before


def test_companies_are_sorted_and_found(visit: Open) -> None:
    names = "Array.from(document.querySelectorAll('tbody.company:not([hidden])'), (row) => row.dataset.name)"
    with visit(report(_alerts())) as found:
        assert found.evaluate(names) == ["Quillmark Ferries QLMK", "BRYN BRYN"]
        found.page.click("button[data-sort=name]")
        assert found.evaluate(names) == ["BRYN BRYN", "Quillmark Ferries QLMK"]
        assert found.page.get_attribute("th:has(button[data-sort=name])", "aria-sort") == "ascending"
        assert found.page.get_attribute("th:has(button[data-sort=alerts])", "aria-sort") is None
        found.page.click("button[data-sort=name]")
        assert found.evaluate(names) == ["Quillmark Ferries QLMK", "BRYN BRYN"]
        found.page.fill("#company-filter", "bry")
        assert found.evaluate(names) == ["BRYN BRYN"]
        assert found.page.inner_text("#company-count") == "1 of 2"


def test_alerts_are_put_in_order_and_opened_together(visit: Open) -> None:
    ids = "Array.from(document.querySelectorAll('details.alert'), (alert) => alert.id)"
    with visit(report(_alerts())) as found:
        assert found.evaluate(ids) == ["alert-a2", "alert-b1", "alert-a1"]
        found.page.select_option("#alert-order", "newest")
        assert found.evaluate(ids) == ["alert-b1", "alert-a2", "alert-a1"]
        found.page.click("#close-all")
        assert found.evaluate("document.querySelectorAll('details.alert[open]').length") == 0
        found.page.click("#open-all")
        assert found.evaluate("document.querySelectorAll('details.alert[open]').length") == 3


def test_it_is_light_or_dark_and_so_are_its_charts(visit: Open) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        with visit(report(_alerts()), "#company-QLMK", color_scheme=scheme) as found:
            found.drawn(_QLMK)
            ground = found.evaluate("getComputedStyle(document.body).backgroundColor")
            colours[scheme] = (ground, found.trace("usual share")["line"]["color"])
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]


def test_a_narrow_screen_needs_no_scrolling_sideways(visit: Open) -> None:
    with visit(report(_alerts()), "#company-QLMK", viewport={"width": 400, "height": 900}) as found:
        found.drawn(_QLMK)
        assert found.evaluate("document.documentElement.scrollWidth") <= 400
        assert found.evaluate(f"document.querySelector('{_QLMK}').getBoundingClientRect().right") <= 400


def test_on_paper_it_is_light_and_its_charts_fit(visit: Open) -> None:
    with visit(report(_alerts()), "#company-QLMK", color_scheme="dark") as found:
        found.drawn(_QLMK)
        dark = found.trace("usual share")["line"]["color"]
        found.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert found.trace("usual share")["line"]["color"] != dark
        assert found.evaluate(f"document.querySelector('{_QLMK} svg').getBoundingClientRect().width") == 700
        found.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert found.trace("usual share")["line"]["color"] == dark
        assert found.page.pdf(format="A4").startswith(b"%PDF")


def test_without_javascript_all_words_can_be_read(visit: Open) -> None:
    with visit(report(_alerts()), java_script_enabled=False) as found:
        assert "The charts need JavaScript." in found.page.inner_text("noscript")
        assert "78 % of 12 stories" in found.page.inner_text("#alert-a2")


def test_a_run_without_alerts_or_mentions_opens_without_complaint(visit: Open) -> None:
    data = report()
    facts = msgspec.structs.replace(data.facts, first_event=None, last_event=None)
    with visit(msgspec.structs.replace(data, facts=facts, timeline=[])) as found:
        assert "No alert fired in this range." in found.page.inner_text("main")


def test_an_alert_without_a_timeline_still_opens_its_company(visit: Open) -> None:
    with visit(report(life("g1", START + DAY + HOUR, **of_company("GONE"))), "#company-GONE") as found:
        assert found.page.is_visible("#company-GONE-more .links")
        assert found.page.is_hidden("#company-GONE-more .chart")
