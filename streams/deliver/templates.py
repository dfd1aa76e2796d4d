"""Titles and texts for receivers: Jinja templates, shipped ones and a desk's own, that cannot be misused from outside.

A template runs in Jinja's sandbox, an unknown name is an error, and every value is escaped for the markup of its
receiver. All templates are tried with an invented alert when the process starts, so that a mistake is told then, with
file and line, and not at the first alert.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from streams.deliver.attempts import Refused
from streams.deliver.invented import invented_alerts
from streams.deliver.view import view
from streams.deliver.words import clean
from streams.errors import ConfigError

Markings = Literal["slack", "teams", "html", "plain"]
"""What a receiver reads as markup: Slack's mrkdwn, the Markdown of Teams' cards, HTML, or nothing."""

_MOST_PROBLEM_CHARS = 300
SHIPPED = Path(__file__).parent / "templates"
_FORMATS = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "'", "_": "\u2060_\u2060"})
"""Marks that would format, as signs that look like them; an underscore that touches no blank formats nothing."""


def _slack(value: Any) -> str:
    """Escape Slack's three control characters, and what would format."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").translate(_FORMATS)


def _teams(value: Any) -> str:
    """Break what the Markdown of Adaptive Cards would take for a link, a tag or formatting.

    Not by backslashes: some of Teams' own readers show them.
    """
    return str(value).replace("](", "]\u2060(").replace("<", "<\u2060").translate(_FORMATS)


def _html(value: Any) -> Markup:
    return escape(value)


def _plain(value: Any) -> str:
    return str(value)


_ESCAPES: dict[Markings, Callable[[Any], str]] = {"slack": _slack, "teams": _teams, "html": _html, "plain": _plain}


class Template:
    """One template that was read, and tried with an invented alert.

    Args:
        name: of the shipped one, such as `slack_title`.
        markings: how values are escaped.
        path: a template of the desk's own instead.
        where: the key that names it, for messages.

    Raises:
        ConfigError: it cannot be read, or is not valid; the message names file and line.
    """

    def __init__(self, name: str, markings: Markings, *, path: Path | None = None, where: str = "") -> None:
        self._path = path or SHIPPED / f"{name}.j2"
        self._where = where
        # `finalize` sees the value of each expression: also what filters made of it. HTML is left to autoescape, which
        # knows what a filter has escaped already.
        environment = ImmutableSandboxedEnvironment(
            autoescape=markings == "html",
            finalize=None if markings == "html" else _ESCAPES[markings],
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            loader=jinja2.FileSystemLoader(self._path.parent),
        )
        try:
            self._template = environment.get_template(self._path.name)
        except jinja2.TemplateSyntaxError as error:
            raise self._wrong(error.lineno, error.message or "not a template") from None
        except (jinja2.TemplateNotFound, OSError, UnicodeDecodeError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else "no such file, or no text"
            raise self._wrong(None, f"cannot be read: {words}") from None
        for alert in invented_alerts():
            try:
                self._template.render(view(alert, external_url="http://127.0.0.1:6066", test=True))
            except Exception as error:  # whatever a template does wrong is its author's to mend
                raise self._wrong(_line(error, self._path), f"{type(error).__name__}: {error}") from None

    def fill(self, values: dict[str, Any]) -> str:
        """Return the text for one alert, without white space around it.

        Raises:
            Refused: the template cannot deal with this alert, though it could with the invented ones.
        """
        try:
            return self._template.render(values).strip()
        except Exception as error:  # whatever a template does wrong is its author's to mend
            place = f"{self._path}:{line}" if (line := _line(error, self._path)) else str(self._path)
            problem = clean(f"{type(error).__name__}: {error}", most=_MOST_PROBLEM_CHARS)
            raise Refused(f"the template {place} fails: {problem}") from None

    def _wrong(self, line: int | None, words: str) -> ConfigError:
        place = f"{self._path}:{line}" if line is not None else str(self._path)
        return ConfigError(f"{place}: {words}" + (f" ({self._where})" if self._where else ""))


def _line(error: BaseException, path: Path) -> int | None:
    """Return the line of a template at which an error arose: Jinja writes it into the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
