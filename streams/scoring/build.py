"""The scoring stage that the settings describe.

The worker and the replay both build theirs here: a message scored again gives the same mentions only if nothing about
the stage differs. No Kafka, no Faust, no torch.
"""

from __future__ import annotations

import logging
from pathlib import Path

from models.cache import CachedScorer, PredictionCache
from models.files import DEFAULT_MODEL
from models.languages import LanguageRouter
from models.prediction import Scorer
from models.swap import SwappableScorer
from streams import __version__
from streams.assembly import entity_table
from streams.config import Settings
from streams.ingest.decode import Limits
from streams.ingest.entities import Linker, load_watchlist
from streams.ingest.redact import Redactor
from streams.scoring.stage import ScoringStage, StageOptions
from streams.sections import ALL_LANGUAGES

_log = logging.getLogger(__name__)


def make_linker(settings: Settings) -> Linker:
    """Build the entity linker. Raises InputError for a table or watch list that cannot be used."""
    watchlists = [load_watchlist(path) for path in settings.entities.watchlists]
    return Linker(entity_table(settings), watchlists=watchlists)


def load_scorer(settings: Settings, folder: Path | None = None, *, cache: PredictionCache | None = None) -> Scorer:
    """Load the classifier of these settings, its first tier before it; this imports torch.

    Args:
        settings: the configuration.
        folder: another model folder than the configured one.
        cache: a memory that outlives the scorer; None remembers nothing.

    Raises:
        models.errors.ModelError: the model cannot be loaded.
    """
    from models.first_tier import TieredScorer
    from models.first_tier.files import has_tier

    options = settings.classifier
    place = folder or options.model or DEFAULT_MODEL
    scorer = load_network(settings, place)
    answers_itself = options.first_tier and options.own_topics is None  # topics need the network's vectors
    if answers_itself or options.degrade_after_s is not None:
        if has_tier(place):
            level = options.first_tier_agreement if answers_itself else None
            scorer = TieredScorer.load(
                scorer,
                place,
                level=level,
                audit_share=options.first_tier_audit_share,
                abstain_below=options.abstain_below,
            )
        else:
            _log.warning("%s has no first tier: nothing is answered before the network, and nothing quickly", place)
    return scorer if cache is None else CachedScorer(scorer, cache)


def load_network(settings: Settings, folder: Path) -> Scorer:
    """Load the network of a model folder alone, as these settings compute; this imports torch.

    Raises:
        models.errors.ModelError: the model cannot be loaded.
    """
    from models import Classifier

    options = settings.classifier
    return Classifier.load(
        folder,
        device=options.device,
        backend=options.backend,
        dtype=options.precision,
        max_tokens_per_batch=options.max_tokens_per_batch,
        max_windows=options.max_windows,
        abstain_below=options.abstain_below,
        own_topics=options.own_topics,
    )


def readable_languages(settings: Settings) -> frozenset[str] | None:
    """Return the languages that have a model by these settings; None: all have."""
    options = settings.classifier
    if ALL_LANGUAGES in options.model_languages:
        return None
    return frozenset(options.model_languages) | frozenset(options.languages)


def with_other_languages(settings: Settings, main: Scorer, *, cache: PredictionCache | None = None) -> Scorer:
    """Return a scorer that also has the models of `classifier.languages`, or `main` itself if there are none.

    Args:
        settings: the configuration.
        main: answers in `classifier.model_languages`, and where the language is not known.
        cache: as for `load_scorer`.

    Raises:
        models.errors.ModelError: a model cannot be loaded; the message names its language.
    """
    options = settings.classifier
    if not options.languages:
        return main
    from models.language_models import LanguageModel, load_languages, open_model, parse_languages

    def open_one(wanted: LanguageModel) -> Scorer:
        found = open_model(
            wanted,
            device=options.device,
            max_tokens_per_batch=options.max_tokens_per_batch,
            allow_download=options.allow_download,
        )
        return SwappableScorer(found if cache is None else CachedScorer(found, cache))  # names its model

    others = load_languages(parse_languages(options.languages), open_one)
    own = dict.fromkeys(options.model_languages, main)
    scorers = {code: others.scorer_of(code) for code in others.languages}
    found = {code: scorer for code, scorer in scorers.items() if scorer is not None}
    return LanguageRouter({**found, **own}, undetermined=options.model_languages[0])


def new_cache(settings: Settings) -> PredictionCache | None:
    """Return an empty memory for reposts of the configured size, or None if there is to be none."""
    remembered = settings.classifier.remembered_texts
    return PredictionCache(remembered) if remembered else None


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
            languages=readable_languages(settings),
        ),
    )
