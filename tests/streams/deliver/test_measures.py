"""What receivers and reports say of alerts that do not go by the share of negative stories: in both languages."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from rich.console import Console

from streams.deliver.alertmanager import postable
from streams.deliver.build import Template
from streams.deliver.chinese import alert_line_chinese
from streams.deliver.measures import against_threshold, measured
from streams.deliver.payload import alertmanager_payload
from streams.deliver.templates import SHIPPED
from streams.deliver.text import alert_block, alert_line
from streams.deliver.view import view
from streams.records import Alert, Measure
from streams.replay.differences.difference_words import seen
from streams.replay.differences.episodes import episodes
from streams.replay.report.alert_view import alert_view
from streams.replay.report.lives import lives
from tests.streams.invented_alert import sample_alert
from tests.streams.monitor.invented import in_order, incident, run
from tests.streams.monitor.invented_rules import NAMES, all_rules

URL = "http://127.0.0.1:6066"
NOTHING = re.compile(r"\b(?:None|nan|inf|UNSET|[{}])\b")


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    """Records of every type of rule, in every state."""
    return run(in_order(incident(random.Random(2))), rules=all_rules())


def volume(**measure: Any) -> Alert:
    values: dict[str, Any] = {"value": 41.0, "usual": 6.2, "window_s": 7200.0, **measure}
    return sample_alert(
        signal="volume",
        e_value=None,
        threshold=30.0,
        counterfactual=None,
        in_words="so many stories come once in about 74 days for this company",
        measure=Measure(**values),
    )


def test_every_record_of_every_type_can_be_said_by_every_receiver(alerts: list[Alert]) -> None:
    assert {alert.rule for alert in alerts if alert.state == "firing"} >= NAMES
    templates = [Template(path.stem, "plain") for path in sorted(SHIPPED.glob("*.j2"))]
    assert len(templates) >= 6
    for alert in alerts:
        said = [alert_line(alert), alert_line_chinese(alert), str(view(alert, external_url=URL)["what"])]
        said += [template.fill(view(alert, external_url=URL)) for template in templates]
        shown = StringIO()
        Console(file=shown, width=100).print(alert_block(alert))
        for text in (*said, shown.getvalue()):
            assert text
            assert not NOTHING.search(text), text
        if alert.state not in ("firing", "resolved"):
            continue
        json.dumps(alertmanager_payload([alert], receiver="desk", external_url=URL), allow_nan=False)
        json.dumps(postable(alert, now=alert.at, lasts_s=300, external_url=URL), allow_nan=False, default=str)


def test_every_life_of_every_type_can_be_shown_in_a_report_and_in_a_difference(alerts: list[Alert]) -> None:
    for life in lives(alerts):
        page = str(alert_view(life))
        assert not re.search(r"\bnan\b|UNSET", page), page
    for episode in episodes(alerts).fired:
        assert seen(episode)
        measure = episode.alert.evidence.measure
        assert episode.numbers["value"] == (None if measure is UNSET else measure.value)


@pytest.mark.parametrize(
    ("alert", "words", "against"),
    [
        (
            volume(return_period_days=74.0),
            "41 stories in 2 hours, against a usual 6.2",
            "once in about 74 days, against a threshold of 30 days",
        ),
        (
            volume(return_period_days=40.0, beyond_history=True),
            "41 stories in 2 hours, against a usual 6.2",
            "the highest in 40 days of history, against a threshold of 30 days",
        ),
        (volume(z=5.25, usual=6), "41 stories in 2 hours, against a usual 6", "z-score 5.2 against a threshold of 30"),
        (volume(usual=None), "41 stories in 2 hours, where the rule asks for 30", "41 against a threshold of 30"),
        (
            sample_alert(signal="negative_count", threshold=2.0, measure=Measure(value=1.0, usual=None, window_s=60.0)),
            "1 negative story in 1 minute, where the rule asks for 2",
            "1 against a threshold of 2",
        ),
        (
            sample_alert(signal="mean_sentiment", threshold=-0.3, measure=Measure(value=-0.42, usual=0, window_s=3600)),
            "a mean sentiment of -0.42 in 60 minutes, against a usual 0.00",
            "-0.42 against a threshold of -0.30",
        ),
        (sample_alert(), "", ""),
    ],
)
def test_a_measure_is_said_against_what_is_usual_and_against_what_is_asked(
    alert: Alert, words: str, against: str
) -> None:
    assert measured(alert.evidence) == words
    assert against_threshold(alert.evidence) == against


def test_an_alert_on_volume_is_one_plain_line_in_both_languages() -> None:
    firing = volume(return_period_days=74.0)
    assert alert_line(firing) == (
        "ALERT (critical) Brindlemoor Foods (BRMFD): 41 stories in 2 hours, against a usual 6.2; so many stories come "
        "once in about 74 days for this company; 5 sources, 33 authors; since 18 March 2026 09:12 UTC"
    )
    chinese = alert_line_chinese(firing)
    assert "最近 2 小时内有 41 条报道，平时为 6.2；对这家公司来说，这么多报道大约每 74 天一次" in chinese
    beyond = alert_line_chinese(volume(return_period_days=40.0, beyond_history=True))
    assert "这么多报道是 40 天历史中的最高水平" in beyond
    assert "高于这家公司自身历史 5.2 个标准差" in alert_line_chinese(volume(z=5.2))
    assert "规则的阈值为 30；超过了固定阈值" in alert_line_chinese(volume(usual=None))
    mood = sample_alert(signal="mean_sentiment", threshold=-0.3, measure=Measure(value=-0.4, usual=0.1, window_s=3600))
    assert "60 分钟内的平均情绪为 -0.40，平时为 0.10" in alert_line_chinese(mood)


def test_the_end_of_an_alert_on_volume_says_what_raised_it() -> None:
    firing = volume(return_period_days=74.0)
    end = firing.at + timedelta(hours=1)
    over = replace(firing, state="resolved", at=end, ends_at=end)
    assert "it is back to what is usual; when it fired, 41 stories in 2 hours, against a usual 6.2" in alert_line(over)
    assert "已恢复" in alert_line_chinese(over)
    nothing = replace(firing, state="inactive", fired_at=None, ends_at=end)
    assert "it did not last; it came to 41 stories in 2 hours" in alert_line(nothing)
