"""The linear tier before a network, as one scorer: what it is sure of it answers, the rest goes on in one call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.first_tier.audit import AUDIT_SHARE, Audit, is_audited
from models.first_tier.files import load_tier
from models.first_tier.guarantee import DEFAULT_LEVEL, Certificate
from models.first_tier.linear import LinearTier, TierAnswers
from models.labels import SENTIMENTS, TOPIC_IDS
from models.prediction import ModelId, Prediction, Scorer, build_predictions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TierFigures:
    """What a tiered scorer has done since it was made.

    Attributes:
        texts: texts that were asked for.
        sure: of those, answered by the linear tier because it was sure enough.
        degraded: answered by it unsure, because its caller wanted no more.
        audited, audit_errors: of what it was sure of, the network answered these, and other than it would have.
        suspended: so often that the level is broken: the network answers all since.
    """

    texts: int
    sure: int
    degraded: int
    audited: int
    audit_errors: int
    suspended: bool

    @property
    def sure_share(self) -> float:
        """Share of the texts that the linear tier was sure of, 0 to 1; 0 before the first."""
        return self.sure / self.texts if self.texts else 0.0


class TieredScorer:
    """Answers what the linear tier is sure of, and asks the network about the rest. Thread-safe.

    A text's answer follows from the text alone, except where the caller asks for the linear tier alone, and except for
    one turn: when the audit (`models.first_tier.audit`) shows that the texts that come are of a kind on which the level
    is not kept, the linear tier is suspended for good, and the log says so.

    Args:
        scorer: the network.
        tier: the linear tier that was made beside it.
        level: agreement with the network that is kept among what the linear tier answers; None: it answers nothing by
            itself, only what it is asked for alone. Where its counts prove no
            threshold for that, it answers nothing (`certificate` is None).
        audit_share: share of what the linear tier is sure of that the network answers instead, for comparison; 0.0 does
            without, and then nobody notices.
        abstain_below: a sentiment whose probability lies under this is abstained; None is the model's own.

    Raises:
        ValueError: `level` does not lie between 0 and 1, or `audit_share` is no share.
    """

    def __init__(
        self,
        scorer: Scorer,
        tier: LinearTier,
        *,
        level: float | None = DEFAULT_LEVEL,
        audit_share: float = AUDIT_SHARE,
        abstain_below: float | None = None,
    ) -> None:
        if not 0.0 <= audit_share <= 1.0:
            raise ValueError(f"audit_share must lie between 0 and 1, got {audit_share}")
        self._scorer = scorer
        self._tier = tier
        self._certificate = None if level is None else tier.certificate(level)
        self._audit_share = audit_share
        self._abstain_below = tier.calibration.abstain_below if abstain_below is None else abstain_below
        self._audit = Audit(DEFAULT_LEVEL if level is None else level)
        self._lock = threading.Lock()
        self._texts = self._sure = self._degraded = 0

    @classmethod
    def load(
        cls,
        scorer: Scorer,
        folder: Path,
        *,
        level: float | None = DEFAULT_LEVEL,
        audit_share: float = AUDIT_SHARE,
        abstain_below: float | None = None,
    ) -> TieredScorer:
        """Put the tier of a model folder before the network that was loaded from it.

        Raises:
            ModelFilesError: the folder holds no sound tier for its network.
            ValueError: as at construction.
        """
        tier = load_tier(folder)
        return cls(scorer, tier, level=level, audit_share=audit_share, abstain_below=abstain_below)

    @property
    def model(self) -> ModelId:
        """The network. What the linear tier answers has the tier's version after a plus sign (`Prediction.model`)."""
        return self._scorer.model

    @property
    def scorer(self) -> Scorer:
        """The network's scorer."""
        return self._scorer

    @property
    def tier(self) -> LinearTier:
        """The linear tier."""
        return self._tier

    @property
    def certificate(self) -> Certificate | None:
        """The threshold in force and what is known of it; None where the tier answers nothing by itself."""
        return self._certificate

    @property
    def figures(self) -> TierFigures:
        """What was answered by which tier so far."""
        with self._lock:
            audit = self._audit
            return TierFigures(
                self._texts, self._sure, self._degraded, audit.compared, audit.errors, suspended=audit.broken
            )

    def predict(self, texts: Sequence[str], alone: Sequence[bool] | None = None) -> list[Prediction]:
        """Return one prediction per text, in order. Any string is accepted.

        Args:
            texts: what is scored.
            alone: for each text, whether the linear tier shall answer it however unsure it is, as under overload. An
                answer that it would not have given otherwise is marked `degraded`. None is False for all.

        Raises:
            ValueError: `alone` has another length than `texts`.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts, got one string; write predict([text])")
        if alone is not None and len(alone) != len(texts):
            raise ValueError(f"{len(texts)} texts and {len(alone)} flags; give one flag for each text")
        if not texts:
            return []
        proven = None if self._audit.broken else self._certificate
        if proven is None and (alone is None or not any(alone)):
            self._count(len(texts), 0, 0)
            return self._scorer.predict(texts)
        answers = self._tier.answer(texts)
        sure = answers.confidence >= (np.inf if proven is None else proven.threshold)
        wanted = np.zeros(len(texts), dtype=np.bool_) if alone is None else np.asarray(alone, dtype=np.bool_)
        audited = [at for at in np.flatnonzero(sure & ~wanted).tolist() if is_audited(texts[at], self._audit_share)]
        linear = sure | wanted
        linear[audited] = False
        predictions: list[Prediction | None] = [None] * len(texts)
        for at, prediction in zip(np.flatnonzero(linear).tolist(), self._linear(answers, linear, sure), strict=True):
            predictions[at] = prediction
        rest = np.flatnonzero(~linear).tolist()
        if rest:
            for at, prediction in zip(rest, self._scorer.predict([texts[at] for at in rest]), strict=True):
                predictions[at] = prediction
        found = [prediction for prediction in predictions if prediction is not None]
        self._compare(answers, found, audited)
        self._count(len(texts), int((linear & sure).sum()), int((linear & ~sure).sum()))
        return found

    def predict_quickly(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order, all by the linear tier; unsure ones are marked `degraded`."""
        return self.predict(texts, alone=[True] * len(texts))

    def _linear(self, answers: TierAnswers, linear: NDArray[np.bool_], sure: NDArray[np.bool_]) -> list[Prediction]:
        """Make the predictions of the texts that the linear tier answers."""
        network = self._scorer.model
        model = ModelId(network.name, f"{network.version}+{self._tier.version}")
        built = build_predictions(
            answers.sentiment[linear],
            answers.topic[linear],
            answers.words[linear].tolist(),
            answers.cut[linear].tolist(),
            abstain_below=self._abstain_below,
        )
        return [
            replace(prediction, tier="linear", degraded=not certain, model=model)
            for prediction, certain in zip(built, sure[linear].tolist(), strict=True)
        ]

    def _compare(self, answers: TierAnswers, found: Sequence[Prediction], audited: Sequence[int]) -> None:
        """Hold the network's answers against those that the linear tier would have given."""
        labels, topics = answers.sentiment.argmax(axis=1), answers.topic.argmax(axis=1)
        for at in audited:
            agrees = (found[at].label, found[at].topic) == (SENTIMENTS[labels[at]], TOPIC_IDS[topics[at]])
            with self._lock:
                before, self._audit = self._audit, self._audit.add(agrees)
                broken = self._audit.broken and not before.broken
            if broken:
                _log.warning(
                    "the linear tier of %s is suspended: %d of %d texts that it was sure of have other labels from the "
                    "network, and its level is %g; the texts are not like those that it was proved on: make it again "
                    "with `squall models first-tier` and texts of this feed",
                    self.model.name,
                    self._audit.errors,
                    self._audit.compared,
                    self._audit.level,
                )

    def _count(self, texts: int, sure: int, degraded: int) -> None:
        with self._lock:
            self._texts += texts
            self._sure += sure
            self._degraded += degraded
