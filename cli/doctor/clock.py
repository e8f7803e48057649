"""The clock of this machine, held against the database's and the facade's."""

import time
from collections.abc import Iterator
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from noctis.storage.runs import EARLIEST

__all__ = ["look"]

_topic: Final = Topic("clock")
OFF_S: Final = 5.0
WRONG_S: Final = 60.0


def look(site: Site) -> Iterator[Finding]:
    """Compare clocks; nothing outside the platform is asked."""
    now = time.time()
    if now < EARLIEST.timestamp():
        yield _topic.fault(
            "wrong",
            f"this machine believes it is {time.strftime('%Y-%m-%d', time.gmtime(now))}",
            means="certificates are not valid yet, tokens have ended, epochs have no time",
            cure="timedatectl set-ntp true, or set it by hand: date -u -s '2026-01-31 12:00'",
        )
        return
    yield from _services(site)
    state = None if site.is_at_rest else site.server().state
    if state is None:
        yield _topic.ok("alone", "nobody is there to compare the clock with")
        return
    answer = site.server()
    off = abs(state.clock.timestamp() - answer.asked_at) - answer.seconds
    if off < OFF_S:
        yield _topic.ok("together", "this machine and the database agree on the time")
        return
    make = _topic.fault if off > WRONG_S else _topic.warning
    yield make(
        "apart",
        f"this machine and the database are {off:.0f} s apart",
        means="tokens end early or late, devices seem silent, nights are cut at wrong times",
        cure="timedatectl set-ntp true, on both",
    )


def _services(site: Site) -> Iterator[Finding]:
    """Hold the clocks of processes that may run elsewhere against the database's."""
    for told in () if site.is_at_rest else site.told().values():
        skew = told.metric("noctis_clock_skew_seconds")
        if abs(skew) > OFF_S:
            make = _topic.fault if abs(skew) > WRONG_S else _topic.warning
            yield make(
                "apart",
                f"the clock of {told.name} is {abs(skew):.0f} s "
                f"{'ahead of' if skew > 0 else 'behind'} the database's",
                means="what it tells devices of the time is wrong, and so are ages and ends",
                cure="timedatectl set-ntp true, on its machine",
                of=told.name,
            )
