"""What the settler has to do: what live devices just sent, and what waits for longer."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from noctis.identity import DeviceId
from noctis.storage.predictions import Stretch

__all__ = ["Agenda", "Hint", "Job"]

HINT_S: Final = 30.0
MAX_HINTS: Final = 100_000
REACH: Final = 256


@dataclass(frozen=True, slots=True)
class Job:
    """Epochs of one stream of a device to be settled, by rising sequence number."""

    device_id: int
    stream: int
    seqs: tuple[int, ...]


@dataclass(slots=True)
class Hint:
    """Epochs ``first`` to ``last`` of a stream went by at ``at``; they are stored, or soon are.

    An epoch that is not stored within HINT_S is left to the looks.
    """

    device: DeviceId
    stream: int
    first: int
    last: int
    at: float

    @property
    def seqs(self) -> tuple[int, ...]:
        """The epochs to settle next, REACH of them at the most."""
        return tuple(range(self.first, min(self.last, self.first + REACH - 1) + 1))


class Agenda:
    """Hints by stream, and jobs cut into portions that take turns."""

    def __init__(self) -> None:
        self._hints: dict[tuple[DeviceId, int], Hint] = {}
        self._jobs: deque[Job] = deque()

    @property
    def waiting(self) -> int:
        """The number of epochs that were found by looks and wait."""
        return sum(len(job.seqs) for job in self._jobs)

    def note(self, device: DeviceId, stream: int, seq: int) -> None:
        """Note that an epoch went by on its live way."""
        hint = self._hints.get((device, stream))
        if hint is not None:
            hint.first, hint.last = min(hint.first, seq), max(hint.last, seq)
        elif len(self._hints) < MAX_HINTS:
            now = time.monotonic()
            self._hints[device, stream] = Hint(device, stream, seq, seq, now)

    def hints(self, limit: int, *, epochs: int) -> list[Hint]:
        """Return the hints to follow now: so many, or about so many epochs together.

        Those that nothing came of end here.
        """
        now = time.monotonic()
        for key in [key for key, hint in self._hints.items() if now - hint.at > HINT_S]:
            del self._hints[key]
        taken: list[Hint] = []
        for hint in self._hints.values():
            if epochs <= 0 or len(taken) == limit:
                break
            epochs -= len(hint.seqs)
            taken.append(hint)
        return taken

    def follow(self, hint: Hint, last: int | None) -> None:
        """Note up to which epoch a hint's stream is settled; None: nothing is stored of it yet.

        The hint ends with its last epoch; before that the others have their turn.
        """
        key = hint.device, hint.stream
        del self._hints[key]
        if last is not None:
            hint.first, hint.at = max(hint.first, last + 1), time.monotonic()
        if hint.first <= hint.last:
            self._hints[key] = hint

    def add(self, found: Iterable[Stretch]) -> None:
        """Take in what a look found; its streams take turns, a job each."""
        for turn in zip_longest(*(_jobs(stretch) for stretch in found)):
            self._jobs.extend(job for job in turn if job is not None)

    def portion(self, *, epochs: int, jobs: int) -> list[Job]:
        """Take the next jobs: so many, or about so many epochs together."""
        taken: list[Job] = []
        while self._jobs and epochs > 0 and len(taken) < jobs:
            job = self._jobs.popleft()
            epochs -= len(job.seqs)
            taken.append(job)
        return taken

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Return jobs that could not be done to the head of the line."""
        self._jobs.extendleft(reversed(list(jobs)))


def _jobs(stretch: Stretch) -> Iterator[Job]:
    """Cut a stretch so that no job spans many epochs."""
    seqs = stretch.seq.tolist()
    begin = 0
    for end in range(1, len(seqs) + 1):
        if end == len(seqs) or seqs[end] - seqs[begin] >= REACH:
            yield Job(stretch.device_id, stretch.stream, tuple(seqs[begin:end]))
            begin = end
