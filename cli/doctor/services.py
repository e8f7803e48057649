"""The services: whether each one answers and does its work, and if not, why."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site, Told

__all__ = ["look"]

_topic: Final = Topic("services")
SLOW_S: Final = 0.5
YOUNG_S: Final = 60.0
OFTEN: Final = 3
TAIL_BYTES: Final = 4096
EFFECT: Final = {
    "api": "apps and people get no answers",
    "broker": "devices and apps cannot connect",
    "companion": "nights, configurations, commands and updates wait",
    "inference": "apps get no live stages, and stored epochs no stage",
    "ingestor": "nothing is stored; devices keep their epochs",
    "runner": "replays, evaluations and reports wait",
}
CUT_OFF: Final = {
    "api": "requests end with 503",
    "broker": "new accounts cannot log in, revoked ones still can; who is known goes on",
    "companion": "nights, rollups, configurations and commands wait",
    "inference": "live stages go on; none is stored",
    "ingestor": "nothing is stored; the broker and the devices keep the epochs",
}


def look(site: Site) -> Iterator[Finding]:
    """Ask each service whether it is ready, and why not."""
    if site.is_at_rest:
        yield _topic.warning(
            "not-running",
            f"no platform runs on {site.var}",
            means="devices keep their epochs meanwhile",
            cure="noctis up",
        )
        return
    if not site.services:
        yield _topic.warning(
            "unknown",
            "nothing tells where the services answer",
            means="only the database and the files are looked at",
            cure="name a platform's folder with --var, or set NOCTIS_DOCTOR_SERVICES",
        )
        return
    yield from _supervisor(site)
    for told in site.told().values():
        yield from _service(site, told)


def _supervisor(site: Site) -> Iterator[Finding]:
    pid = site.run.get("processes", {}).get("noctis")
    if pid and not _lives(pid):
        yield _topic.fault(
            "not-running",
            f"`noctis up` (pid {pid}) is gone, and did not end in order",
            means="what dies of the rest is not started again",
            cure="noctis up, on the same folder: it ends what is left and starts anew",
        )


def _service(site: Site, told: Told) -> Iterator[Finding]:
    name = told.name
    if told.error:
        yield _gone(site, told)
        return
    kind = name.partition("-")[0]
    yield from _again_and_again(site, told)
    yield from _on_purpose(told)
    breakers = {labels[0] for labels, it in told.labelled("noctis_breaker_state").items() if it}
    if "database" in breakers or (kind == "runner" and not told.is_ready):
        yield _topic.fault(
            "no-database",
            f"{name} gets no answer from the database",
            means=CUT_OFF.get(kind, EFFECT.get(kind, "its work waits")),
            cure=f"the network between {name} and the database, {name}'s NOCTIS_DATABASE_URL, "
            "max_connections; it goes on by itself once it is back",
            of=name,
        )
    elif told.checks:
        yield from _checks(told)
    elif not told.is_ready:
        yield _no_broker(told)
    elif told.why and kind != "ingestor":  # the line says that of it
        yield _degraded(told)
    else:
        yield _topic.ok("ready", f"{name} is ready", of=name)


def _gone(site: Site, told: Told) -> Finding:
    pid = site.run.get("processes", {}).get(told.name)
    is_there = bool(pid) and _lives(int(pid))
    seen = f"{told.name} does not answer at {told.address}: {told.error}"
    last = _last_words(site.var / "log" / f"{told.name}.log")
    means = EFFECT.get(told.name.partition("-")[0], "its work waits")
    if is_there:
        return _topic.fault(
            "hangs",
            f"{seen}; its process {pid} is there",
            means=means,
            cure=f"it is frozen or overloaded: kill -CONT {pid}, then kill {pid}",
            of=told.name,
        )
    return _topic.fault(
        "gone",
        seen + (f"; its log ends: {last}" if last else ""),
        means=means,
        cure=f"docker compose logs --tail 20 {told.name}, or {site.var}/log/{told.name}.log",
        of=told.name,
    )


def _again_and_again(site: Site, told: Told) -> Iterator[Finding]:
    """Tell of a service that dies as soon as it is started."""
    ends: Mapping[str, Any] = site.run.get("ends", {}).get(told.name, {})
    age = told.age("process_start_time_seconds")
    times = int(ends.get("times", 0))
    if times >= OFTEN and age is not None and age < YOUNG_S:
        yield _topic.fault(
            "dies",
            f"{told.name} has ended {times} times, last with {ends.get('code')}, "
            f"{age:.0f} s ago",
            means="it dies on something that comes again: a setting, a message, memory",
            cure=f"the end of {site.var}/log/{told.name}.log",
            of=told.name,
        )


def _on_purpose(told: Told) -> Iterator[Finding]:
    """Tell of faults that somebody asked for; what they do is told as if they were real."""
    rules = told.metric("noctis_faults_rules")
    if rules:
        yield _topic.warning(
            "faults-asked-for",
            f"{rules:.0f} rules make things fail in {told.name} on purpose",
            means="what is wrong with it may be meant to be: a test, or somebody forgot it",
            cure="DELETE /internal/resilience/faults ends all that were ordered; without "
            "NOCTIS_FAULTS there are none",
            of=told.name,
        )


def _checks(told: Told) -> Iterator[Finding]:
    for name, check in told.checks.items():
        reason, seconds = check.get("reason") or "", float(check.get("seconds", 0))
        if not check["ok"]:
            yield _topic.fault(
                "check-fails",
                f"{told.name} does not get through to the {name}: {reason}",
                means="callers get 503",
                cure=_CURES.get(name, "its log says more"),
                of=f"{told.name}, {name}",
            )
        elif seconds > SLOW_S:
            yield _topic.warning(
                "check-slow",
                f"{told.name} waits {seconds:.1f} s for the {name}",
                means="every request that needs it takes as long",
                cure=f"the network from {told.name} to the {name}; its load; its processes",
                of=f"{told.name}, {name}",
            )
        elif reason:
            yield _topic.warning(
                "degraded",
                f"{told.name} is ready, but {name}: {reason}",
                means="it does its work worse than it should",
                cure="noctis model list; noctis model rollback",
                of=told.name,
            )
        else:
            yield _topic.ok("ready", f"{told.name} reaches the {name}", of=told.name)


_CURES: Final = {
    "database": "NOCTIS_DATABASE_URL of this service, and the network to the database",
    "broker": "NOCTIS_BROKER_HOST, _PORT and _CA of this service, the network to the broker",
    "model": "noctis model list; noctis model rollback",
}


def _no_broker(told: Told) -> Finding:
    refused = "refuses" in told.why
    return _topic.fault(
        "no-broker",
        f"{told.name} has no session with the broker: {told.why or 'it does not say why'}",
        means=EFFECT.get(told.name.partition("-")[0], "its work waits"),
        cure=f"noctis service set {_account(told.why)}, with the password that it is given"
        if refused
        else f"NOCTIS_BROKER_HOST, _PORT and _CA of {told.name}; the network to the broker",
        of=told.name,
    )


def _account(why: str) -> str:
    return next((it.strip(":") for it in why.split() if it.startswith("svc-")), "ACCOUNT")


def _degraded(told: Told) -> Finding:
    return _topic.warning(
        "degraded",
        f"{told.name} is ready, but degraded: {told.why}",
        means="it does its work worse than it should",
        cure="noctis model list; noctis model rollback",
        of=told.name,
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_words(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:200] if lines else ""
