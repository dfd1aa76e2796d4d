"""The classifier: a model folder loaded once, and texts scored in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.batching import plan_batches
from models.calibration import UNCALIBRATED, calibrate
from models.engines.base import Engine, Outputs, TokenBatch
from models.engines.choice import load_engine
from models.files import CONFIG, DEFAULT_MODEL, TOKENIZER, Manifest, read_manifest
from models.labels import SENTIMENTS, TOPICS
from models.prediction import ModelId, Prediction, build_predictions, softmax
from models.tokens import TextTokenizer, WindowedText, check_fit
from models.windows import DEFAULT_MAX_WINDOWS, merge_windows

if TYPE_CHECKING:
    from models.own_topics import OwnTopic, OwnTopics


class Classifier:
    """Scores texts for sentiment and topic; made by `load`.

    A text's prediction depends on the text alone, whatever else is in the call or its batch, as long as machine,
    backend, number format and number of threads stay the same: bit for bit on the CPU with every backend (another
    number of threads changes bits that the rounding to four decimals nearly always hides), up to rounding on CUDA.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: TextTokenizer,
        manifest: Manifest,
        *,
        max_tokens_per_batch: int,
        max_windows: int = DEFAULT_MAX_WINDOWS,
        abstain_below: float | None = None,
    ) -> None:
        for name, value in (("max_tokens_per_batch", max_tokens_per_batch), ("max_windows", max_windows)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if abstain_below is not None and not 0.0 <= abstain_below <= 1.0:
            raise ValueError(f"abstain_below must lie between 0 and 1, got {abstain_below}")
        self._engine = engine
        self._tokenizer = tokenizer
        self._manifest = manifest
        self._max_tokens = max_tokens_per_batch
        self._max_windows = max_windows
        self._calibration = manifest.calibration or UNCALIBRATED
        self.abstain_below = self._calibration.abstain_below if abstain_below is None else abstain_below
        """A sentiment whose most probable class lies under this is marked as abstained."""
        self._own_topics: OwnTopics | None = None

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        max_tokens_per_batch: int = 2048,
        max_length: int | None = None,
        backend: str = "torch",
        cache: Path | None = None,
        calibration: Path | None = None,
        max_windows: int = DEFAULT_MAX_WINDOWS,
        abstain_below: float | None = None,
        own_topics: Path | str | None = None,
    ) -> Classifier:
        """Load a model folder without any network access, after checking its files.

        Args:
            path: the model folder; None is the model that ships with Squall.
            device: "auto", "cpu", "cuda" or "cuda:N".
            dtype: "auto" (bfloat16 where device and backend compute it fast, else float32), "float32", "bfloat16", or
                "int8" where the backend has it.
            max_tokens_per_batch: tokens that go through the network at once, padding included.
            max_length: tokens that are read at once; None is the model's own limit, more is refused.
            backend: "torch", "onnx" or "openvino"; or "auto", what `squall models tune` found to be the fastest here.
            cache: where backends keep what they make of a model; None is the user's cache folder.
            calibration: texts that 8 bits of OpenVINO are fitted to, one a line; None takes generated ones.
            max_windows: pieces of `max_length` tokens that are read of a long text (`models.windows`); 1 cuts it off.
            abstain_below: sentiments less probable than this are marked as abstained; None is the model's own bound.
            own_topics: a file of topics of one's own (`models.own_topics`), told beside the others of each text.

        Raises:
            ModelFilesError: the folder is incomplete, altered, or made for another version of Squall.
            OwnTopicsError: the file of topics cannot be read or is wrong.
            DeviceError: the device or the number format is unknown or not there.
            BackendMissingError: the backend is unknown or not installed.
            ValueError: a limit is too small, or `max_length` exceeds the model's.
        """
        folder = Path(path) if path is not None else DEFAULT_MODEL
        manifest = read_manifest(folder)
        length = manifest.max_length if max_length is None else max_length
        if length > manifest.max_length:
            raise ValueError(f"max_length may be at most {manifest.max_length} for {manifest.name}, got {length}")
        topics = None
        if own_topics is not None:  # read before the model is loaded, which takes seconds
            from models.own_topics import read_own_topics

            topics = read_own_topics(Path(own_topics))
        tokenizer = TextTokenizer(folder / TOKENIZER, length)
        check_fit(tokenizer, folder / CONFIG)
        engine = load_engine(
            folder, manifest, backend=backend, device=device, dtype=dtype, cache=cache, calibration=calibration
        )
        classifier = cls(
            engine,
            tokenizer,
            manifest,
            max_tokens_per_batch=max_tokens_per_batch,
            max_windows=max_windows,
            abstain_below=abstain_below,
        )
        if topics is not None:
            classifier.add_topics(topics)
        return classifier

    def add_topics(self, topics: Sequence[OwnTopic]) -> None:
        """Tell these topics' probabilities with every prediction from now on, in the place of any added before."""
        from models.own_topics import OwnTopics

        self._own_topics = OwnTopics.fit(topics, lambda texts: self.outputs(texts).pooled)

    @property
    def model(self) -> ModelId:
        """Name and version of the loaded model."""
        return self._manifest.model

    @property
    def manifest(self) -> Manifest:
        """What the model folder's manifest says."""
        return self._manifest

    @property
    def backend(self) -> str:
        """What computes: "torch", "onnx" or "openvino"."""
        return self._engine.name

    @property
    def precision(self) -> str:
        """How numbers are held: "float32", "bfloat16" or "int8"."""
        return self._engine.precision

    @property
    def device(self) -> str:
        """Where it computes: "cpu", "cuda:0", ..."""
        return self._engine.device

    @property
    def hidden_size(self) -> int:
        """Width of the pooled vectors."""
        return self._engine.hidden_size

    @property
    def max_length(self) -> int:
        """Tokens that are read at once, special tokens included."""
        return self._tokenizer.max_length

    @property
    def max_windows(self) -> int:
        """Pieces of `max_length` tokens that are read of a long text."""
        return self._max_windows

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens of each text would be read."""
        return [text.tokens for text in self._windows(texts)]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order. Any string is accepted, the empty one included.

        Safe to call from several threads.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got one string; write predict([text])")
        windowed = self._windows(texts)
        outputs = self._merged(windowed)
        sentiment, topic = self._calibrated(outputs)
        predictions = build_predictions(
            sentiment,
            topic,
            [text.tokens for text in windowed],
            [text.truncated for text in windowed],
            windows=[len(text.windows) for text in windowed],
            abstain_below=self.abstain_below,
        )
        if self._own_topics is None:
            return predictions
        own = self._own_topics.probabilities(outputs.pooled)
        return [replace(prediction, own_topics=row) for prediction, row in zip(predictions, own, strict=True)]

    def outputs(self, texts: Sequence[str]) -> Outputs:
        """Return what the network says of each text, before calibration: logits and pooled vectors."""
        return self._merged(self._windows(texts))

    def close(self) -> None:
        """Let go of the engine's memory and threads; the classifier is not used afterwards."""
        self._engine.close()

    def _calibrated(self, outputs: Outputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return probabilities [rows, sentiments] and [rows, topics]."""
        sentiment, topic = self._calibration.sentiment.temperature, self._calibration.topic.temperature
        return softmax(calibrate(outputs.sentiment, sentiment)), softmax(calibrate(outputs.topic, topic))

    def _windows(self, texts: Sequence[str]) -> list[WindowedText]:
        return self._tokenizer.windows(texts, self._max_windows)

    def _merged(self, texts: Sequence[WindowedText]) -> Outputs:
        """Return what the network says of each text, whose windows are made one answer."""
        outputs = self._outputs([window for text in texts for window in text.windows])
        return merge_windows(outputs, [text.spans for text in texts])

    def _outputs(self, rows: Sequence[tuple[int, ...]]) -> Outputs:
        """Return what the network says of each row of token ids, in order."""
        # Reposts within one call are computed once; that is free, as equal ids give equal answers.
        place = {ids: index for index, ids in enumerate(dict.fromkeys(rows))}
        distinct = list(place)
        plan = plan_batches([len(row) for row in distinct], self._max_tokens)
        batches = [TokenBatch(tuple(distinct[at] for at in batch.indices), batch.padded_length) for batch in plan]
        sentiment = np.empty((len(distinct), len(SENTIMENTS)))
        topic = np.empty((len(distinct), len(TOPICS)))
        pooled = np.empty((len(distinct), self._engine.hidden_size), dtype=np.float32)
        for batch, answer in zip(plan, self._engine.run(batches), strict=True):
            members = list(batch.indices)
            sentiment[members], topic[members], pooled[members] = answer
        wanted = [place[row] for row in rows]
        return Outputs(sentiment[wanted], topic[wanted], pooled[wanted])
