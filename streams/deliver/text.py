"""An alert as a person reads it: one line for a log, one block for a risk manager. Pure.

The top of the block says what happened, since when and how unusual that is, in plain words; whoever wants to check
finds the messages, the counterfactual and the replay command below it.
"""

from __future__ import annotations

import math

from msgspec import UNSET
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.labels import TOPIC_NAMES
from streams.deliver.measures import measured
from streams.deliver.words import clean, clock, moment, percent, plural, span, whole_percents
from streams.records import Alert, AlertState, Evidence, EvidenceMessage, Suppressed

STATE_WORDS: dict[AlertState, str] = {
    "pending": "WORTH A LOOK",
    "firing": "ALERT",
    "recovering": "CALMING DOWN",
    "resolved": "OVER",
    "suppressed": "KEPT BACK",
    "inactive": "CAME TO NOTHING",
}
_SEVERITY_STYLES = {"info": "cyan", "warning": "yellow", "critical": "red"}
_QUIET_STYLES: dict[AlertState, str] = {
    "pending": "blue",
    "recovering": "green",
    "resolved": "green",
    "suppressed": "bright_black",
    "inactive": "bright_black",
}
_RISING: frozenset[AlertState] = frozenset({"pending", "firing", "suppressed"})
"""What is told with all that speaks for it; of the others, how long they lasted."""

_MOST_MESSAGES = 5
_MOST_TOPICS = 3
_TEXT_CHARS = 180
_NAME_CHARS = 80
_LEAST_TOPIC_SHARE = 0.05
_LEAST_REST = 0.0005
"""A rest below this is what rounding the stories' own weights left."""
_THEN = "when it fired"


def company(alert: Alert) -> str:
    """Return the company's name with its symbol, as far as the alert knows them."""
    name = alert.annotations.get("name") or alert.annotations.get("entity")
    symbol = alert.labels.get("entity")
    if not symbol:
        labels = ", ".join(f"{key} {value}" for key, value in sorted(alert.labels.items()) if key != "alertname")
        return clean(name or labels or alert.rule, most=_NAME_CHARS)
    if not name or name == symbol:
        return clean(symbol, most=_NAME_CHARS)
    return clean(f"{name} ({symbol})", most=_NAME_CHARS)


def what_happened(alert: Alert) -> str:
    """Return one sentence, without its full stop, on what was seen against what is usual."""
    observed, usual = alert.evidence.observed, percent(alert.evidence.baseline.share)
    window = span(observed.window_end - observed.window_start)
    share = percent(observed.share)
    if said := measured(alert.evidence):
        if alert.state in ("recovering", "resolved"):
            return f"it is {'back to what is usual' if alert.state == 'resolved' else 'calming down'}; {_THEN}, {said}"
        over = "it is over" if kept_back(alert) else "it did not last"
        return f"{over}; it came to {said}" if alert.state == "inactive" else said
    # The evidence of an end is that of the rise itself: what is over, not the calm that followed.
    if alert.state in ("recovering", "resolved"):
        back = "back to its usual level" if alert.state == "resolved" else "calming down"
        if observed.stories == 1:
            return f"negative news is {back}; {_THEN}, the only story was {share} negative"
        rise = f"{_THEN}, {share} of {_stories(observed.stories)} were negative, against a usual {usual}"
        return f"negative news is {back}; {rise}"
    if alert.state == "inactive" and kept_back(alert):
        return f"a rise in negative news is over; it came to {share}, against a usual {usual}"
    if alert.state == "inactive":
        return f"a rise in negative news did not last; it came to {share}, against a usual {usual}"
    if observed.stories == 1:
        return f"the only story in the last {window} is {share} negative, against a usual {usual}"
    return f"{share} of {_stories(observed.stories)} in the last {window} are negative, against a usual {usual}"


def kept_back(alert: Alert) -> str:
    """Return what keeps an alert back, or kept it back to its end; empty if nothing does."""
    kept = alert.suppressed
    if not isinstance(kept, Suppressed):
        return ""
    what = clean(kept.what, most=_NAME_CHARS)
    fires = "fires" if alert.state == "suppressed" else "fired"
    by = {
        "cooldown": f"by the cooldown of {what}",
        "silence": f"by silence {what}",
        "inhibition": f"as {what} {fires} for the same company",
    }[kept.by]
    if alert.state != "suppressed":
        return f"nobody was called: it was kept back {by}"
    until = f" until {moment(kept.until)}" if kept.until is not None else ""
    return f"nobody is called: it is kept back {by}{until}"


def since(alert: Alert) -> str:
    """Return when it began and how long it took to be noticed, or from when to when it lasted."""
    if alert.state not in _RISING:
        begin, end = alert.fired_at or alert.starts_at, alert.ends_at or alert.at
        return f"{moment(begin)} to {clock(end, beside=begin)}, {span(end - begin)}"
    onset = alert.evidence.onset
    delay = alert.at - onset
    return f"{moment(onset)}" + (f", noticed {span(delay)} later" if delay.total_seconds() >= 60 else "")


def head_word(alert: Alert) -> str:
    """Return the word that stands first: what state the alert is in."""
    if alert.again is True:
        return "ALERT GOES ON"
    return "WAS KEPT BACK" if alert.state == "inactive" and kept_back(alert) else STATE_WORDS[alert.state]


def alert_line(alert: Alert) -> str:
    """Return the alert as one readable line, for logs and for the summary that receivers show."""
    observed = alert.evidence.observed
    head = head_word(alert)
    if alert.state == "firing":
        head += f" ({alert.severity})"
    parts = [f"{head} {company(alert)}: {what_happened(alert)}"]
    if alert.state in _RISING:
        surprise = clean(alert.evidence.in_words, most=_TEXT_CHARS)
        parts += [surprise] if surprise else []
        parts += [f"{plural(observed.sources, 'source')}, {plural(observed.authors, 'author')}"]
        parts += [f"since {moment(alert.evidence.onset)}"]
    else:
        parts += [since(alert)]
    if kept := kept_back(alert):
        parts += [kept]
    return "; ".join(parts)


def alert_block(alert: Alert) -> RenderableType:
    """Return the alert for a terminal, readable without help by somebody who does not know Squall."""
    observed = alert.evidence.observed
    style = _QUIET_STYLES.get(alert.state) or _SEVERITY_STYLES[alert.severity]
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(ratio=1, overflow="fold")

    def fact(name: str, value: str) -> None:
        facts.add_row(Text(name), Text(value))

    fact("Since" if alert.state in _RISING else "When", since(alert))
    if kept := kept_back(alert):
        fact("Kept back", kept)
    if alert.state in _RISING:
        if surprise := clean(alert.evidence.in_words):
            fact("How unusual", surprise)
        fact("Severity", alert.severity)
    then = f", {_THEN}" if alert.state in ("recovering", "resolved") else ""
    fact(
        "Behind it",
        f"{_stories(observed.stories)} in {plural(observed.messages, 'message')} from "
        f"{plural(observed.sources, 'source')} and {plural(observed.authors, 'author')}{then}",
    )
    if topics := topics_named(alert):
        fact("About", topics + then)
    if alert.state in _RISING:
        if check := margin(alert):
            fact("Margin", check)
        for warning in quality_warnings(alert.evidence):
            facts.add_row(Text("Take care", style="yellow"), Text(warning))
    parts: list[RenderableType] = [Text(f"{company(alert)}: {what_happened(alert)}.", style="bold"), Text(), facts]
    if alert.state in _RISING and alert.evidence.messages:
        parts += [Text(), _messages(alert)]
    # soft_wrap is not for parts of a group: fold keeps every character of the command, so it can be copied
    parts += [Text(), Text(f"To check it again: {clean(alert.replay)}", style="dim", overflow="fold")]
    title = Text(head_word(alert), style=f"bold {style}")
    if alert.state == "firing":
        title.append(f" · {alert.severity}")
    return Panel(Group(*parts), title=title, title_align="left", border_style=style, padding=(0, 1))


def quality_warnings(evidence: Evidence) -> list[str]:
    """Return what to know before one trusts the evidence; nothing if there is nothing to say."""
    quality = evidence.quality
    warnings = []
    if not quality.warm:
        warnings.append("This company has little history of its own yet; what is usual is partly an assumption.")
    if quality.late:
        came, it = ("message", "is") if quality.late == 1 else ("messages", "are")
        warnings.append(f"{quality.late:,} {came} came too late and {it} not counted.")
    if quality.clamped:
        warnings.append(f"{plural(quality.clamped, 'message')} came with a time in the future, which was corrected.")
    if quality.truncated:
        warnings.append(f"{plural(quality.truncated, 'long message')} could be read only in part.")
    if quality.degraded:
        share = percent(quality.degraded / max(quality.degraded, evidence.observed.messages))
        scored = f"{plural(quality.degraded, 'message')} ({share})"
        warnings.append(f"{scored} had only the quick score that is given under overload.")
    if (change := quality.model_change) is not UNSET:
        warnings.append(
            f"A new model scores this company's news ({clean(change.model)}); until it has scored "
            f"{change.needed} stories here its scores count {_moved(change.taken_off)}, as its own scale is not known."
        )
    if quality.capped:
        warnings.append(f"{_stories(quality.capped)} from authors who post very often had no say.")
    return warnings


def _moved(taken_off: float) -> str:
    return f"{abs(taken_off):.2f} {'lower' if taken_off >= 0 else 'higher'}"


def _stories(count: int) -> str:
    return plural(count, "story", "stories")


def topics_named(alert: Alert) -> str:
    """Return what the evidence is about: its strongest topics with their shares; empty if none stands out."""
    strongest = sorted(alert.evidence.topics.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TOPICS]
    return ", ".join(
        f"{clean(TOPIC_NAMES.get(topic, topic))} ({percent(share)})"
        for topic, share in strongest
        if share >= _LEAST_TOPIC_SHARE
    )


def margin(alert: Alert) -> str:
    """Return whether it hangs on one story; empty where that is not known."""
    without = alert.evidence.counterfactual
    if without is None or alert.state != "firing":
        return ""
    share = alert.evidence.messages[0].contribution if alert.evidence.messages else 0.0
    strongest = "its strongest story" + (f" ({percent(share)} of the evidence)" if share > 0 else "")
    if without.fires:
        return f"wide; without {strongest} it would still have fired"
    return f"narrow; without {strongest} it would not have fired yet"


def _messages(alert: Alert) -> RenderableType:
    """List the strongest stories, and in one line all others: their weights add up to 100 %."""
    shown = alert.evidence.messages[:_MOST_MESSAGES]
    others = max(0, round(alert.evidence.observed.stories) - len(shown))
    shares = [message.contribution for message in shown]
    rest = 1.0 - math.fsum(shares)
    weights = whole_percents([*shares, rest]) if any(shares) else [""] * (len(shares) + 1)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(Text("Weight", style="bold"), Text("The messages that weighed most", style="bold"))
    for message, weight in zip(shown, weights, strict=False):
        words = Text(message_words(message))
        words.append(f"\n{provenance(message, alert)}", style="dim")
        table.add_row(Text(weight), words)
    if others or (any(shares) and abs(rest) >= _LEAST_REST):
        more = f"and {plural(others, 'more story', 'more stories')}" if others else "and everything else"
        table.add_row(Text(weights[-1]), Text(more, style="dim"))
    return table


def message_words(message: EvidenceMessage) -> str:
    """Return title and text of a message on one line, cut where it is long."""
    title, text = clean(message.title or ""), clean(message.text)
    return clean(text if not title or text.startswith(title) else f"{title}: {text}", most=_TEXT_CHARS)


def provenance(message: EvidenceMessage, alert: Alert) -> str:
    """Return who wrote a message and when, and how often it was copied."""
    parts = [clean(message.source, most=_NAME_CHARS)]
    if message.author:
        parts.append(clean(message.author, most=_NAME_CHARS))
    parts.append(f"{clock(message.published_at, beside=alert.at)} UTC")
    if message.copies > 1:
        parts.append(f"{message.copies:,} copies, counted once")
    return ", ".join(parts)
