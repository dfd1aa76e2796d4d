"""A page as a reader has it: its elements, and its text without scripts and styles."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from streams.replay.report.page import render
from tests.streams.replay.report.report_invented import report


class PageText(HTMLParser):
    """The page's elements, and its text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(*args: Any, **kwargs: Any) -> PageText:
    return PageText(render(report(*args, **kwargs)))
