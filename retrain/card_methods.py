"""What a model card says of the methods beside plain fine-tuning, and of what the model was compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def trained_weights(metrics: Mapping[str, Any]) -> str:
    """Return the sentence that says which weights learned."""
    rank = metrics["settings"].get("lora", {}).get("rank", 0)
    if not rank:
        return "Every weight was then trained further."
    return f"Adapters of rank {rank} and the heads were then trained, and the adapters added to the weights."


def methods(metrics: Mapping[str, Any]) -> list[str]:
    """Return a line for each method that was used beside plain fine-tuning."""
    settings = metrics["settings"]
    lines: list[str] = []
    if metrics.get("stopped_early"):
        lines.append(f"- Stopped early, after {settings['patience']} evaluations without a better one.")
    if settings.get("class_weights", "none") != "none":
        told = settings["class_weights"]
        lines.append("- Rows weighed by class: " + (told if isinstance(told, str) else _weights(told)) + ".")
    augment = settings.get("augment", {})
    if augment.get("share"):
        lines.append(
            f"- In each epoch {augment['share']:.0%} of the training texts were changed with their labels kept: "
            f"{', '.join(augment['kinds'])}."
        )
    if metrics.get("domain"):
        lines.append(
            f"- Before that the encoder learned to guess masked words of {metrics['domain']['texts']} unlabelled texts "
            f"({settings['domain']['epochs']} epochs); {_files(metrics)}"
        )
    if metrics.get("pseudo_labels"):
        lines.append(_pseudo(metrics))
    if metrics.get("combination"):
        lines.append(_combination(metrics["combination"]))
    return lines


def comparison(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the figures are to be held against: a classical model, and how they vary with the split."""
    parts: list[str] = []
    classical = metrics.get("classical")
    if classical:
        lines = ["| head | development rows of | accuracy | macro F1 | TF-IDF and LR: accuracy | macro F1 |"]
        lines.append("|---|---|---|---|---|---|")
        for head, files in metrics["dev"].items():
            for file, ours in files.items():
                other = classical["dev"][head][file]
                lines.append(
                    f"| {head} | `{file}` | {ours['accuracy']:.4f} | {ours['macro_f1']:.4f} "
                    f"| {other['accuracy']:.4f} | {other['macro_f1']:.4f} |"
                )
        parts += [
            "### Beside a classical model",
            "TF-IDF with logistic regression, trained on the same rows and judged on the same:",
            "\n".join(lines),
        ]
    folds = metrics.get("cross_validation")
    if folds:
        lines = ["| head | file | folds | accuracy | spread | macro F1 | spread |", "|---|---|---|---|---|---|---|"]
        for head, files in folds["summary"].items():
            for file, entry in files.items():
                lines.append(
                    f"| {head} | `{file}` | {entry['folds']} | {entry['accuracy']:.4f} "
                    f"| {entry['accuracy_spread']:.4f} | {entry['macro_f1']:.4f} | {entry['macro_f1_spread']:.4f} |"
                )
        parts += [
            "### Cross-validation",
            "Models trained alike, without teachers and pseudo-labels, each judged on a fold of text groups that chose "
            "nothing; mean and standard deviation over the folds:",
            "\n".join(lines),
        ]
    return parts


def _pseudo(metrics: Mapping[str, Any]) -> str:
    told = metrics["pseudo_labels"]
    rows = "; ".join(
        f"{sum(by_class.values())} of {task} ({', '.join(f'{name} {count}' for name, count in by_class.items())})"
        if by_class
        else f"none of {task}"
        for task, by_class in told["rows"].items()
    )
    return (
        f"- Pseudo-labels, beside the rows counted here: {rows}. They are what {told['model']['name']} "
        f"{told['model']['version']} said of {told['texts']} unlabelled texts with a probability of at least "
        f"{told['threshold']:g}, and weigh {told['weight']:g} of a labelled row each; {_files(metrics)}"
    )


def _files(metrics: Mapping[str, Any]) -> str:
    told = metrics["unlabelled"]
    names = ", ".join(f"`{entry['name']}` (SHA-256 `{entry['sha256']}`)" for entry in told["files"])
    return f"from {names}, without {told['held_out']} texts that are like a development text."


def _combination(told: Mapping[str, Any]) -> str:
    scores = ", ".join(f"{run['score']:.4f}" for run in told["runs"])
    text = f"- Of {len(told['runs'])} runs with development scores {scores}: {told['kept']} was kept"
    if "soup_score" in told:
        text += f"; the mean of all weights scored {told['soup_score']:.4f}"
    if "pupil_score" in told:
        text += f", with a score of {told['pupil_score']:.4f}"
    return text + f". The mean of their probabilities scored {told['ensemble_score']:.4f}."


def _weights(told: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(f"{name} {weight:g}" for by_class in told.values() for name, weight in by_class.items())
