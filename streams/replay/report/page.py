"""The report's file: template, style, script and plotly put together under a content security policy.

The policy lets nothing be fetched. It knows the two scripts by their hashes, so that a script that came in with a
message would not run even if it got past the escaping. Plotly's drawing sets styles that no hash can name in advance;
`style-src` must allow inline styles for it, and `img-src` the data: and blob: pictures by which a chart is saved.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from streams.deliver.words import clean, moment, percent, plural
from streams.monitor.bins import HOUR_MS, to_ms
from streams.replay.report import figures as counted
from streams.replay.report.alert_view import AlertView, alert_view, element_id
from streams.replay.report.charts import company_chart, overview_chart, script_json
from streams.replay.report.data import ReportData
from streams.replay.report.lives import SEVERITIES, Life, lives, strongest_first
from streams.replay.report.timeline import AROUND_MS, CompanyTimeline, gather, points_each, step_ms

_STEP_NAMES = {
    HOUR_MS: "by the hour",
    6 * HOUR_MS: "by 6 hours",
    24 * HOUR_MS: "by the day",
    7 * 24 * HOUR_MS: "by the week",
}
_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class CompanyView:
    """A row of the table of companies, and what opens below it."""

    element: str
    entity: str
    name: str
    mentions: int
    votes: int
    share: float | None
    alerts: int
    severity: str
    rank: int
    """For sorting by severity."""
    last: str
    last_ms: int
    chart: Markup
    links: tuple[AlertRow, ...]
    about: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert in one line."""

    element: str
    target: str
    begin: str
    severity: str
    company_element: str
    company: str
    rule: str
    share: str
    usual: str
    state: str


def write_report(data: ReportData, path: Path) -> None:
    """Write the report as one file; the same contents give the same bytes.

    It appears complete or not at all.

    Raises:
        OSError: the file cannot be written.
        InputError: the timeline cannot be read to its end.
    """
    page = render(data)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page, encoding="utf-8", newline="\n", errors="replace")
    partial.replace(path)


def render(data: ReportData) -> str:
    """Return the report's HTML."""
    options = data.options
    found = lives(data.alerts)
    fired = [life for life in found if life.fired is not None]
    ranked = strongest_first(fired)
    full, rest = ranked[: options.alerts_in_full], ranked[options.alerts_in_full :]
    unfired = [life for life in found if life.fired is None]
    rows = sorted([*rest, *unfired], key=lambda life: (life.fired is None, -to_ms(life.begin), life.id))
    start, end = data.facts.start, data.facts.end
    step = HOUR_MS
    companies: dict[str, CompanyTimeline] = {}
    overview = None
    days = 1.0
    if start is not None and end is not None:
        points = points_each(data.figures.companies, each=options.points_per_company, in_all=options.points_in_all)
        step = step_ms(start, end, most_points=points)
        companies = gather(data.timeline, start=start, end=end, step=step, around=_around(full))
        overview = overview_chart(fired, start=start, end=end)
        days = counted.days_between(start, end)
    for life in fired:
        companies.setdefault(life.entity, CompanyTimeline())
    mentions = sum(company.mentions for company in companies.values())
    views = _companies(data, companies, fired, full, rows[: options.alert_rows], step=step)
    plotly, ours = _asset("plotly"), _asset("report.js")
    return _template().render(
        data=data,
        facts=data.facts,
        start=start,
        end=end,
        range_text=_range_text(start, end),
        figures=counted.key_figures(data.figures, mentions=mentions, found=found, days=days),
        notes=[*counted.quality_notes(data.figures, companies, fired, mentions=mentions, days=days), *data.notes],
        overview=Markup(script_json(overview)) if overview and fired else None,  # noqa: S704 - escaped for a script
        per_day=counted.alerts_per_day(fired),
        per_rule=counted.alerts_per_rule(data.rules, found),
        severities=tuple(reversed(SEVERITIES)),
        companies=views,
        companies_left_out=len(companies) - len(views),
        step_name=_step_name(step),
        alerts=[alert_view(life) for life in full],
        alerts_fired=len(fired),
        rows=[_row(life) for life in rows[: options.alert_rows]],
        rows_left_out=max(0, len(rows) - options.alert_rows),
        policy=_policy(plotly, ours),
        style=Markup(_asset("report.css")),  # noqa: S704 - a file of this package
        plotly=Markup(plotly),  # noqa: S704 - plotly's own script
        script=Markup(ours),  # noqa: S704 - a file of this package
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("streams.replay.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = moment
    environment.filters["percent"] = percent
    environment.filters["plain"] = clean
    return environment.get_template("report.html.j2")


def _asset(name: str) -> str:
    """Return a file that the page embeds, plotly's script among them.

    Raises:
        ValueError: it would end the element that it is embedded in.
    """
    if name == "plotly":
        # the file itself: importing plotly for it would take longer than drawing the page
        file = resources.files("plotly").joinpath("package_data", "plotly.min.js")
    else:
        file = resources.files("streams.replay.report").joinpath(name)
    text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
    if "</script" in text.lower() or "</style" in text.lower():
        msg = f"{name} cannot be embedded: it holds the end of a script or style element"
        raise ValueError(msg)
    return text


def _policy(*scripts: str) -> str:
    """Return the content security policy; each script is known by the hash of what the browser sees of it."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _around(full: Sequence[Life]) -> dict[str, list[tuple[int, int]]]:
    around: dict[str, list[tuple[int, int]]] = {}
    for life in full:
        begin = to_ms(life.begin)
        around.setdefault(life.entity, []).append((begin - AROUND_MS, begin + AROUND_MS))
    return around


def _companies(
    data: ReportData,
    companies: dict[str, CompanyTimeline],
    fired: Sequence[Life],
    full: Sequence[Life],
    rows: Sequence[Life],
    *,
    step: int,
) -> list[CompanyView]:
    by_company: dict[str, list[Life]] = {}
    for life in fired:
        by_company.setdefault(life.entity, []).append(life)
    on_page = {life.id for life in (*full, *rows)}
    order = sorted(
        companies,
        key=lambda entity: (-len(by_company.get(entity, ())), -companies[entity].mentions, entity),
    )
    return [
        _company(data, entity, companies[entity], by_company.get(entity, []), on_page, step=step)
        for entity in order[: data.options.companies]
    ]


def _company(
    data: ReportData,
    entity: str,
    timeline: CompanyTimeline,
    fired: Sequence[Life],
    on_page: set[str],
    *,
    step: int,
) -> CompanyView:
    start, end = data.facts.start, data.facts.end
    chart: Any = None
    if start is not None and end is not None and timeline.coarse:
        targets = [(life, element_id("alert", life.id) if life.id in on_page else "") for life in fired]
        chart = company_chart(timeline, targets, step=step, start=start, end=end)
    rank = max((SEVERITIES.index(life.severity) for life in fired), default=-1)
    name = clean(data.names.get(entity, entity), most=_NAME_CHARS)
    about = (
        f"{name}: share of negative votes {_step_name(step)} against the usual share, mentions below; "
        f"{plural(timeline.mentions, 'mention')}, {plural(len(fired), 'alert')}. The alerts are listed below the chart."
    )
    return CompanyView(
        element=element_id("company", entity),
        entity=clean(entity, most=_NAME_CHARS),
        name=name,
        mentions=timeline.mentions,
        votes=timeline.votes,
        share=timeline.share,
        alerts=len(fired),
        severity=SEVERITIES[rank] if rank >= 0 else "",
        rank=rank,
        last=moment(fired[-1].begin) if fired else "",
        last_ms=to_ms(fired[-1].begin) if fired else 0,
        chart=Markup(script_json(chart)),  # noqa: S704 - escaped for a script
        links=tuple(_row(life, linked=life.id in on_page) for life in reversed(fired)),
        about=about,
    )


def _row(life: Life, *, linked: bool = True) -> AlertRow:
    evidence = life.shown.evidence
    view_id = element_id("alert", life.id)
    return AlertRow(
        element=view_id,
        target=view_id if linked else "",
        begin=moment(life.begin),
        severity=life.severity,
        company_element=element_id("company", life.entity),
        company=clean(life.shown.annotations.get("name") or life.entity, most=_NAME_CHARS),
        rule=life.shown.rule,
        share=percent(evidence.observed.share),
        usual=percent(evidence.baseline.share),
        state="fired" if life.fired is not None else "fired before the range" if life.fired_before else "never fired",
    )


def _range_text(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return "no mention was read"
    return f"{moment(start)} to {moment(end)}"


def _step_name(step: int) -> str:
    return _STEP_NAMES.get(step, f"by {step // (7 * 24 * HOUR_MS)} weeks")


__all__ = ["AlertView", "render", "write_report"]
