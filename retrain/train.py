"""One training, from labelled files to a finished model folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from models.device import choose_device
from models.errors import TrainingDataError
from models.files import read_manifest
from retrain.checkpoint import Checkpoints, unfinished
from retrain.combine import train_runs
from retrain.data import Example
from retrain.finish import finish
from retrain.fit import Material, open_material
from retrain.folds import cross_validate
from retrain.job import Display, Ground, TrainedModel, TrainingJob, Watchers, check_out, read_ground
from retrain.loop import LabelledTokens, seed_everything
from retrain.methods.domain import adapt
from retrain.methods.pseudo import label
from retrain.settings import TrainingSettings
from retrain.teachers import teach
from retrain.world import ALONE, World


def train_model(
    job: TrainingJob,
    settings: TrainingSettings,
    progress: Callable[[str], None],
    display: Display | None = None,
    *,
    fresh: bool = False,
) -> TrainedModel:
    """Train a classifier and write a complete model folder; `job.out` appears only when all of it is there.

    A training that was killed goes on where its last checkpoint was, when it is called again with the same job and
    settings; the result is the same to the bit.

    Args:
        job: what to train from.
        settings: the knobs.
        progress: receives one line of text now and then.
        display: shows the progress of each step.
        fresh: begin again, whatever an unfinished training has left.

    Raises:
        TrainingDataError: the files cannot be used, `job.out` holds something already or cannot be written, or an
            unfinished training of something else lies beside it.
        DeviceError: the device is not there.
        ModelFilesError: the base, a teacher or the labeller cannot be used.
        BackendMissingError: adapters are asked for and peft is not installed.
    """
    trained = train_in_world(job, settings, Watchers(progress, display), ALONE, fresh=fresh)
    assert trained is not None  # noqa: S101 - tells the type checker; the first process always gets one
    return trained


def train_in_world(
    job: TrainingJob, settings: TrainingSettings, watchers: Watchers, world: World, *, fresh: bool = False
) -> TrainedModel | None:
    """Train as `train_model` does, one of several processes together; None for all but the first, which writes.

    Raises:
        TrainingDataError, DeviceError, ModelFilesError, BackendMissingError: as `train_model`.
    """
    if world.size > 1 and settings.folds:
        raise TrainingDataError("cross-validation runs in one process; set folds to 0, or start without the launcher")
    device = choose_device(job.device)
    check_out(job.out)
    ground = read_ground(job, settings)
    rows, split = ground.examples, ground.split
    watchers.say(
        f"{len(rows)} rows in {split.groups} text groups: {len(split.train)} for training, {len(split.dev)} "
        f"for development ({split.dev_duplicates} near-duplicates left out)"
    )
    seed_everything(settings)
    with _told(job.out), tempfile.TemporaryDirectory(prefix="squall-train-") as scratch:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        material = open_material(job.base, Path(scratch), settings, device)
        plan = _plan(job, settings, ground, material, world)
        with world.joined(device), _workplace(job, plan, world, fresh=fresh) as checkpoints:
            labelled = material.tokenise(rows)
            dev = [labelled[index] for index in split.dev_firsts]
            facts: dict[str, Any] = {"unlabelled": ground.texts.facts() if job.unlabelled else None}
            train, facts["pseudo_labels"] = _training_rows(job, settings, ground, material, labelled, watchers)
            material, facts["domain"] = _adapted(material, ground, settings, watchers, world, checkpoints)
            if settings.folds:
                facts["cross_validation"] = cross_validate(
                    material, labelled, settings, begin=watchers.begin, checkpoints=checkpoints
                )
            combined = train_runs(
                material, train, dev, settings, begin=watchers.begin, world=world, checkpoints=checkpoints
            )
            if not world.leads:
                return None
            return finish(job, settings, ground, material, labelled, combined, facts, checkpoints, watchers)


def _plan(
    job: TrainingJob, settings: TrainingSettings, ground: Ground, material: Material, world: World
) -> dict[str, Any]:
    """Return all that decides the weights: a training that was broken off goes on only under the same."""
    knobs = settings.as_dict()
    del knobs["checkpoint_steps"]  # when they are written changes nothing
    return {
        **{f"settings.{name}": value for name, value in knobs.items()},
        "files": [entry["sha256"] for entry in ground.training_data],
        **({} if job.until is None else {"until": job.until.isoformat()}),
        "base": material.sha256,
        "teachers": [asdict(read_manifest(teacher).model) for teacher in job.teachers],
        "labeller": asdict(read_manifest(job.labeller).model) if job.labeller else None,
        "unlabelled": [entry["sha256"] for entry in ground.texts.files],
        "device": material.device.type,
        "processes": world.size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


@contextmanager
def _workplace(job: TrainingJob, plan: dict[str, Any], world: World, *, fresh: bool) -> Iterator[Checkpoints]:
    """Open the folder of the unfinished run; the first process does it for all."""
    if not world.leads:
        world.wait()
        yield Checkpoints(job.out.parent / f".{job.out.name}.unfinished", writes=False)
        return
    begun = job.learned_at.isoformat() if job.learned_at else ""
    with unfinished(job.out, plan, begun=begun, fresh=fresh) as checkpoints:
        world.wait()
        yield checkpoints


@contextmanager
def _told(out: Path) -> Iterator[None]:
    """Tell what goes wrong in writing as an error that names the folder and the remedy."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingDataError(
            f"{out}: cannot be written ({reason}); make room or choose another folder, and give the command again: it "
            "goes on from its last checkpoint"
        ) from None


def _training_rows(
    job: TrainingJob,
    settings: TrainingSettings,
    ground: Ground,
    material: Material,
    labelled: Sequence[LabelledTokens],
    watchers: Watchers,
) -> tuple[list[LabelledTokens], dict[str, Any] | None]:
    """Return the rows to learn from, with the teachers' word, and what became of the pseudo-labels."""
    train = [labelled[index] for index in ground.split.train]
    facts = None
    if job.labeller is not None:
        watchers.say(f"asking {job.labeller.name} for labels of {len(ground.texts.texts)} texts")
        pseudo = label(ground.texts.texts, job.labeller, settings.pseudo)
        watchers.say(f"{len(pseudo.rows)} of its labels are sure enough")
        train += material.tokenise(pseudo.rows, settings.pseudo.weight)
        facts = pseudo.facts
    return teach(train, job.teachers, watchers.say), facts


def _adapted(
    material: Material,
    ground: Ground,
    settings: TrainingSettings,
    watchers: Watchers,
    world: World,
    checkpoints: Checkpoints,
) -> tuple[Material, dict[str, Any] | None]:
    """Return the material with an encoder that has read the unlabelled texts, where the settings ask for it."""
    if not settings.domain.epochs:
        return material, None
    found = checkpoints.load("domain")
    world.wait()
    if found is None:
        hooks = watchers.begin("reading unlabelled texts")
        texts = [Example(text, "sentiment", 0, "", 0) for text in ground.texts.texts]
        weights, losses = adapt(
            material.base,
            [row.tokens for row in material.tokenise(texts)],
            settings=settings,
            device=material.device,
            step=hooks.step,
        )
        found = weights, {"losses": losses}
        if settings.checkpoint_steps:
            checkpoints.save("domain", *found)
    watchers.say(f"read {len(ground.texts.texts)} unlabelled texts: loss {found[1]['losses'][-1]:.4f}")
    return replace(material, encoder=found[0]), {"texts": len(ground.texts.texts), "losses": found[1]["losses"]}
