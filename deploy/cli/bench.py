"""`squall bench`: how fast, and how well, on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.bench.figures import Figure
from deploy.cli import bench_ablation, bench_labels, bench_load, bench_retrain, bench_score, bench_scrape, rules_bench
from deploy.cli.frame import err, out, settings
from deploy.cli.return_periods import return_periods
from streams.errors import InputError

app = typer.Typer(no_args_is_help=True)

app.command()(bench_score.score)
app.command()(bench_score.delay)
app.command()(bench_ablation.ablation)
app.command("alerts")(rules_bench.bench)
app.command("label-queue")(bench_labels.label_queue)
app.command("new-domain")(bench_retrain.new_domain)
app.command()(bench_scrape.scrape)
app.command()(bench_load.load)
app.command()(bench_load.soak)
app.command()(bench_load.fuzz)
app.command()(bench_load.recovery)


Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")]


@app.callback()
def bench() -> None:
    """Measure speed and quality on this machine. What else runs on it shows in the figures."""


@app.command()
def pipeline(
    messages: Annotated[int, typer.Option(min=0, help="Messages of the backlog; 0 leaves throughput out.")] = 8192,
    repeats: Annotated[int, typer.Option(min=1, help="How often the classifier alone scores them.")] = 3,
    live_minutes: Annotated[int, typer.Option(min=0, help="Length of the live feed; 0 leaves delays out.")] = 4,
    surges: Annotated[int, typer.Option(min=1, help="Companies that surge in each minute of it.")] = 30,
    rate: Annotated[float, typer.Option(min=4, help="Everyday messages per second beside them.")] = 20.0,
    json: Json = None,
) -> None:
    """Measure the whole path on a real broker: throughput against the classifier alone, and how long an alert takes.

    A broker of its own is started and taken away, unless kafka.bootstrap_servers names a cluster. About 8 minutes.
    """
    from deploy.bench.pipeline import Plan, run

    plan = Plan(
        messages=messages,
        repeats=repeats,
        live_minutes=live_minutes,
        surges_per_minute=surges,
        everyday_per_s=rate,
    )
    console = err()
    figures = run(settings(), plan, note=lambda line: console.print(line, style="dim", soft_wrap=True))
    show("Pipeline", figures, json)


@app.command()
def classifier(
    messages: Annotated[int, typer.Option(min=64, help="Texts to score.")] = 4096,
    repeats: Annotated[int, typer.Option(min=1, help="How often; the median counts.")] = 3,
    json: Json = None,
) -> None:
    """Measure the classifier alone: in batches of like length, and one text at a time."""
    from models import Classifier
    from models.benchmark import generate_texts, measure

    options = settings()
    model = Classifier.load(
        options.classifier.model,
        device=options.classifier.device,
        max_tokens_per_batch=options.classifier.max_tokens_per_batch,
    )
    texts = generate_texts(messages)
    few = texts[: max(64, messages // 16)]
    batched = measure(model, texts, batch_messages=options.worker.batch_messages, repeats=repeats)
    single = measure(model, few, batch_messages=1, repeats=repeats)
    what = f"{model.model.name} {model.model.version}, {batched.device}, {batched.dtype}"
    show(
        "Classifier",
        [
            Figure(
                name=f"batches of {options.worker.batch_messages}",
                value=round(batched.messages_per_s, 1),
                unit="messages/s",
                against=f"one by one {single.messages_per_s:,.0f}",
                ratio=batched.messages_per_s / single.messages_per_s,
                note=f"{what}; {batched.mean_tokens:.1f} tokens a message",
            ),
            Figure(name="one by one", value=round(single.messages_per_s, 1), unit="messages/s", note=what),
        ],
        json,
    )


@app.command()
def ingest(count: Annotated[int, typer.Option(min=100, help="Messages.")] = 20_000, json: Json = None) -> None:
    """Measure decoding, normalising, redacting and language detection on one core."""
    from deploy.bench.ingest import run

    rows = run(count)
    whole = rows[-1][1]
    show(
        "Ingest",
        [
            Figure(
                name=name,
                value=value,
                unit=unit,
                against=f"all four {whole:,.0f}" if value != whole else "",
                ratio=value / whole if value != whole else None,
            )
            for name, value, unit in rows
        ],
        json,
    )


@app.command()
def entities(
    file: Annotated[Path | None, typer.Argument(help="CSV (or .csv.gz) with a column `text`, measured too.")] = None,
    count: Annotated[int, typer.Option(min=100, help="Messages.")] = 20_000,
    json: Json = None,
) -> None:
    """Measure the linking of messages to companies on one core."""
    from deploy.bench.entities import run

    aim = 20_000
    show(
        "Entities",
        [
            Figure(name=name, value=round(value), unit=unit, against=f"aim {aim:,}", ratio=value / aim)
            for name, value, unit in run(file, count=count)
        ],
        json,
    )


@app.command()
def stories(
    scenario: Annotated[
        list[Path] | None, typer.Option(help="Mentions with their true stories (JSON lines, or a folder of them).")
    ] = None,
    topic: Annotated[
        Path | None, typer.Option(help="CSV with a column `text`: equal texts and planted copies.")
    ] = None,
    history: Annotated[Path | None, typer.Option(help="CSV with text, timestamp and symbol: speed only.")] = None,
    json: Json = None,
) -> None:
    """Measure how well and how fast reposts are recognised, on files of yours."""
    from deploy.bench import stories as bench_stories
    from streams.ingest.normalise import normalise

    if not (scenario or topic or history):
        raise typer.BadParameter("give at least one of --scenario, --topic and --history")
    missing = next((path for path in (*(scenario or ()), topic, history) if path and not path.exists()), None)
    if missing is not None:
        msg = f"{missing} does not exist"
        raise InputError(msg)
    results = [(f"{path}", bench_stories.measure(bench_stories.scenario(path))) for path in scenario or ()]
    if topic:
        texts = [normalise(row["text"]).text for row in bench_stories.read_csv(topic)]
        for name, items in (
            ("topic, one entity", bench_stories.topic(texts, per_cashtag=False)),
            ("topic, per cashtag", bench_stories.topic(texts, per_cashtag=True)),
            ("topic, planted copies", bench_stories.planted(texts, 0)),
        ):
            results.append((name, bench_stories.measure(items, max_stories=len(texts))))
    if history:
        results.append(("history", bench_stories.measure(bench_stories.history(history))))
    figures = [
        figure
        for name, result in results
        for figure in _of_stories(name, result, equality=name in ("topic, one entity", "topic, per cashtag"))
    ]
    show("Stories", figures, json)


def _of_stories(name: str, result: object, *, equality: bool) -> list[Figure]:
    from deploy.bench.stories import Result

    assert isinstance(result, Result)  # noqa: S101  # the module is imported late, so the signature cannot say it
    figures = [
        Figure(
            name=f"{name}: speed",
            value=round(result.messages / max(result.cpu_s, 1e-9)),
            unit="messages/s/core",
            note=f"{result.messages:,} messages, {result.copies:,} joined",
        )
    ]
    if result.true_copies:
        recall, false = result.recalled / result.true_copies, result.false_merges / result.messages
        figures += [
            Figure(name=f"{name}: recall", value=recall, unit="", against="aim 0.98 or more", ratio=recall / 0.98),
            # Where truth is equality of texts, a genuine rewording counts as false: no aim is held against that.
            Figure(name=f"{name}: false merges", value=false, unit="", note="a rewording counts as false")
            if equality
            else Figure(
                name=f"{name}: false merges", value=false, unit="", against="aim 0.001 or less", ratio=false / 0.001
            ),
        ]
    return figures


@app.command()
def monitor(json: Json = None) -> None:
    """Measure the monitor on one core: rules alone, stories found, from JSON; a hundred companies to 100,000."""
    from deploy.bench.monitor import run

    show("Monitor", run(), json)


@app.command()
def replay(
    sources: Annotated[list[str], typer.Argument(help="Scored mentions, such as mentions.jsonl.gz of a replay.")],
    json: Json = None,
) -> None:
    """Measure `squall replay --as-scored`: mentions per second and peak memory of the whole command."""
    from deploy.bench.replay import run

    show("Replay", run(sources), json)


app.command("return-periods")(return_periods)


def show(title: str, figures: Sequence[Figure], json: Path | None) -> None:
    """Print figures beside what they are compared with, and write them to a file if one is named."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("to")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:,.2f}"
        table.add_row(figure.name, _number(figure.value), figure.unit, ratio, figure.against)
    console = out()
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"{figure.name}: {figure.note}", style="dim", soft_wrap=True, markup=False)
    if json is not None:
        try:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(list(figures)), indent=2) + b"\n")
        except OSError as error:
            msg = f"cannot write {json}: {error.strerror}"
            raise InputError(msg) from error


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:,.4g}"
