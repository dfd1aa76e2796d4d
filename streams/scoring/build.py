"""The scoring stage that the settings describe.

The worker and the replay both build theirs here: a message scored again gives the same mentions only if nothing about
the stage differs. No Kafka, no Faust, no torch.
"""

from __future__ import annotations

from pathlib import Path

from models.cache import CachedScorer, PredictionCache
from models.prediction import Scorer
from streams import __version__
from streams.assembly import entity_table
from streams.config import Settings
from streams.ingest.decode import Limits
from streams.ingest.entities import Linker, load_watchlist
from streams.ingest.redact import Redactor
from streams.scoring.stage import ScoringStage, StageOptions


def make_linker(settings: Settings) -> Linker:
    """Build the entity linker. Raises InputError for a table or watch list that cannot be used."""
    watchlists = [load_watchlist(path) for path in settings.entities.watchlists]
    return Linker(entity_table(settings), watchlists=watchlists)


def load_scorer(settings: Settings, folder: Path | None = None, *, cache: PredictionCache | None = None) -> Scorer:
    """Load the classifier of these settings; this imports torch.

    Args:
        settings: the configuration.
        folder: another model folder than the configured one.
        cache: a memory that outlives the scorer; without one it gets a memory of its own, unless that is switched off.

    Raises:
        models.errors.ModelError: the model cannot be loaded.
    """
    from models import Classifier

    options = settings.classifier
    scorer: Scorer = Classifier.load(
        folder or options.model, device=options.device, max_tokens_per_batch=options.max_tokens_per_batch
    )
    if cache is None and options.remembered_texts:
        cache = PredictionCache(options.remembered_texts)
    return scorer if cache is None else CachedScorer(scorer, cache)


def make_stage(settings: Settings, scorer: Scorer, linker: Linker | None = None) -> ScoringStage:
    """Build the scoring stage of these settings. Raises InputError as `make_linker` does."""
    ingest = settings.ingest
    return ScoringStage(
        scorer,
        linker or make_linker(settings),
        Redactor(emails=ingest.redact_emails, phones=ingest.redact_phones, handles=ingest.redact_handles),
        StageOptions(
            limits=Limits(
                max_bytes=ingest.max_bytes,
                oldest=ingest.oldest,
                max_future_s=ingest.max_future_s,
                future_skew_s=ingest.future_skew_s,
            ),
            topic=settings.topics.messages,
            refused_by=f"squall {__version__}",
            min_relevance=settings.entities.min_relevance,
            mention_text_chars=ingest.mention_text_chars,
            pseudonymous_authors=ingest.redact_handles,
            duplicate_horizon_s=ingest.duplicate_horizon_s,
        ),
    )
