import math
import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console, RenderableType

from streams.deliver.text import alert_block, alert_line
from streams.deliver.words import clean, percent, plural, span, whole_percents
from streams.records import ModelChange, Suppressed


def rendered(block: RenderableType, width: int = 100) -> str:
    out = StringIO()
    Console(file=out, width=width, color_system=None).print(block)
    return out.getvalue()


def unboxed(text: str) -> str:
    return " ".join(line.strip("│╭╮╰╯─ ") for line in text.splitlines())


def test_a_firing_alert_is_one_plain_line(make_alert):
    assert alert_line(make_alert()) == (
        "ALERT (critical) Brindlemoor Foods (BRMFD): 62 % of 41 stories in the last 60 minutes are negative, against "
        "a usual 24 %; by chance, a rise like this comes at most once in about 36 days at this company; 5 sources, "
        "33 authors; since 18 March 2026 09:12 UTC"
    )


def test_a_pending_alert_says_that_it_is_only_worth_a_look(make_alert):
    assert alert_line(make_alert(state="pending", severity="info", fired_at=None)).startswith(
        "WORTH A LOOK Brindlemoor Foods (BRMFD): 62 % of 41 stories in the last 60 minutes are negative"
    )


def test_a_resolved_alert_says_that_it_is_over_and_how_long_it_lasted(make_alert):
    end = make_alert().at + timedelta(minutes=192)
    assert alert_line(make_alert(state="resolved", at=end, ends_at=end)) == (
        "OVER Brindlemoor Foods (BRMFD): negative news is back to its usual level; when it fired, 62 % of 41 stories "
        "were negative, against a usual 24 %; 18 March 2026 10:04 UTC to 13:16, 3 hours 12 minutes"
    )


def test_an_inactive_alert_came_to_nothing(make_alert):
    assert alert_line(make_alert(state="inactive", fired_at=None, observed={"share": 0.3})) == (
        "CAME TO NOTHING Brindlemoor Foods (BRMFD): a rise in negative news did not last; it came to 30 %, against a "
        "usual 24 %; 18 March 2026 09:54 UTC to 10:04, 10 minutes"
    )


def test_a_single_story_is_not_called_a_share_of_stories(make_alert):
    line = alert_line(make_alert(observed={"stories": 1, "share": 0.94}))
    assert "the only story in the last 60 minutes is 94 % negative" in line


def test_an_alert_without_a_name_is_known_by_its_symbol_and_one_without_a_symbol_by_its_labels(make_alert):
    assert alert_line(make_alert(annotations={})).startswith("ALERT (critical) BRMFD: ")
    assert "(critical) sector Energy: " in alert_line(
        make_alert(annotations={}, labels={"alertname": "x", "sector": "Energy"})
    )


def test_the_block_tells_a_risk_manager_what_when_why_and_how_to_check(make_alert):
    text = unboxed(rendered(alert_block(make_alert())))
    for expected in (
        "ALERT · critical",
        "Brindlemoor Foods (BRMFD): 62 % of 41 stories in the last 60 minutes are negative",
        "18 March 2026 09:12 UTC, noticed 52 minutes later",
        "by chance, a rise like this comes at most once in about 36 days",
        "41 stories in 57 messages from 5 sources and 33 authors",
        "Company and product news (70 %), Stock commentary (27 %)",
        "wide; without its strongest story (31 % of the evidence) it would still have fired",
        "31 %",
        "newswire-1, Ines Vallor, 09:23 UTC, 4 copies, counted once",
        "$BRMFD again?? second recall this year, I am out",
        "To check it again: squall replay --entity BRMFD",
    ):
        assert expected in text
    assert "Economy" not in text  # 3 % says nothing
    assert "Take care" not in text


def test_the_top_of_the_block_has_no_jargon(make_alert):
    text = rendered(alert_block(make_alert())).lower()
    for word in ("e-value", "e_value", "p-value", "baseline", "watermark", "null", "votes", "onset", "counterfactual"):
        assert word not in text


def test_the_block_warns_only_of_what_is_there(make_alert):
    block = rendered(alert_block(make_alert(quality={"late": 1, "capped": 12, "warm": False})), width=140)
    assert "1 message came too late and is not counted." in block
    assert "12 stories from authors who post very often had no say." in block
    assert "little history of its own" in block
    assert "time in the future" not in block
    assert "only in part" not in block


def test_the_block_says_if_the_margin_is_narrow(make_alert):
    block = unboxed(rendered(alert_block(make_alert(counterfactual={"fires": False, "e_value": 3.0}))))
    assert "narrow; without its strongest story (31 % of the evidence) it would not have fired yet" in block
    assert "Margin" not in rendered(alert_block(make_alert(counterfactual=None)))


def test_a_resolved_block_is_short(make_alert):
    alert = make_alert(state="resolved", ends_at=make_alert().at + timedelta(minutes=30))
    block = rendered(alert_block(alert))
    assert "OVER" in block
    assert "The messages that weighed most" not in block
    assert "18 March 2026 10:04 UTC to 10:34, 30 minutes" in block
    assert "from 5 sources and 33 authors, when it fired" in unboxed(block)
    assert "Stock commentary (27 %), when it fired" in unboxed(block)


def weights(block: RenderableType) -> tuple[list[int], str]:
    """Return the column of weights, in per cent, and the last line of the list."""
    lines = [line.strip("│ \n") for line in rendered(block).splitlines()]
    listed = lines[next(n for n, line in enumerate(lines) if line.startswith("Weight")) + 1 :]
    rows = [line for line in listed if re.match(r"-?\d+ %  ", line)]
    return [int(row.split(" %")[0]) for row in rows], rows[-1]


def test_the_stories_and_the_line_for_the_rest_add_up_to_all_of_the_evidence(make_alert):
    shown, last = weights(alert_block(make_alert()))
    assert shown == [31, 22, 47]
    assert last.endswith("and 39 more stories")


def test_stories_without_a_rest_add_up_in_spite_of_rounding(make_alert):
    story = make_alert().evidence.messages[0]
    thirds = tuple(replace(story, story=str(n), contribution=0.333333) for n in range(3))
    shown, last = weights(alert_block(make_alert(messages=thirds, observed={"stories": 3})))
    assert sorted(shown) == [33, 33, 34]
    assert "more stor" not in last


def test_calm_stories_weigh_against_the_alert_and_the_sum_still_holds(make_alert):
    story = make_alert().evidence.messages[0]
    loud = tuple(replace(story, story=str(n), contribution=0.25) for n in range(5))
    shown, last = weights(alert_block(make_alert(messages=loud, observed={"stories": 9})))
    assert shown == [25, 25, 25, 25, 25, -25]
    assert last.endswith("and 4 more stories")


def test_a_plain_threshold_has_stories_but_no_weights(make_alert):
    calm = tuple(replace(story, contribution=0.0) for story in make_alert().evidence.messages)
    listed = rendered(alert_block(make_alert(messages=calm, counterfactual=None))).split("weighed most")[1]
    assert "and 39 more stories" in listed
    assert "%" not in listed


@given(st.lists(st.floats(min_value=-0.5, max_value=0.5), max_size=6))
def test_whole_percents_add_up(shares):
    parts = whole_percents([*shares, 1.0 - math.fsum(shares)])
    assert sum(0 if part.startswith("under") else int(part.removesuffix(" %")) for part in parts) == 100


def test_a_narrow_terminal_keeps_every_character_of_the_replay_command(make_alert):
    joined = "".join(line.strip("│╭╮╰╯─ \n") for line in rendered(alert_block(make_alert()), width=60).splitlines())
    assert make_alert().replay.replace(" ", "") in joined.replace(" ", "")


@pytest.mark.parametrize("evil", ["\x1b[2J\x1b[31mcalm", "all \x9b31m calm", "a\u202eb\u2066c", "two\nlines\r\x07"])
def test_a_message_cannot_repaint_the_terminal(make_alert, evil):
    story = make_alert().evidence.messages[0]
    changed = replace(story, text=evil, author=evil, title=evil)
    alert = make_alert(messages=(changed,), annotations={"name": evil}, in_words=evil, replay=f"squall {evil}")
    out = rendered(alert_block(alert)) + alert_line(alert)
    assert not {"\x1b", "\x9b", "\u202e", "\u2066", "\r", "\x07"} & set(out)
    assert "\n" not in alert_line(alert)


def test_square_brackets_in_a_message_are_shown_and_not_taken_for_markup(make_alert):
    story = make_alert().evidence.messages[0]
    changed = replace(story, text="[red]Call [email] at once[/red] [/nonsense]")
    assert "[red]Call [email] at once[/red] [/nonsense]" in rendered(alert_block(make_alert(messages=(changed,))))


@given(st.text(max_size=400), st.integers(min_value=2, max_value=100))
def test_cleaned_text_is_one_short_line(text, most):
    out = clean(text, most=most)
    assert len(out) <= most
    assert len(out.splitlines()) <= 1
    assert clean(out) == out


def test_numbers_read_as_words():
    assert [percent(x) for x in (0.0, 0.001, 0.62, 1.0)] == ["0 %", "under 1 %", "62 %", "100 %"]
    assert plural(1, "story", "stories") == "1 story"
    assert plural(1204, "message") == "1,204 messages"
    assert [span(timedelta(minutes=m)) for m in (0, 1, 60, 90, 91, 1440, 3000)] == [
        "less than a minute",
        "1 minute",
        "60 minutes",
        "90 minutes",
        "1 hour 31 minutes",
        "1 day",
        "2 days 2 hours",
    ]


@pytest.mark.parametrize(("taken_off", "said"), [(0.1234, "0.12 lower"), (-0.05, "0.05 higher")])
def test_an_alert_says_that_a_model_is_new_and_what_its_scores_count(make_alert, taken_off, said):
    change = ModelChange(model="news@2", before=("news@1",), votes=30, needed=100, taken_off=taken_off)
    block = unboxed(rendered(alert_block(make_alert(quality={"model_change": change})), width=200))
    assert "A new model scores this company's news (news@2)" in block
    assert f"until it has scored 100 stories here its scores count {said}" in block


UNTIL = datetime(2026, 3, 18, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("by", "what", "until", "said"),
    [
        ("cooldown", "Surge", UNTIL, "by the cooldown of Surge until 18 March 2026 14:30 UTC"),
        ("silence", "ab12cd34", UNTIL, "by silence ab12cd34 until 18 March 2026 14:30 UTC"),
        ("inhibition", "High", None, "as High fires for the same company"),
    ],
)
def test_a_suppressed_alert_says_all_that_a_firing_one_does_and_what_keeps_it_back(make_alert, by, what, until, said):
    kept = Suppressed(by=by, what=what, until=until)
    alert = make_alert(state="suppressed", fired_at=None, suppressed=kept)
    line = alert_line(alert)
    assert line.startswith(
        "KEPT BACK Brindlemoor Foods (BRMFD): 62 % of 41 stories in the last 60 minutes are negative"
    )
    assert line.endswith(f"nobody is called: it is kept back {said}")
    block = unboxed(rendered(alert_block(alert)))
    assert f"it is kept back {said}" in block
    assert "The messages that weighed most" in block


def test_the_end_of_what_was_kept_back_says_that_nobody_was_called(make_alert):
    kept = Suppressed(by="inhibition", what="High")
    line = alert_line(make_alert(state="inactive", fired_at=None, suppressed=kept))
    assert line.startswith("WAS KEPT BACK Brindlemoor Foods (BRMFD): a rise in negative news is over; it came to 62 %")
    assert line.endswith("nobody was called: it was kept back as High fired for the same company")


def test_a_recovering_alert_is_calming_down_and_one_that_comes_back_goes_on(make_alert):
    assert alert_line(make_alert(state="recovering")).startswith(
        "CALMING DOWN Brindlemoor Foods (BRMFD): negative news is calming down; when it fired, 62 % of 41 stories were"
    )
    assert alert_line(make_alert(again=True)).startswith("ALERT GOES ON (critical) Brindlemoor Foods (BRMFD): 62 %")
    assert "when it fired" in unboxed(rendered(alert_block(make_alert(state="recovering"))))
