"""A search for settings with Optuna: TPE proposes, a median rule ends trials that lag, SQLite keeps what was found.

Each trial is one fit. It learns from and is scored on the training side alone, which is split once more for this: the
development rows choose no settings, so that the figures of the model that is trained in the end stay honest.

The space (nested knobs by their dotted names); it always includes the settings that the search starts from, which are
the first trial:

    learning_rate       2e-5 to 5e-4, logarithmic
    head_learning_rate  2e-4 to 5e-3, logarithmic
    layer_decay         0.7 to 1.0
    warmup_share        0.0 to 0.2
    weight_decay        1e-3 to 0.1, logarithmic
    label_smoothing     0.0 to 0.15
    batch_size          16, 32, 64
    class_weights       none, balanced; not where weights by class are given
    adversarial         0.0, 0.5, 1.0; not with adapters
    lora.rank           4, 8, 16, 32; only with adapters
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.device import choose_device
from models.errors import BackendMissingError, TrainingDataError
from retrain.fit import check_sides, fit, open_material
from retrain.job import TrainingJob, Watchers, check_out, read_ground
from retrain.loop import seed_everything
from retrain.settings import TrainingSettings
from retrain.settings_file import changed
from retrain.split import split_examples

if TYPE_CHECKING:
    from optuna import Study, Trial

_STUDY = "settings"
_STARTUP_TRIALS = 4
"""Trials before the median rule ends any: a median of fewer says little."""
_RANGES: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (2e-5, 5e-4, True),
    "head_learning_rate": (2e-4, 5e-3, True),
    "layer_decay": (0.7, 1.0, False),
    "warmup_share": (0.0, 0.2, False),
    "weight_decay": (1e-3, 0.1, True),
    "label_smoothing": (0.0, 0.15, False),
}
"""Lowest and highest value, and whether between them magnitudes count."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a search found.

    Attributes:
        settings: the best ones.
        score: of their trial, on rows of the training side.
        knobs: those that were searched, by dotted name.
        trials: how many were finished, those ended early included.
        study: the SQLite file.
        table: CSV of all trials.
    """

    settings: TrainingSettings
    score: float
    knobs: dict[str, Any]
    trials: int
    study: Path
    table: Path


def tune(job: TrainingJob, settings: TrainingSettings, trials: int, watchers: Watchers) -> Tuned:
    """Search until so many trials are finished, those of an earlier call included.

    The study lies beside `job.out` as NAME.study.db, its table as NAME.trials.csv. A search that was broken off goes
    on.

    Raises:
        BackendMissingError: Optuna is not installed.
        TrainingDataError: the files cannot be used, the study belongs to other files or settings, is in use or
            cannot be written, or no trial was finished.
        DeviceError: the device is not there.
        ModelFilesError: the base cannot be used.
    """
    optuna = _optuna()
    check_out(job.out)
    ground = read_ground(replace(job, teachers=(), unlabelled=(), labeller=None), _plain(settings))
    examples = [ground.examples[index] for index in ground.split.train]
    # With the seed of the outer split no group would be left for development: they went there by the same dice.
    inner = split_examples(examples, settings.dev_share, settings.split_seed + 1)
    check_sides(examples, inner)
    database = job.out.parent / f"{job.out.name}.study.db"
    table = job.out.parent / f"{job.out.name}.trials.csv"
    seed_everything(settings)
    with _alone(database), tempfile.TemporaryDirectory(prefix="squall-tune-") as scratch:
        material = open_material(job.base, Path(scratch), settings, choose_device(job.device))
        rows = material.tokenise(examples)
        train, dev = [rows[index] for index in inner.train], [rows[index] for index in inner.dev_firsts]
        study = _study(database, settings, _about(settings, ground.training_data, material.sha256))

        def objective(trial: Trial) -> float:
            chosen = changed(settings, _nested(suggest(trial, settings)))
            number = len(_finished(study)) + 1
            hooks = watchers.begin(f"trial {number} of {trials}")
            evaluations = 0

            def evaluated(record: dict[str, float]) -> None:
                nonlocal evaluations
                evaluations += 1
                trial.report(record["selection"], evaluations)
                if trial.should_prune():
                    raise optuna.TrialPruned

            return fit(material, train, dev, chosen, hooks=replace(hooks, evaluated=evaluated)).result.best

        study.enqueue_trial(_start(settings), skip_if_exists=True)
        while len(_finished(study)) < trials:
            study.optimize(objective, n_trials=1)
            table.write_text(_table(study), encoding="utf-8", newline="")
    return _outcome(study, settings, database, table)


def _plain(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings without domain adaptation: no trial does it, for it costs the same in all of them."""
    return replace(settings, domain=replace(settings.domain, epochs=0))


def suggest(trial: Trial, settings: TrainingSettings) -> dict[str, Any]:
    """Return a proposal for each knob of the space, by dotted name."""
    start = _start(settings)
    found: dict[str, Any] = {}
    for name, (low, high, log) in _RANGES.items():
        # A range on a logarithmic scale cannot hold a 0 that the settings start from.
        start_at = float(start[name])
        low, high = min(low, start_at), max(high, start_at)
        found[name] = trial.suggest_float(name, low, high, log=log and low > 0.0)
    for name, choices in _choices(settings).items():
        found[name] = trial.suggest_categorical(name, choices)
    return found


def _choices(settings: TrainingSettings) -> dict[str, list[Any]]:
    choices: dict[str, list[Any]] = {"batch_size": sorted({16, 32, 64, settings.batch_size})}
    if isinstance(settings.class_weights, str):
        choices["class_weights"] = ["none", "balanced"]
    if settings.lora.rank:
        choices["lora.rank"] = sorted({4, 8, 16, 32, settings.lora.rank})
    else:
        choices["adversarial"] = sorted({0.0, 0.5, 1.0, settings.adversarial})
    return choices


def _start(settings: TrainingSettings) -> dict[str, Any]:
    """Return the searched knobs as the settings have them."""
    return {
        name: settings.lora.rank if name == "lora.rank" else getattr(settings, name)
        for name in (*_RANGES, *_choices(settings))
    }


def _nested(knobs: dict[str, Any]) -> dict[str, Any]:
    """Return knobs by dotted name as nested mappings."""
    found: dict[str, Any] = {}
    for name, value in knobs.items():
        part, dot, inner = name.partition(".")
        if dot:
            found.setdefault(part, {})[inner] = value
        else:
            found[name] = value
    return found


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise BackendMissingError("a search for settings needs optuna: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _about(settings: TrainingSettings, training_data: list[dict[str, Any]], base: str) -> dict[str, Any]:
    """Return what trials must share to be compared."""
    searched = {name.partition(".")[0] for name in _start(settings)} - {"lora"}
    knobs = {name: value for name, value in settings.as_dict().items() if name not in searched}
    for name in ("checkpoint_steps", "runs", "combine", "folds", "domain", "pseudo", "teacher_weight"):
        del knobs[name]  # none of them plays a part in a trial
    about = {"settings": knobs, "files": [entry["sha256"] for entry in training_data], "base": base}
    return json.loads(json.dumps(about))  # type: ignore[no-any-return] # as it comes back from the study


def _study(database: Path, settings: TrainingSettings, about: dict[str, Any]) -> Study:
    optuna = _optuna()
    url = f"sqlite:///{database.resolve()}"
    try:
        study = optuna.create_study(study_name=_STUDY, storage=url, direction="maximize", load_if_exists=True)
        found = study.user_attrs.get("about")
        if found is None:
            study.set_user_attr("about", about)
    except Exception as error:  # SQLAlchemy has a tree of its own for what can be wrong with a file
        raise TrainingDataError(
            f"{database}: no study can be kept there ({error}); remove the file, or free room"
        ) from None
    if found is not None and found != about:
        other = sorted(name for name in about if found.get(name) != about[name])
        raise TrainingDataError(
            f"{database}: a study of other {' and '.join(other)}; remove it to begin again, or choose another folder"
        )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # a kill has left it
    # A search that goes on shall not propose again what its first dice said.
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + len(study.trials))
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS)
    return study  # type: ignore[no-any-return]


def _finished(study: Study) -> list[Any]:
    states = _optuna().trial.TrialState
    return study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))


@contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Hold the study's file, so that no second search takes this one's trials for left over.

    Raises:
        TrainingDataError: another process holds it, or it cannot be written.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        file = database.open("ab")
    except OSError as error:
        raise TrainingDataError(f"{database}: cannot be written ({error.strerror}); choose another folder") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingDataError(f"{database}: another search uses it now; wait for it") from None
        yield


def _table(study: Study) -> str:
    """Return all trials as CSV: number, state, score on the inner development rows, seconds, and the knobs."""
    knobs = sorted({name for trial in study.trials for name in trial.params})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("trial", "state", "score", "seconds", *knobs))
    for trial in study.trials:
        seconds = f"{trial.duration.total_seconds():.1f}" if trial.duration else ""
        score = "" if trial.value is None else f"{trial.value:.4f}"
        row = (trial.params.get(name, "") for name in knobs)
        writer.writerow((trial.number, trial.state.name.lower(), score, seconds, *row))
    return text.getvalue()


def _outcome(study: Study, settings: TrainingSettings, database: Path, table: Path) -> Tuned:
    try:
        best = study.best_trial
    except ValueError:
        raise TrainingDataError(f"{database}: no trial was finished; look at {table}") from None
    knobs = dict(best.params)
    return Tuned(
        changed(settings, _nested(knobs)), float(best.value or 0.0), knobs, len(_finished(study)), database, table
    )
