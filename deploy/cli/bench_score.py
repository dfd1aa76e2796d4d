"""`squall bench score` and `squall bench delay`: our scoring beside other engines, and what batching costs in delay."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich import box
from rich.table import Table

from deploy.cli.frame import err, out, settings
from streams.errors import InputError

if TYPE_CHECKING:
    from deploy.bench.score_outcome import Outcome
    from models.prediction import Scorer


def score(
    data: Annotated[Path, typer.Option(help="CSV file with texts, and their sentiments where accuracy shall be told.")],
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")] = None,
    texts_column: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    labels_column: Annotated[
        str, typer.Option(help="Column of the sentiments: negative, neutral, positive.")
    ] = "label",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="DATA is a sentiment file of the model's training: its held-out rows.")
    ] = False,
    sentiment: Annotated[
        list[Path] | None, typer.Option(help="With --held-out: a further sentiment file of the training.")
    ] = None,
    topic: Annotated[list[Path] | None, typer.Option(help="With --held-out: a topic file of the training.")] = None,
    messages: Annotated[int, typer.Option(min=16, help="At most so many texts, chosen by --seed.")] = 1_000,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn; the median counts.")] = 5,
    least_s: Annotated[float, typer.Option(min=0, help="Seconds that a turn takes at least.")] = 2.0,
    repost_share: Annotated[float, typer.Option(min=0, max=0.95, help="Of the stream for the cache.")] = 0.15,
    seed: Annotated[int, typer.Option(help="Of the choice of texts, and of the reposts.")] = 7,
    others: Annotated[bool, typer.Option("--others/--no-others", help="Measure the engines of others too.")] = True,
) -> None:
    """Measure our scoring beside transformers, sentence-transformers and Infinity: same network, texts and cores.

    The others run in environments of their own under .squall/bench, which the first call makes: some 10 GB of disk. One
    that cannot be installed is named as missing. All contenders stay loaded at once: some 12 GB of memory.

    Of two real histories 14 and 15 % are reposts that the cache knows: that is the default of --repost-share.
    """
    from deploy.bench.score import Plan, run, start_process
    from deploy.bench.score_contenders import OTHERS
    from deploy.bench.score_data import read_data, read_held_out
    from deploy.bench.score_environment import environment, own_python
    from models.files import DEFAULT_MODEL

    options = settings()
    model = Path(options.classifier.model) if options.classifier.model else DEFAULT_MODEL
    if held_out:
        found = read_held_out(data, model, sentiment=sentiment or (), topic=topic or (), limit=messages, seed=seed)
    else:
        found = read_data(
            data, model, texts_column=texts_column, labels_column=labels_column, limit=messages, seed=seed
        )
    console = err()

    def note(line: str) -> None:
        console.print(line, style="dim", soft_wrap=True, markup=False)

    if found.known:
        note(f"{data} is what the model was trained from: its accuracy here says nothing. See --held-out.")
    plan = Plan(
        model=model,
        rounds=rounds,
        least_s=least_s,
        repost_share=repost_share,
        seed=seed,
        others=OTHERS if others else (),
    )
    start = partial(
        start_process,
        environment=partial(environment, note=note),
        own=own_python(),
        call_messages=options.worker.batch_messages,
    )
    result = run(found, plan, start=start, note=note)
    about = {
        "file": data.name,
        "messages": len(found.texts),
        "held_out": found.held_out,
        "trained_from": found.known,
        "repost_share": repost_share,
        "rounds": rounds,
        "seed": seed,
    }
    show(msgspec.structs.replace(result, data=about), json)


def show(result: Outcome, json: Path | None) -> None:
    """Print the figures as a table, and write them where asked."""
    table = Table(title="Score", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("contender")
    for name in ("msg/s", "tokens/s", "acc.", "F1", "to fp32", "MiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(result.contenders, key=lambda row: row.messages_per_s):
        table.add_row(
            row.name,
            f"{row.messages_per_s:,.0f}",
            f"{row.tokens_per_s:,.0f}",
            _share(row.accuracy),
            _share(row.macro_f1),
            "" if row.points_against_float32 is None else f"{row.points_against_float32:+.2f}",
            f"{row.peak_mib:,.0f}",
        )
    console = out()
    console.print(table)
    for words, value in (
        ("our network alone, by the better pipeline", result.ratio_vs_pipeline),
        ("our network alone, by the best other engine", result.ratio_vs_best_other),
        ("with the first tier, by the better pipeline", result.ratio_first_tier_vs_pipeline),
        ("with first tier and cache, on reposts, by the better pipeline", result.ratio_cache_vs_pipeline),
    ):
        console.print(f"{words}: {'not known' if value is None else f'{value:,.2f}'}")
    for missing in result.missing:
        console.print(f"missing: {missing.name}: {missing.reason}", style="yellow", soft_wrap=True, markup=False)
    if json is not None:
        try:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        except OSError as error:
            raise InputError(f"cannot write {json}: {error.strerror}") from error


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def delay(
    load: Annotated[float, typer.Option(min=0.01, max=2.0, help="Arrivals, as a share of what is sustained.")] = 0.7,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long texts arrive.")] = 60.0,
    messages: Annotated[int, typer.Option(min=64, help="Texts, generated, all different; some find the rate.")] = (
        100_000
    ),
    max_delay_ms: Annotated[
        float, typer.Option(min=0, help="The longest that a text waits for its batch to fill.")
    ] = 20.0,
    max_tokens: Annotated[int, typer.Option(min=64, help="Tokens of a full batch, about.")] = 8_192,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures here, as JSON.")] = None,
) -> None:
    """Measure what batching adds to a text's delay, with texts that arrive at random times whatever the scorer does.

    The scorer is the one of the settings. Two minutes at most.
    """
    from deploy.bench.delay import run
    from deploy.cli.bench import show as show_figures
    from models.batcher import Batcher
    from models.benchmark import generate_texts
    from streams.scoring.build import load_scorer

    def make(scorer: Scorer) -> Batcher:
        return Batcher(scorer, max_tokens=max_tokens, max_delay_ms=max_delay_ms, max_waiting=messages)

    figures = run(
        make,
        load_scorer(settings()),
        generate_texts(messages),
        load=load,
        seconds=seconds,
        max_delay_ms=max_delay_ms,
    )
    show_figures("Delay", figures, json)
