"""What backends make of a model - converted, quantised - kept in the user's cache folder and checked at load.

    <cache>/engines/<model>-<version>/<backend>-<precision>-<digest>/
        artefact.json   what it was made from, and the SHA-256 of each other file
        ...             the backend's own files

Such a folder appears when it is complete, or not at all. A file is checked as it is read; one that is damaged is made
again, and the log says so. Nothing in it is a pickle, and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from models.errors import INSTALL, BackendMissingError, ModelFilesError
from models.files import Manifest

log = logging.getLogger(__name__)

ARTEFACT = "artefact.json"
FORMAT = 1
"""To be raised whenever a backend makes something else from the same model."""
_DIGITS = 12
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What a file that is gone, cut short or altered leads to."""


def default_cache() -> Path:
    """Return the user's cache folder for Squall: `$XDG_CACHE_HOME/squall`, else `~/.cache/squall`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "squall"


def model_folder(name: str, version: str, cache: Path) -> Path:
    """Return where everything is kept that was made of one version of a model."""
    return cache / "engines" / f"{_safe(name)}-{_safe(version)}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides an artefact. Equal recipes make equal artefacts.

    Attributes:
        model, model_version: name and version of the model; the version is a hash of its weights and more.
        backend, precision: as the engine calls them.
        libraries: versions of what converts and computes, by distribution.
        calibration: digest of the texts that ranges of numbers were taken from; empty where none are.
    """

    model: str
    model_version: str
    backend: str
    precision: str
    libraries: Mapping[str, str]
    calibration: str = ""
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """A short hash of the recipe."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    def folder(self, cache: Path) -> Path:
        """Return where the artefact belongs."""
        folder = model_folder(self.model, self.model_version, cache)
        return folder / f"{self.backend}-{self.precision}-{self.digest}"


def recipe_for(
    manifest: Manifest, backend: str, precision: str, distributions: tuple[str, ...], calibration: str = ""
) -> Recipe:
    """Return the recipe of a model for a backend with the versions that are installed now.

    Raises:
        BackendMissingError: one of the distributions is not installed.
    """
    libraries = installed(backend, distributions)
    return Recipe(manifest.name, manifest.version, backend, precision, libraries, calibration)


def installed(backend: str, distributions: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each distribution.

    Raises:
        BackendMissingError: one of them is not installed.
    """
    try:
        return {name: installed_version(name) for name in distributions}
    except PackageNotFoundError as error:
        raise BackendMissingError(f"{error.name} is not installed: {INSTALL[backend]}") from None


def obtain(recipe: Recipe, names: tuple[str, ...], cache: Path, build: Callable[[Path], None]) -> dict[str, bytes]:
    """Return the checked files of an artefact by name; made first where it is missing or damaged.

    Args:
        recipe: what decides it.
        names: the files that it must have.
        cache: the cache folder, as `default_cache` returns it.
        build: writes the files into an empty folder.

    Raises:
        ModelFilesError: the cache folder cannot be written.
    """
    folder = recipe.folder(cache)
    if folder.exists():
        try:
            return _read(folder, recipe, names)
        except _DAMAGE as error:
            log.warning("%s is damaged (%s) and is made again", folder, error)
    else:
        log.info("%s %s of %s is made in %s; once", recipe.backend, recipe.precision, recipe.model, folder)
    try:
        _write(folder, recipe, names, build)
        return _read(folder, recipe, names)
    except OSError as error:
        raise ModelFilesError(
            f"{folder}: cannot be written ({error.strerror or error}); make it writable, or point XDG_CACHE_HOME "
            "to a folder that is"
        ) from error


def _read(folder: Path, recipe: Recipe, names: tuple[str, ...]) -> dict[str, bytes]:
    """Read and check the files; raises one of `_DAMAGE`."""
    note = json.loads((folder / ARTEFACT).read_text(encoding="utf-8"))
    if note["recipe"] != json.loads(json.dumps(asdict(recipe))):
        raise ValueError(f"{ARTEFACT} speaks of something else")
    files = {}
    for name in names:
        # Read once and used as read: a file that changes after the check changes nothing.
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != note["files"][name]:
            raise ValueError(f"the SHA-256 of {name} is another one")
        files[name] = content
    return files


def _write(folder: Path, recipe: Recipe, names: tuple[str, ...], build: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        build(part)
        hashes = {name: hashlib.sha256((part / name).read_bytes()).hexdigest() for name in names}
        for file in part.iterdir():
            if file.name not in names:
                file.unlink()
        note = json.dumps({"recipe": asdict(recipe), "files": hashes}, indent=2)
        (part / ARTEFACT).write_text(note + "\n", encoding="utf-8")
        for name in (*names, ARTEFACT):
            _sync(part / name)
        if folder.exists():
            try:
                _read(folder, recipe, names)
                return  # another process was faster; theirs is equal
            except _DAMAGE:
                shutil.rmtree(folder, ignore_errors=True)
        try:
            part.rename(folder)
        except OSError:
            if not (folder / ARTEFACT).exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())


def _safe(name: str) -> str:
    """Return a model's name as one that a folder can have: what is unusual becomes a dash."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name).lstrip(".") or "model"
