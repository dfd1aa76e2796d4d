"""One engine of others, in an environment of its own: `python -I score_foreign.py JSON`; for `squall bench score`.

This file imports nothing of Squall, and each library only for the engine that needs it: the environments hold no more
than the engine itself. The argument is a JSON object: engine, folder, texts (a file), calibration (a folder), threads
and options. The process loads, warms up, and says `ready`; for each line with a number on standard input it scores all
texts so many times and answers with the seconds of each pass, the sentiments found (0, 1, 2) and its peak memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Score = Callable[[list[str]], list[int]]
"""Texts in, positions of their sentiments out."""

SENTIMENTS = 3
WARM_UP_TEXTS = 256
BATCH_SIZES = (32, 64, 128)


def pipeline(folder: str, options: dict[str, Any], sample: list[str]) -> tuple[Score, dict[str, Any]]:
    """`transformers.pipeline("text-classification")` over the encoder with mean pooling and the sentiment head."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
    from transformers import pipeline as make_pipeline
    from transformers.modeling_outputs import SequenceClassifierOutput

    heads = load_file(str(Path(folder) / "heads.safetensors"))
    config = AutoConfig.from_pretrained(folder)
    config.num_labels = SENTIMENTS
    config.id2label = {place: str(place) for place in range(SENTIMENTS)}

    class MeanPooledClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__(config)
            unused = {"add_pooling_layer": False} if config.model_type == "bert" else {}
            self.encoder = AutoModel.from_pretrained(folder, **unused)
            self.head = torch.nn.Linear(heads["sentiment.weight"].shape[1], SENTIMENTS)
            self.head.weight.data, self.head.bias.data = heads["sentiment.weight"], heads["sentiment.bias"]

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            weights = attention_mask.unsqueeze(-1).to(states.dtype)
            pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)
            return SequenceClassifierOutput(logits=self.head(pooled))

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = MeanPooledClassifier()
    pipe = make_pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, device="cpu")
    size = options.get("batch_size")

    def score(texts: list[str]) -> list[int]:
        if size is None:
            return [int(pipe(text, truncation=True)[0]["label"]) for text in texts]
        return [int(row["label"]) for row in pipe(texts, truncation=True, batch_size=size)]

    return score, {"batch_size": size or 1}


def sentence_transformers(folder: str, options: dict[str, Any], sample: list[str]) -> tuple[Score, dict[str, Any]]:
    """`SentenceTransformer.encode`, which sorts by length itself, with the fastest of its usual batch sizes."""
    import torch
    from sentence_transformers import SentenceTransformer  # type: ignore[import-not-found]

    backend, form = options["backend"], options.get("form")
    arguments: dict[str, Any] = {"device": "cpu", "local_files_only": True}
    if form == "int8":
        file = _quantised(SentenceTransformer(folder, backend=backend, **arguments), folder, options)
        arguments["model_kwargs"] = {"file_name": file}
    model: Any = SentenceTransformer(folder, backend=backend, **arguments)
    if form == "bfloat16":
        model = model.to(torch.bfloat16)

    def score_with(size: int) -> Score:
        def score(texts: list[str]) -> list[int]:
            found = model.encode(texts, batch_size=size, convert_to_tensor=True, show_progress_bar=False)
            return [int(row) for row in found[:, :SENTIMENTS].float().argmax(dim=1)]

        return score

    size = _fastest({size: score_with(size) for size in BATCH_SIZES}, sample)
    return score_with(size), {"batch_size": size}


def _quantised(model: Any, folder: str, options: dict[str, Any]) -> str:
    """Let sentence-transformers write its own 8-bit file beside the model, and return its name."""
    from sentence_transformers import backend as tools

    if options["backend"] == "onnx":
        tools.export_dynamic_quantized_onnx_model(model, _instructions(), folder)
        (file,) = Path(folder).glob("onnx/model_q*.onnx")
        return f"onnx/{file.name}"
    tools.export_static_quantized_openvino_model(
        model,
        None,
        folder,
        dataset_name=options["calibration"],
        dataset_config_name="default",
        dataset_split="train",
        column_name="text",
    )
    return "openvino/openvino_model_qint8_quantized.xml"


def _instructions() -> str:
    """Return what sentence-transformers calls this processor."""
    if platform.machine() in ("arm64", "aarch64"):
        return "arm64"
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    return next((name for name in ("avx512_vnni", "avx512") if name in flags), "avx2")


def infinity(folder: str, options: dict[str, Any], sample: list[str]) -> tuple[Score, dict[str, Any]]:
    """Infinity's engine in the same process, without its web server: all texts at once, it batches by itself."""
    import numpy as np
    from infinity_emb import AsyncEmbeddingEngine, EngineArgs  # type: ignore[import-not-found]

    loop = asyncio.new_event_loop()

    def score_with(size: int) -> Score:
        engine = AsyncEmbeddingEngine.from_args(
            EngineArgs(
                model_name_or_path=folder,
                engine="torch",
                device="cpu",
                batch_size=size,
                bettertransformer=False,  # its library is gone from current versions
                model_warmup=False,
                trust_remote_code=False,
            )
        )
        loop.run_until_complete(engine.astart())

        def score(texts: list[str]) -> list[int]:
            # It scales each vector to length 1, which leaves the largest logit the largest.
            found, _ = loop.run_until_complete(engine.embed(sentences=texts))
            return [int(row) for row in np.asarray(found)[:, :SENTIMENTS].argmax(axis=1)]

        return score

    sizes = {size: score_with(size) for size in BATCH_SIZES}
    size = _fastest(sizes, sample)
    return sizes[size], {"batch_size": size}


ENGINES = {"pipeline": pipeline, "sentence-transformers": sentence_transformers, "infinity": infinity}


def _fastest(ways: dict[int, Score], sample: list[str]) -> int:
    """Return the batch size that scores the sample fastest, after a warm-up."""
    took: dict[int, float] = {}
    for size, score in ways.items():
        score(sample)
        began = time.perf_counter()
        score(sample)
        took[size] = time.perf_counter() - began
    return min(took, key=lambda size: took[size])


def peak_mib() -> float:
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the parent's memory from before the program was replaced
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS counts bytes


def serve(
    score: Score, about: dict[str, Any], texts: list[str], answer: Any, more: dict[str, float] | None = None
) -> None:
    """Answer requests until standard input ends; `more` is what else is known after a pass."""
    score(texts[:WARM_UP_TEXTS])
    _say(answer, {"ready": True, **about})
    for line in sys.stdin:
        seconds, labels = [], []
        for _ in range(int(line)):
            began = time.perf_counter()
            labels = score(texts)
            seconds.append(time.perf_counter() - began)
        _say(answer, {"seconds": seconds, "labels": labels, "peak_mib": peak_mib(), **(more or {})})


def own_stdout() -> Any:
    """Return the standard output for answers, and let what libraries print go to standard error."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer


def _say(answer: Any, content: dict[str, Any]) -> None:
    answer.write(json.dumps(content) + "\n")
    answer.flush()


def main() -> None:
    """Load the engine named in the argument and serve."""
    task = json.loads(sys.argv[1])
    answer = own_stdout()
    texts = json.loads(Path(task["texts"]).read_text(encoding="utf-8"))
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(task["threads"])
    options = task["options"] | {"calibration": task["calibration"]}
    score, about = ENGINES[task["engine"]](task["folder"], options, texts[:WARM_UP_TEXTS])
    serve(score, about, texts, answer)


if __name__ == "__main__":
    main()
