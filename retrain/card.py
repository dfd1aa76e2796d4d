"""The model card: what a reviewer must know about a trained model, written from the run's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from models.files import Manifest, iso_utc
from models.labels import TOPIC_NAMES
from retrain.card_methods import comparison, methods, trained_weights

CARD, METRICS = "MODEL_CARD.md", "metrics.json"
"""What stands beside the weights, for people."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card says beyond the figures: facts about rights that no program can find out.

    Attributes:
        base_name: how base weights are called, for instance their Hub id.
        base_licence: licence of the base weights.
        data_licence: licence of the training files.
        remarks: what else a reader should know, one sentence or more each; for instance what was tried before.
    """

    base_name: str
    base_licence: str = "not stated"
    data_licence: str = "not stated"
    remarks: tuple[str, ...] = ()


def write_card(manifest: Manifest, metrics: Mapping[str, Any], facts: CardFacts) -> str:
    """Return the model card as Markdown.

    `metrics` is what `retrain.train` writes to metrics.json.
    """
    settings, rows = metrics["settings"], metrics["rows"]
    parts = [
        f"# {manifest.name}, version {manifest.version}",
        "Reads English news lines and social messages on markets and companies, and answers with the probabilities "
        "of three sentiments and twenty topics. One encoder with masked mean pooling and two linear heads.",
        "## Intended use",
        "Monitoring and alerting on streams of many messages, where shares over many independent messages decide. "
        "It is not meant as trading advice, nor for decisions about persons, nor for other languages: it was trained "
        "on English only. Sentiment is that of the whole text, not towards one of several companies in it; irony "
        "and conditional statements are often misread.",
        "## Where it comes from",
        f"- Base: {facts.base_name} (licence: {facts.base_licence}), weights with SHA-256 "
        f"`{manifest.base['sha256']}`. {trained_weights(metrics)}",
        f"- Training files (licence: {facts.data_licence}), none of whose rows is in this repository:",
        *[
            f"  - `{entry['name']}`: {entry['rows']} rows, {entry['task']}, SHA-256 `{entry['sha256']}`"
            for entry in manifest.training_data
        ],
        f"- Training: {settings['epochs']} epochs, batches of {settings['batch_size']}, rate "
        f"{settings['learning_rate']:g}, seed {settings['seed']}; epoch {metrics['best_epoch']:g} was kept. All knobs "
        "stand in metrics.json. The same files, seed, library versions and number of threads on the same kind of CPU "
        "give the same weights bit for bit.",
        *methods(metrics),
        *_teachers(metrics),
        *_learned(manifest),
        "## How good it is",
        f"Measured on {rows['dev']} development rows that were held out from the files above. Texts were grouped by "
        "near-duplicates (links, handles and case removed) before the split, groups went to one side whole, and texts "
        f"that are then equal count once ({rows['dev_duplicates']} repeats were left out). The last columns count only "
        "one text of each group, which leaves out what news feeds write by the template; on these the epoch was "
        "chosen, so expect slightly less on texts from elsewhere. Calibration error is the expected calibration error "
        "over 15 bins of confidence, of the model as it is shipped.",
        "Figures of the model as it is stored and loaded (8-bit weights), and of the same weights before rounding:",
        _head_table(metrics),
        *comparison(metrics),
        *_calibration(metrics.get("calibration")),
        *_class_tables(metrics["dev"]),
        *(["## Remarks", *(f"- {remark}" for remark in facts.remarks)] if facts.remarks else []),
        "## Why it is stored whole, in 8 bits",
        "Each matrix row is kept as 8-bit integers and one scale, and read back to floating point at load; biases, "
        "norms and heads stay in 32 bits. The alternative, small adapters over base weights, would have made a "
        "default install fetch a model package from a third party; here one folder, hashed file by file, is all that "
        "runs. Weights are safetensors, which hold numbers and no code.",
        "## Limits",
        f"Texts of more than {manifest.max_length} tokens are read in a few windows that overlap, whose logits are "
        "averaged with more weight on the head (what is left out is reported as `truncated`); training texts "
        f"had at most {rows['longest_tokens']} tokens and {rows['mean_tokens']:.0f} on average, so long articles are "
        "untested. Links are replaced by one word; handles and company names are read, and the model may have "
        "learned leanings towards names that were often in the news when the texts were collected.",
    ]
    return _join(parts)


def _teachers(metrics: Mapping[str, Any]) -> list[str]:
    teachers = metrics["teachers"]
    if not teachers:
        return []
    named = ", ".join(f"{teacher['name']} {teacher['version']}" for teacher in teachers)
    return [
        f"- Distilled from {len(teachers)} models of the same size, each trained from the same files with the same "
        f"texts held out ({named}): their mean probabilities stand beside the labels, and in their place where a text "
        "is labelled for the other task only."
    ]


def _learned(manifest: Manifest) -> list[str]:
    if manifest.learned_at is None:
        return []
    return [f"- Learned at {iso_utc(manifest.learned_at)}: a replay as of an earlier time refuses it."]


def _join(parts: Sequence[str]) -> str:
    """Put blank lines between blocks, none between the entries of a list."""
    text = parts[0]
    for before, part in pairwise(parts):
        in_list = part.lstrip().startswith("- ") and before.lstrip().startswith("- ")
        text += ("\n" if in_list else "\n\n") + part
    return text + "\n"


def _head_table(metrics: Mapping[str, Any]) -> str:
    lines = [
        "| head | development rows of | rows | accuracy | macro F1 | calibration error "
        "| accuracy, one of each group | the same before rounding |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for head, files in metrics["dev"].items():
        for file, figures in files.items():
            before, firsts = metrics["dev_firsts_float32_weights"][head][file], metrics["dev_firsts"][head][file]
            lines.append(
                f"| {head} | `{file}` | {figures['rows']} | {figures['accuracy']:.4f} | {figures['macro_f1']:.4f} "
                f"| {figures['calibration_error']:.4f} "
                f"| {firsts['accuracy']:.4f} ({firsts['rows']} rows) | {before['accuracy']:.4f} |"
            )
    return "\n".join(lines)


def _calibration(figures: Mapping[str, Any] | None) -> list[str]:
    if figures is None:
        return ["### Calibration", "None: the probabilities are those of the network."]
    lines = [
        "| head | rows | temperature | log loss without | with | calibration error without | with "
        "| of a perfect forecaster: mean, 95th percentile |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for head in ("sentiment", "topic"):
        own = figures[head]
        without, fitted, chance = own["uncalibrated"], own["cross_fitted"], own["of_a_perfect_forecaster"]
        lines.append(
            f"| {head} | {own['rows']} | {own['temperature']:.4f} | {without['log_loss']:.4f} "
            f"| {fitted['log_loss']:.4f} | {without['calibration_error']:.4f} | {fitted['calibration_error']:.4f} "
            f"| {chance['mean']:.4f}, {chance['percentile_95']:.4f} |"
        )
    return [
        "### Calibration",
        "Each head's logits are divided by a temperature, fitted on the development rows by log loss; the likeliest "
        'class stays the same. The columns "with" are cross-fitted: on one half of the text groups, measured on the '
        "other, and the other way round. With so few rows even a perfect forecaster has an error, by chance.",
        "\n".join(lines),
        _abstain_band(figures["abstain"]),
    ]


def _abstain_band(figures: Mapping[str, Any]) -> str:
    if not figures["below"]:
        return "No sentiment is abstained: on these rows no threshold bore out a stated accuracy."
    here, cross = figures["on_these_rows"], figures["cross_fitted"]
    text = (
        f"A sentiment whose probability is below {figures['below']:.2f} is marked as abstained. Of the others at least "
        f"{figures['states_accuracy']:.0%} are right, with {figures['with_confidence']:.0%} confidence on texts like "
        f"these; here {here['kept']:.1%} are kept and {here['accuracy_of_kept']:.1%} of them are right, against "
        f"{here['accuracy_of_abstained']:.1%} of those abstained"
    )
    if cross is None:
        return text + "."
    return text + f" (cross-fitted: {cross['kept']:.1%} kept, {cross['accuracy_of_kept']:.1%} of them right)."


def _class_tables(dev: Mapping[str, Mapping[str, Any]]) -> list[str]:
    tables: list[str] = []
    for head, files in dev.items():
        for file, figures in files.items():
            lines = ["| class | rows | precision | recall | F1 |", "|---|---|---|---|---|"]
            lines += [
                f"| {TOPIC_NAMES.get(entry['label'], entry['label'])} | {entry['rows']} | {entry['precision']:.3f} "
                f"| {entry['recall']:.3f} | {entry['f1']:.3f} |"
                for entry in figures["classes"]
                if entry["rows"]
            ]
            tables += [f"### {head.capitalize()} by class, `{file}`", "\n".join(lines)]
    return tables
