"""The judgements that are known: one file of JSON lines in a folder, changed as a whole or not at all.

Equal contents are equal bytes, in whatever order they came. Two commands never write at once, and a reader never sees
half of a change: the new file is written beside the old one and takes its place when all of it is on the disk.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from retrain.labels.judgement import SCHEMA, Judgement
from retrain.labels.said import Said
from retrain.labels.taken_back import NOTHING, TakenBack
from streams.errors import InputError
from streams.verdicts import OF_ALERTS
from streams.whole_files import write_whole

FILE = "judgements.jsonl"
_LOCK = ".lock"

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Judgement).decode


@dataclass(frozen=True, slots=True)
class Added:
    """What became of judgements that were added.

    Attributes:
        new: of messages, tasks and people that had none.
        changed: a person's later word, which replaced an earlier one.
        known: there already, or older than what is there.
        taken_back: struck out, as those who said them have taken them back.
    """

    new: int
    changed: int
    known: int
    taken_back: int = 0


class LabelStore:
    """Judgements in a folder.

    Args:
        folder: made on the first write, for its owner's eyes only: texts may hold personal data.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    def read(self) -> list[Judgement]:
        """Return all judgements, in the order of (message, task, person); an empty list before the first.

        Raises:
            InputError: the file cannot be read, or a line is no judgement; it says which.
        """
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from error
        return [self._judgement(number, line) for number, line in enumerate(lines, 1)]

    def add(self, judgements: Iterable[Judgement], taken_back: TakenBack = NOTHING) -> Added:
        """Take judgements in; of a person's words on a message and task the latest counts, and what was said outright
        before what follows from a verdict on something else. The same word said again keeps its first time.

        Of two of the same moment, the one with the larger bytes counts, so that the order of arrival does not decide.

        Args:
            judgements: in any order.
            taken_back: what is struck out first, where it is there.

        Raises:
            InputError: the folder or file cannot be read or written; nothing has changed then.
        """
        with self._locked():
            known = {judgement.key: judgement for judgement in self.read()}
            struck_out = [key for key, judgement in known.items() if judgement in taken_back]
            for key in struck_out:
                del known[key]
            new = changed = repeated = 0
            for judgement in judgements:
                before = known.get(judgement.key)
                if before is None:
                    new += 1
                elif _goes_before(judgement, before):
                    changed += 1
                else:
                    repeated += 1
                    continue
                known[judgement.key] = judgement
            if new or changed or struck_out:
                self._write(known[key] for key in sorted(known))
        return Added(new, changed, repeated, len(struck_out))

    def without_known(self, said: Sequence[Said]) -> list[Said]:
        """Return what was said without what is here already: its text need not be looked up again.

        Raises:
            InputError: as `read`.
        """
        known = {(one.record_key, one.learned_at) for one in self.read() if one.kind not in OF_ALERTS}
        return [one for one in said if one.record_key is None or (one.record_key, one.learned_at) not in known]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.folder / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise InputError(f"{self.folder}: labels cannot be kept there ({error.strerror})") from error

    def _write(self, judgements: Iterable[Judgement]) -> None:
        write_whole(self.path, (_encode(judgement) + b"\n" for judgement in judgements))

    def _judgement(self, number: int, line: bytes) -> Judgement:
        try:
            found = _decode(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise InputError(f"{self.path}:{number}: no judgement ({error}); restore the file from a backup") from None
        if found.schema > SCHEMA:
            msg = f"{self.path}:{number}: schema {found.schema}, this Squall reads up to {SCHEMA}: use a newer one"
            raise InputError(msg)
        return found


def _goes_before(one: Judgement, other: Judgement) -> bool:
    if (one.answer, one.kind, one.text) == (other.answer, other.kind, other.text):
        return one.learned_at < other.learned_at
    return (not one.is_implied, one.learned_at, _encode(one)) > (not other.is_implied, other.learned_at, _encode(other))
