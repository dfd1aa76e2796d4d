"""The history that `squall warm` learns from: opened, scored where it is raw, and read through the monitor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from deploy.cli.replay_progress import RunDisplay
from deploy.cli.scored_history import score_history
from deploy.cli.warm_heard import Heard
from streams.assembly import monitor_options
from streams.config import Settings
from streams.monitor import RuleSet
from streams.records import Seed
from streams.replay.run import RunProgress
from streams.replay.sources.open_source import open_mentions
from streams.replay.sources.options import FileOptions, Window
from streams.replay.sources.source import MentionSource, OnBad
from streams.replay.warming.lessons import learn, run_identity, seed_of


@dataclass(frozen=True, slots=True)
class History:
    """What is to be learned from.

    Attributes:
        texts: the sources, as they were named; see `streams.replay.sources.spec`.
        window: which part of them.
        files: how files are read.
        as_scored: the sources hold mentions with their scores; otherwise messages that are scored now.
        trust_stories: take the stories that mentions name.
        model: which model scores; None is the configured or the shipped one.
        workers: processes that score; None is one per core.
        entities: these companies alone; all if empty.
    """

    texts: tuple[str, ...]
    window: Window = field(default_factory=Window)
    files: FileOptions = field(default_factory=FileOptions)
    as_scored: bool = False
    trust_stories: bool = False
    model: str | None = None
    workers: int | None = None
    entities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of a history.

    Attributes:
        seeds: one of each company of which something was learned, in order of their names.
        why_nothing: the reason, in words, where there are none.
    """

    seeds: tuple[Seed, ...]
    why_nothing: str | None = None


def learn_history(
    current: Settings,
    history: History,
    rules: RuleSet,
    scratch: Path,
    *,
    display: RunDisplay,
    on_bad: OnBad,
    now: datetime,
) -> Learned:
    """Return a seed of each company of which something was learned, and why there is none if there is none.

    Args:
        current: the settings.
        history: what is to be learned from.
        rules: the rules in force.
        scratch: a folder for work that may be thrown away.
        display: shown how far it is.
        on_bad: told of each row or record that cannot be used.
        now: when the seeds are made, UTC.

    Raises:
        InputError: the history has no mention of a company that was asked for; it says of which it has.
        SquallError: a source, the model or a file of the settings cannot be used.
        ModelError: the model cannot be used.
    """
    history = replace(history, files=replace(history.files, scratch=scratch))
    source, described = (_mentions if history.as_scored else _scored)(current, history, scratch, display, on_bad)
    display.begin("learning", source.total)

    def on_progress(progress: RunProgress) -> None:
        display.update(progress.records, progress.total, progress.event_time)

    heard = Heard(source)
    lessons = learn(
        heard,
        rules=rules,
        options=monitor_options(current),
        until=history.window.until,
        entities=history.entities,
        on_progress=on_progress,
        on_bad=on_bad,
        on_closed=heard.closed,
    )
    # What a log's own seeds told of a company is learned without a mention of it.
    heard.require(history.entities - {lesson.entity for lesson in lessons}, " ".join(history.texts))
    identity = run_identity(described, rules.version, history.trust_stories)
    seeds = tuple(seed_of(lesson, learned_at=now, identity=identity) for lesson in lessons)
    return Learned(seeds, None if seeds else heard.why_nothing(history.entities))


_Opened = tuple[MentionSource, str]
"""The mentions, and what they were made of."""


def _mentions(current: Settings, history: History, scratch: Path, display: RunDisplay, on_bad: OnBad) -> _Opened:
    source = open_mentions(
        history.texts,
        current,
        options=history.files,
        window=history.window,
        trust_stories=history.trust_stories,
    )
    return source, source.facts.identity


def _scored(current: Settings, history: History, scratch: Path, display: RunDisplay, on_bad: OnBad) -> _Opened:
    found = score_history(
        current,
        history.texts,
        files=history.files,
        window=history.window,
        model=history.model,
        workers=history.workers,
        scratch=scratch,
        display=display,
        on_bad=on_bad,
    )
    scorer = f"{found.scorer.name}@{found.scorer.version}"
    return open_mentions([str(found.mentions)], current), f"{found.facts.identity} {scorer}"
