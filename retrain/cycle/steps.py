"""One run of the loop: labels, data set, training, gate, registry, promotion. The champion changes in the last step or
not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from models.errors import ModelError, TrainingDataError
from models.files import DEFAULT_MODEL, file_sha256, iso_utc, read_manifest
from models.prediction import ModelId
from retrain.base import check_base_known
from retrain.card import CardFacts
from retrain.cycle.base import write_base
from retrain.cycle.due import is_due, labels_seen
from retrain.cycle.lock import alone
from retrain.cycle.reference import write_challengers_reference
from retrain.data import TASKS, Task
from retrain.datasets.assign import trust_key
from retrain.datasets.inherit import sides_of
from retrain.datasets.ledger import Ledger
from retrain.datasets.rows import LABELS, Row, rows_of_files, rows_of_labels
from retrain.datasets.snapshot import Recipe, Snapshot, build, write_training_files
from retrain.gate.bounds import Bounds
from retrain.gate.run import Stretch, run_gate
from retrain.gate.verdict import JSON, MARKDOWN, Verdict, write_verdict
from retrain.job import TrainingJob
from retrain.labels.decide import Decided, decide
from retrain.labels.judgement import Judgement
from retrain.labels.store import LabelStore
from retrain.registry.audit import Entry, Step, read_entries, write_entry
from retrain.registry.mlflow_registry import Registered
from retrain.registry.promotion import Desk, adopt, promote
from retrain.settings import TrainingSettings
from retrain.settings_file import read_settings
from retrain.train import train_model
from streams.config import Settings
from streams.errors import SquallError

Ending = Literal["promoted", "passed", "refused", "not_due"]

Say = Callable[[str], None]

_SEEDS = 2**31
_FAIR = "champion_held_out_the_holdout"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the loop works with.

    Attributes:
        settings: the configuration.
        desk: registry, workers, audit log.
        say: told what is under way, a line at a time.
        stretch: history for the alert difference; None where there is none.
        drift: by signal (`retrain.cycle.due.is_due`).
        only_if_due: train only with a reason (`retrain.cycle.due`).
        promotes: a challenger that passes becomes champion; without it, it stays challenger.
        device: where to train and to judge.
    """

    settings: Settings
    desk: Desk
    say: Say
    stretch: Stretch | None = None
    drift: dict[str, float] | None = None
    only_if_due: bool = False
    promotes: bool = True
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        ending: what came of it.
        words: the same in a sentence.
        model: the challenger, if one was trained.
        verdict: folder of the written verdict.
    """

    ending: Ending
    words: str
    model: ModelId | None = None
    verdict: Path | None = None


def run_once(run: Run) -> Ended:
    """Go through the loop once.

    Raises:
        BusyError: another run is under way; nothing was done.
        SquallError, ModelError: a step failed: the message says which and why. The champion is untouched, what was
            under way is swept away, and the audit log has it.
    """
    runs = run.settings.retrain.runs
    with alone(runs) as work:
        try:
            return _through(run, work)
        except Exception as error:
            # Only our own words are known to hold no secret.
            told = str(error) if isinstance(error, SquallError | ModelError) else type(error).__name__
            try:
                _note(run, "failed", note=told)
            except SquallError as other:
                run.say(str(other))  # what went wrong first is what is raised
            raise


def _through(run: Run, work: Path) -> Ended:
    retrain, now = run.settings.retrain, run.desk.now()
    judgements = [one for one in LabelStore(retrain.labels).read() if one.learned_at <= now]
    decided = [one for task in TASKS for one in _settled(judgements, task, retrain.train_until)]
    labelled = rows_of_labels(decided)
    trusted = Ledger(retrain.datasets).trusted()
    held = trusted & {trust_key(row) for row in labelled}
    # Until a day, a label that was changed since is what it was then: that it is gone now is nobody's word.
    gone = trusted - held if retrain.train_until is None else frozenset()
    entries = read_entries(retrain.runs)
    due = is_due(
        labels=len(decided),
        seen=labels_seen(entries),
        gone=len(gone),
        min_labels=retrain.min_labels,
        drift=run.drift or {},
        max_psi=retrain.max_psi,
        max_distance=retrain.max_distance,
    )
    if run.only_if_due and not due.is_due:
        _note(run, "not_due", note=due.words)
        return Ended("not_due", f"no training: {due.words}")
    if not decided and labels_seen(entries) == 0:
        raise TrainingDataError("there is no label to learn from: squall labels import brings them in")
    champion = _champion(run)
    run.say(f"champion: {champion.model.name} {champion.model.version}; {len(decided):,} labels, {due.words}")
    champion_folder = run.desk.registry.fetch(champion, retrain.models)
    _check_base(run, champion_folder)
    if gone:
        run.say(
            f"{len(gone):,} labels that a champion rests on were taken back or changed: "
            "they are in no data set from now on"
        )
    snapshot, fair = _data_set(run, champion_folder, labelled)
    run.say(f"data set {snapshot.version}: {_counted(snapshot)}")
    challenger = _train(run, work, champion_folder, snapshot, now)
    verdict = run_gate(
        champion_folder,
        challenger,
        snapshot,
        bounds=bounds_of(run.settings),
        at=now,
        trusted=held,
        stretch=run.stretch,
        device=run.device,
        progress=run.say,
    )
    texts = [row.text for row in snapshot.of("train", "sentiment")]
    run.say(write_challengers_reference(challenger, run.stretch, texts, at=now, device=run.device))
    ended = _conclude(run, challenger, snapshot, verdict, labels=len(decided), fair=fair)
    # Not before: of a run that fails on its way the next one has to know that the champion rests on them.
    if gone:
        Ledger(retrain.datasets).distrust(gone)
    return ended


def _settled(judgements: Sequence[Judgement], task: Task, until: datetime | None) -> list[Decided]:
    """Return the labels: those that were settled by a time as they were then, and what was settled since."""
    now = decide(judgements, task).decided
    if until is None:
        return list(now)
    then = decide([one for one in judgements if one.learned_at <= until], task).decided
    known = {one.judgement.message_id for one in then}
    since = [one for one in now if one.judgement.message_id not in known and one.judgement.learned_at > until]
    return [*then, *since]


def bounds_of(settings: Settings) -> Bounds:
    """Return the bounds of the gate that the configuration sets: `retrain.gate_...`."""
    return Bounds(**{field.name: getattr(settings.retrain, f"gate_{field.name}") for field in fields(Bounds)})


def _champion(run: Run) -> Registered:
    return adopt(run.desk, run.settings.classifier.model or DEFAULT_MODEL)


def _check_base(run: Run, champion: Path) -> None:
    """Raise TrainingDataError where the encoder to start from has learned what shall not be known."""
    retrain = run.settings.retrain
    until, learned_at = retrain.train_until, read_manifest(champion).learned_at
    if until is None:
        return
    if retrain.base is not None:
        check_base_known(retrain.base, until)
    elif learned_at is not None and learned_at > until:
        msg = (
            f"the champion was learned at {iso_utc(learned_at)}, after retrain.train_until: set retrain.base to an "
            "encoder of before, or unset retrain.train_until"
        )
        raise TrainingDataError(msg)


def _data_set(run: Run, champion: Path, labelled: Sequence[Row]) -> tuple[Snapshot, bool]:
    """Build the data set; and say whether the champion is known to have held out what it will be asked."""
    retrain = run.settings.retrain
    files: dict[Task, Sequence[Path]] = {"sentiment": retrain.sentiment, "topic": retrain.topic}
    _check_names(files)
    ledger, fair = Ledger(retrain.datasets), _was_fair(read_entries(retrain.runs))
    if not ledger.path.exists():
        sides = sides_of(champion, files)
        fair = sides is not None or not any(files.values())
        if sides is not None:
            with ledger.locked():
                ledger.add(sides)
        elif not fair:
            run.say("the champion may know texts of the holdout: it does not say how it split these training files")
    old = [row for task in TASKS for row in rows_of_files(files[task], task, until=retrain.train_until)]
    inputs = [
        {
            "name": path.name,
            "task": task,
            "rows": sum(row.origin == path.name for row in old),
            "sha256": file_sha256(path),
        }
        for task in TASKS
        for path in files[task]
    ]
    inputs.append({"name": LABELS, "rows": len(labelled)})
    recipe = Recipe(
        inputs=tuple(inputs),
        holdout_share=retrain.holdout_share,
        most_old=retrain.most_old,
        repeat_labels=retrain.repeat_labels,
        train_until=retrain.train_until,
    )
    return build(retrain.datasets, [*old, *labelled], recipe), fair


def _was_fair(entries: Sequence[Entry]) -> bool:
    """What was found out when the holdout was first drawn; until then nothing speaks against it."""
    found = [entry.facts[_FAIR] for entry in entries if _FAIR in entry.facts]
    return bool(found[-1]) if found else True


def _check_names(files: Mapping[Task, Sequence[Path]]) -> None:
    """Rows are told apart by the names of their files. Raises TrainingDataError where two are alike."""
    if not all(files.values()):
        raise TrainingDataError("both heads need training files: set retrain.sentiment and retrain.topic")
    names = [path.name for paths in files.values() for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1 or name.removesuffix(".csv") == LABELS})
    if twice:
        msg = (
            f"no training file can be called {twice[0]}: another has the name, or the desk's labels go by it; rename it"
        )
        raise TrainingDataError(msg)


def _counted(snapshot: Snapshot) -> str:
    counts = sorted(snapshot.counts().items())
    return ", ".join(f"{count:,} {task} rows {place.replace('_', ' ')}" for (task, place), count in counts)


def _train(run: Run, work: Path, champion: Path, snapshot: Snapshot, now: datetime) -> Path:
    retrain = run.settings.retrain
    files_folder = work / "files"
    files_folder.mkdir(mode=0o700)
    files = write_training_files(snapshot, files_folder)
    settings = TrainingSettings() if retrain.training is None else read_settings(retrain.training)
    # The holdout may be what this very hash put on one side: with its seed, no old row would be left for development.
    settings = replace(settings, split_seed=int(snapshot.version, 16) % _SEEDS)
    name = f"{retrain.registry_name}-{now:%Y%m%d-%H%M%S}"
    run.say(f"training {name}")
    base = retrain.base or str(write_base(champion, work / "base"))
    base_name = retrain.base if retrain.base and not Path(retrain.base).exists() else _base_name(champion, retrain.base)
    job = TrainingJob(
        sentiment=tuple(files["sentiment"]),
        topic=tuple(files["topic"]),
        base=base,
        out=work / "challenger",
        name=name,
        facts=CardFacts(base_name, remarks=(f"Trained on data set {snapshot.version}.",)),
        device=run.device,
        learned_at=now,
    )
    return train_model(job, _fitting(settings, run.device), run.say).folder


def _base_name(champion: Path, base: str | None) -> str:
    if base is not None:
        return Path(base).name
    manifest = read_manifest(champion)
    return f"{manifest.name} {manifest.version}"


def _fitting(settings: TrainingSettings, device: str) -> TrainingSettings:
    """Compute in bfloat16 only where the device does it fast."""
    import torch

    from models.device import choose_device, choose_dtype

    return replace(settings, bf16=settings.bf16 and choose_dtype("auto", choose_device(device)) is torch.bfloat16)


def _conclude(run: Run, challenger: Path, snapshot: Snapshot, verdict: Verdict, *, labels: int, fair: bool) -> Ended:
    manifest = read_manifest(challenger)
    folder = run.settings.retrain.runs / "verdicts" / f"{manifest.name}-{manifest.version}"
    folder.mkdir(parents=True, exist_ok=True)
    write_verdict(verdict, folder)
    sentiment = verdict.measured.macro_f1["sentiment"]
    registered = run.desk.registry.register(
        challenger,
        parameters={"data_set": snapshot.version, "labels": labels, "base": manifest.base.get("name", "")},
        figures={
            "holdout_macro_f1": sentiment.challenger,
            "holdout_macro_f1_champion": sentiment.champion,
            "holdout_calibration_error": verdict.measured.calibration_error[1],
        },
        tags={"data_set": snapshot.version},
        others=(folder / MARKDOWN, folder / JSON),
    )
    facts = {
        "labels": labels,
        "data_set": snapshot.version,
        "run": registered.run,
        _FAIR: fair,
        "failed": [check.name for check in verdict.failed],
    }
    if not verdict.promoted:
        run.desk.registry.mark(registered, "refused", against=verdict.champion)
        words = "; ".join(f"{check.name}: {check.words}" for check in verdict.failed)
        _note(run, "refused", model=manifest.model, note=words, facts=facts)
        return Ended("refused", f"{manifest.name} is refused: {words}", manifest.model, folder)
    run.desk.registry.mark(registered, "passed", against=verdict.champion)
    _note(run, "passed", model=manifest.model, facts=facts)
    if not run.promotes:
        words = f"{manifest.name} passes the gate; squall models promote {manifest.version} makes it champion"
        return Ended("passed", words, manifest.model, folder)
    promote(run.desk, run.desk.registry.find(registered.number), note="passed the gate")
    # What came later than the cut, or was left out, neither made it nor judged it.
    rests_on = [*snapshot.of("train"), *snapshot.of("holdout")]
    Ledger(run.settings.retrain.datasets).trust(trust_key(row) for row in rests_on if row.origin == LABELS)
    return Ended("promoted", f"{manifest.name} {manifest.version} is champion", manifest.model, folder)


def _note(
    run: Run,
    step: Step,
    *,
    model: ModelId | None = None,
    note: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    write_entry(
        run.settings.retrain.runs,
        Entry(at=run.desk.now(), by=run.desk.by, step=step, model=model, note=note, facts=facts or {}),
    )
