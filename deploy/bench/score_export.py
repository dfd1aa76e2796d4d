"""The model under test as a folder that other engines read: Hugging Face's, with what sentence-transformers adds.

    config.json, model.safetensors, tokenizer.json, tokenizer_config.json   the encoder, as `transformers` loads it
    heads.safetensors                                                       both heads: `sentiment.*` and `topic.*`
    modules.json, 1_Pooling, 2_Dense                                        mean pooling, and the heads as a last layer

So each of them ends at the same logits, sentiment first, then topic, and its accuracy is that of the same network.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from models.files import TOKENIZER, read_manifest
from models.storage import load_network

HEADS = "heads.safetensors"


def export_model(source: Path, target: Path) -> None:
    """Write a model folder of ours, its 8-bit matrices spelt out in float32, as other engines read it.

    Raises:
        ModelFilesError: the source is no complete model folder.
    """
    manifest = read_manifest(source)
    network = load_network(source)
    encoder: Any = network.encoder
    target.mkdir(parents=True, exist_ok=True)
    encoder.config.save_pretrained(target)
    weights = {name: value.contiguous() for name, value in encoder.state_dict().items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(source / TOKENIZER, target / TOKENIZER)
    _write(target / "tokenizer_config.json", _tokenizer_config(source, encoder.config.model_type, manifest))
    heads = {
        f"{head}.{part}": getattr(getattr(network, head), part).detach().contiguous()
        for head in ("sentiment", "topic")
        for part in ("weight", "bias")
    }
    save_file(heads, target / HEADS, metadata={"format": "pt"})
    _write_sentence_transformers(target, network.sentiment.in_features, manifest.max_length, heads)


def _tokenizer_config(source: Path, model_type: str, manifest: Any) -> dict[str, Any]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    inputs = (
        ["input_ids", "token_type_ids", "attention_mask"] if model_type == "bert" else ["input_ids", "attention_mask"]
    )
    return {
        # The name that every version of transformers knows.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": manifest.max_length,
        "pad_token": tokenizer.id_to_token(manifest.pad_id),
        "model_input_names": inputs,
    }


def _write_sentence_transformers(
    target: Path, hidden_size: int, max_length: int, heads: dict[str, torch.Tensor]
) -> None:
    kind = "sentence_transformers.models"
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    _write(
        target / "modules.json",
        [
            {"idx": place, "name": str(place), "path": path, "type": f"{kind}.{name}"}
            for place, (path, name) in enumerate(modules)
        ],
    )
    _write(target / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    for path, _ in modules[1:]:
        (target / path).mkdir(exist_ok=True)
    _write(
        target / "1_Pooling" / "config.json",
        {"word_embedding_dimension": hidden_size, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
    )
    weight = torch.cat((heads["sentiment.weight"], heads["topic.weight"]))
    bias = torch.cat((heads["sentiment.bias"], heads["topic.bias"]))
    _write(
        target / "2_Dense" / "config.json",
        {
            "in_features": hidden_size,
            "out_features": len(bias),
            "bias": True,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    save_file({"linear.weight": weight, "linear.bias": bias}, target / "2_Dense" / "model.safetensors")


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
