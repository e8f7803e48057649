"""What became of each epoch of a load, and how long it took from the moment it was due."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from noctis.storage.stress import Stored
from runner.stress.plan import Plan

__all__ = ["Tally"]

LONGEST_US: Final = 3_600_000_000
DIGITS: Final = 3
LATE_S: Final = 0.05
"""An epoch that was sent later than this after it was due says that the sender could not."""

MOST_LATE: Final = 0.01
Key = tuple[int, int]
"""A device's place and a sequence number."""


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_US, DIGITS)


@dataclass(slots=True)
class Tally:
    """Counts an epoch's first acknowledgement and first stage; later ones are told apart."""

    plan: Plan
    due: dict[Key, float] = field(default_factory=dict)
    sent: int = 0
    late: int = 0
    unsent: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    again: int = 0
    _waiting: dict[str, set[Key]] = field(
        default_factory=lambda: {"acknowledged": set(), "staged": set()}
    )
    _took: dict[str, HdrHistogram] = field(
        default_factory=lambda: {"acknowledged": _histogram(), "staged": _histogram()}
    )

    @property
    def is_settled(self) -> bool:
        """Whether all that was sent was acknowledged and staged."""
        return not any(self._waiting.values())

    def begin(self, key: Key, due: float, now: float) -> None:
        """Note that an epoch is given to the broker now."""
        self.due[key] = due
        self.late += now - due > LATE_S
        for waiting in self._waiting.values():
            waiting.add(key)

    def fail(self, key: Key, reason: str) -> None:
        """Note that the broker did not take it."""
        self.unsent[reason] += 1
        for waiting in self._waiting.values():
            waiting.discard(key)

    def hear(self, what: str, key: Key, now: float) -> None:
        """Note that an epoch was ``acknowledged`` or ``staged``."""
        waiting = self._waiting[what]
        if key not in waiting:
            self.again += key in self.due
            return
        waiting.remove(key)
        took_us = max(1, round((now - self.due[key]) * 1e6))
        self._took[what].record_value(min(took_us, LONGEST_US))

    def report(self, stored: Stored, took_s: float) -> dict[str, Any]:
        """Return what came of the load, as JSON values; ``took_s``: to send it."""
        acknowledged, staged = (
            self._took[what].get_total_count() for what in ("acknowledged", "staged")
        )
        lost = self.sent - stored.epochs
        reasons = list(self._reasons(lost, stored.doubled))
        return {
            "verdict": {"held": not reasons, "reasons": reasons},
            "intended": self.plan.epochs,
            "intended_per_second": self.plan.rate,
            "sent": self.sent,
            "sent_per_second": round(self.sent / took_s, 2) if took_s else 0.0,
            "sent_late": self.late,
            "not_sent": dict(self.unsent),
            "acknowledged": acknowledged,
            "refused": sum(count for code, count in self.codes.items() if code),
            "staged": staged,
            "heard_again": self.again,
            "stored": stored.epochs,
            "lost": max(lost, 0),
            "doubled": stored.doubled,
            "to_acknowledgement": self._told("acknowledged"),
            "to_stage": self._told("staged"),
        }

    def _reasons(self, lost: int, doubled: int) -> list[str]:
        total = max(self.plan.epochs, 1)
        found = {
            f"{lost} epochs that were sent are not stored": lost > 0,
            f"{-lost} more epochs are stored than were sent": lost < 0,
            f"{doubled} epochs are stored twice": doubled > 0,
            f"{len(self._waiting['acknowledged'])} epochs were not acknowledged": bool(
                self._waiting["acknowledged"]
            ),
            f"{len(self._waiting['staged'])} epochs got no live stage": bool(
                self._waiting["staged"]
            ),
            f"{sum(self.unsent.values())} epochs were not taken by the broker": bool(
                self.unsent
            ),
            f"{self.late} epochs were sent late: the sender itself could not keep up": (
                self.late > MOST_LATE * total
            ),
        }
        return [reason for reason, holds in found.items() if holds]

    def _told(self, what: str) -> Mapping[str, float | None]:
        """Return percentiles in milliseconds, from when an epoch was due."""
        took = self._took[what]
        if not took.get_total_count():
            return dict.fromkeys(("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"))
        shares = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9}
        values = {
            name: took.get_value_at_percentile(share) / 1e3 for name, share in shares.items()
        }
        return {**values, "max_ms": took.get_max_value() / 1e3}
