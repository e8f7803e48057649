"""The line from message to stage: whether anything is held up between the services."""

from collections.abc import Iterator
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site, Told

__all__ = ["look"]

_topic: Final = Topic("line")
STALLED_S: Final = 10.0
SLOW_S: Final = 1.0
SETTLER_S: Final = 120.0
DUTY_S: Final = 600.0
FAILING: Final = 3
HOURLY_S: Final = 10800.0
HOURLY: Final = frozenset({"drift", "purges", "retention", "rollups"})
UNTOLD: Final = 20
"""Epochs that a device holds although its newest were stored just now: ten minutes of them."""

KNOWN: Final = 0.5
"""Of what it holds; one that comes back and sends what it kept holds what is not stored."""

FRESH_S: Final = 90.0
TOLD_S: Final = 660.0


def look(site: Site) -> Iterator[Finding]:
    """Read what the services measure, and hold the devices' words against the database."""
    if not site.services or site.is_at_rest:
        return
    for told in site.told().values():
        kind = told.name.partition("-")[0]
        if told.error:
            continue
        if kind == "ingestor":
            yield from _ingest(told)
        if kind == "inference":
            yield from _stages(told)
        if kind == "companion":
            yield from _duties(told)
    yield from _untold(site)


def _ingest(told: Told) -> Iterator[Finding]:
    if told.why:
        yield _not_stored(told)
    oldest = told.metric("noctis_ingest_oldest_unacknowledged_seconds")
    waiting = told.metric("noctis_ingest_waiting")
    last = told.metric("noctis_ingest_last_commit_seconds")
    if last > SLOW_S:
        yield _topic.fault(
            "slow-commits",
            f"the last commit of {told.name} took {last:.1f} s",
            means="the database takes long to store: acknowledgements and stages are late",
            cure="its disk's write latency, locks, running backups: noctis doctor database",
            of=told.name,
        )
    if oldest > STALLED_S:
        yield _topic.fault(
            "stalled",
            f"{waiting:.0f} messages wait to be stored, the oldest for {oldest:.0f} s",
            means="nothing is committed; broker and devices keep what comes",
            cure=f"`not_stored_yet` in the log of {told.name} says what the database said",
            of=told.name,
        )
    elif last <= SLOW_S and not told.why:
        told_rows = f"{told.metric('noctis_ingest_rows_total'):.0f} epochs stored"
        yield _topic.ok("ingest", f"{told.name}: {told_rows}, {waiting:.0f} in hand")


def _not_stored(told: Told) -> Finding:
    is_full = "disk is full" in told.why
    return _topic.fault(
        "disk-full" if is_full else "not-stored",
        f"{told.name} could not store its last batch: {told.why.partition(': ')[2]}",
        means="what comes is kept by the broker and the devices, and tried again",
        cure="make room on the disk of the database (noctis storage show); it goes on by itself"
        if is_full
        else "what the database says there is what to mend; it goes on by itself",
        of=told.name,
    )


def _stages(told: Told) -> Iterator[Finding]:
    failed = told.metric("noctis_live_unpublished_timestamp_seconds")
    if failed and failed > told.metric("noctis_live_published_timestamp_seconds"):
        yield _topic.fault(
            "stages-unpublished",
            f"the broker did not take the last live stage of {told.name}, "
            f"{told.at - failed:.0f} s ago",
            means="apps show old stages; what is stored is right",
            cure=f"the apps' broker, and {told.name}'s account there: "
            "`stage_not_published` in its log",
            of=told.name,
        )
    else:
        count = told.metric("noctis_live_published_total")
        yield _topic.ok("stages", f"{told.name}: {count:.0f} live stages published")
    age = told.age("noctis_settler_success_timestamp_seconds")
    if age is not None and age > SETTLER_S:
        yield _topic.fault(
            "settler-stuck",
            f"{told.name} came to the end of no turn of the settler for {age:.0f} s",
            means="epochs are stored without stages, and nights do not grow",
            cure=f"`settling_failed` in the log of {told.name}",
            of=told.name,
        )


def _duties(told: Told) -> Iterator[Finding]:
    ends = told.labelled("noctis_companion_success_timestamp_seconds")
    late = {
        part: f"no end for {told.at - moment:.0f} s"
        for (part,), moment in ends.items()
        if told.at - moment > (HOURLY_S if part in HOURLY else DUTY_S)
    }
    failing = {
        part: f"{count:.0f} failures in a row"
        for (part,), count in told.labelled("noctis_companion_failures_in_a_row").items()
        if count >= FAILING
    }
    stuck = late | failing
    if stuck:
        parts = ", ".join(f"{part} ({why})" for part, why in sorted(stuck.items())[:4])
        yield _topic.fault(
            "duty-stuck",
            f"{len(stuck)} duties of {told.name} do not get done: {parts}",
            means="each is tried again and again, ever more slowly; the others go on",
            cure=f"`turn_failed` in the log of {told.name} says why",
            of=told.name,
        )


def _untold(site: Site) -> Iterator[Finding]:
    """Find devices whose epochs are stored and who do not hear of it."""
    held = [
        it
        for it in site.server().sleepers
        if it.state == "online" and it.told_s < TOLD_S and it.backlog > UNTOLD
    ]
    stored = [
        it
        for it in held
        if it.stored_s is not None and it.stored_s < FRESH_S and (it.known or 0.0) >= KNOWN
    ]
    if not stored:
        return
    names = ", ".join(it.name for it in stored[:3])
    yield _topic.fault(
        "acknowledgements-lost",
        f"{len(stored)} devices ({names}) hold up to {stored[0].backlog} epochs "
        "although their newest ones are stored",
        means="they are stored and the devices are not told: they send them again and again",
        cure="the ingestor's right to write down/.../ack (noctis_ingest_acks_unsent_total), "
        "the devices' right to read it; noctis device logs NAME",
    )
