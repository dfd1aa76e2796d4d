"""Explanations of texts by a model folder: made by `Explainer.load`.

A network of its own in float32 is asked, whatever backend scores: gradients need one. The scores of the two differ in
the third decimal of a probability, which changes no explanation that is worth reading.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from models.calibration import UNCALIBRATED
from models.device import choose_device
from models.explain.attribution import Attribution, Target, Windows, allowed, captum_attr, integrate, occlude
from models.explain.explanation import Explanation, Method, Word, WordContribution, group_words
from models.files import CONFIG, DEFAULT_MODEL, TOKENIZER, Manifest, read_manifest
from models.labels import SENTIMENTS, TOPIC_IDS
from models.network import ClassifierNetwork
from models.prediction import ModelId
from models.spans import align
from models.storage import load_network
from models.tokens import TextTokenizer, WindowedText, check_fit, pad
from models.windows import DEFAULT_MAX_WINDOWS, window_weights

HEADS: dict[str, tuple[str, ...]] = {"sentiment": SENTIMENTS, "topic": TOPIC_IDS}
"""Labels by head, in the order of the network's outputs."""

TOLERANCE = 0.01
"""Contributions add up to within 1 % of the difference of the scores, or 0.01 where that is below 1 (in log-odds)."""

MOST_STEPS = 1024

_UNKNOWN = ("[UNK]", "<unk>", "[MASK]", "<mask>")


class Explainer:
    """Says what each word of a text adds to the score of a class. Safe to call from several threads, one at a time.

    The same text gives the same explanation, bit for bit on one machine with one number of threads on the CPU.
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        tokenizer: TextTokenizer,
        manifest: Manifest,
        *,
        max_windows: int = DEFAULT_MAX_WINDOWS,
        tolerance: float = TOLERANCE,
        most_steps: int = MOST_STEPS,
    ) -> None:
        if max_windows < 1 or most_steps < 1:
            raise ValueError(f"max_windows and most_steps must be at least 1, got {max_windows} and {most_steps}")
        if not tolerance > 0.0:
            raise ValueError(f"tolerance must be above 0, got {tolerance}")
        self._network = network.float().eval().requires_grad_(False)
        self._device = next(network.parameters()).device
        self._tokenizer = tokenizer
        self._manifest = manifest
        self._max_windows = max_windows
        self._tolerance = tolerance
        self._most_steps = most_steps
        unknown = tokenizer.token_id(_UNKNOWN)
        self._unknown = manifest.pad_id if unknown is None else unknown
        self._lock = threading.Lock()  # captum hangs its hooks on the network itself

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        *,
        device: str = "auto",
        max_windows: int = DEFAULT_MAX_WINDOWS,
        tolerance: float = TOLERANCE,
        most_steps: int = MOST_STEPS,
    ) -> Explainer:
        """Load a model folder for explanations, without any network access; about 100 MB for the shipped model.

        Args:
            path: the model folder; None is the model that ships with Squall.
            device: "auto", "cpu", "cuda" or "cuda:N".
            max_windows: as the classifier reads long texts.
            tolerance: how exactly contributions add up, as a share of the difference of the scores.
            most_steps: points of the path of integrated gradients, at most.

        Raises:
            BackendMissingError: captum is not installed.
            ModelFilesError: the folder is incomplete, altered, or made for another version of Squall.
            DeviceError: the device is unknown or not there.
            ValueError: a limit is too small.
        """
        captum_attr()  # before seconds are spent on the model
        folder = Path(path) if path is not None else DEFAULT_MODEL
        manifest = read_manifest(folder)
        tokenizer = TextTokenizer(folder / TOKENIZER, manifest.max_length)
        check_fit(tokenizer, folder / CONFIG)
        return cls(
            load_network(folder).to(choose_device(device)),
            tokenizer,
            manifest,
            max_windows=max_windows,
            tolerance=tolerance,
            most_steps=most_steps,
        )

    @property
    def model(self) -> ModelId:
        """Name and version of the loaded model."""
        return self._manifest.model

    def explain_messages(
        self,
        texts: Sequence[str],
        *,
        head: str = "sentiment",
        label: str | None = "negative",
        method: Method = "integrated-gradients",
    ) -> list[Explanation]:
        """Explain the messages of an alert, in order; equal texts are computed once. Arguments as of `explain`."""
        if isinstance(texts, str):
            raise TypeError("explain_messages takes a list of texts, got one string; call explain(text)")
        distinct = {text: self.explain(text, head=head, label=label, method=method) for text in dict.fromkeys(texts)}
        return [distinct[text] for text in texts]

    def explain(
        self,
        text: str,
        *,
        head: str = "sentiment",
        label: str | None = "negative",
        method: Method = "integrated-gradients",
    ) -> Explanation:
        """Say what each word of a text adds to the log-odds of a class. Any string is accepted, the empty one included.

        Args:
            text: as the classifier would be given it.
            head: "sentiment" or "topic".
            label: one of the head's labels; None is the one that the network finds most probable.
            method: "integrated-gradients", which adds up, or "occlusion", which asks for every word by itself.

        Raises:
            ExplanationError: the contributions do not add up within the tolerance.
            ValueError: head, label or method is unknown.
        """
        if head not in HEADS or (label is not None and label not in HEADS[head]):
            known = ", ".join(HEADS.get(head, tuple(HEADS)))
            raise ValueError(f"unknown {'head' if head not in HEADS else 'label'}: choose one of {known}")
        if method not in ("integrated-gradients", "occlusion"):
            raise ValueError(f"unknown method {method!r}: choose integrated-gradients or occlusion")
        (read,) = self._tokenizer.windows([text], self._max_windows)
        aligned = align(text)
        words = group_words(aligned, self._tokenizer.places(aligned.text, self._max_windows))
        with self._lock:
            windows = self._as_tensors(read)
            target = self._target(windows, head, label)
            if method == "occlusion":
                masks = [self._mask(read, windows, word.tokens) for word in words]
                found = occlude(self._network, windows, target, masks)
            else:
                found = integrate(
                    self._network, windows, target, tolerance=self._tolerance, most_steps=self._most_steps
                )
        return self._explanation(text, read, words, found, (head, HEADS[head][target.label], method))

    def _as_tensors(self, read: WindowedText) -> Windows:
        length = max(len(row) for row in read.windows)
        ids, mask = pad(read.windows, length, self._manifest.pad_id)
        unknown = ids.clone()
        for row, span in enumerate(read.spans):
            unknown[row, self._tokenizer.before : self._tokenizer.before + span.end - span.start] = self._unknown
        weights = torch.from_numpy(window_weights(read.spans).astype(np.float32))
        return Windows(*(part.to(self._device) for part in (ids, mask, unknown, weights)))

    def _mask(self, read: WindowedText, windows: Windows, tokens: Sequence[int]) -> torch.Tensor:
        """Return where tokens stand in the windows, [windows, tokens] of booleans; in an overlap they stand twice."""
        mask = torch.zeros(windows.ids.shape, dtype=torch.bool)
        for row, span in enumerate(read.spans):
            for token in tokens:
                if span.start <= token < span.end:
                    mask[row, self._tokenizer.before + token - span.start] = True
        return mask.to(self._device)

    @torch.no_grad()
    def _target(self, windows: Windows, head: str, label: str | None) -> Target:
        place = list(HEADS).index(head)
        if label is None:
            logits = self._network(windows.ids, windows.mask)[place]
            index = int((logits * windows.weights[:, None]).sum(dim=0).argmax())
        else:
            index = HEADS[head].index(label)
        calibration = self._manifest.calibration or UNCALIBRATED
        temperature = calibration.sentiment.temperature if head == "sentiment" else calibration.topic.temperature
        return Target(place, index, temperature)

    def _explanation(
        self, text: str, read: WindowedText, words: Sequence[Word], found: Attribution, asked: tuple[str, str, Method]
    ) -> Explanation:
        by_token = np.zeros(read.spans[-1].end)
        rest = float(found.tokens.sum())
        for row, span in enumerate(read.spans):
            values = found.tokens[row, self._tokenizer.before :][: span.end - span.start]
            by_token[span.start : span.end] += values.numpy()
        contributions = []
        for word in words:
            amount = float(by_token[list(word.tokens)].sum())
            contributions.append(WordContribution(word.start, word.end, text[word.start : word.end], amount))
            rest -= amount
        head, label, method = asked
        difference = found.score - found.baseline
        explained = sum(word.contribution for word in contributions)
        rest = 0.0 if abs(rest) < 1e-9 else rest  # what is left of adding and taking away
        return Explanation(
            text=text,
            head=head,
            label=label,
            method=method,
            words=tuple(contributions),
            score=found.score,
            baseline=found.baseline,
            rest=rest,
            delta=difference - explained - rest,
            tolerance=allowed(difference, self._tolerance) if method == "integrated-gradients" else None,
            steps=found.steps,
            tokens=read.tokens,
            windows=len(read.windows),
            truncated=read.truncated,
            model=self.model,
        )
