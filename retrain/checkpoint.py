"""What an unfinished run needs to go on after a kill: numbers as safetensors, the rest as JSON, nothing pickled.

    .NAME.unfinished/         beside the folder NAME that the run is to make; it goes when the run is done
        lock                  held by the process that trains
        run.json              what is being trained: a run that differs does not go on from here
        STAGE.json            where a stage stands, and which file holds its numbers
        STAGE-7.safetensors   the numbers

A stage's JSON is put in place in one step after its numbers are on the disk, so a kill at any moment leaves the last
whole checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.errors import TrainingDataError

_RUN = "run.json"
_LOCK = "lock"

Stage = tuple[dict[str, Tensor], dict[str, Any]]
"""Numbers by name, and the rest as plain values."""


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie.
        begun: what the run noted of its beginning, before any kill.
        writes: False for a process that only reads, as all but the first of several do.
    """

    def __init__(self, folder: Path, *, begun: str = "", writes: bool = True) -> None:
        self.folder = folder
        self.begun = begun
        self.writes = writes

    def load(self, stage: str) -> Stage | None:
        """Return what a stage left, or None if it left nothing.

        Raises:
            TrainingDataError: the checkpoint is damaged.
        """
        path = self.folder / f"{stage}.json"
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            file = values.pop("tensors")
            return (load_file(self.folder / file) if file else {}), values
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise self._damaged(path, error) from None

    def save(self, stage: str, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Put a checkpoint in the place of the stage's last one.

        Raises:
            OSError: it cannot be written; safetensors' own error is told as one.
        """
        if not self.writes:
            return
        path = self.folder / f"{stage}.json"
        before = sorted(self.folder.glob(f"{stage}-*.safetensors"))
        number = max((int(file.stem.rpartition("-")[2]) for file in before), default=0) + 1
        file = self.folder / f"{stage}-{number}.safetensors"
        if tensors:
            _save_tensors(tensors, file)
        text = json.dumps({**values, "tensors": file.name if tensors else ""})
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        part.replace(path)
        for old in before:
            old.unlink()

    def forget(self, stage: str) -> None:
        """Remove a stage's checkpoint."""
        if self.writes:
            (self.folder / f"{stage}.json").unlink(missing_ok=True)
            for file in self.folder.glob(f"{stage}-*.safetensors"):
                file.unlink()

    def _damaged(self, path: Path, error: Exception) -> TrainingDataError:
        return TrainingDataError(f"{path}: a damaged checkpoint ({error}); begin again with --fresh")


@contextmanager
def unfinished(out: Path, plan: Mapping[str, Any], *, begun: str = "", fresh: bool = False) -> Iterator[Checkpoints]:
    """Open the folder of an unfinished run, new or left by one that was broken off; removed when all went well.

    Where an error ends the run before there is anything to go on from, it is removed too.

    Args:
        out: the folder that the run is to make.
        plan: what is trained, as plain values; a run goes on only from its own.
        begun: what is noted of the beginning; a run that goes on finds what it noted at first.
        fresh: throw away what another run left.

    Raises:
        TrainingDataError: another process trains here, or an unfinished run of another plan lies here.
    """
    folder = out.parent / f".{out.name}.unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingDataError(
                f"{out}: another process is training it now; wait for it, or choose another folder"
            ) from None
        if fresh:
            _empty(folder)
        begun = _begin(out, folder / _RUN, json.loads(json.dumps(plan)), begun)
        try:
            yield Checkpoints(folder, begun=begun)
        except BaseException:
            if not _stages(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder)


def _begin(out: Path, path: Path, plan: dict[str, Any], begun: str) -> str:
    """Make sure that what lies here, if anything, belongs to this plan, and return what was noted when it began.

    What has no stage yet is no loss, and is thrown away.
    """
    if not (path.exists() and _stages(path.parent)):
        _empty(path.parent)
        path.write_text(json.dumps({"plan": plan, "begun": begun}, indent=2) + "\n", encoding="utf-8")
        return begun
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, begun = dict(content["plan"]), str(content["begun"])
    except (ValueError, KeyError, TypeError):
        found = {}
    other = sorted(key for key in found.keys() | plan.keys() if found.get(key) != plan.get(key))
    if other:
        raise TrainingDataError(
            f"{out}: an unfinished run lies beside it ({path.parent.name}) that differs in {', '.join(other)}; "
            "give the command as it was to go on, or --fresh to begin again"
        )
    return begun


def _stages(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if path.name != _RUN]


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == _LOCK:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    try:
        save_file({name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}, file)
    except SafetensorError as error:
        raise OSError(f"{file}: {error}") from None
    with file.open("rb+") as written:
        os.fsync(written.fileno())
