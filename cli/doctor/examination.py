"""All topics looked at side by side, each within a deadline."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from cli.doctor import (
    broker,
    certificates,
    clock,
    database,
    devices,
    disk,
    environment,
    line,
    model,
    ports,
    services,
    tools,
)
from cli.doctor.findings import Finding, Topic, in_order
from cli.doctor.site import Site
from noctis.errors import ConfigurationError

__all__ = ["TOPICS", "examine"]

Look = Callable[[Site], Iterable[Finding]]

TOPICS: Final[Mapping[str, Look]] = {
    "settings": environment.look,
    "tools": tools.look,
    "disk": disk.look,
    "clock": clock.look,
    "certificates": certificates.look,
    "database": database.look,
    "broker": broker.look,
    "model": model.look,
    "services": services.look,
    "line": line.look,
    "devices": devices.look,
    "ports": ports.look,
}
"""What is looked at: what lies beneath comes before what rests on it."""

DEADLINE_S: Final = 15.0

_log = structlog.get_logger(__name__)


def examine(
    site: Site, topics: Sequence[str] = (), *, within_s: float = DEADLINE_S
) -> list[Finding]:
    """Return what is found of the topics, of all where none is named.

    It takes no longer than ``within_s``, whatever hangs: what is not done then is a finding.
    """
    unknown = [it for it in topics if it not in TOPICS]
    if unknown:
        message = f"the doctor knows nothing of {', '.join(unknown)}"
        raise ConfigurationError(message, hint=f"name some of: {', '.join(TOPICS)}")
    chosen = [name for name in TOPICS if not topics or name in topics]
    results: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + within_s
    threads = {
        name: threading.Thread(
            target=lambda name=name: results.update({name: _look(name, site)}), daemon=True
        )
        for name in chosen
    }
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if name not in results:
            results[name] = [_late(name, within_s)]
    return in_order([it for name in chosen for it in results[name]], list(TOPICS))


def _look(name: str, site: Site) -> list[Finding]:
    try:
        return list(TOPICS[name](site))
    except Exception as error:  # noqa: BLE001 - one topic's failure must not hide the others
        _log.debug("look_failed", topic=name, exc_info=error)
        return [
            Topic(name).fault(
                "not-looked-at",
                f"it cannot be looked at: {error!r}",
                means="the doctor does not know how this stands",
                cure="report it, with what `noctis doctor --json` says",
            )
        ]


def _late(name: str, within_s: float) -> Finding:
    return Topic(name).fault(
        "no-end",
        f"the look at it came to no end within {within_s:g} s",
        means="something hangs: a disk, a network, a name that is not resolved",
        cure=f"noctis doctor {name}, alone",
    )
