"""The scoring stage that the settings describe.

The worker and the replay both build theirs here: a message scored again gives the same mentions only if nothing about
the stage differs. No Kafka, no Faust, no torch.
"""

from __future__ import annotations

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
