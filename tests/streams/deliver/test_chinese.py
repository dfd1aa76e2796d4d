"""The Chinese line says what the English one does."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from streams.deliver.chinese import alert_line_chinese
from streams.records import Suppressed


def test_a_firing_alert_is_one_plain_line(make_alert):
    assert alert_line_chinese(make_alert()) == (
        "警报（严重） Brindlemoor Foods (BRMFD)：最近 60 分钟内的 41 条报道中有 62% 为负面，平时为 24%；"
        "对这家公司来说，这样的上升偶然出现平均最多大约 36 天一次；5 个来源、33 位作者；始于 2026年3月18日 09:12 UTC"
    )


def test_a_pending_alert_is_worth_a_look_and_has_no_severity(make_alert):
    line = alert_line_chinese(make_alert(state="pending", severity="info", fired_at=None))
    assert line.startswith("值得关注 Brindlemoor Foods (BRMFD)：最近 60 分钟内的 41 条报道中有 62% 为负面")


def test_a_resolved_alert_says_that_it_is_over_and_how_long_it_lasted(make_alert):
    end = make_alert().at + timedelta(minutes=192)
    assert alert_line_chinese(make_alert(state="resolved", at=end, ends_at=end)) == (
        "已恢复 Brindlemoor Foods (BRMFD)：负面消息已回到平时水平；触发时 41 条报道中有 62% 为负面，平时为 24%；"
        "2026年3月18日 10:04 UTC 至 2026年3月18日 13:16 UTC，历时 3 小时 12 分钟"
    )


def test_an_inactive_alert_did_not_last(make_alert):
    line = alert_line_chinese(make_alert(state="inactive", fired_at=None, observed={"share": 0.3}))
    assert line.startswith("未持续 Brindlemoor Foods (BRMFD)：负面消息的上升没有持续；曾达到 30%，平时为 24%；")


def test_a_single_story_is_not_called_a_share_of_stories(make_alert):
    one = {"stories": 1, "share": 0.94}
    assert "最近 60 分钟内唯一一条报道的负面程度为 94%" in alert_line_chinese(make_alert(observed=one))
    end = make_alert().at + timedelta(minutes=40)
    over = alert_line_chinese(make_alert(state="resolved", at=end, ends_at=end, observed=one))
    assert "触发时唯一一条报道的负面程度为 94%" in over


@pytest.mark.parametrize(
    ("e_value", "words"),
    [
        (None, "超过了固定阈值，对偶然性不作判断"),
        (1_440.0, "偶然每天都可能出现一次"),
        (43_200.0, "平均最多大约 30 天一次"),
        (365.25 * 1_440, "平均最多大约 1 年一次"),
        (7 * 365.25 * 1_440, "平均最多大约 7 年一次"),
        (1e9, "平均最多 100 年以上一次"),
    ],
)
def test_chance_is_put_into_words(make_alert, e_value, words):
    alert = make_alert()
    alert = replace(alert, evidence=replace(alert.evidence, e_value=e_value))
    assert words in alert_line_chinese(alert)


def test_long_and_short_times_and_small_shares_read_well(make_alert):
    alert = make_alert(observed={"share": 0.001})
    observed = alert.evidence.observed
    days = replace(observed, window_start=observed.window_end - timedelta(days=2, hours=4, minutes=9))
    assert "最近 2 天 4 小时内的 41 条报道中有 不到 1% 为负面" in alert_line_chinese(
        replace(alert, evidence=replace(alert.evidence, observed=days))
    )
    none = replace(observed, window_start=observed.window_end)
    assert "最近 不到 1 分钟内的" in alert_line_chinese(replace(alert, evidence=replace(alert.evidence, observed=none)))


@pytest.mark.parametrize(
    ("by", "what", "said"),
    [
        ("cooldown", "Surge", "规则 Surge 处于冷却期，直到 2026年3月18日 14:30 UTC"),
        ("silence", "ab12cd34", "静默 ab12cd34 生效，直到 2026年3月18日 14:30 UTC"),
        ("inhibition", "High", "同一公司的警报 High 正在触发"),
    ],
)
def test_what_is_kept_back_says_by_what(make_alert, by, what, said):
    until = None if by == "inhibition" else datetime(2026, 3, 18, 14, 30, tzinfo=UTC)
    kept = Suppressed(by=by, what=what, until=until)
    line = alert_line_chinese(make_alert(state="suppressed", fired_at=None, suppressed=kept))
    assert line.startswith("已抑制 Brindlemoor Foods (BRMFD)：最近 60 分钟内的 41 条报道中有 62% 为负面")
    assert line.endswith(f"未通知任何人：{said}")
    over = alert_line_chinese(make_alert(state="inactive", fired_at=None, suppressed=kept))
    assert "负面消息的上升已结束；曾达到 62%" in over


def test_a_recovering_alert_is_calming_down_and_one_that_comes_back_goes_on(make_alert):
    assert alert_line_chinese(make_alert(state="recovering")).startswith(
        "正在缓和 Brindlemoor Foods (BRMFD)：负面消息正在缓和；触发时 41 条报道中有 62% 为负面"
    )
    assert alert_line_chinese(make_alert(again=True)).startswith("警报继续（严重）")
