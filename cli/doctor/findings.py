"""What a check found: a state, what was seen, what it means, and the cure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

__all__ = ["Finding", "State", "Topic", "in_order"]


class State(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``id`` is a word that stays, ``of`` says whose it is.

    ``cure`` is what to type or to do. ``follows`` names the finding that explains this one.
    """

    topic: str
    name: str
    state: State
    seen: str
    means: str = ""
    cure: str = ""
    of: str = ""
    follows: str = ""

    @property
    def id(self) -> str:
        """Topic and name, as docs/runbook.md lists them: ``database/unreachable``."""
        return f"{self.topic}/{self.name}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "id": self.id,
            "of": self.of,
            "state": self.state.value,
            "seen": self.seen,
            "means": self.means,
            "cure": self.cure,
            "follows": self.follows,
        }


@dataclass(frozen=True, slots=True)
class Topic:
    """Makes findings of one topic."""

    name: str

    def ok(self, name: str, seen: str, *, of: str = "") -> Finding:
        """Return that something is as it should be."""
        return Finding(self.name, name, State.OK, seen, of=of)

    def warning(self, name: str, seen: str, *, means: str, cure: str, of: str = "") -> Finding:
        """Return that something will become a fault, or may be one."""
        return Finding(self.name, name, State.WARNING, seen, means, cure, of)

    def fault(self, name: str, seen: str, *, means: str, cure: str, of: str = "") -> Finding:
        """Return that something does not work."""
        return Finding(self.name, name, State.FAULT, seen, means, cure, of)


_NO_DATABASE: Final = (
    "database/unreachable",
    "database/refuses",
    "database/read-only",
    "database/full",
)
_ITS_OWN: Final = ("services/gone", "services/no-broker", "services/no-database")
_STORING: Final = ("line/disk-full", "line/not-stored", "line/slow-commits")
_LINE: Final = (*_STORING, "line/stalled", *_NO_DATABASE, "broker/unreachable")
FOLLOWS: Final = {
    "database/unreachable": ("disk/full", "services/not-running"),
    "broker/unreachable": ("services/not-running", "certificates/ended"),
    "broker/accounts-stale": (*_NO_DATABASE, "services/gone", "services/no-database"),
    "model/refused": ("model/damaged",),
    "services/gone": ("services/not-running", "disk/full"),
    "services/no-database": _NO_DATABASE,
    "services/no-broker": ("broker/unreachable", "certificates/ended"),
    "services/check-fails": (*_NO_DATABASE, "broker/unreachable", "model/damaged"),
    "services/check-slow": ("database/blocked",),
    "services/degraded": ("model/refused", "model/damaged"),
    "line/not-stored": (*_NO_DATABASE, "database/blocked", *_ITS_OWN),
    "line/disk-full": ("disk/full",),
    "line/stalled": (*_NO_DATABASE, "database/blocked", *_ITS_OWN, *_STORING),
    "line/slow-commits": ("database/blocked", "line/not-stored", "line/disk-full"),
    "line/stages-unpublished": ("broker/unreachable", "services/no-broker"),
    "line/settler-stuck": (*_NO_DATABASE, "database/blocked", *_ITS_OWN),
    "line/duty-stuck": (*_NO_DATABASE, "database/blocked", *_ITS_OWN),
    "line/acknowledgements-lost": (*_LINE, *_ITS_OWN),
    "devices/silent": (*_LINE, *_ITS_OWN),
    "devices/unheard": (*_LINE, *_ITS_OWN),
    "devices/backlog": (*_LINE, *_ITS_OWN, "line/acknowledgements-lost"),
}
"""What a finding may be the consequence of, nearest cause first."""

_OTHERS: Final = frozenset({"broker/accounts-stale", "devices/silent", "devices/unheard"})
"""Consequences of what another part than their own has."""


def in_order(found: Sequence[Finding], topics: Sequence[str]) -> list[Finding]:
    """Return the findings, causes before consequences, the gravest first, then by topic."""
    bad = [it for it in found if it.state is not State.OK]
    explained = [replace(it, follows=_cause(it, bad)) for it in found]
    gravity = [State.FAULT, State.WARNING, State.OK]
    return sorted(
        explained,
        key=lambda it: (it.follows != "", gravity.index(it.state), topics.index(it.topic)),
    )


def _cause(finding: Finding, bad: Sequence[Finding]) -> str:
    """Return the finding that explains this one, nothing where it stands for itself."""
    if finding.state is State.OK:
        return ""
    for name in FOLLOWS.get(finding.id, ()):
        for other in bad:
            if other.id == name and _may_explain(other, finding):
                return f"{other.id} ({other.of})" if other.of else other.id
    return ""


def _may_explain(cause: Finding, finding: Finding) -> bool:
    """Tell whether a finding of one part can explain that of another."""
    own = not cause.of or not finding.of or cause.of == finding.of
    return own or finding.id in _OTHERS
