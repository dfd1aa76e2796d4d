"""An alert in one Chinese line, for receivers that show it: what `streams.deliver.text.alert_line` says. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import UNSET

from streams.deliver.measures import measured_chinese, surprise_chinese
from streams.deliver.text import company
from streams.deliver.words import clean
from streams.records import Alert, AlertState, Severity, Suppressed

_STATES: dict[AlertState, str] = {
    "pending": "值得关注",
    "firing": "警报",
    "recovering": "正在缓和",
    "suppressed": "已抑制",
    "resolved": "已恢复",
    "inactive": "未持续",
}
_SEVERITIES: dict[Severity, str] = {"info": "提示", "warning": "警告", "critical": "严重"}
_MINUTES_PER_DAY = 1440
_NAME_CHARS = 80


def alert_line_chinese(alert: Alert) -> str:
    """Return the alert as one readable line in simplified Chinese."""
    head = _STATES[alert.state] if alert.again is not True else "警报继续"
    if alert.state == "inactive" and isinstance(alert.suppressed, Suppressed):
        head = "抑制结束"
    if alert.state == "firing":
        head += f"（{_SEVERITIES[alert.severity]}）"
    parts = [f"{head} {company(alert)}：{_what_happened(alert)}"]
    observed = alert.evidence.observed
    if alert.state in ("firing", "pending", "suppressed"):
        parts += [surprise_chinese(alert.evidence) or _surprise(alert.evidence.e_value)]
        parts += [f"{observed.sources:,} 个来源、{observed.authors:,} 位作者"]
        parts += [f"始于 {_moment(alert.evidence.onset)}"]
    else:
        begin, end = alert.fired_at or alert.starts_at, alert.ends_at or alert.at
        parts += [f"{_moment(begin)} 至 {_moment(end)}，历时 {_span(end - begin)}"]
    if isinstance(alert.suppressed, Suppressed):
        parts += [_kept_back(alert.suppressed, still=alert.state == "suppressed")]
    return "；".join(parts)


def _kept_back(kept: Suppressed, *, still: bool) -> str:
    what = clean(kept.what, most=_NAME_CHARS)
    why = {
        "cooldown": f"规则 {what} 处于冷却期",
        "silence": f"静默 {what} 生效",
        "inhibition": f"同一公司的警报 {what} 正在触发",
    }[kept.by]
    until = f"，直到 {_moment(kept.until)}" if still and kept.until is not None else ""
    return f"未通知任何人：{why}{until}"


def _what_happened(alert: Alert) -> str:
    observed = alert.evidence.observed
    measure = alert.evidence.measure
    if measure is not UNSET:
        said = measured_chinese(alert.evidence, _span(timedelta(seconds=measure.window_s)))
        if alert.state in ("recovering", "resolved"):
            return f"{'已回到平时水平' if alert.state == 'resolved' else '正在缓和'}；触发时{said}"
        over = "上升已结束" if isinstance(alert.suppressed, Suppressed) else "上升没有持续"
        return f"{over}；曾达到：{said}" if alert.state == "inactive" else f"最近 {said}"
    share, usual = _percent(observed.share), _percent(alert.evidence.baseline.share)
    window = _span(observed.window_end - observed.window_start)
    if alert.state in ("recovering", "resolved"):
        back = "已回到平时水平" if alert.state == "resolved" else "正在缓和"
        if observed.stories == 1:
            return f"负面消息{back}；触发时唯一一条报道的负面程度为 {share}"
        return f"负面消息{back}；触发时 {observed.stories:,} 条报道中有 {share} 为负面，平时为 {usual}"
    if alert.state == "inactive" and isinstance(alert.suppressed, Suppressed):
        return f"负面消息的上升已结束；曾达到 {share}，平时为 {usual}"
    if alert.state == "inactive":
        return f"负面消息的上升没有持续；曾达到 {share}，平时为 {usual}"
    if observed.stories == 1:
        return f"最近 {window}内唯一一条报道的负面程度为 {share}，平时为 {usual}"
    return f"最近 {window}内的 {observed.stories:,} 条报道中有 {share} 为负面，平时为 {usual}"


def _surprise(e_value: float | None) -> str:
    """The e-detector's bound as a sentence; in English the monitor writes it, as `Evidence.in_words`."""
    if e_value is None:
        return "超过了固定阈值，对偶然性不作判断"
    days = e_value / _MINUTES_PER_DAY
    if days < 1.5:
        return "对这家公司来说，这样的上升偶然每天都可能出现一次"
    if days < 365:
        often = f"大约 {days:.0f} 天"
    elif (years := days / 365.25) >= 100:
        often = " 100 年以上"
    else:
        often = f"大约 {max(1, round(years))} 年"
    return f"对这家公司来说，这样的上升偶然出现平均最多{often}一次"


def _percent(share: float) -> str:
    return "不到 1%" if 0.0 < share < 0.005 else f"{100 * share:.0f}%"


def _span(time: timedelta) -> str:
    minutes = max(0, round(time.total_seconds() / 60))
    if minutes < 1:
        return "不到 1 分钟"
    if minutes <= 90:
        return f"{minutes} 分钟"
    days, rest = divmod(minutes, _MINUTES_PER_DAY)
    hours, minutes = divmod(rest, 60)
    units = ((days, "天"), (hours, "小时"), (minutes, "分钟"))
    return " ".join([f"{count:,} {unit}" for count, unit in units if count][:2])


def _moment(time: datetime) -> str:
    return f"{time.year}年{time.month}月{time.day}日 {time:%H:%M} UTC"
