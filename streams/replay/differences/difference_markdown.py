"""The difference of two runs as Markdown, for the comment on a pull request that changes rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams.deliver.words import clean, plural
from streams.replay.differences.comparison import Comparison
from streams.replay.differences.difference_words import KINDS, a_day, counts, headline, lines, totals, unfired_words

MOST_LINES = 100
"""Episodes that are listed: GitHub takes comments of up to 65,536 characters, and nobody reads more."""
_MOST_ROWS = 60
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|#~"} | {"@": "@\u200b"})
"""With a space of no width after it, an @ in a company's name calls nobody."""


def as_markdown(comparison: Comparison, *, verdict: Sequence[str] | None = None) -> str:
    """Write the comparison as Markdown.

    Args:
        comparison: the runs and their difference.
        verdict: the bounds that were broken, in words; empty if all held; None if there were none.
    """
    return "\n".join(_parts(comparison, verdict)) + "\n"


def _parts(comparison: Comparison, verdict: Sequence[str] | None) -> Iterator[str]:
    yield f"### Alerts: {_safe(headline(comparison))}"
    yield ""
    if verdict is not None:
        yield "**All bounds hold.**" if not verdict else f"**Not within bounds:** {_safe('; '.join(verdict))}."
        yield ""
    for caution in comparison.cautions:
        yield f"> Take care: {_safe(caution)}."
        yield ""
    total = totals(counts(comparison))
    yield ", ".join(f"**{total[kind]:,} {kind}**" for kind in KINDS) + f", {total['same']:,} the same."
    yield ""
    sides = (("old", comparison.old), ("new", comparison.new))
    yield from _table(("", "run", "alerts a day"), [(word, side.name, a_day(side.per_day)) for word, side in sides])
    if words := unfired_words(comparison):
        yield f"Alerts {words}."
        yield ""
    if comparison.facts:
        yield from _table(("differs in", "old", "new"), comparison.facts)
    rows = [row for row in counts(comparison) if any(row.kinds[kind] for kind in KINDS)]
    if rows:
        cells = [(row.rule, row.entity, *(f"{row.kinds[kind]:,}" for kind in (*KINDS, "same"))) for row in rows]
        yield from _table(("rule", "company", *KINDS, "same"), cells[:_MOST_ROWS], left_out=len(rows) - _MOST_ROWS)
        yield from _episodes(comparison)


def _episodes(comparison: Comparison) -> Iterator[str]:
    found = list(lines(comparison))
    cells = [
        (line.kind, f"{line.fired:%Y-%m-%d %H:%M}", line.company, line.rule, line.severity, line.seen, line.note)
        for line in found[:MOST_LINES]
    ]
    yield f"<details><summary>{plural(len(found), 'alert')} in detail (times are UTC)</summary>"
    yield ""
    header = ("", "fired", "company", "rule", "severity", "seen", "difference")
    yield from _table(header, cells, left_out=len(found) - MOST_LINES)
    yield "</details>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left_out: int = 0) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(_safe(cell) for cell in row)} |"
    yield ""
    if left_out > 0:
        yield f"... and {left_out:,} more."
        yield ""


def _safe(text: str) -> str:
    """Return one line in which nothing from outside is markup."""
    return clean(text).translate(_ESCAPED)
