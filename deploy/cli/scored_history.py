"""Raw history scored in one go, for the commands that then read its mentions (`rules backtest` and `warm`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.cli.replay_progress import RunDisplay
from models.prediction import ModelId
from streams.config import Settings
from streams.replay.rescoring.segments import RescoreCounters
from streams.replay.sources.open_source import open_messages
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import OnBad, SourceFacts


@dataclass(frozen=True, slots=True)
class ScoredHistory:
    """What came of it.

    Attributes:
        mentions: the file of mentions.
        facts: what was scored.
        scorer: by which model.
        counters: how many messages came to what.
    """

    mentions: Path
    facts: SourceFacts
    scorer: ModelId
    counters: RescoreCounters


def score_history(
    current: Settings,
    texts: Sequence[str],
    *,
    files: FileOptions,
    window: Window,
    model: str | None,
    workers: int | None,
    scratch: Path,
    display: RunDisplay,
    on_bad: OnBad,
) -> ScoredHistory:
    """Score messages into a folder; what an earlier, stopped call has scored there is taken up.

    Args:
        current: the configuration.
        texts: the sources, as they were named.
        files: how files are read.
        window: which part of them; where it says what was known when, that goes for the model too.
        model: which model scores; None is the configured or the shipped one.
        workers: processes that score; None is one per core.
        scratch: folder for the mentions.
        display: shows how far it is.
        on_bad: told of each record that cannot be used.

    Raises:
        SquallError: the sources or the model cannot be used, or no mention came of them; it says which and why.
    """
    # Only here: the classifier takes seconds to import.
    from models.files import read_manifest
    from streams.models_known import find_model
    from streams.replay.rescoring.rescore import RescoreProgress, require_mentions, rescore

    messages = open_messages(texts, current, options=files, window=window)
    chosen = find_model(model, current, window.known_at)
    display.begin("scoring", messages.total)

    def on_progress(progress: RescoreProgress) -> None:
        display.update(progress.messages, progress.total)

    counters = RescoreCounters()
    path = rescore(
        messages,
        settings=current,
        model=chosen,
        folder=scratch,
        workers=workers,
        on_progress=on_progress,
        on_bad=on_bad,
        counters=counters,
    )
    require_mentions(messages.facts.text, counters)
    return ScoredHistory(path, messages.facts, read_manifest(chosen).model, counters)
