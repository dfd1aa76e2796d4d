"""Which model is meant: folder, name or version, and what was known when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import ModelFilesError
from models.files import DECIDING_FILES, DEFAULT_MODEL, peek_manifest, write_manifest
from streams.config import Settings
from streams.errors import ConfigError
from streams.models_known import find_model

MARCH = datetime(2020, 3, 1, tzinfo=UTC)
APRIL = datetime(2020, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def make(place: Path, folder: str, *, name: str, learned_at: datetime | None = None, content: str = "") -> Path:
    """A folder whose manifest is in order; its other files are never looked at, and `content` makes the version."""
    path = place / folder
    path.mkdir(parents=True)
    for file in DECIDING_FILES:
        (path / file).write_text(content or folder)
    write_manifest(path, name=name, max_length=16, pad_id=0, base={}, training_data=[], learned_at=learned_at)
    return path


def version(folder: Path) -> str:
    return peek_manifest(folder).version


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make(tmp_path, "march", name="desk", learned_at=MARCH)
    make(tmp_path, "april", name="desk", learned_at=APRIL)
    make(tmp_path, "undated", name="undated-desk")
    return tmp_path


@pytest.fixture
def settings(place: Path) -> Settings:
    return Settings.model_validate({"classifier": {"model": place / "march"}})


def test_without_a_word_it_is_the_configured_model_or_the_shipped_one(place: Path, settings: Settings) -> None:
    assert find_model(None, settings) == place / "march"
    assert find_model(None, Settings()) == DEFAULT_MODEL


def test_a_folder_a_name_or_the_beginning_of_a_version_will_do(place: Path, settings: Settings) -> None:
    april = version(place / "april")
    assert find_model(str(place / "april"), settings) == place / "april"
    assert find_model("undated-desk", settings) == place / "undated"
    assert find_model(april, settings) == find_model(april[:6], settings) == place / "april"
    assert find_model(peek_manifest(DEFAULT_MODEL).name, settings) == DEFAULT_MODEL
    assert find_model(version(DEFAULT_MODEL)[:8], Settings()) == DEFAULT_MODEL


def test_a_copy_of_a_model_is_the_same_model(place: Path, settings: Settings) -> None:
    make(place, "copy", name="undated-desk", content="undated")
    assert version(find_model("undated-desk", settings)) == version(place / "undated")


def test_an_unknown_model_is_told_with_those_there_are(place: Path, settings: Settings) -> None:
    with pytest.raises(ConfigError) as told:
        find_model("undated-desc", settings)
    message = str(told.value)
    assert "did you mean 'undated-desk'?" in message
    for folder in (place / "march", place / "april", place / "undated", DEFAULT_MODEL):
        assert version(folder) in message
    assert "learned 2020-03-01T00:00:00Z" in message
    with pytest.raises(ConfigError, match="at least its first 6 characters"):
        find_model(version(place / "april")[:5], settings)


def test_a_name_that_means_several_models_is_refused(place: Path, settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"'desk' means several models: desk .*, desk .*\. Give the version"):
        find_model("desk", settings)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="no model folder"):
        find_model(str(tmp_path), Settings())


def test_a_damaged_neighbour_is_passed_over(place: Path, settings: Settings) -> None:
    (place / "april" / "manifest.json").write_text("{")
    assert find_model("desk", settings) == place / "march"


def test_as_it_was_known_the_newest_model_of_the_time_is_taken(place: Path, settings: Settings) -> None:
    assert find_model(None, settings, APRIL + DAY) == place / "april"
    assert find_model(None, settings, APRIL) == place / "april"
    assert find_model(None, settings, APRIL - DAY) == place / "march"
    assert find_model("desk", settings, APRIL - DAY) == place / "march", "the other one did not exist"
    with pytest.raises(ConfigError, match=r"no model says that it was learned by 2020-02-29T00:00:00Z\. There"):
        find_model(None, settings, MARCH - DAY)


def test_as_it_was_known_a_later_model_is_refused_and_so_is_one_that_does_not_say(
    place: Path, settings: Settings
) -> None:
    for text in (str(place / "april"), version(place / "april")):
        with pytest.raises(ConfigError, match="was not known at 2020-03-31T00:00:00Z"):
            find_model(text, settings, APRIL - DAY)
    for text in (str(place / "undated"), "undated-desk"):
        with pytest.raises(ConfigError, match=r"does not say when model undated-desk .* was learned \(learned_at\)"):
            find_model(text, settings, APRIL + DAY)
