"""What a challenger may and must do to become champion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of the gate. Differences are challenger less champion, on the frozen holdout.

    Attributes:
        min_gain: macro F1 of sentiment over all rows must rise by this at least.
        max_loss: the lower end of the 95 % interval of that difference may lie this far below zero; and macro F1 of
            topics may fall by this.
        max_loss_before: accuracy on the rows that were held out before the labels of this run came may fall by this:
            a batch of wrong labels brings its own wrong holdout rows along, and is told by the others.
        min_label_agreement: share of the new labels that the champion agrees with; below it they are more likely wrong
            than right.
        max_slice_loss: accuracy of a slice may fall by this.
        min_slice_rows: a slice with fewer rows is shown and not judged.
        max_calibration_error: expected calibration error of sentiment, unless the champion's is as high.
        min_speed: texts per second relative to the champion's.
        max_consistency_loss: share of answers that stay when texts are changed may fall by this, for each change.
        min_swap_consistency: share of sentiments that stay when companies are exchanged.
        max_alerts_lost: alerts of the champion on the stretch of history that the challenger does not raise.
        max_alerts_added: alerts that only the challenger raises.
    """

    min_gain: float = 0.002
    max_loss: float = 0.01
    max_loss_before: float = 0.005
    min_label_agreement: float = 0.4
    max_slice_loss: float = 0.02
    min_slice_rows: int = 100
    max_calibration_error: float = 0.03
    min_speed: float = 0.9
    max_consistency_loss: float = 0.02
    min_swap_consistency: float = 0.9
    max_alerts_lost: int = 1
    max_alerts_added: int = 3
