"""The section of a model card that speaks of its first tier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HEADING = "## First tier"

_SECTION = re.compile(r"\n## First tier\n.*?(?=\n## |\Z)", re.DOTALL)


def put_section(card: str, section: str) -> str:
    """Return a card with the section at its end, in place of the one that it may have."""
    return f"{_SECTION.sub('', card).rstrip()}\n\n{section.rstrip()}\n"


def tier_section(facts: Mapping[str, Any]) -> str:
    """Return the section as Markdown, from what `retrain.first_tier.make_tier` found out."""
    texts = facts["texts"]
    parts = [
        HEADING,
        "`first_tier.safetensors` holds a linear model (logistic regression on hashed n-grams) that learned this "
        f"network's answers to {texts['learning']} texts. It answers a text when its confidence reaches the threshold "
        "of the level asked for, and leaves the others to the network. A level is the share of answered texts on which "
        "sentiment and topic both are the network's. "
        f"Thresholds were set on {texts['tuning']} texts and proved on {texts['proof']} others, one of each group of "
        "near-duplicates, none of them known to either model: except with a probability of 5 %, the level holds for "
        "texts drawn like those. For texts of another kind it is not promised.",
        *([f"Texts: {', '.join(facts['sources'])}."] if facts.get("sources") else []),
        "\n".join([
            "| level | answered | agreement | at least (95 %) | mean difference of P(negative) | at most (95 %) |",
            "|---|---|---|---|---|---|",
            *map(_certificate_row, facts["certificates"]),
        ]),
    ]  # fmt: skip
    if "dev" in facts:
        parts += _held_out(facts["dev"])
    return "\n\n".join(parts) + "\n"


def _certificate_row(found: Mapping[str, Any]) -> str:
    if "threshold" not in found:
        return f"| {found['level']:.3f} | none is proved | | | | |"
    return (
        f"| {found['level']:.3f} | {found['coverage']:.1%} | {1 - found['errors'] / found['answered']:.4f} "
        f"| {found['agreement_bound']:.4f} | {found['deviation']:.4f} | {found['deviation_bound']:.4f} |"
    )


def _held_out(dev: Mapping[str, Any]) -> list[str]:
    network, alone = dev["network"], dev["tier_alone"]
    lines = [
        "| | answered | agreement there | sentiment | topic |",
        "|---|---|---|---|---|",
        f"| network | | | {network['sentiment']['accuracy']:.4f} | {network['topic']['accuracy']:.4f} |",
        f"| linear alone | 100.0% | | {alone['sentiment']['accuracy']:.4f} | {alone['topic']['accuracy']:.4f} |",
    ]
    for entry in dev["levels"]:
        if "together" not in entry:
            continue
        together = entry["together"]
        lines.append(
            f"| both, level {entry['level']:.3f} | {entry['coverage']:.1%} | {entry['agreement']:.4f} "
            f"| {together['sentiment']['accuracy']:.4f} | {together['topic']['accuracy']:.4f} |"
        )
    return [
        f"Accuracy on the {dev['rows']} development rows above, which are of another kind than the texts of the proof:",
        "\n".join(lines),
    ]
