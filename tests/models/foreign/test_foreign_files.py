"""Foreign folders that are incomplete, damaged or hostile, and names of the Hub: refused, and nothing executed."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import ModelError, ModelFilesError
from models.files import DEFAULT_MODEL
from models.foreign.files import find_model, version_of
from models.foreign.scorer import ForeignScorer
from tests.models.foreign.foreign_models import NAMED, write_classifier

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("foreign") / "model")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "model"))


class Trap:
    """What a hostile pickle holds: reading it would leave a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.touch, (self.trace,))


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(ModelFilesError) as caught:
        ForeignScorer.load(folder, device="cpu", **options)
    said = str(caught.value)
    assert str(folder) in said
    return said


def test_weights_in_a_format_that_can_execute_code_are_not_opened(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (folder / WEIGHTS).unlink()
    torch.save({"bert": Trap(trace)}, folder / "pytorch_model.bin")
    said = refusal(folder)
    assert "pytorch_model.bin: weights in a format that can execute code are not read" in said
    assert "save_pretrained" in said
    assert not trace.exists()


def test_a_pickle_named_safetensors_is_refused_and_not_executed(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(trace)))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(trace)))
    assert f"{folder / WEIGHTS}: no safetensors file" in refusal(folder)
    torch.save({"bert": Trap(trace)}, folder / WEIGHTS)
    assert f"{folder / WEIGHTS}: no safetensors file" in refusal(folder)
    assert not trace.exists()


def test_code_that_a_folder_brings_along_is_not_executed(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    code = f"from pathlib import Path\nPath({str(trace)!r}).touch()\n"
    (folder / "modeling_own.py").write_text(code)
    own = {"AutoConfig": "modeling_own.C", "AutoModelForSequenceClassification": "modeling_own.M"}
    edit_config(folder, auto_map=own)
    assert "brings code of its own" in refusal(folder)
    edit_config(folder, model_type="own")
    assert "brings code of its own" in refusal(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["modeling_own.T", None]}}))
    shutil.copy(write_classifier(tmp_path / "plain") / "config.json", folder / "config.json")
    ForeignScorer.load(folder, device="cpu")
    (folder / "tokenizer.json").rename(folder / "vocab.txt")
    refusal(folder)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(folder: Path, share: float) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: int(len(content) * share)])
    assert f"{folder / WEIGHTS}: no safetensors file, or a damaged one" in refusal(folder)


def test_a_language_model_without_a_trained_head_is_refused(folder: Path) -> None:
    def behead(weights: dict[str, torch.Tensor]) -> None:
        del weights["classifier.weight"], weights["classifier.bias"]

    edit_weights(folder, behead)
    said = refusal(folder)
    assert "2 weights are missing, such as classifier.bias" in said
    assert "no trained classifier" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": 48},
        {"num_hidden_layers": 3},
        {"vocab_size": 200},
        {"id2label": {"0": "negative", "1": "neutral", "2": "positive", "3": "mixed"}, "label2id": None},
        {"model_type": "no-such-thing"},
        {"hidden_size": "many"},
    ],
    ids=str,
)
def test_weights_of_another_architecture_or_shape_are_refused(folder: Path, changes: dict[str, object]) -> None:
    edit_config(folder, **changes)
    labels = {"negative": "negative", "neutral": ["neutral", "mixed"], "positive": "positive"}
    refusal(folder, labels=labels if "id2label" in changes else None)


@pytest.mark.parametrize("name", ["classifier.bias", "bert.pooler.dense.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder: Path, name: str, value: float) -> None:
    edit_weights(folder, lambda weights: weights[name].view(-1)[:1].fill_(value))
    assert f"{name} holds values that are not finite" in refusal(folder)


def test_a_missing_tokenizer_is_told(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer is in it" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04N."])
def test_a_tokenizer_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "tokenizer.json").write_bytes(content)
    assert "its tokenizer cannot be loaded" in refusal(folder)


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(folder: Path) -> None:
    shutil.copy(DEFAULT_MODEL / "tokenizer.json", folder)
    assert "the network knows 120 tokens, and the tokenizer beside it has 30522" in refusal(folder)


def test_a_model_without_a_padding_token_is_refused(folder: Path) -> None:
    edit_config(folder, pad_token_id=None)
    assert "pad_token_id is None" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    assert f"{folder / 'config.json'}: not a model's configuration" in refusal(folder)


def test_an_adapter_and_an_empty_folder_are_told_apart(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json is missing; check the path" in refusal(folder)
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/something"}')
    assert "is an adapter: merge it" in refusal(folder)


def test_an_older_tokenizer_file_will_do(folder: Path) -> None:
    expected = ForeignScorer.load(folder, device="cpu").predict(["shares of the bank fall"])
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    assert ForeignScorer.load(folder, device="cpu").predict(["shares of the bank fall"]) == expected


def test_the_version_covers_every_file_that_decides(folder: Path) -> None:
    before = version_of([find_model(folder)])
    (folder / "README.md").write_text("how it was made")
    assert version_of([find_model(folder)]) == before
    seen = {before}
    (folder / "tokenizer_config.json").write_text("{}")
    seen.add(version_of([find_model(folder)]))
    edit_weights(folder, lambda weights: weights["classifier.bias"].add_(1.0))
    seen.add(version_of([find_model(folder)]))
    seen.add(version_of([find_model(folder)], 256))
    assert len(seen) == 4


def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("name", ["./models/none", "/no/such/folder", "~/no-such-folder"])
def test_a_path_is_never_looked_for_on_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_connections(monkeypatch)
    with pytest.raises(ModelFilesError, match="no such folder; check the path"):
        find_model(name, allow_download=True)


def test_the_hub_is_not_asked_unless_that_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_connections(monkeypatch)
    for name in ("kestrel/finbert", "kestrel/finbert@v2", "a b/c", "x" * 200):
        with pytest.raises(ModelFilesError, match="allow the download"):
            find_model(name, cache=tmp_path)


def test_what_was_downloaded_before_is_found_without_a_network(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_connections(monkeypatch)
    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "models--kestrel--finbert"
    shutil.copytree(original, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    scorer = ForeignScorer.load("kestrel/finbert", cache=tmp_path, device="cpu", dtype="float32")
    assert scorer.model.name == "kestrel/finbert"
    assert scorer.model.version == ForeignScorer.load(original, device="cpu").model.version
    pinned = ForeignScorer.load(f"kestrel/finbert@{commit}", cache=tmp_path, device="cpu")
    assert pinned.model == scorer.model
    with pytest.raises(ModelFilesError, match="allow the download"):
        find_model("kestrel/finbert@other", cache=tmp_path)


def test_a_hub_that_cannot_be_reached_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="could not be fetched from the Hugging Face Hub"):
        find_model("kestrel/finbert", allow_download=True, cache=tmp_path)


def test_labels_are_those_of_the_tests(original: Path) -> None:
    assert tuple(find_model(original).config["id2label"].values()) == NAMED
