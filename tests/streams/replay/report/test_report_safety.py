"""A report is opened by whoever gets it: nothing breaks out of it, and it fetches nothing."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.replay.report.alert_view import element_id, safe_url
from streams.replay.report.charts import script_json
from streams.replay.report.page import render
from tests.streams.replay.report.report_invented import (
    DAY,
    HOSTILE,
    RULES,
    START,
    evidence,
    hours,
    life,
    message,
    of_company,
    report,
)
from tests.streams.replay.report.report_text import PageText, page_of


def test_hostile_texts_stay_text() -> None:
    told = evidence(
        START + DAY,
        in_words=HOSTILE,
        topics={HOSTILE: 1.0},
        messages=(message(1, text=HOSTILE, title=HOSTILE + "!", author=HOSTILE, source=HOSTILE, topic=HOSTILE),),
    )
    alerts = life("a1", START + DAY, evidence=told, replay=HOSTILE, versions={"model": HOSTILE}, rule_version=HOSTILE)
    alerts += life(HOSTILE, START + 2 * DAY, **of_company(HOSTILE, HOSTILE))
    data = report(alerts, rules_text=RULES + HOSTILE, names={"QLMK": HOSTILE}, versions={HOSTILE: HOSTILE})
    facts = msgspec.structs.replace(
        data.facts, source=HOSTILE, parts=(HOSTILE,), command=HOSTILE, options={HOSTILE: HOSTILE}, models=(HOSTILE,)
    )
    timeline = [*hours("QLMK", 48), *hours(HOSTILE, 48)]
    html = render(msgspec.structs.replace(data, facts=facts, timeline=timeline))
    page = PageText(html)
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    scripts = page.all("script")
    assert [script.get("type") for script in scripts].count(None) == 2  # plotly's and ours
    assert html.count("<script") == len(scripts) == html.count("</script>")
    assert page.text.count(HOSTILE) > 15
    blocks = re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', html, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert json.loads(block)
        assert not set("<>&") & set(block)


@given(st.text())
def test_json_in_a_script_can_neither_end_it_nor_change_what_it_says(text: str) -> None:
    written = script_json({"text": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"text": text}


@given(st.lists(st.text(min_size=1), unique=True, max_size=4))
def test_every_name_has_a_fragment_of_its_own(names: list[str]) -> None:
    ids = [element_id("company", name) for name in names]
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"company-[\w.-]+", found, re.ASCII) for found in ids)


def test_common_symbols_make_fragments_that_one_can_write() -> None:
    assert element_id("company", "BRK.B") == "company-BRK.B"
    assert element_id("company", "0700.HK") == "company-0700.HK"
    assert element_id("company", "A&B_C") == "company-A_26_B_5f_C"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " https://quill.example",
        "data:text/html,<script>1</script>",
        "file:///etc/hosts",
        "//quill.example/a",
        "https://",
        "https://user:word@quill.example/",
        "https:\\\\quill.example",
        "http://[broken",
        "https://quill.example/" + "a" * 3_000,
        "",
        None,
    ],
)
def test_a_link_that_is_not_plainly_http_is_no_link(url: str | None) -> None:
    assert safe_url(url) == (None, "")
    told = evidence(START + DAY, messages=(message(url=url),))
    links = page_of(life("a1", START + DAY, evidence=told)).all("a")
    assert all((link["href"] or "").startswith("#") for link in links)


def test_a_link_tells_nobody_where_it_was_followed_from() -> None:
    page = page_of(life("a1", START + DAY))
    (link,) = [link for link in page.all("a") if not (link["href"] or "").startswith("#")]
    assert link["href"] == "https://quill.example/ferries?a=1&b=2"
    assert {"noopener", "noreferrer"} <= set((link["rel"] or "").split())
    assert "open at quill.example" in page.text


def test_the_policy_lets_nothing_be_fetched_and_names_the_scripts_by_hash() -> None:
    page = page_of()
    policy = next(meta["content"] or "" for meta in page.all("meta") if meta.get("http-equiv"))
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-\S+' 'sha256-\S+'", rules["script-src"])
    assert rules["img-src"] == "data: blob:"
    assert not {"connect-src", "font-src", "frame-src"} & set(rules)
    assert not [element for element in page.elements if element[1].get("src") or element[0] == "link"]
