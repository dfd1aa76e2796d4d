"""The model's dashboard: which model and rules answer, and whether they still fit what comes in."""

from __future__ import annotations

from deploy.grafana.dashboards.board import INSTANCE, Board, Row, instance_variable
from deploy.grafana.dashboards.panels import (
    GREEN,
    RED,
    YELLOW,
    Column,
    Panel,
    Query,
    figure,
    lines,
    or_word,
    or_zero,
    rows,
)

_JOB = 'job=~"$job"'
_RATE = "[$__rate_interval]"
_ALIKE = ((None, GREEN), (2, RED))


def model() -> Board:
    """Return the dashboard."""
    return Board(
        uid="squall-model",
        title="Squall: Model",
        description="For those who answer for the model: what is in use, drift, calibration, agreement, doubt.",
        variables=[instance_variable()],
        rows=[
            Row("In use", _in_use()),
            Row("Drift", _drift()),
            Row("Against the desk's labels", _labels()),
            Row("Challenger and first tier", _comparisons()),
            Row("Answers", _answers()),
        ],
        since="now-24h",
    )


def _in_use() -> list[Panel]:
    return [
        figure(
            "Models in use",
            "1, but for minutes during a change. 2 for longer: SquallModelsDiffer.",
            Query(or_zero(f"count(count by (name, version) (squall_model_info{{{_JOB}}} == 1))")),
            steps=_ALIKE,
        ),
        figure(
            "Rule files in force",
            "1, but for minutes during a change. 2 for longer: SquallRulesDiffer.",
            Query(or_zero(f"count(count by (name, version) (squall_rules_info{{{_JOB}}} == 1))")),
            steps=_ALIKE,
        ),
        figure(
            "Challenger",
            "The model that scores live texts in the shadow, for comparison; none is usual.",
            Query(or_word(f"max by (name) (squall_shadow_info{{{_JOB}}} == 1)", "name", "none"), "{{name}}"),
            shows_name=True,
        ),
        figure(
            "Exchanges that failed",
            "Models and rules of the last day that a worker could not take. Its log says why.",
            Query(
                or_zero(
                    f'sum(increase(squall_model_swaps_total{{{_JOB}, outcome="failed"}}[1d]))'
                    f' + sum(increase(squall_rules_reloads_total{{{_JOB}, outcome="failed"}}[1d]))'
                )
            ),
            steps=((None, GREEN), (1, RED)),
            decimals=0,
        ),
        figure(
            "Unsure answers",
            "Share of texts whose likeliest sentiment is too unsure to be acted on. A jump: texts that the model does "
            "not know.",
            Query(
                or_zero(
                    f"sum(rate(squall_abstained_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_scored_total{{{INSTANCE}}}{_RATE})) >= 0"
                )
            ),
            unit="percentunit",
            steps=((None, GREEN), (0.3, YELLOW)),
        ),
        figure(
            "Cut texts",
            "Share of mentions whose text was read only in part (classifier.max_windows).",
            Query(
                or_zero(
                    f"sum(rate(squall_truncated_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_mentions_total{{{INSTANCE}}}{_RATE})) >= 0"
                )
            ),
            unit="percentunit",
            steps=((None, GREEN), (0.1, YELLOW)),
        ),
        rows(
            "Model of each scorer",
            "All rows name the same model, but for minutes during a change.",
            [Query(f"max by (instance, name, version) (squall_model_info{{{INSTANCE}}} == 1)")],
            [Column("instance", "Worker"), Column("name", "Model"), Column("version", "Version")],
            key="instance",
            width=12,
            height=6,
        ),
        rows(
            "Rules of each monitor",
            "All rows name the same rules, but for minutes during a change.",
            [Query(f"max by (instance, name, version) (squall_rules_info{{{INSTANCE}}} == 1)")],
            [Column("instance", "Worker"), Column("name", "Rules"), Column("version", "Version")],
            key="instance",
            width=12,
            height=6,
        ),
    ]


def _drift() -> list[Panel]:
    return [
        lines(
            "Drift of what comes in and what is answered",
            "Population stability index of each signal against where the model learned. Up to 0.1 is nothing; above "
            "0.25 (SquallDrift) the model sees other texts than it was made for: look at its agreement with the "
            "desk's labels.",
            Query(
                or_word(
                    f"max by (signal) (squall_drift_psi{{{INSTANCE}}})", "signal", "too few texts, or no reference yet"
                ),
                "{{signal}}",
            ),
            width=10,
            limits=((None, "transparent"), (0.1, YELLOW), (0.25, RED)),
        ),
        lines(
            "Distance of the texts",
            "Between the words of the latest texts and those where the model learned, in standard deviations. 0.2 is "
            "small; above 0.5 (SquallTextsDiffer) the feed speaks of other things. 0 and a word: too few texts yet, or "
            "no reference.",
            Query(
                or_word(
                    f"max by (instance) (squall_drift_embedding{{{INSTANCE}}}) >= 0", "instance", "too few texts yet"
                ),
                "{{instance}}",
            ),
            width=8,
            limits=((None, "transparent"), (0.2, YELLOW), (0.5, RED)),
        ),
        lines(
            "Texts that drift is measured on",
            "The window fills up to its size. A short window says little.",
            Query(or_zero(f"sum(squall_drift_texts{{{INSTANCE}}})"), "texts"),
            width=6,
        ),
    ]


def _labels() -> list[Panel]:
    return [
        lines(
            "Calibration error",
            "By how much the probabilities are off on average, on the latest labels. Above 0.1 (SquallCalibrationOff): "
            "calibrate or train anew. 0 and a word: too few labels yet.",
            Query(
                or_word(
                    f"max by (instance) (squall_calibration_error{{{INSTANCE}}}) >= 0", "instance", "too few labels yet"
                ),
                "{{instance}}",
            ),
            width=8,
            limits=((None, "transparent"), (0.1, RED)),
        ),
        lines(
            "Labels that it is measured on",
            "Verdicts of the window that could be joined with the answer that they judge.",
            Query(or_zero(f"sum(squall_calibration_labels{{{INSTANCE}}})"), "labels"),
            width=8,
        ),
        lines(
            "Verdicts by day",
            "Verdicts on what a scorer had answered: it had said so (agreed) or not (differed); apart: they say "
            "nothing of the sentiment. Many that differ: read them, then train.",
            Query(
                or_word(
                    f'sum by (outcome) (increase(squall_labels_total{{{INSTANCE}, outcome=~"agreed|differed"}}[1d]))',
                    "outcome",
                    "none yet",
                ),
                "{{outcome}}",
            ),
            # Every scorer reads all verdicts, so of these the sum would count each several times.
            Query(
                or_zero(f'max(sum by (instance) (increase(squall_labels_total{{{INSTANCE}, outcome="apart"}}[1d])))'),
                "apart",
            ),
            width=8,
            stacked=True,
        ),
    ]


def _comparisons() -> list[Panel]:
    return [
        lines(
            "Challenger: same answer",
            "Share of texts to which challenger and live model give the same sentiment. It says how much would "
            "change, not which is better.",
            Query(
                or_word(
                    f'sum(increase(squall_shadow_texts_total{{{INSTANCE}, outcome="agreed"}}[1h]))'
                    f' / sum(increase(squall_shadow_texts_total{{{INSTANCE}, outcome=~"agreed|differed"}}[1h])) >= 0',
                    "challenger",
                    "none",
                ),
                "agreed",
            ),
            unit="percentunit",
            width=8,
            maximum=1,
        ),
        lines(
            "Challenger: how far apart",
            "Mean Jensen-Shannon divergence of the two, in bits: 0 the same, 1 nothing in common.",
            Query(
                or_word(f"max by (instance) (squall_shadow_divergence{{{INSTANCE}}}) >= 0", "instance", "none"),
                "{{instance}}",
            ),
            width=8,
        ),
        lines(
            "First tier: audits that differ",
            "Share of the first tier's audited answers that are not the network's. It is used because that was to be "
            "at most 1 %. Above 3 % (SquallFirstTierDisagrees): make one on your own messages, or turn it off.",
            Query(
                or_word(
                    f'sum(increase(squall_tier_audits_total{{{INSTANCE}, outcome="differed"}}[1h]))'
                    f" / sum(increase(squall_tier_audits_total{{{INSTANCE}}}[1h])) >= 0",
                    "first_tier",
                    "off",
                ),
                "differed",
            ),
            unit="percentunit",
            width=8,
            limits=((None, "transparent"), (0.01, YELLOW), (0.03, RED)),
        ),
    ]


def _answers() -> list[Panel]:
    weighted = f"squall_sector_negative_share{{{_JOB}}} * squall_sector_votes{{{_JOB}}}"
    return [
        lines(
            "Negative share of everything",
            "Mean P(negative) of all votes of the last hour. It moves with the markets; one step up or down after a "
            "change of model is the model's.",
            Query(or_zero(f"sum({weighted}) / sum(squall_sector_votes{{{_JOB}}}) >= 0"), "negative share"),
            unit="percentunit",
            width=8,
            maximum=1,
        ),
        lines(
            "Unsure and cut",
            "Share of texts with an unsure answer, and of mentions whose text was cut.",
            Query(
                or_zero(
                    f"sum(rate(squall_abstained_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_scored_total{{{INSTANCE}}}{_RATE})) >= 0"
                ),
                "unsure",
            ),
            Query(
                or_zero(
                    f"sum(rate(squall_truncated_total{{{INSTANCE}}}{_RATE}))"
                    f" / sum(rate(squall_mentions_total{{{INSTANCE}}}{_RATE})) >= 0"
                ),
                "cut",
            ),
            unit="percentunit",
            width=8,
        ),
        lines(
            "What answers",
            "Share of each: the network (transformer), the first tier (linear), memory. A first tier whose share "
            "falls meets texts that it is not sure of.",
            Query(
                f"sum by (answer) (rate(squall_scored_total{{{INSTANCE}}}{_RATE}))"
                f" / on () group_left sum(rate(squall_scored_total{{{INSTANCE}}}{_RATE})) >= 0",
                "{{answer}}",
            ),
            unit="percentunit",
            width=8,
            stacked=True,
            maximum=1,
        ),
    ]
