"""What `squall warm` tells: each company's seed, what it meets in the live state, and what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from streams.deliver.words import plural
from streams.replay.warming.warm import STATUSES, Proposal, Status

SHOWN = 40
"""Rows of the table; those that are not overwritten come first."""

_COLOURS: dict[Status, str] = {"alert open": "red", "fresher": "yellow", "there already": "dim"}


def print_proposals(console: Console, proposals: Sequence[Proposal], *, force: bool, dry_run: bool) -> None:
    """Print a table of companies, and a summary.

    Args:
        console: where to.
        proposals: what was compared.
        force: fresher baselines were overwritten.
        dry_run: nothing was sent.
    """
    if proposals:
        console.print(_table(proposals, force=force))
    if len(proposals) > SHOWN:
        console.print(f"... and {plural(len(proposals) - SHOWN, 'more company', 'more companies')}")
    sent = sum(proposal.sending is not None for proposal in proposals)
    partly = sum(proposal.is_refused and bool(_in_part(proposal)) for proposal in proposals)
    seeds = plural(sent, "seed") + (f" ({partly:,} in part)" if partly else "")
    counts = Counter(proposal.status for proposal in proposals)
    told = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])
    companies = plural(len(proposals), "company", "companies")
    console.print(f"{companies} in the history{': ' + told if told else ''}", soft_wrap=True)
    if dry_run:
        console.print(f"{seeds} would be sent; nothing was", soft_wrap=True)
    else:
        console.print(f"{seeds} sent; the monitor has the last word when it reads them", soft_wrap=True)
    if counts["alert open"]:
        console.print("An open alert keeps its baseline: give the command again when it is over", style="red")
    if counts["fresher"] and not force:
        console.print("Fresher baselines were left alone: overwrite them with --force", style="yellow")


def _table(proposals: Sequence[Proposal], *, force: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("company", no_wrap=True)
    for heading in ("votes", "negative", "learned until", "live until"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for proposal in sorted(proposals, key=lambda one: (STATUSES.index(one.status), one.seed.entity))[:SHOWN]:
        # The rules mostly agree; the one that knows most stands for all.
        most = max(proposal.seed.baselines.values(), key=lambda learned: learned.votes)
        live = proposal.live_until
        table.add_row(
            proposal.seed.entity,
            f"{most.votes:,.0f}",
            f"{most.negative / most.votes:.0%}",
            f"{proposal.seed.learned_until:%Y-%m-%d %H:%M}",
            "" if live is None else f"{live:%Y-%m-%d %H:%M}",
            _outcome(proposal, force=force),
            style=_COLOURS.get(proposal.status),
        )
    return table


def _outcome(proposal: Proposal, *, force: bool) -> str:
    if proposal.status == "alert open":
        return f"alert open: refused{_in_part(proposal)}"
    if proposal.status == "fresher":
        return "fresher: overwritten" if force else f"fresher: kept (--force overwrites it){_in_part(proposal)}"
    if proposal.status == "older":
        return "older: replaced"
    return proposal.status


def _in_part(proposal: Proposal) -> str:
    """Say which rules this is true of, where the baselines of others are sent all the same."""
    if proposal.sending is None:
        return ""
    kept = sorted(proposal.seed.baselines.keys() - proposal.sending.baselines.keys())
    if not kept:
        return ""
    return f" for {', '.join(kept)}, sent for {', '.join(sorted(proposal.sending.baselines))}"
