"""The services of the embedded platform: which there are, and what each is told."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.ports import LOOPBACK
from cli.service import Service
from noctis import faults
from noctis.replica import split
from noctis.settings import load

__all__ = [
    "MOST_REPLICAS",
    "REPLICATED",
    "Part",
    "environment_of",
    "inherited",
    "is_replica",
    "parts",
    "service",
]

MOST_REPLICAS: Final = 16
REPLICATED: Final = {"ingestor": "ingestor", "inference": "live"}
"""Services with replicas, and the kinds of their accounts."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process: ``module`` is what it runs, ``name`` what it is called.

    ``account``: its own with the broker, empty where it has none.
    """

    name: str
    module: str
    account: str = ""
    instance: int = 0
    shards: str = "0-63"


def parts(replicas: int) -> list[Part]:
    """Return all services in the order of their start, with the shards split evenly."""
    replicated = [
        Part(
            module if number == 0 else f"{module}-{number}",
            module,
            f"svc-{kind}-{number}",
            number,
            shards,
        )
        for module, kind in REPLICATED.items()
        for number, shards in enumerate(split(replicas))
    ]
    return [
        *replicated,
        Part("companion", "companion", "svc-companion-0"),
        Part("runner", "runner"),
        Part("api", "api", "svc-api-0"),
        Part("internal", "api.internal"),
    ]


def service(part: Part, settings: Mapping[str, str], *, log: Path) -> Service:
    """Return a part as a child process, to be started; ``settings`` are all but its own."""
    environment = environment_of(part, settings)
    return Service([sys.executable, "-m", part.module], environment=environment, log=log)


def environment_of(part: Part, settings: Mapping[str, str]) -> dict[str, str]:
    """Return what a part is told; it allows faults where this process does."""
    return {
        **inherited(),
        "OMP_NUM_THREADS": "1",
        "NOCTIS_BROKER_HOST": LOOPBACK,
        "NOCTIS_RETENTION_DAYS": str(load().retention_days),
        **_faults(),
        "NOCTIS_STRESS": load().stress,
        **settings,
        "NOCTIS_INSTANCE": str(part.instance),
        "NOCTIS_SHARDS": part.shards,
    }


def is_replica(account: str) -> bool:
    """Tell whether an account belongs to a service with replicas, as svc-ingestor-3 does."""
    kind, _, number = account.removeprefix("svc-").rpartition("-")
    return kind in REPLICATED.values() and number.isdecimal()


def inherited() -> dict[str, str]:
    """Return the environment that children get: without settings of some other platform."""
    return {key: value for key, value in os.environ.items() if not key.startswith("NOCTIS_")}


def _faults() -> dict[str, str]:
    """Return what a part is told of faults: what this process is told, where it allows them."""
    if not faults.allowed():
        return {}
    named = {it: os.environ[it] for it in ("NOCTIS_FAULT_POINTS",) if it in os.environ}
    return {"NOCTIS_FAULTS": faults.ALLOWED, **named}
