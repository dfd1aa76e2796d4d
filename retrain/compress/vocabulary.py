"""Leaves out the word pieces that texts like one's own never use.

Word pieces are matched greedily, the longest first. As long as all that a text used is kept, it is cut as before, so
the answers to the texts that were looked at do not change at all. What is new is spelt with shorter pieces: single
characters are always kept, so that nothing becomes unknown that was known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.errors import ModelFilesError, TrainingDataError
from models.files import TOKENIZER
from models.network import ClassifierNetwork
from models.tokens import TextTokenizer

_CONTINUES = "##"


@dataclass(frozen=True, slots=True)
class Kept:
    """Which word pieces stay.

    Attributes:
        ids: of the old vocabulary, ascending; their places are the new ids.
        tokenizer: the new tokenizer.json.
    """

    ids: tuple[int, ...]
    tokenizer: dict[str, Any]


def keep_used(tokenizer_file: Path, texts: Sequence[str], *, max_length: int, pad_id: int) -> Kept:
    """Find the word pieces that texts use.

    Args:
        tokenizer_file: tokenizer.json of the model.
        texts: texts like those to come, and enough of them.
        max_length: tokens of a text that are looked at.
        pad_id: of the padding, which stays in any case.

    Raises:
        TrainingDataError: there are no texts.
        ModelFilesError: the tokenizer is not made of word pieces.
    """
    if not texts:
        raise TrainingDataError("there are no texts that tell which word pieces are used")
    content = json.loads(tokenizer_file.read_text(encoding="utf-8"))
    model = content.get("model", {})
    if model.get("type") != "WordPiece":
        msg = f"{tokenizer_file}: only word pieces (WordPiece) can be left out, this tokenizer is {model.get('type')}"
        raise ModelFilesError(msg)
    vocabulary: dict[str, int] = model["vocab"]
    used = {token for found in TextTokenizer(tokenizer_file, max_length)(texts) for token in found.ids}
    used |= {entry["id"] for entry in content.get("added_tokens", [])}
    used |= set(_ids_in(content.get("post_processor")))
    used |= {number for piece, number in vocabulary.items() if len(piece.removeprefix(_CONTINUES)) == 1}
    used |= {vocabulary[model["unk_token"]], pad_id}
    ids = tuple(sorted(used))
    place = {old: new for new, old in enumerate(ids)}
    model["vocab"] = {piece: place[number] for piece, number in vocabulary.items() if number in place}
    for entry in content.get("added_tokens", []):
        entry["id"] = place[entry["id"]]
    _renumber(content.get("post_processor"), place)
    content["padding"] = content["truncation"] = None  # how rows are padded and cut is the classifier's business
    return Kept(ids, content)


def cut_vocabulary(network: ClassifierNetwork, kept: Kept, pad_id: int) -> int:
    """Give the network the vocabulary that was kept, in place; and return the new id of the padding."""
    encoder: Any = network.encoder
    old = encoder.get_input_embeddings()
    new_pad = kept.ids.index(pad_id)
    new = torch.nn.Embedding(len(kept.ids), old.embedding_dim, padding_idx=new_pad)
    with torch.no_grad():
        new.weight.copy_(old.weight[torch.tensor(kept.ids)])
    encoder.set_input_embeddings(new)
    encoder.config.vocab_size = len(kept.ids)
    encoder.config.pad_token_id = new_pad
    return new_pad


def write_tokenizer(kept: Kept, folder: Path) -> None:
    """Write the new tokenizer into a model folder."""
    (folder / TOKENIZER).write_text(json.dumps(kept.tokenizer, ensure_ascii=False), encoding="utf-8")


def _special(processor: Any) -> list[Any]:
    """The places of a post-processor that name token ids; Hugging Face's three kinds that BERT's family uses."""
    if not isinstance(processor, dict):
        return []
    if processor.get("type") == "Sequence":
        return [place for inner in processor.get("processors", []) for place in _special(inner)]
    if processor.get("type") == "TemplateProcessing":
        return [entry["ids"] for entry in processor.get("special_tokens", {}).values()]
    return [processor[name] for name in ("sep", "cls") if isinstance(processor.get(name), list)]


def _ids_in(processor: Any) -> list[int]:
    return [number for place in _special(processor) for number in place if isinstance(number, int)]


def _renumber(processor: Any, place: dict[int, int]) -> None:
    for ids in _special(processor):
        ids[:] = [place[number] if isinstance(number, int) else number for number in ids]
