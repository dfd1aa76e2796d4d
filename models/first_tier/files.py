"""Both files of a first tier in a model folder, bound to the network beside them.

    first_tier.safetensors   n-grams, weights, and the counts that prove its thresholds: numbers, no code
    first_tier.json          the network it was made beside, versions, the SHA-256 of the other file, figures

A tier learned the answers of one network, so it is bound to the SHA-256 of that network's weights and tokenizer. The
model's calibration moves no label and is applied to both alike, so it may change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from models.calibration import UNCALIBRATED
from models.errors import ModelFilesError
from models.files import CONFIG, TOKENIZER, WEIGHTS, Manifest, file_sha256, peek_manifest
from models.first_tier.features import FEATURES_VERSION
from models.first_tier.guarantee import Curve
from models.first_tier.linear import HASH_BITS, LinearTier, TierWeights
from models.labels import SENTIMENTS, TOPIC_IDS
from models.text import PREPARATION_VERSION

TIER_WEIGHTS, TIER_MANIFEST = "first_tier.safetensors", "first_tier.json"

_FORMAT = 1
_WEIGHTS = ("ngrams", "weights", "scales", "bias", "confidence")
_CURVE = (
    "thresholds",
    "tuning_answered",
    "tuning_errors",
    "answered",
    "errors",
    "deviation",
    "deviation_squares",
)
_REMEDY = "make it again with `squall models first-tier`, or remove both files to do without"


def has_tier(folder: Path) -> bool:
    """Whether a model folder holds a first tier, sound or not."""
    return (folder / TIER_MANIFEST).exists() or (folder / TIER_WEIGHTS).exists()


def save_tier(tier: LinearTier, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a tier into the folder of the model that it was made beside, over an older one.

    Args:
        tier: what is written.
        folder: a model folder; its manifest is trusted.
        facts: what else the description shall say: texts, figures. Not read at load.

    Raises:
        ModelFilesError: the folder holds no model.
    """
    manifest = peek_manifest(folder)
    arrays = {name: getattr(tier.weights, name) for name in _WEIGHTS}
    arrays |= {f"curve.{name}": getattr(tier.curve, name) for name in _CURVE}
    (folder / TIER_MANIFEST).unlink(missing_ok=True)  # no moment at which an old description meets new weights
    save_file(arrays, folder / TIER_WEIGHTS)
    (folder / TIER_WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone
    content = {
        "format": _FORMAT,
        "version": tier.version,
        "network": _network(manifest),
        "model_version": manifest.version,
        **_meaning(),
        "tuning_texts": tier.curve.tuning_texts,
        "calibration_texts": tier.curve.calibration_texts,
        "sha256": file_sha256(folder / TIER_WEIGHTS),
        "facts": dict(facts),
    }
    (folder / TIER_MANIFEST).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_tier(folder: Path, manifest: Manifest | None = None) -> LinearTier:
    """Read the tier of a model folder, after checking its files.

    Args:
        folder: the model folder.
        manifest: the folder's own, where it has been read already.

    Raises:
        ModelFilesError: there is no tier, it is incomplete or altered, or it was made beside another network or for
            another version of Squall.
    """
    manifest = manifest or peek_manifest(folder)
    path = folder / TIER_MANIFEST
    content = _read(path)
    wanted = {"format": _FORMAT, "network": _network(manifest), **_meaning()}
    for key, value in wanted.items():
        if content.get(key) != value:
            if key == "network":
                raise ModelFilesError(f"{path}: made beside another network than {manifest.name}; {_REMEDY}")
            raise ModelFilesError(f"{path}: {key} is {content.get(key)!r} and this Squall needs {value!r}; {_REMEDY}")
    weights = folder / TIER_WEIGHTS
    try:
        actual = file_sha256(weights)
    except OSError as error:
        raise ModelFilesError(f"{weights}: {error.strerror}; {_REMEDY}") from None
    if actual != content.get("sha256"):
        raise ModelFilesError(f"{weights}: altered, its SHA-256 is not that in {TIER_MANIFEST}; {_REMEDY}")
    try:
        arrays = load_file(weights)
        tier = LinearTier(
            TierWeights(**{name: arrays[name] for name in _WEIGHTS}),
            Curve(
                **{name: arrays[f"curve.{name}"] for name in _CURVE},
                tuning_texts=int(content["tuning_texts"]),
                calibration_texts=int(content["calibration_texts"]),
            ),
            calibration=manifest.calibration or UNCALIBRATED,
        )
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFilesError(f"{weights}: no tier of this Squall ({error}); {_REMEDY}") from None
    if tier.version != content.get("version"):
        raise ModelFilesError(f"{path}: altered, its version is not that of {TIER_WEIGHTS}; {_REMEDY}")
    return tier


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFilesError(f"{path}: missing, so there is no first tier; {_REMEDY}") from None
    except OSError as error:
        raise ModelFilesError(f"{path}: cannot be read ({error.strerror}); check path and permissions") from None
    except ValueError as error:
        raise ModelFilesError(f"{path}: not JSON ({error}); {_REMEDY}") from None
    if not isinstance(content, dict):
        raise ModelFilesError(f"{path}: describes no tier; {_REMEDY}")
    return content


def _network(manifest: Manifest) -> dict[str, str]:
    return {file: manifest.files[file] for file in (CONFIG, TOKENIZER, WEIGHTS)}


def _meaning() -> dict[str, Any]:
    """Return what must be as it was when the tier was made."""
    return {
        "features": FEATURES_VERSION,
        "hash_bits": HASH_BITS,
        "text_preparation": PREPARATION_VERSION,
        "sentiments": list(SENTIMENTS),
        "topics": list(TOPIC_IDS),
    }
