"""The files of a foreign model: found, checked and hashed before anything is loaded.

Only safetensors are read. A checkpoint in pickle format can execute anything when it is opened, and so can code that a
folder brings along: both are refused, here or by transformers (`trust_remote_code=False`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import LabelsError, ModelFilesError
from models.files import CONFIG, TOKENIZER, file_sha256

LABELS_FILE = "squall.yaml"
"""Beside a model's own files: what its labels mean here, for a folder that is used in several places."""

TOKENIZER_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"),
)
"""Of these, whatever is there decides how a text becomes tokens."""

_NEEDED = (CONFIG, "*.safetensors", "*.safetensors.index.json", *TOKENIZER_FILES)
_PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class ForeignFiles:
    """A model folder that is complete, as far as can be told without loading it.

    Attributes:
        name: as the user wrote it.
        folder: where the files are.
        config: what `config.json` says.
        files: SHA-256 by file name, of all that decides an answer.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    files: dict[str, str]


def find_model(name: str | Path, *, allow_download: bool = False, cache: Path | None = None) -> ForeignFiles:
    """Return the files of a folder, or of a model of the Hugging Face Hub.

    Args:
        name: a folder; or `owner/name`, or `owner/name@revision`, if there is no such folder.
        allow_download: the Hub may be asked. Otherwise only what was downloaded before is found.
        cache: where downloads are kept; None is the usual place of huggingface_hub.

    Raises:
        ModelFilesError: there is nothing of that name, or it is incomplete, or cannot be read safely.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or str(name).startswith(("/", ".", "~")):
            raise ModelFilesError(f"{name}: there is no such folder; check the path")
        folder = _from_hub(str(name), allow_download=allow_download, cache=cache)
    config = _read_config(folder)
    _check_weights(folder)
    tokenizer = [file for file in TOKENIZER_FILES if (folder / file).is_file()]
    if not any(file.startswith(("tokenizer.", "vocab", "sentencepiece", "spiece")) for file in tokenizer):
        raise ModelFilesError(
            f"{folder}: no tokenizer is in it (tokenizer.json); fetch it again, or save its tokenizer there with "
            "tokenizer.save_pretrained(folder)"
        )
    weights = sorted(path.name for path in folder.glob("*.safetensors*") if path.is_file())
    try:
        hashes = {file: file_sha256(folder / file) for file in [CONFIG, *tokenizer, *weights]}
    except OSError as error:
        raise ModelFilesError(f"{folder}: cannot be read ({error}); check path and permissions") from None
    return ForeignFiles(str(name), folder, config, hashes)


def version_of(files: Sequence[ForeignFiles], *deciding: object) -> str:
    """Return a short hash of all files, and of whatever else decides the answers (plain JSON values)."""
    content = [[sorted(each.files.items()) for each in files], *deciding]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:_VERSION_DIGITS]


def read_labels_file(folder: Path) -> dict[str, Any]:
    """Return what `squall.yaml` in the folder says: `labels`, and nothing else; empty if there is none.

    Raises:
        LabelsError: the file is no table with that key.
    """
    import yaml

    path = folder / LABELS_FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise LabelsError(f"{path}: cannot be read as YAML ({error}); correct the file") from None
    if not isinstance(content, dict) or set(content) != {"labels"} or not isinstance(content["labels"], dict):
        raise LabelsError(f"{path}: must hold one key, labels, with a table: from our names to the model's labels")
    return content


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        reason = "is an adapter: merge it into its model first" if (folder / "adapter_config.json").exists() else ""
        raise ModelFilesError(
            f"{folder} {reason or f'is no model folder: {CONFIG} is missing; check the path'}"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelFilesError(f"{path}: not a model's configuration ({error}); fetch the folder again") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelFilesError(f"{path}: not a model's configuration (no model_type); fetch the folder again")
    if "auto_map" in config:
        raise ModelFilesError(
            f"{path}: the model brings code of its own (auto_map), which is not executed here; choose one of an "
            "architecture that transformers knows, and remove auto_map if this is one"
        )
    return config


def _check_weights(folder: Path) -> None:
    """Open the header of each weights file; the data is read, and compared with the shapes wanted, at load."""
    from safetensors import SafetensorError, safe_open

    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        if pickles:
            raise ModelFilesError(
                f"{folder / pickles[0]}: weights in a format that can execute code are not read; where you trust it, "
                "convert it once with model.save_pretrained(folder), which writes model.safetensors"
            )
        raise ModelFilesError(f"{folder}: no weights (model.safetensors) are in it; fetch the folder again")
    for path in paths:
        opened: Any = safe_open
        try:
            with opened(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelFilesError(
                f"{path}: no safetensors file, or a damaged one ({error}); fetch the folder again"
            ) from None


def _from_hub(name: str, *, allow_download: bool, cache: Path | None) -> Path:
    from huggingface_hub import snapshot_download

    model, _, revision = name.partition("@")
    try:
        found = snapshot_download(
            model,
            revision=revision or None,
            cache_dir=cache,
            allow_patterns=list(_NEEDED),
            local_files_only=not allow_download,
        )
    except Exception as error:  # the Hub's client raises its own errors, those of httpx, and plain OSErrors
        if allow_download:
            why = f"it could not be fetched from the Hugging Face Hub ({type(error).__name__}: {error})"
            raise ModelFilesError(f"{name}: there is no such folder, and {why}; check name and network") from None
        raise ModelFilesError(
            f"{name}: there is no such folder, and no model of that name was downloaded before; check the path, or "
            "allow the download from the Hugging Face Hub (allow_download)"
        ) from None
    return Path(found)
