"""The desk's dashboard: what is being said of the companies on the watch lists, and what fires."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Annotation, Board, Row, variable
from deploy.grafana.dashboards.panels import (
    GREEN,
    PLAIN,
    RED,
    YELLOW,
    Column,
    Panel,
    Query,
    figure,
    lines,
    or_word,
    or_zero,
    ranking,
    rows,
    states,
)

_JOB = 'job=~"$job"'
_COMPANY = 'job=~"$job", entity=~"$entity"'
_RISE = f"""max by (entity) (squall_company_negative_share{{{_COMPANY}}})
  - on (entity) max by (entity) (squall_company_usual_share{{{_COMPANY}}})"""
_SECTORS = f"""sum by (sector) (squall_sector_negative_share{{{_JOB}}} * squall_sector_votes{{{_JOB}}})
  / sum by (sector) (squall_sector_votes{{{_JOB}}}) >= 0"""
_NONE = ("entity", "nothing yet: see entities.watchlists")
_RISES = ((None, GREEN), (0.1, YELLOW), (0.35, RED))


def desk() -> Board:
    """Return the dashboard."""
    return Board(
        uid="squall-desk",
        title="Squall: Desk",
        description="For risk desks: how negative the stories on the watched companies are, against what is usual.",
        variables=[variable("entity", "Company", 'label_values(squall_company_info{job=~"$job"}, entity)')],
        annotations=[
            Annotation(
                "Alerts",
                f"max by (entity, rule, severity) (squall_company_alert{{{_COMPANY}}}) == 1",
                "{{entity}}: {{rule}}",
                "{{severity}}",
                "entity,rule,severity",
                "red",
            )
        ],
        rows=[Row("Now", _now()), Row("Companies", _companies()), Row("Sectors", _sectors())],
    )


def _now() -> list[Panel]:
    return [
        figure(
            "Companies with an alert",
            "Watched companies with an alert that is firing. Read its evidence in the alert itself.",
            Query(or_zero(f"count(count by (entity) (squall_company_alert{{{_COMPANY}}} == 1))")),
            steps=((None, GREEN), (1, RED)),
        ),
        figure(
            "Alerts about to fire",
            "All companies: alerts that are pending. Nobody is called for these; most of them come to nothing.",
            Query(or_zero(f'sum(squall_alerts_open{{{_JOB}, state="pending"}})')),
            steps=((None, GREEN), (1, YELLOW)),
        ),
        figure(
            "Watched companies",
            "Companies of the watch lists that a worker monitors. Fewer than on your lists: a partition has no "
            "monitor, or the lists are longer than worker.most_company_series.",
            Query(or_zero(f"count(count by (entity) (squall_company_info{{{_JOB}}}))")),
        ),
        figure(
            "Mentions in an hour",
            "Mentions of watched companies in the last hour, copies included. 0: the feed is silent or nobody speaks "
            "of them.",
            Query(or_zero(f"sum(increase(squall_company_mentions_total{{{_COMPANY}}}[1h]))")),
            decimals=0,
        ),
        figure(
            "Last message",
            "How long ago the newest message arrived. Minutes on a live feed are no good sign: silence is not good "
            "news.",
            Query(f"time() - max(squall_last_message_seconds{{{_JOB}}})"),
            unit="s",
            steps=((None, GREEN), (300, YELLOW), (1800, RED)),
        ),
        figure(
            "Scores",
            "Full: the network answers. Quick: under overload the first tier alone answers for companies on no watch "
            "list; watched companies still get full scores, and alerts say so.",
            Query(or_zero(f"max(squall_overloaded{{{_JOB}}})")),
            words={"0": "full", "1": "quick"},
            steps=((None, GREEN), (1, YELLOW)),
        ),
    ]


def _companies() -> list[Panel]:
    return [
        lines(
            "Negative share by company",
            "Mean P(negative) of the votes of the last hour, copies and bots left out. Red marks: alerts. A high "
            "share of few votes says little: see the table.",
            Query(or_word(f"max by (entity) (squall_company_negative_share{{{_COMPANY}}})", *_NONE), "{{entity}}"),
            unit="percentunit",
            maximum=1,
        ),
        lines(
            "Rise over usual",
            "Negative share of the last hour minus what is usual at the company. Worry where it stays above its own "
            "ups and downs; the alert rules do, with the evidence counted.",
            Query(or_word(_RISE, *_NONE), "{{entity}}"),
            unit="percentunit",
            minimum=None,
        ),
        ranking(
            "Top movers",
            "The ten companies whose share has risen furthest above what is usual.",
            Query(or_word(f"sort_desc(topk(10, {_RISE}))", *_NONE), "{{entity}}"),
            unit="percentunit",
            steps=_RISES,
        ),
        ranking(
            "Most spoken of",
            "The ten companies with the most mentions in the last hour, copies included.",
            Query(
                or_word(
                    f"sort_desc(topk(10, sum by (entity) (increase(squall_company_mentions_total{{{_COMPANY}}}[1h]))))",
                    *_NONE,
                ),
                "{{entity}}",
            ),
            steps=PLAIN,
        ),
        ranking(
            "Votes behind the shares",
            "Independent stories of the last hour that have a vote, the ten companies with most. Below four, no "
            "default rule fires.",
            Query(
                or_word(f"sort_desc(topk(10, max by (entity) (squall_company_votes{{{_COMPANY}}})))", *_NONE),
                "{{entity}}",
            ),
        ),
        states(
            "Alerts by company",
            "When an alert of the company was firing. Companies without one are shown as quiet.",
            Query(
                or_word(
                    f"max by (entity) (squall_company_alert{{{_COMPANY}}})"
                    f" or 0 * max by (entity) (squall_company_info{{{_COMPANY}}})",
                    *_NONE,
                ),
                "{{entity}}",
            ),
            {"0": "quiet", "1": "alert"},
        ),
        rows(
            "Companies",
            "All watched companies, as of now. A click on a symbol shows this company alone.",
            [
                Query(f"max by (entity, name, sector) (squall_company_info{{{_COMPANY}}})"),
                Query(f"max by (entity) (squall_company_negative_share{{{_COMPANY}}})"),
                Query(f"max by (entity) (squall_company_usual_share{{{_COMPANY}}})"),
                Query(f"max by (entity) (squall_company_votes{{{_COMPANY}}})"),
                Query(f"sum by (entity) (increase(squall_company_mentions_total{{{_COMPANY}}}[1h]))"),
                Query(
                    f"count by (entity) (squall_company_alert{{{_COMPANY}}} == 1)"
                    f" or 0 * max by (entity) (squall_company_info{{{_COMPANY}}})"
                ),
            ],
            [
                Column(
                    "entity",
                    "Symbol",
                    link=(
                        "Only ${__value.text}",
                        "/d/squall-desk?${datasource:queryparam}&${job:queryparam}"
                        "&var-entity=${__value.raw}&${__url_time_range}",
                    ),
                ),
                Column("name", "Company"),
                Column("sector", "Sector"),
                Column("Value #B", "Negative share", "percentunit"),
                Column("Value #C", "Usual", "percentunit"),
                Column("Value #D", "Votes in the hour", "short"),
                Column("Value #E", "Mentions in the hour", "short"),
                Column("Value #F", "Alerts", "short", steps=((None, "transparent"), (1, RED))),
            ],
            key="entity",
            height=12,
        ),
    ]


def _sectors() -> list[Panel]:
    return [
        lines(
            "Negative share by sector",
            "Mean P(negative) of the votes of the last hour of all companies of a sector, watched or not. All sectors "
            "rising together is the market or the model; one rising alone is news.",
            Query(or_word(_SECTORS, "sector", "no votes yet"), "{{sector}}"),
            unit="percentunit",
            maximum=1,
        ),
        lines(
            "Mentions by sector",
            "Mentions a minute, copies included. A sector that falls to 0 while others go on has lost a source.",
            Query(
                f"60 * sum by (sector) (rate(squall_sector_mentions_total{{{_JOB}}}[$__rate_interval]))", "{{sector}}"
            ),
            stacked=True,
        ),
    ]
