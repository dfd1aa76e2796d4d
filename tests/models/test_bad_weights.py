"""Model folders that are damaged, foreign or hostile: each is refused with a remedy, and nothing is executed."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models import Classifier
from models.errors import ModelError, ModelFilesError
from models.files import CONFIG, DEFAULT_MODEL, MANIFEST, TOKENIZER, WEIGHTS, write_manifest
from models.swap import SwappableScorer
from tests.models.tiny_model import write_tiny_model


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


class Trap:
    """What a hostile pickle holds: reading it would leave a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.trace,))


def vouch(folder: Path, max_length: int = 32) -> None:
    """Write a manifest with the hashes of what is there, as whoever made the folder would."""
    write_manifest(folder, name="bad", max_length=max_length, pad_id=0, base={}, training_data=[])


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS)


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | changes))


def refusal(folder: Path) -> str:
    """Return what `load` says, which is to name the folder's file and what to do."""
    with pytest.raises(ModelFilesError) as caught:
        Classifier.load(folder, device="cpu")
    said = str(caught.value)
    assert str(folder) in said
    assert any(word in said for word in ("fetch", "train")), said
    return said


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def test_a_byte_that_fell_over_is_noticed_before_anything_is_read(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    assert f"{folder / WEIGHTS}: altered" in refusal(folder)


def test_a_truncated_download_of_the_shipped_model_is_noticed(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(DEFAULT_MODEL, tmp_path / "model"))
    cut(folder / WEIGHTS, 0.9)
    assert f"{folder / WEIGHTS}: altered" in refusal(folder)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused_even_if_the_manifest_vouches_for_it(folder: Path, share: float) -> None:
    cut(folder / WEIGHTS, share)
    vouch(folder)
    assert f"{folder / WEIGHTS}: no safetensors file, or a damaged one" in refusal(folder)


def test_a_pickle_named_safetensors_is_refused_and_not_executed(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(trace)))
    vouch(folder)
    assert f"{folder / WEIGHTS}: no safetensors file" in refusal(folder)
    torch.save({"encoder": Trap(trace)}, folder / WEIGHTS)
    vouch(folder)
    assert f"{folder / WEIGHTS}: no safetensors file" in refusal(folder)
    assert not trace.exists()


def test_code_that_a_folder_brings_along_is_not_executed(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (folder / "modeling_own.py").write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    edit_config(
        folder,
        model_type="own",
        auto_map={"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"},
    )
    vouch(folder)
    assert f"{folder / CONFIG}: no encoder can be built" in refusal(folder)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 48}, "does not fit"),
        ({"num_hidden_layers": 3}, "does not fit"),
        ({"model_type": "distilbert"}, "does not fit"),
        ({"vocab_size": 100}, "does not fit"),
        ({"hidden_size": "many"}, "no encoder can be built"),
        ({"hidden_size": -32}, "no encoder can be built"),
        ({"hidden_size": 2**40}, "no encoder can be built"),
        ({"num_attention_heads": 5}, "no encoder can be built"),
        ({"model_type": "no-such-thing"}, "no encoder can be built"),
        ({"model_type": None}, "no encoder can be built"),
        ({"vocab_size": None}, "not the configuration of an encoder"),
    ],
    ids=str,
)
def test_weights_of_another_architecture_or_shape_are_refused(
    folder: Path, changes: dict[str, object], words: str
) -> None:
    edit_config(folder, **changes)
    vouch(folder)
    assert words in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff\xfe\x00", b'"bert"'])
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / CONFIG).write_bytes(content)
    vouch(folder)
    assert f"{folder / CONFIG}: not the configuration of an encoder" in refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["sentiment.bias", "topic.weight", "encoder.embeddings.word_embeddings.weight.scale"])
def test_weights_that_are_no_numbers_are_refused(folder: Path, name: str, value: float) -> None:
    edit_weights(folder, lambda weights: weights[name].view(-1)[:1].fill_(value))
    vouch(folder)
    said = refusal(folder)
    assert "not finite" in said
    assert name.removesuffix(".scale") in said


def test_a_head_of_another_number_of_labels_is_refused(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.update({"sentiment.bias": torch.zeros(2)}))
    vouch(folder)
    assert "does not fit" in refusal(folder)


def test_a_missing_scale_names_the_file(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.__delitem__("encoder.embeddings.word_embeddings.weight.scale"))
    vouch(folder)
    assert f"{folder / WEIGHTS}: weights of" in refusal(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sentiments", ["positive", "neutral", "negative"]),
        ("sentiments", ["negative", "positive"]),
        ("topics", ["analyst-update"]),
    ],
)
def test_another_order_of_the_labels_is_refused(folder: Path, key: str, value: list[str]) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | {key: value}))
    assert f"{folder / MANIFEST}: {key} is" in refusal(folder)


def test_topics_in_another_order_are_refused(folder: Path) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    content["topics"].reverse()
    (folder / MANIFEST).write_text(json.dumps(content))
    assert f"{folder / MANIFEST}: topics is" in refusal(folder)


@pytest.mark.parametrize("file", [TOKENIZER, CONFIG, WEIGHTS, MANIFEST])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelError, match=rf"{file}.*(fetch|check)"):
        Classifier.load(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04N.", b'{"model": {"type": "WordPiece"}}'])
def test_a_tokenizer_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / TOKENIZER).write_bytes(content)
    vouch(folder)
    assert f"{folder / TOKENIZER}: not a tokenizer file" in refusal(folder)


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(folder: Path) -> None:
    shutil.copy(DEFAULT_MODEL / TOKENIZER, folder / TOKENIZER)
    vouch(folder)
    said = refusal(folder)
    assert "the network knows 80 tokens, and the tokenizer beside it has 30522" in said


def test_a_manifest_that_promises_longer_texts_than_the_network_reads_is_refused(folder: Path) -> None:
    vouch(folder, max_length=65)
    assert "the network reads 64 tokens, and max_length is 65" in refusal(folder)


def test_a_bad_folder_leaves_the_model_in_use_where_it_is(folder: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    write_tiny_model(good, name="good")
    scorer = SwappableScorer(Classifier.load(good, device="cpu"))
    before = scorer.predict(["shares fall"])
    (folder / WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelFilesError, match="altered"):
        scorer.swap(lambda: Classifier.load(folder, device="cpu"))
    assert scorer.model.name == "good"
    assert scorer.predict(["shares fall"]) == before
