"""Experiments: which version runs beside the champion, for whom, and since when."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import Connection, text

from noctis.errors import StorageError
from noctis.identity import DeviceId
from noctis.storage import tenants
from noctis.storage.errors import AlreadyExistsError, NotFoundError

__all__ = [
    "KINDS",
    "Experiment",
    "Kind",
    "get",
    "list_all",
    "refuse",
    "running",
    "start",
    "stop",
]

Kind = Literal["shadow", "canary", "ab"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_SELECT: Final = """
SELECT x.id, x.name, x.kind, m.name AS model_name, m.version, x.share, t.name AS tenant,
       x.started_at, x.stopped_at, x.refusal
  FROM experiments x JOIN models m ON m.id = x.model_id
  LEFT JOIN tenants t ON t.id = x.tenant_id
"""
_RUNNING: Final = text(f"{_SELECT} WHERE x.stopped_at IS NULL ORDER BY x.id")
_LIST: Final = text(f"""
{_SELECT} WHERE CAST(:before AS integer) IS NULL OR x.id < :before
 ORDER BY x.id DESC LIMIT :limit
""")
_GET: Final = text(f"{_SELECT} WHERE x.name = :name")
_LOCK: Final = text("LOCK TABLE experiments IN SHARE ROW EXCLUSIVE MODE")
# Two that choose who serves a device must not meet; shadows of different versions may.
_IN_THE_WAY: Final = text("""
SELECT name FROM experiments
 WHERE stopped_at IS NULL
   AND (tenant_id IS NULL OR CAST(:tenant AS integer) IS NULL OR tenant_id = :tenant)
   AND CASE WHEN :kind = 'shadow' THEN kind = 'shadow' AND model_id = :model
            ELSE kind <> 'shadow' END
 LIMIT 1
""")
_START: Final = text("""
INSERT INTO experiments (name, kind, model_id, share, tenant_id)
VALUES (:name, :kind, :model, :share, :tenant) ON CONFLICT (name) DO NOTHING RETURNING id
""")
_STOP: Final = text("""
UPDATE experiments SET stopped_at = coalesce(stopped_at, now()) WHERE name = :name
""")
_REFUSE: Final = text("UPDATE experiments SET refusal = :why WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Experiment:
    """A version that runs beside the champion.

    ``share``: of the devices that the version serves, 0 for a shadow. ``tenant``: None for all.
    ``refusal``: why a worker does not run it, None while none has said so.
    """

    id: int
    name: str
    kind: Kind
    model_name: str
    version: str
    share: float
    tenant: str | None
    started_at: datetime
    stopped_at: datetime | None
    refusal: str | None

    @property
    def model(self) -> str:
        """``name@version``."""
        return f"{self.model_name}@{self.version}"

    def covers(self, device: DeviceId) -> bool:
        """Tell whether a device belongs to the experiment, served by its version or not."""
        return self.tenant in {None, device.tenant}

    def picks(self, device: DeviceId) -> bool:
        """Tell whether the version serves a device: always the same answer for the same share.

        A larger share of the same version keeps the devices of a smaller one.
        """
        digest = hashlib.sha256(f"{self.model} {device}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / (1 << 64)
        return self.kind != "shadow" and self.covers(device) and place < self.share


def start(
    tenant: str | None,
    connection: Connection,
    name: str,
    kind: Kind,
    *,
    model_id: int,
    share: float,
) -> Experiment:
    """Start an experiment; workers follow within seconds.

    Raise StorageError for a name or a share that makes no sense, AlreadyExistsError where the
    name is taken or another experiment is in the way, NotFoundError for an unknown tenant.
    """
    if not _NAME.fullmatch(name):
        message = f"{name!r} is no name of an experiment"
        raise StorageError(message, hint="1 to 64 of a-z, 0-9, '.' and '-'")
    if kind != "shadow" and not 0 < share < 1:
        message = f"a share of {share:g} leaves nobody to compare with"
        raise StorageError(message, hint="--share 0.1 lets the version serve a tenth")
    scope = None if tenant is None else tenants.id_of(tenant, connection)
    values = {
        "name": name,
        "kind": kind,
        "model": model_id,
        "share": 0.0 if kind == "shadow" else share,
        "tenant": scope,
    }
    connection.execute(_LOCK)
    other = connection.scalar(_IN_THE_WAY, values)
    if other is not None:
        message = f"the experiment {other!r} is in the way of another {kind} of these devices"
        raise AlreadyExistsError(message, hint=f"noctis experiment stop {other}")
    if connection.scalar(_START, values) is None:
        message = f"there was an experiment {name!r} already"
        raise AlreadyExistsError(message, hint="choose another name")
    return get(connection, name)


def stop(connection: Connection, name: str) -> Experiment:
    """Stop an experiment: the champion serves all its devices again. Again: nothing changes."""
    connection.execute(_STOP, {"name": name})
    return get(connection, name)


def refuse(connection: Connection, experiment: int, why: str | None) -> None:
    """Write down why a worker does not run an experiment's version; None: it does."""
    connection.execute(_REFUSE, {"id": experiment, "why": why})


def running(connection: Connection) -> list[Experiment]:
    """Return the experiments that run, the oldest first."""
    return [Experiment(*row) for row in connection.execute(_RUNNING)]


def list_all(
    connection: Connection, *, before: int | None = None, limit: int = 100
) -> list[Experiment]:
    """Return the experiments, the newest first; ``before``: older than that of this id."""
    rows = connection.execute(_LIST, {"before": before, "limit": limit})
    return [Experiment(*row) for row in rows]


def get(connection: Connection, name: str) -> Experiment:
    """Return an experiment; raise NotFoundError when there is none of this name."""
    row = connection.execute(_GET, {"name": name}).one_or_none()
    if row is None:
        message = f"there is no experiment {name!r}"
        raise NotFoundError(message, hint="noctis experiment list shows them")
    return Experiment(*row)
