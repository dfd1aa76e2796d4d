"""The model folder on disk: what is in it, how it is written, and how it is checked before anything is loaded.

    manifest.json        name, version, labels, lengths, training data, and the SHA-256 of the three files below
    config.json          the encoder's configuration
    tokenizer.json       the tokenizer
    weights.safetensors  the whole network, matrices in 8 bits (`models.quantise`)
    MODEL_CARD.md, metrics.json   for people; not read at load

The version is a hash of everything that decides an answer, so an altered file or manifest does not load. A calibration
enters it where there is one; a model without keeps the version that it always had. When the model was learned
(`learned_at`) and how good its calibration is decide none, and are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.calibration import Calibration
from models.errors import ModelFilesError
from models.labels import SENTIMENTS, TOPIC_IDS
from models.prediction import ModelId
from models.text import PREPARATION_VERSION

FORMAT = 1
MANIFEST, CONFIG, TOKENIZER, WEIGHTS = "manifest.json", "config.json", "tokenizer.json", "weights.safetensors"
DECIDING_FILES = (CONFIG, TOKENIZER, WEIGHTS)
"""The files that decide the answers; each one's SHA-256 stands in the manifest."""

DEFAULT_MODEL = Path(__file__).parent / "weights" / "squall-minilm-v1"
"""The model that ships with Squall."""

_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        name: the model's name.
        version: short hash of all that decides an answer.
        max_length: tokens of a text that are read.
        pad_id: token id that fills rows up.
        files: SHA-256 by file name, for `DECIDING_FILES`.
        base: the encoder that training started from: name and SHA-256 of its weights.
        training_data: one entry per file: name, task, rows, SHA-256.
        learned_at: when its training began, UTC: nothing later can have been in its labels, and no replay as of an
            earlier time may use it. None if that is not known.
        calibration: temperatures and the abstain band; None leaves the probabilities as the network gives them.
    """

    name: str
    version: str
    max_length: int
    pad_id: int
    files: dict[str, str]
    base: dict[str, str] = field(default_factory=dict)
    training_data: list[dict[str, Any]] = field(default_factory=list)
    sentiments: tuple[str, ...] = SENTIMENTS
    topics: tuple[str, ...] = TOPIC_IDS
    text_preparation: int = PREPARATION_VERSION
    format: int = FORMAT
    learned_at: datetime | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.learned_at is not None and self.learned_at.utcoffset() != timedelta(0):
            raise ValueError(f"learned_at must be a time in UTC, such as 2026-01-31T12:00:00Z, got {self.learned_at}")

    @property
    def model(self) -> ModelId:
        """Name and version."""
        return ModelId(self.name, self.version)


def write_manifest(
    folder: Path,
    *,
    name: str,
    max_length: int,
    pad_id: int,
    base: Mapping[str, str],
    training_data: Sequence[Mapping[str, Any]],
    learned_at: datetime | None = None,
    calibration: Calibration | None = None,
) -> Manifest:
    """Write the manifest of a folder whose three deciding files are in place, and return it.

    Raises:
        ValueError: `learned_at` is not in UTC.
    """
    files = {file: file_sha256(folder / file) for file in DECIDING_FILES}
    manifest = Manifest(
        name=name,
        version=_version(files, max_length, pad_id, SENTIMENTS, TOPIC_IDS, PREPARATION_VERSION, calibration),
        max_length=max_length,
        pad_id=pad_id,
        files=files,
        base=dict(base),
        training_data=[dict(entry) for entry in training_data],
        learned_at=learned_at,
        calibration=calibration,
    )
    _write(folder, manifest)
    return manifest


def write_calibration(folder: Path, calibration: Calibration) -> Manifest:
    """Give a finished model a calibration, in place of the one that it may have; its version becomes another.

    Raises:
        ModelFilesError: the folder is no complete model folder.
    """
    manifest = replace(read_manifest(folder), calibration=calibration)
    manifest = replace(manifest, version=_version_of(manifest))
    _write(folder, manifest)
    return manifest


def _write(folder: Path, manifest: Manifest) -> None:
    content = asdict(manifest)
    if manifest.learned_at is None:
        del content["learned_at"]
    else:
        content["learned_at"] = iso_utc(manifest.learned_at)
    if manifest.calibration is None:
        del content["calibration"]
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check every deciding file against it.

    Raises:
        ModelFilesError: something is missing, altered, or made for another version of Squall.
    """
    manifest = peek_manifest(folder)
    _check_files(folder, manifest)
    return manifest


def peek_manifest(folder: Path) -> Manifest:
    """Read the manifest and trust what it says of the other files, as is enough to list models.

    Raises:
        ModelFilesError: the manifest is missing or made for another version of Squall.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        changes: dict[str, Any] = {"sentiments": tuple(content["sentiments"]), "topics": tuple(content["topics"])}
        if content.get("learned_at") is not None:
            changes["learned_at"] = datetime.fromisoformat(content["learned_at"])
        if content.get("calibration") is not None:
            changes["calibration"] = Calibration.from_json(content["calibration"])
        manifest = Manifest(**content | changes)
    except FileNotFoundError:
        raise ModelFilesError(f"{folder} is no model folder: {MANIFEST} is missing; check the path") from None
    except OSError as error:
        raise ModelFilesError(f"{path}: cannot be read ({error.strerror}); check path and permissions") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFilesError(f"{path}: not a manifest of this Squall ({error}); train or fetch it again") from None
    _check_meaning(path, manifest)
    return manifest


def _check_meaning(path: Path, manifest: Manifest) -> None:
    wanted = {
        "format": FORMAT,
        "text_preparation": PREPARATION_VERSION,
        "sentiments": SENTIMENTS,
        "topics": TOPIC_IDS,
    }
    for key, value in wanted.items():
        if getattr(manifest, key) != value:
            raise ModelFilesError(
                f"{path}: {key} is {getattr(manifest, key)!r} and this Squall needs {value!r}; train the model again"
            )
    if sorted(manifest.files) != sorted(DECIDING_FILES):
        raise ModelFilesError(f"{path}: files must list {', '.join(DECIDING_FILES)}; fetch the folder again")


def _check_files(folder: Path, manifest: Manifest) -> None:
    for file, expected in manifest.files.items():
        try:
            actual = file_sha256(folder / file)
        except OSError as error:
            raise ModelFilesError(f"{folder / file}: {error.strerror}; fetch the folder again") from None
        if actual != expected:
            raise ModelFilesError(
                f"{folder / file}: altered, its SHA-256 is {actual[:16]}... and the manifest says {expected[:16]}...; "
                "fetch the folder again"
            )
    version = _version_of(manifest)
    if version != manifest.version:
        raise ModelFilesError(
            f"{folder / MANIFEST}: altered, its version is {manifest.version!r} and its contents make {version!r}; "
            "fetch the folder again"
        )


def _version_of(manifest: Manifest) -> str:
    return _version(
        manifest.files,
        manifest.max_length,
        manifest.pad_id,
        manifest.sentiments,
        manifest.topics,
        manifest.text_preparation,
        manifest.calibration,
    )


def _version(
    files: Mapping[str, str],
    max_length: int,
    pad_id: int,
    sentiments: Sequence[str],
    topics: Sequence[str],
    text_preparation: int,
    calibration: Calibration | None,
) -> str:
    deciding: list[Any] = [sorted(files.items()), max_length, pad_id, list(sentiments), list(topics), text_preparation]
    if calibration is not None:  # older manifests know none, and their models keep their versions
        deciding.append(calibration.deciding)
    return hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:_VERSION_DIGITS]


def iso_utc(time: datetime) -> str:
    """Return a time in UTC as ISO 8601 with a Z, to the second where it is whole."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
