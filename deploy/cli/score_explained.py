"""How explanations of scores are shown: on a terminal, and as JSON."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from models.labels import SENTIMENTS, TOPIC_NAMES

if TYPE_CHECKING:
    from models.explain import Explanation, WordContribution
    from models.prediction import Prediction

MOST_WORDS = 8
"""Words in the table; the text itself shows all that matter."""

_FAINT, _STRONG = 0.1, 0.5
"""Shares of the greatest contribution: below the first a word is left plain, above the second it stands out."""

_BAR_WIDTH = 16

_JOINER = "\u200d"
"""Makes one emoji of several."""


def show_explanation(console: Console, identity: str | int, prediction: Prediction, explanation: Explanation) -> None:
    """Print one explained text."""
    name = _class_name(explanation)
    console.print(Rule(Text(str(identity), overflow="ellipsis"), align="left", style="dim"))
    console.print(Padding(marked_text(explanation, coloured=_has_colour(console)), (0, 0, 1, 0)))
    head = Text.assemble(
        (f"{name} {explanation.probability:.1%}", "bold"),
        f": log-odds {signed(explanation.score)}; the same text with every word unknown has "
        f"{signed(explanation.baseline)}",
    )
    console.print(head)
    if explanation.words:
        console.print(Padding(_table(explanation), (1, 0)))
    for line in _remarks(prediction, explanation):
        console.print(Text(line, style="dim"))
    console.print()


def marked_text(explanation: Explanation, *, coloured: bool) -> Text:
    """Return the text as it was given, with its words marked by what they add.

    In colour: red adds to "negative" and green takes away from it (for any other class, green adds and red takes away),
    the stronger the deeper. Without colour the words that matter are put into brackets with what they add.
    """
    most = max((abs(word.contribution) for word in explanation.words), default=0.0)
    shown = Text()
    at = 0
    for word in explanation.words:
        shown.append(visible(explanation.text[at : word.start]))
        at = word.end
        share = abs(word.contribution) / most if most else 0.0
        text = visible(explanation.text[word.start : word.end])
        if share < _FAINT:
            shown.append(text)
        elif coloured:
            shown.append(text, _style(explanation, word, share))
        else:
            shown.append(f"[{text} {signed(word.contribution)}]")
    shown.append(visible(explanation.text[at:]))
    return shown


def visible(text: str) -> str:
    """Return the text for a terminal: white space as spaces, and a dot for what would steer the terminal or the eye."""
    return "".join(
        " "
        if character.isspace()
        else "·"
        if unicodedata.category(character) in ("Cc", "Cs", "Cf") and character != _JOINER
        else character
        for character in text
    )


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; a real minus, and none before a zero."""
    rounded = round(value, 2) + 0.0
    return f"{rounded:+.2f}".replace("-", "−") if rounded else "0.00"


def explanation_record(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation for JSON; positions are characters (code points) of the text."""
    return {
        "head": explanation.head,
        "class": explanation.label,
        "probability": round(explanation.probability, 4),
        "method": explanation.method,
        "score": round(explanation.score, 6),
        "baseline": round(explanation.baseline, 6),
        "sum": round(explanation.total, 6),
        "delta": round(explanation.delta, 6),
        "tolerance": None if explanation.tolerance is None else round(explanation.tolerance, 6),
        "steps": explanation.steps,
        "spans": [
            {"start": word.start, "end": word.end, "contribution": round(word.contribution, 6)}
            for word in explanation.words
        ],
    }


def _class_name(explanation: Explanation) -> str:
    return TOPIC_NAMES.get(explanation.label, explanation.label.capitalize())


def _has_colour(console: Console) -> bool:
    return console.is_terminal and not console.no_color and console.color_system is not None


def _adds_badness(explanation: Explanation, word: WordContribution) -> bool:
    """Whether a word is to be shown in red."""
    return (word.contribution > 0) == (explanation.label == SENTIMENTS[0])


def _style(explanation: Explanation, word: WordContribution, share: float) -> str:
    colour = "red" if _adds_badness(explanation, word) else "green"
    return f"bold white on {colour}" if share >= _STRONG else colour


def _table(explanation: Explanation) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("Word", overflow="ellipsis", no_wrap=True, max_width=40)
    table.add_column("Adds", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=_BAR_WIDTH)
    strongest = explanation.strongest[:MOST_WORDS]
    most = abs(strongest[0].contribution) if strongest else 0.0
    for word in strongest:
        length = round(_BAR_WIDTH * abs(word.contribution) / most) if most else 0
        colour = "red" if _adds_badness(explanation, word) else "green"
        table.add_row(visible(word.text), signed(word.contribution), Text("█" * length, style=colour))
    others = len(explanation.words) - len(strongest)
    if others:
        rest = explanation.total - sum(word.contribution for word in strongest)
        table.add_row(Text(f"{others} other {'word' if others == 1 else 'words'}", style="dim"), signed(rest), "")
    table.add_row(Text("All together", style="bold"), Text(signed(explanation.total), style="bold"), "")
    return Group(table)


def _remarks(prediction: Prediction, explanation: Explanation) -> list[str]:
    if explanation.tolerance is not None:
        lines = [
            f"{signed(explanation.baseline)} and {signed(explanation.total)} make {signed(explanation.score)}; "
            f"{abs(explanation.delta):.3f} is missing, at most {explanation.tolerance:.3f} may be."
        ]
    else:
        lines = [
            "By occlusion: what the score loses when one word alone becomes unknown. What words say together "
            f"({signed(explanation.delta)}) is no single word's."
        ]
    if explanation.windows > 1:
        lines.append(f"Read in {explanation.windows} windows, which overlap.")
    if explanation.truncated:
        lines.append("The end of the text was not read.")
    if prediction.own_topics:
        found = ", ".join(f"{name} {value:.0%}" for name, value in prediction.own_topics)
        lines.append(f"Topics of your own: {found}")
    return lines
