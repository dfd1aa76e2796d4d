"""Why a text was scored as it was: what each word adds to the score, with its place in the text.

    explainer = Explainer.load()                        # models.explain.explainer
    explainer.explain("Dunmore Bank plunges")           # one text
    explainer.explain_messages(texts)                   # the messages of an alert

It needs captum (`pip install captum`), which is imported when an explainer is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.explain.explanation import Explanation, Method, WordContribution

if TYPE_CHECKING:
    from models.explain.explainer import Explainer

__all__ = ["Explainer", "Explanation", "Method", "WordContribution"]


def __getattr__(name: str) -> Any:
    if name == "Explainer":  # with it comes torch
        from models.explain.explainer import Explainer

        return Explainer
    raise AttributeError(f"module 'models.explain' has no attribute {name!r}")
