"""The devices: who is silent, who holds what, whose messages are put aside."""

from collections.abc import Iterator, Sequence
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from noctis.storage.health import DeadLetters, Ending, Sleeper
from noctis.storage.standing import SILENT_S

__all__ = ["look"]

_topic: Final = Topic("devices")
BACKLOG: Final = 2880
LETTERS: Final = 10
GONE_S: Final = 7 * 86400.0
"""Silent for longer than this, a device was put away."""

SHARE: Final = 0.2
_REASONS: Final = {
    "conflict": "two devices write one stream (a cloned flash): give one a new identity",
    "foreign_stream": "a copied chip, or another owner's device: noctis device claim",
    "crc": "a broken radio, or what is no device: revoke it, noctis device revoke",
    "unknown_device": "a device that is not added, or was erased: noctis device add",
    "poison": "the log of the ingestor has the traceback",
    "version": "its firmware is of another version: noctis firmware",
}


def look(site: Site) -> Iterator[Finding]:
    """Read what devices last told, and what of theirs was not understood."""
    if site.is_at_rest or site.server().state is None:
        return
    heard = [it for it in site.server().sleepers if it.told_s < GONE_S]
    yield from _silent(heard)
    yield from _clockless(heard)
    yield from _backlog(heard)
    yield from _ending(site.server().ending)
    letters = site.server().letters
    for it in letters:
        yield from _letter(it)
    if not letters:
        yield _topic.ok("dead-letters", "nothing was put aside within the hour")


def _silent(heard: Sequence[Sleeper]) -> Iterator[Finding]:
    silent = [it for it in heard if it.state == "lost" or it.told_s > SILENT_S]
    if not silent:
        yield _topic.ok("heard", f"{len(heard)} devices, all heard of")
        return
    names = ", ".join(it.name for it in silent[:3])
    told = f"{len(silent)} of {len(heard)} devices are not heard of: {names}"
    is_many = len(silent) > 1 and len(silent) > SHARE * len(heard)
    make = _topic.fault if is_many else _topic.warning
    yield make(
        "silent",
        told,
        means="no power, no network, or they cannot log in; they keep weeks of nights",
        cure="of one tenant: its network; of all: the broker's address and certificate "
        "(noctis doctor broker certificates)",
    )


def _ending(ending: Sequence[Ending]) -> Iterator[Finding]:
    if not ending:
        yield _topic.ok("certificates", "no device's certificate ends within 30 days")
        return
    first = ending[0]
    when = "has ended" if first.ends_s < 0 else f"ends in {first.ends_s / 86400:.0f} days"
    yield _topic.warning(
        "certificate-ends",
        f"the certificate of {first.name} {when}; {len(ending)} devices within 30 days",
        means="after that the broker lets it in no more; it keeps weeks of nights",
        cure=f"noctis ca issue {first.name}, with a request of its own key (docs/tls.md)",
        of=first.name,
    )


def _clockless(heard: Sequence[Sleeper]) -> Iterator[Finding]:
    lost = [it for it in heard if it.state == "online" and it.clock == "unknown"]
    if lost:
        names = ", ".join(it.name for it in lost[:3])
        yield _topic.warning(
            "clock-unknown",
            f"{len(lost)} devices do not know the time: {names}",
            means="their epochs are kept without a time and make no night until they learn it",
            cure="their network must let SNTP out, or let them hear the ingestor's answer",
        )


def _backlog(heard: Sequence[Sleeper]) -> Iterator[Finding]:
    held = [it for it in heard if it.state == "online" and it.backlog > BACKLOG]
    if held:
        yield _topic.warning(
            "backlog",
            f"{held[0].name} holds {held[0].backlog} epochs; {len(held)} devices over a day",
            means="they are online, and what they made does not get through",
            cure="noctis doctor line; noctis device logs NAME",
            of=held[0].name,
        )


def _letter(it: DeadLetters) -> Iterator[Finding]:
    told = f"{it.count} messages of {it.devices} devices ({it.device}, ...) put aside"
    seen = f"{told}: {it.reason}"
    if it.count <= LETTERS:
        yield _topic.ok("dead-letters", seen, of=it.reason)
        return
    yield _topic.warning(
        "dead-letters",
        seen,
        means="they are kept as dead letters, not stored; the device is not told",
        cure=_REASONS.get(it.reason, "the table dead_letters has topic and detail"),
        of=it.reason,
    )
