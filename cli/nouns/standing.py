"""How a platform stands, on one screen."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from cli.facade import Facade
from cli.local import run_file
from cli.nouns.documents import Document, Open
from cli.service import is_ready
from noctis.epoch import EPOCH_SECONDS
from noctis.errors import NoctisError
from noctis.settings import Settings
from noctis.storage import standing
from registry.store import DEFAULT_NAME, Registry

__all__ = ["AskedStanding", "Standing", "StoredStanding"]

SHIPPED = "shipped"
PER_MINUTE = 60 / EPOCH_SECONDS
"""Epochs that a device makes; one that sleeps or is away brings its own later."""


class Standing(Protocol):
    """What can be asked of the whole platform."""

    def now(self) -> Document:
        """Return services, devices by state and tenant, the line, the model and the disk.

        What cannot be known from where it is asked is null.
        """


class StoredStanding:
    """How this machine's own platform stands."""

    def __init__(self, opened: Open, var: Path) -> None:
        self._opened = opened
        self._var = var

    def now(self) -> Document:
        """Return all of it."""
        with self._opened() as connection:
            tenants = [asdict(it) for it in standing.of_tenants(connection)]
            whole = asdict(standing.of_platform(connection))
            line = asdict(standing.line(connection))
        line["expected_per_minute"] = PER_MINUTE * sum(it["online"] for it in tenants)
        return {
            "platform": str(self._var),
            "services": _services(self._var),
            "tenants": tenants,
            "line": line,
            "waiting": {name: whole[name] for name in ("stale_days", "erasures", "operations")},
            "model": _champion(self._var),
            "disk": {"database_bytes": whole["database_bytes"], **_disk(self._var)},
        }


class AskedStanding:
    """How a platform stands, as far as its facade tells a caller of one tenant."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def now(self) -> Document:
        """Return what a tenant's caller may know."""
        ready = self._facade.ready()
        services = [
            {"name": name, "state": "running" if check.get("ok") else "not ready"}
            | ({"reason": check["reason"]} if check.get("reason") else {})
            for name, check in ready.get("checks", {}).items()
        ]
        tenant = self._facade.profile.tenant
        told = [it["reported"] for it in self._devices()]
        return {
            "platform": self._facade.profile.url,
            "services": services,
            "tenants": [{"name": tenant, **_states(told)}],
            "line": None,
            "waiting": None,
            "model": self._model(),
            "disk": None,
        }

    def _devices(self) -> list[Document]:
        found = self._facade.pages("/v1/devices", "devices")
        return [it for it in found if it["revoked_at"] is None]

    def _model(self) -> str | None:
        try:
            told = self._facade.ask("GET", f"/v1/models/{DEFAULT_NAME}/aliases/champion")
        except NoctisError:  # an app without that scope
            return None
        return f"{DEFAULT_NAME}@{told['version'] or SHIPPED}"


def _states(told: Iterable[Document | None]) -> Document:
    """Count devices by what they last said; what a facade does not count is null."""
    statuses = [None if it is None else it["status"] for it in told]
    states = Counter("new" if it is None else it["state"] for it in statuses)
    said = [it for it in statuses if it is not None]
    return {
        **{name: states[name] for name in ("online", "sleeping", "lost", "new")},
        "silent": None,
        **{
            name: sum(it[name] for it in said) for name in ("backlog", "overwritten", "damaged")
        },
        "missing": None,
    }


def _services(var: Path) -> list[Document] | None:
    """Return the processes of the platform that runs on ``var``; None where none does."""
    try:
        content = json.loads(run_file(var).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    ports = {
        name: int(url.split(":")[2].split("/")[0]) for name, url in content["metrics"].items()
    }
    rows = []
    for name, pid in content["processes"].items():
        alive = pid is not None and Path(f"/proc/{pid}").exists()
        state = "running" if alive else "ended"
        if alive and name in ports and not is_ready(ports[name]):
            state = "not ready"
        rows.append({"name": name, "state": state, "pid": pid})
    return rows


def _champion(var: Path) -> str:
    version = Registry(Settings(var=var).models, DEFAULT_NAME).resolve()
    return f"{DEFAULT_NAME}@{version or SHIPPED}"


def _disk(var: Path) -> dict[str, int]:
    place = var if var.exists() else Path()
    usage = shutil.disk_usage(place)
    return {"free_bytes": usage.free, "total_bytes": usage.total}
