"""The encoder that training starts from: a local folder or an id on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging
from transformers.utils.hub import cached_file

from models.errors import ModelFilesError, TrainingDataError
from models.files import MANIFEST, TOKENIZER, file_sha256, iso_utc, peek_manifest
from models.network import ClassifierNetwork
from models.storage import ATTENTION, without_pooler
from models.tokens import vocabulary_size

_BASE_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Base:
    """An encoder to start from."""

    encoder: torch.nn.Module
    hidden_size: int
    max_positions: int
    pad_id: int
    sha256: str


def check_base_known(base: str, until: datetime) -> None:
    """Make sure that an encoder to start from has learned nothing that became known after a time.

    A folder says when it was learned where it has the manifest of a model; of others that is not known.

    Args:
        base: folder or Hub id.
        until: the time, UTC.

    Raises:
        TrainingDataError: it is a model that was learned later.
        ModelFilesError: it has a manifest that cannot be read.
    """
    folder = Path(base)
    if not (folder / MANIFEST).is_file():
        return
    learned_at = peek_manifest(folder).learned_at
    if learned_at is not None and learned_at > until:
        msg = (
            f"base {base!r}: it was learned at {iso_utc(learned_at)}, after {iso_utc(until)}, and may know what became "
            "known in between: start from an encoder of before"
        )
        raise TrainingDataError(msg)


def load_base(base: str, tokenizer_folder: Path) -> Base:
    """Load the encoder and write its tokenizer, without padding and truncation, into `tokenizer_folder`.

    Raises:
        ModelFilesError: the base cannot be found, has no safetensors weights or no fast tokenizer, or the tokenizer
            belongs to another encoder.
    """
    try:
        with quiet_transformers():
            weights = cached_file(base, _BASE_WEIGHTS)
            encoder = AutoModel.from_pretrained(
                base, use_safetensors=True, trust_remote_code=False, attn_implementation=ATTENTION
            )
            tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
        backend = tokenizer.backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise ModelFilesError(
            f"base {base!r} cannot be used ({error}); give a folder with config.json, {_BASE_WEIGHTS} and "
            f"{TOKENIZER}, or the id of such a model on the Hub"
        ) from None
    config = encoder.config
    _check_vocabulary(base, vocabulary_size(backend), tokenizer.pad_token_id or 0, encoder)
    backend.no_padding()
    backend.no_truncation()
    backend.save(str(tokenizer_folder / TOKENIZER))
    return Base(
        encoder=without_pooler(encoder),
        hidden_size=config.hidden_size,
        max_positions=int(getattr(config, "max_position_embeddings", 512)),
        pad_id=tokenizer.pad_token_id or 0,
        sha256=file_sha256(Path(str(weights))),
    )


def _check_vocabulary(base: str, tokens: int, pad_id: int, encoder: torch.nn.Module) -> None:
    """Refuse a tokenizer whose tokens the encoder does not all know: a rare one would end the training at some step."""
    embeddings = encoder.get_input_embeddings()  # type: ignore[operator]
    known = int(embeddings.weight.shape[0])
    if max(tokens, pad_id + 1) > known:
        raise ModelFilesError(
            f"base {base!r}: its tokenizer has {max(tokens, pad_id + 1)} tokens and its encoder knows {known}: they "
            "belong to different models; fetch the folder again"
        )


def build_network(base: Base, head_dropout: float) -> ClassifierNetwork:
    """Return the network over the base's encoder, with heads of random weights from torch's generator."""
    return ClassifierNetwork(base.encoder, base.hidden_size, head_dropout)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the loading report, which warns of the unused pooling layer; errors still raise."""
    level = logging.get_verbosity()
    bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
