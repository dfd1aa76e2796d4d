"""Who else may look into the folder in which a worker keeps its state."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

_OTHERS = (
    ("its group", stat.S_IRGRP, stat.S_IWGRP, stat.S_IXGRP),
    ("everyone", stat.S_IROTH, stat.S_IWOTH, stat.S_IXOTH),
)


def open_to_others(folder: Path) -> str | None:
    """Say who beside its owner may read, write or enter a folder, and how to mend that.

    The worker makes its folder for its owner alone, and within it nothing is hidden any further. A folder that was
    there before is left as it is, for it may have been opened on purpose.

    Args:
        folder: a folder, or a link to one.

    Returns:
        One line for the log; None if the folder is its owner's alone, or is not there.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError:
        return None  # whoever makes it or writes to it says what is wrong
    allowed = [
        f"{who} may {', '.join(words)}"
        for who, *bits in _OTHERS
        if (words := [word for word, bit in zip(("read", "write", "enter"), bits, strict=True) if mode & bit])
    ]
    if not allowed:
        return None
    return (
        f"{folder} is open to others (mode {mode:04o}: {'; '.join(allowed)}), and it holds texts of messages. "
        f"Close it with: chmod go-rwx {shlex.quote(str(folder))}"
    )
