"""Holds what the devices made against what is stored and what independent clients heard."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from noctis.epoch import Frame, decode_frames
from noctis.errors import FrameError
from noctis.slot import encode_slots
from tests.chaos.evidence import Key, Made, Stored
from tests.chaos.reader import Answer

__all__ = [
    "Findings",
    "Heard",
    "check_answers",
    "check_apps",
    "check_predictions",
    "check_stored",
    "check_wire",
]

APART_S: Final = 1.0
SHOWN: Final = 5
MAY_BE: Final = frozenset({200, 429, 503, 504})
"""What the facade may answer while it is hurt."""

EXPIRED: Final = 401
"""May be of a token, by a clock that is wrong; never of a right password."""

Heard = tuple[float, str, bool, bytes]
"""When, on which topic, whether retained, what."""


@dataclass
class Findings:
    """How often each kind of wrong was found, and the first examples of it."""

    counts: "Counter[str]" = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, what: object) -> None:
        self.counts[kind] += 1
        shown = self.examples.setdefault(kind, [])
        if len(shown) < SHOWN:
            shown.append(str(what))

    def extend(self, other: "Findings") -> None:
        self.counts += other.counts
        for kind, examples in other.examples.items():
            mine = self.examples.setdefault(kind, [])
            mine += examples[: SHOWN - len(mine)]


def check_stored(tenant: str, made: Sequence[Made], stored: Sequence[Stored]) -> Findings:
    """Hold a tenant's export against its devices' logs."""
    found = Findings()
    truth = {it.key: it for it in made}
    for key, count in Counter(it.key for it in made).items():
        if count > 1:
            found.add("duplicates", f"{key}: made {count} times, a seq was used again")
    times = Counter(it.key for it in stored)
    for key in truth.keys() - times.keys():
        found.add("lost", truth[key])
    owners = {key[1]: key[0] for key in truth}
    for it in stored:
        _check_row(found, tenant, truth.get(it.key), it, owners)
    for key, count in times.items():
        if count > 1:
            found.add("duplicates", f"{key}: stored {count} times")
    return found


def _check_row(
    found: Findings, tenant: str, truth: Made | None, it: Stored, owners: Mapping[int, str]
) -> None:
    if not it.key[0].startswith(f"{tenant}/") or owners.get(it.key[1]) != it.key[0]:
        found.add("crossed", f"{it.key}: the stream is of {owners.get(it.key[1])}")
    if truth is None:
        found.add("phantom", it)
        return
    if it.record != truth.record:
        found.add("altered", f"{it} instead of {truth}")
    if it.start is not None and truth.utc is not None and abs(it.start - truth.utc) > APART_S:
        found.add("misplaced", f"{it} instead of {truth}")


def check_predictions(
    made: Sequence[Made], stored: "Mapping[tuple[Key, str], int]"
) -> Findings:
    """Ask for exactly one prediction of each epoch and version that served it."""
    found = Findings()
    known = {key for key, _ in stored}
    keys = {it.key for it in made}
    for key in keys - known:
        found.add("predictions_missing", key)
    for key in known - keys:
        found.add("phantom", f"{key}: a prediction of an epoch that nobody made")
    for (key, model), count in stored.items():
        if count > 1:
            found.add("predictions_doubled", f"{key}: {count} times by {model}")
    return found


def check_apps(
    tenant: str, owners: Mapping[int, str], made: Iterable[Key], heard: Iterable[Heard]
) -> Findings:
    """Look through what an app of a tenant heard.

    Each stage is of an epoch that the topic's own device made; of one epoch a model says one
    thing, however often; and stages come in the order of the epochs, the newest as the last.
    """
    found = Findings()
    keys = set(made)
    said: dict[tuple[Key, str], bytes] = {}
    order = _Order(found, f"shown to {tenant}")
    for _, topic, retained, payload in heard:
        device = "/".join(topic.split("/")[3:5])
        if not topic.startswith(f"noctis/v1/app/{tenant}/"):
            found.add("crossed", f"{tenant}'s app heard {topic}")
            continue
        if not topic.endswith("/stage") or not payload:
            continue
        told = json.loads(payload)
        key = device, int(told["stream"], 16), told["seq"]
        if owners.get(key[1]) != device:
            found.add("crossed", f"{topic}: a stream of {owners.get(key[1])}")
        elif key not in keys:
            found.add("phantom", f"{topic}: {told}")
        if said.setdefault((key, told["model"]), payload) != payload:
            found.add("predictions_doubled", f"{topic}: said twice, {told}")
        if not retained:
            order.see(key[1], key[2])
    order.end()
    return found


def check_answers(
    owners: Mapping[int, str], made: Iterable[Key], told: Iterable[Answer]
) -> Findings:
    """Look through what the facade answered.

    It names epochs that the device itself made, each once, and whoever was shown an epoch is
    shown it again. With errors it says that the database is away, never that it fell over it.
    """
    found = Findings()
    keys = set(made)
    shown: dict[tuple[str, str, str], set[tuple[int, int]]] = {}
    for it in told:
        device = f"{it.tenant}/{it.device}"
        if it.status not in MAY_BE and (it.status != EXPIRED or it.what == "token"):
            found.add("misanswered", f"{it.status} to who asked for {it.what} of {device}")
        _check_keys(found, it, owners, keys)
        if it.whole:
            before = shown.setdefault((it.tenant, it.device, it.what), set())
            for key in before.difference(it.keys):
                found.add("vanished", f"{device}: {it.what} of {key} were shown before")
            before.update(it.keys)
    return found


def _check_keys(
    found: Findings, told: Answer, owners: Mapping[int, str], made: Collection[Key]
) -> None:
    device = f"{told.tenant}/{told.device}"
    for stream, seq in told.keys:
        if owners.get(stream) != device:
            found.add("crossed", f"{device}: {told.what} of {owners.get(stream)}")
        elif (device, stream, seq) not in made:
            found.add("phantom", f"{device}: {told.what} told of {stream:016x} {seq}")
    if len(set(told.keys)) < len(told.keys):
        found.add("duplicates", f"{device}: {told.what} told twice in one answer")


class _Order:
    """Whether what comes of a stream for the first time is newer than all that came before.

    With QoS 1 what was delivered may be delivered again; but the last word is the newest.
    """

    def __init__(self, found: Findings, where: str) -> None:
        self._found = found
        self._where = where
        self._seen: dict[int, set[int]] = {}
        self._newest: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def see(self, stream: int, seq: int) -> None:
        seen, newest = self._seen.setdefault(stream, set()), self._newest.get(stream, -1)
        if seq not in seen and seq < newest:
            self._add(stream, seq, newest)
        seen.add(seq)
        self._newest[stream] = max(seq, newest)
        self._last[stream] = seq

    def end(self) -> None:
        """Say that nothing more comes."""
        for stream, seq in self._last.items():
            if seq < self._newest[stream]:
                self._add(stream, seq, self._newest[stream])

    def _add(self, stream: int, seq: int, newest: int) -> None:
        self._found.add("disordered", f"{self._where} {stream:016x}: {seq} after {newest}")


def check_wire(made: Mapping[Key, Made], heard: Sequence[Heard]) -> Findings:
    """Look through what devices sent.

    Each epoch is of the sender's own stream, as its log has it, and live ones come in order.
    """
    found = Findings()
    owners = {key[1]: key[0] for key in made}
    order = _Order(found, "sent of")
    frames = decode_frames([it[3] for it in heard])
    for (_, topic, _, _), frame in zip(heard, frames, strict=True):
        device = "/".join(topic.split("/")[4:6])
        if isinstance(frame, FrameError):
            found.add("altered", f"{topic}: {frame}")
            continue
        if owners.get(frame.stream, device) != device:
            found.add("crossed", f"{topic}: a stream of {owners[frame.stream]}")
        _check_frame(found, device, frame, made)
        if topic.endswith("/epochs"):
            for seq in frame.seqs.tolist():
                order.see(frame.stream, seq)
    return found


def _check_frame(found: Findings, device: str, frame: Frame, made: Mapping[Key, Made]) -> None:
    records = [bytes(it).hex() for it in encode_slots(frame.codes, frame.in_bed)]
    for seq, record in zip(frame.seqs.tolist(), records, strict=True):
        truth = made.get((device, frame.stream, seq))
        if truth is None:
            found.add("phantom", f"{device}: sent {seq} of {frame.stream:016x}")
        elif truth.record != record:
            found.add("altered", f"{device}: sent {record} instead of {truth}")
