"""Who wants to know what goes through the network: how many tokens of text, how many of padding.

What an engine computes follows from how it lays rows out, which nobody else sees. So each tells of its passes here, and
whoever counts listens; without a listener a pass costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

Listener = Callable[[int, int], None]
"""Is given the tokens of text in a pass, and the tokens that were computed, padding included: the more of the two. It
is called in the thread that computes, from several at once, and does not raise."""

_listeners: tuple[Listener, ...] = ()
_changing = threading.Lock()


def listen(listener: Listener) -> Callable[[], None]:
    """Tell a listener of every pass of this process from now on, and return what ends that."""
    global _listeners
    with _changing:
        _listeners = (*_listeners, listener)

    def stop() -> None:
        global _listeners
        with _changing:
            _listeners = tuple(known for known in _listeners if known is not listener)

    return stop


def tell(tokens: int, computed: int) -> None:
    """Tell of a pass.

    Args:
        tokens: of text, special ones included.
        computed: what the network went through for them.
    """
    for listener in _listeners:
        listener(tokens, computed)


def tell_padded(rows: Sequence[Sequence[int]], length: int, *, repeated: int = 1) -> None:
    """Tell of a pass whose rows were all filled up to one length.

    Args:
        rows: token ids.
        length: what each was filled up to.
        repeated: how often the rows were computed.
    """
    if _listeners:
        tell(sum(map(len, rows)), repeated * len(rows) * length)
