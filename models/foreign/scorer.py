"""A foreign model as a scorer: sentiment from one network, topics from another one or from none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.files import CONFIG
from models.foreign.files import LABELS_FILE, ForeignFiles, find_model, read_labels_file, version_of
from models.foreign.labels import LabelMapping, map_sentiments, map_topics, read_label_names
from models.foreign.network import ForeignNetwork
from models.labels import SENTIMENTS, TOPIC_IDS, UNKNOWN_TOPIC
from models.prediction import ModelId, Prediction, build_predictions
from models.text import PREPARATION_VERSION


class ForeignScorer:
    """Scores texts with models of others; made by `load`. It is a `models.prediction.Scorer`.

    Without a topic model a prediction has the topic "unknown", no probabilities of topics, and 0 as that of its topic.
    Texts are prepared as for the shipped model, and zero-width and direction marks are taken out. A text is read up to
    `max_length` tokens; `truncated` says if there was more.
    """

    def __init__(
        self,
        model: ModelId,
        sentiment: tuple[ForeignNetwork, LabelMapping],
        topic: tuple[ForeignNetwork, LabelMapping] | None = None,
    ) -> None:
        self._model = model
        self._network, self._labels = sentiment
        self._topic = topic

    @classmethod
    def load(
        cls,
        path: Path | str,
        *,
        labels: Mapping[str, Any] | None = None,
        topic_path: Path | str | None = None,
        topic_labels: Mapping[str, Any] | None = None,
        name: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        max_length: int | None = None,
        max_tokens_per_batch: int = 2048,
        allow_download: bool = False,
        cache: Path | None = None,
    ) -> ForeignScorer:
        """Load a model in the format of Hugging Face: a folder, or a name on the Hub.

        Args:
            path: the folder, or `owner/name` or `owner/name@revision` on the Hub.
            labels: which of its labels is negative, neutral and positive; see `models.foreign.labels.map_sentiments`.
                None: `labels` in the folder's squall.yaml if there is one, else by the labels' own words.
            topic_path: a second model, for topics. None: topics are unknown.
            topic_labels: which of its labels is which topic; None as for `labels`.
            name: the model's name in records; None is the folder's, or that on the Hub.
            device: "auto", "cpu", "cuda" or "cuda:N".
            dtype: "auto" (bfloat16 where the device computes it fast), "float32" or "bfloat16".
            max_length: tokens of a text that are read; None is 256, or what the model reads if that is less.
            max_tokens_per_batch: tokens that go through the network at once, padding included.
            allow_download: the Hub may be asked for what is no folder.
            cache: where downloads are kept; None is the usual place.

        Raises:
            LabelsError: what the labels mean is not clear.
            ModelFilesError: a folder is not there, incomplete, damaged or unsafe.
            DeviceError: the device or the number format is unknown or not there.
            ValueError: a limit is too small, or above what a model reads.
        """
        limits: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "max_length": max_length,
            "max_tokens_per_batch": max_tokens_per_batch,
        }
        files = find_model(path, allow_download=allow_download, cache=cache)
        mapping = map_sentiments(*_labels_of(files, labels))
        all_files, decided = [files], [mapping.ours]
        topic: tuple[ForeignNetwork, LabelMapping] | None = None
        if topic_path is not None:
            # Both mappings are checked before either network is loaded, which takes seconds.
            topic_files = find_model(topic_path, allow_download=allow_download, cache=cache)
            topic_mapping = map_topics(*_labels_of(topic_files, topic_labels))
            topic = (ForeignNetwork(topic_files, len(topic_mapping.names), **limits), topic_mapping)
            all_files.append(topic_files)
            decided.append(topic_mapping.ours)
        network = ForeignNetwork(files, len(mapping.names), **limits)
        lengths = [network.max_length, *([topic[0].max_length] if topic else [])]
        version = version_of(all_files, decided, SENTIMENTS, TOPIC_IDS, lengths, PREPARATION_VERSION)
        return cls(ModelId(name or _name(path), version), (network, mapping), topic)

    @property
    def model(self) -> ModelId:
        """Name, and a hash of all files, mappings and lengths."""
        return self._model

    @property
    def max_length(self) -> int:
        """Tokens of a text that are read for its sentiment, special tokens included."""
        return self._network.max_length

    @property
    def has_topics(self) -> bool:
        """Whether there is a model for topics."""
        return self._topic is not None

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order. Any string is accepted, the empty one included.

        Safe to call from several threads.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got one string; write predict([text])")
        if not texts:
            return []
        outputs = self._network(texts)
        sentiment = self._labels.fold(outputs.probabilities)
        if self._topic is None:
            nothing = np.zeros((len(texts), len(TOPIC_IDS)))
            return [
                replace(prediction, topics=(), topic=UNKNOWN_TOPIC, topic_probability=0.0)
                for prediction in build_predictions(sentiment, nothing, outputs.tokens, outputs.truncated)
            ]
        network, mapping = self._topic
        topics = network(texts)
        truncated = [one or other for one, other in zip(outputs.truncated, topics.truncated, strict=True)]
        return build_predictions(sentiment, mapping.fold(topics.probabilities), outputs.tokens, truncated)


def _labels_of(files: ForeignFiles, told: Mapping[str, Any] | None) -> tuple[tuple[str, ...], Any, str]:
    """Return what a mapping is made of: the model's labels, what was told of them, and where they stand."""
    where = str(files.folder / CONFIG)
    names = read_label_names(files.config, where)
    if told is None:
        own = read_labels_file(files.folder)
        if own:
            return names, own["labels"], f"{where} and {LABELS_FILE}"
    return names, told, where


def _name(path: Path | str) -> str:
    folder = Path(path).expanduser()
    return folder.resolve().name if folder.is_dir() else str(path).partition("@")[0]
