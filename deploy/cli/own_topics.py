"""`squall own-topics check FILE`: how well topics of one's own find what they shall find, and what else."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deploy.cli.frame import err, out, settings
from deploy.cli.score_explained import visible
from models.errors import OwnTopicsError
from streams.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from models import Classifier
    from models.own_topics import Assessment, OwnTopic

app = typer.Typer(no_args_is_help=True)

_SHOWN = 5
_BATCH = 1024
_HEADERS = ("Topic", "Examples found", "Recall", "Taken by mistake", "Precision", "Verdict")


@app.callback()
def own_topics() -> None:
    """Topics of your own: a name and a handful of example messages in a YAML file, and no training."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="File of topics, YAML.")],
    against: Annotated[
        Path | None,
        typer.Option(help="Messages of your own feed (CSV, JSON lines, Parquet, ...): what each topic would take."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Messages that are read of --against.")] = 10_000,
    model: Annotated[Path | None, typer.Option(help="Model folder. Unset: the configured or the shipped one.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Unset: as configured.")] = None,
) -> None:
    """Read a file of topics as the worker would, and estimate how good each topic is.

    Every sentence in turn is judged by a topic that was fitted without it. Besides a topic's own examples and
    counter-examples, these are the examples of the other topics and a hundred everyday messages that come with Squall.
    A real feed is harder, and a topic rarer in it: hold the topics against yours with --against.

    Exit status: 0 all topics are usable, 1 the file is not valid or a topic misses half of its examples, or half of
    its finds are wrong; 2 wrong use.
    """
    from models.own_topics import assess, read_own_topics

    try:
        topics = read_own_topics(file)
    except OwnTopicsError as error:
        err().print(f"Not valid: {error}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if against is not None and not against.exists():
        raise InputError(f"{against}: no such file")
    with err().status("scoring the sentences"):
        classifier = _classifier(model, device)
        found = assess(topics, lambda texts: classifier.outputs(texts).pooled)
    console = out()
    console.print(_table(found))
    for assessment in found:
        _show_details(console, file, assessment)
    if against is not None:
        _show_feed(console, classifier, topics, against, limit)
    hopeless = [assessment.topic.name for assessment in found if not assessment.estimate.usable]
    if hopeless:
        words = f"Not usable as it stands: {', '.join(hopeless)}. Give more examples, or a narrower topic"
        err().print(words, style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _classifier(model: Path | None, device: str | None) -> Classifier:
    from models.classifier import Classifier

    configured = settings().classifier
    return Classifier.load(
        model or configured.model,
        device=device or configured.device,
        backend=configured.backend,
        dtype=configured.precision,
        max_tokens_per_batch=configured.max_tokens_per_batch,
        max_windows=configured.max_windows,
    )


def _table(found: list[Assessment]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, header in enumerate(_HEADERS):
        table.add_column(header, justify="left" if place in (0, 5) else "right", overflow="fold")
    for assessment in found:
        estimate = assessment.estimate
        verdict = Text("usable", style="green") if estimate.usable else Text("not usable", style="red")
        table.add_row(
            assessment.topic.name,
            f"{estimate.found} of {len(estimate.examples)}",
            f"{estimate.recall:.0%}",
            f"{estimate.false} of {estimate.negatives}",
            "none found" if estimate.precision is None else f"{estimate.precision:.0%}",
            verdict,
        )
    return table


def _show_details(console: Console, file: Path, assessment: Assessment) -> None:
    topic, estimate = assessment.topic, assessment.estimate
    lines: list[Text] = []
    if estimate.warning is not None:
        lines.append(Text(f"Warning: {estimate.warning}", style="yellow"))
    for what, sentences in (("missed", assessment.missed), ("taken by mistake", assessment.mistaken)):
        lines += [Text(f"{what}, {share:.0%}: {visible(text)}") for text, share in sentences[:_SHOWN]]
        if len(sentences) > _SHOWN:
            lines.append(Text(f"and {len(sentences) - _SHOWN} more {what}", style="dim"))
    better = estimate.better_threshold
    if better is not None:
        lines.append(Text(f"With threshold: {better:g} instead of {topic.threshold:g} these would be fewer"))
    if not lines:
        return
    console.print()
    console.print(Text(f"{topic.name} ({file}:{topic.line})", style="bold"), soft_wrap=True)
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 2)) if console.is_terminal else line, soft_wrap=not console.is_terminal)


def _show_feed(console: Console, classifier: Classifier, topics: tuple[OwnTopic, ...], feed: Path, limit: int) -> None:
    """Say what share of a feed's messages each topic would take, and show the surest: whether they are right, the user
    must say."""
    classifier.add_topics(topics)
    texts = list(islice(_texts(feed), limit))
    if not texts:
        raise InputError(f"{feed}: there is no text in it")
    answers: list[dict[str, float]] = []
    with err().status(f"scoring {len(texts):,} messages"):
        for start in range(0, len(texts), _BATCH):
            answers += [dict(answer.own_topics) for answer in classifier.predict(texts[start : start + _BATCH])]
    for topic in topics:
        taken = [(row[topic.name], text) for row, text in zip(answers, texts, strict=True)]
        taken = sorted((pair for pair in taken if pair[0] >= topic.threshold), key=lambda pair: -pair[0])
        console.print()
        share = len(taken) / len(texts)
        words = f"{topic.name} takes {len(taken):,} of {len(texts):,} messages of {feed} ({share:.1%})"
        console.print(Text(words, style="bold"), soft_wrap=True)
        for probability, text in taken[:_SHOWN]:
            line = Text(f"{probability:.0%}: {visible(text)}")
            console.print(
                Padding(line, (0, 0, 0, 2)) if console.is_terminal else line, soft_wrap=not console.is_terminal
            )


def _texts(feed: Path) -> Iterator[str]:
    from deploy.cli.score import good_rows
    from streams.ingest.readers import read_rows

    for row in good_rows(read_rows(feed), {}, lambda line, reason: None):
        yield row.text
