"""What a data set must know of those before it, in files of hashes without texts.

sides.txt      the side that each text was given, for ever
holdout.txt    fingerprints of the holdout texts, so that what resembles them is known where they are not at hand
trusted.txt    the labels that champions rest on
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from retrain.datasets.assign import Side
from retrain.split import SLOTS, Fingerprint
from streams.errors import InputError
from streams.whole_files import write_whole

FILE = "sides.txt"
TRUSTED = "trusted.txt"
FROZEN = "holdout.txt"
_LETTERS: dict[str, Side] = {"t": "train", "h": "holdout"}
_NAMES = {side: letter for letter, side in _LETTERS.items()}


class Ledger:
    """Sides by `assign.text_key`.

    Args:
        folder: where the file lies; made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / FILE

    def read(self) -> dict[str, Side]:
        """Return all sides that were given; none before the first.

        Raises:
            InputError: the file cannot be read, or a line is not one of its own.
        """
        try:
            lines = self.path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: cannot be read ({error})") from error
        sides: dict[str, Side] = {}
        for number, line in enumerate(lines, 1):
            letter, _, key = line.partition(" ")
            if letter not in _LETTERS or not key:
                msg = f"{self.path}:{number}: not a side; restore the file, or the holdout is no longer frozen"
                raise InputError(msg)
            sides[key] = _LETTERS[letter]
        return sides

    def add(self, given: Mapping[str, Side]) -> None:
        """Write down sides that were given. Those that are there stay as they are.

        Raises:
            InputError: the folder cannot be written; nothing has changed then.
        """
        sides = {**given, **self.read()}
        self._replace(self.path, [f"{_NAMES[side]} {key}\n" for key, side in sorted(sides.items())])

    def frozen(self) -> dict[str, Fingerprint]:
        """Return the fingerprints of holdout texts, by `assign.text_key`: those that any data set has held.

        Raises:
            InputError: the file cannot be read, or a line is not one of its own.
        """
        path = self._folder / FROZEN
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
        found: dict[str, Fingerprint] = {}
        for number, line in enumerate(lines, 1):
            key, *slots = line.split()
            try:
                found[key] = tuple(int(slot, 16) for slot in slots)
                if not all(0 <= slot < SLOTS for slot in found[key]):
                    raise ValueError("out of range")
            except ValueError:
                msg = f"{path}:{number}: no fingerprint; restore it, or what is like the holdout may be trained on"
                raise InputError(msg) from None
        return found

    def freeze(self, texts: Mapping[str, Fingerprint]) -> None:
        """Write down the fingerprints of holdout texts. Those that are there stay.

        Raises:
            InputError: the folder cannot be read or written; nothing has changed then.
        """
        before = self.frozen()
        if texts.keys() <= before.keys():
            return
        lines = (
            " ".join([key, *(f"{slot:x}" for slot in slots)]) + "\n"
            for key, slots in sorted({**texts, **before}.items())
        )
        self._replace(self._folder / FROZEN, lines)

    def _replace(self, path: Path, lines: Iterable[str]) -> None:
        try:
            write_whole(path, (line.encode("ascii") for line in lines))
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from error

    def trusted(self) -> frozenset[str]:
        """Return the labels that a champion was made from or judged by, as `trust_key` names them.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            return frozenset((self._folder / TRUSTED).read_text(encoding="ascii").split("\n")) - {""}
        except FileNotFoundError:
            return frozenset()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self._folder / TRUSTED}: cannot be read ({error})") from error

    def trust(self, keys: Iterable[str]) -> None:
        """Write down that labels have led to a champion: from now on they are old ones.

        Raises:
            InputError: the folder cannot be written.
        """
        self._replace(self._folder / TRUSTED, [f"{key}\n" for key in sorted(self.trusted() | set(keys))])

    def distrust(self, gone: Collection[str]) -> None:
        """Strike out trusted labels that nobody holds any more, taken back or changed. Said again, they are new ones.

        Args:
            gone: as `trust_key` names them.

        Raises:
            InputError: the folder cannot be read or written.
        """
        trusted = self.trusted()
        if not trusted.isdisjoint(gone):
            self._replace(self._folder / TRUSTED, [f"{key}\n" for key in sorted(trusted.difference(gone))])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other builders out, from reading the sides to writing them down.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self._folder / ".lock").open("w")
        except OSError as error:
            raise InputError(f"{self._folder}: data sets cannot be kept there ({error.strerror})") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
