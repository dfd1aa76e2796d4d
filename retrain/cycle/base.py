"""A finished model as the encoder that the next training starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.files import TOKENIZER, read_manifest
from models.storage import load_network


def write_base(model: Path, folder: Path) -> Path:
    """Write a model's encoder and tokenizer as transformers keeps them, without the heads; return the folder.

    The heads are left behind on purpose: they are learned anew from old and new rows together.

    Raises:
        ModelFilesError: the folder is no model.
    """
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import logging as transformers_logging

    read_manifest(model)
    encoder: Any = load_network(model).encoder
    logging: Any = transformers_logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # of a second's work
    try:
        encoder.save_pretrained(folder, safe_serialization=True)
    finally:
        if shown:
            logging.enable_progress_bar()
    tokenizer: Any = PreTrainedTokenizerFast
    tokenizer(tokenizer_file=str(model / TOKENIZER)).save_pretrained(folder)
    return folder
