"""What deploy/docs/RULES.md shows is what the commands take: every block of it goes through them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import app
from streams.monitor import default_rules
from streams.monitor.model_change import ALLOWED, PRIOR_VOTES, WARM_VOTES
from streams.monitor.rules import PLACEHOLDERS
from streams.monitor.sessions import Sessions
from streams.monitor.state import TOP_STORIES
from tests.streams.monitor.test_sizes import MOST

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "deploy/docs/RULES.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
RULES = [block for block in BLOCKS if "\ntests:" not in block]
TESTS = [block for block in BLOCKS if "\ntests:" in block]


def squall(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", *arguments])


@pytest.mark.parametrize("number", range(len(RULES)))
def test_every_block_of_rules_is_valid_and_said_in_words(tmp_path: Path, number: int) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(RULES[number], encoding="utf-8")
    result = squall("check", str(file))
    assert result.exit_code == 0, result.output
    assert "Fires when" in result.output
    assert ("by the sessions of XNYS" in result.output) is ("season:" in RULES[number])


def test_the_tests_of_the_page_pass_with_its_first_rules(tmp_path: Path) -> None:
    (tests,) = TESTS
    (tmp_path / "desk.yaml").write_text(RULES[0], encoding="utf-8")
    file = tmp_path / "desk_tests.yaml"
    file.write_text(tests, encoding="utf-8")
    result = squall("test", str(file))
    assert result.exit_code == 0, result.output
    assert "2 tests passed, 0 failed" in result.output


def test_the_tests_of_the_page_can_fail(tmp_path: Path) -> None:
    (tests,) = TESTS
    deaf = RULES[0].replace("stories: 4", "stories: 4000")
    assert deaf != RULES[0]
    (tmp_path / "desk.yaml").write_text(deaf, encoding="utf-8")
    file = tmp_path / "desk_tests.yaml"
    file.write_text(tests, encoding="utf-8")
    assert squall("test", str(file)).exit_code == 1


def test_every_type_and_method_has_a_row() -> None:
    for called in ("spike", "return_period", "zscore", "threshold", "novelty", "composite"):
        assert re.search(rf"^\|[^|]*`{called}`", DOCUMENT, re.MULTILINE), called


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"scored {WARM_VOTES:.0f} stories of a company" in DOCUMENT
    assert f"{PRIOR_VOTES:.0f} votes' worth of the\nlargest one that may come ({ALLOWED:g})" in DOCUMENT
    assert MOST == 4096
    assert TOP_STORIES == 8
    for word in re.findall(r"\{(\w+)\}", RULES[0]):
        assert word in PLACEHOLDERS
    surge = default_rules().rules[0]
    assert str(surge.fire.arl) in DOCUMENT


def test_rules_whose_market_has_not_published_this_year_are_not_put_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (seasonal,) = [block for block in RULES if "season:" in block]
    file = tmp_path / "desk.yaml"
    file.write_text(seasonal, encoding="utf-8")
    monkeypatch.setattr(Sessions, "covers", lambda self, at_ms: False)
    today = datetime.now(UTC)
    for command in ("check", "use"):
        result = squall(command, str(file))
        assert result.exit_code == 1
        said = " ".join(result.output.split()) if command == "check" else f"{result.output} {result.exception}"
        assert "season XNYS: its sessions are known to 2049-12-31" in said
        assert f"{today:%Y-}" in said
