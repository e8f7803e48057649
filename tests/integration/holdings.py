"""Two tenants' things: one of everything, and what is a tenant's in the database."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection, Engine, text

from noctis.ack import STORED
from noctis.alerts import DEFAULTS, Sight, Watch
from noctis.identity import DeviceId
from noctis.stages import Stage
from noctis.status import Status
from noctis.storage import (
    accounts,
    alert_watches,
    alerts,
    commands,
    devices,
    drift_reports,
    erasures,
    guards,
    labels,
    predictions,
    recordings,
    replays,
    reports,
    tenants,
    users,
)
from noctis.storage import operations as operations_of
from noctis.storage.alert_watches import Look, Told
from noctis.storage.engine import transaction
from noctis.storage.ingest import Received, ingest
from tests.integration.inference_fixtures import Night

MODEL: Final = ("stager", "walked")


def add_tenant(engine: Engine, tenant: str) -> None:
    with transaction(engine) as connection:
        tenants.add(connection, tenant)


def seed(engine: Engine, tenant: str, *, device: str = "") -> dict[str, str]:
    """Give a tenant one more of everything; return its names by the parameters' names."""
    mark = uuid4().hex[:12]
    device, app = device or f"bed-{mark}", f"phone-{mark}@{tenant}"
    night = Night(60, seed=7)
    frames = [
        Received(DeviceId(tenant, device), one, backlog=False) for one in night.frames(size=60)
    ]
    with transaction(engine, 30) as connection:
        devices.add(tenant, connection, device)
        accounts.add(tenant, connection, f"{tenant}/{device}", "device")
        accounts.add(tenant, connection, app, "app")
        users.add(tenant, connection, f"ann-{mark}", role="viewer", password_hash="none")
        assert {it.code for it in ingest(connection, frames)} == {STORED}
        found = _derive(connection, tenant, device, night)
        devices.add(tenant, connection, f"gone-{mark}")
        erasure = erasures.request(tenant, connection, f"gone-{mark}", by="walk")
    return {
        "erasure": str(erasure.id),
        "device": device,
        "stream": f"{night.stream:016x}",
        "source": f"psg-{mark}",
        "app": app.partition("@")[0],
        "user": f"ann-{mark}",
        **found,
    }


def _derive(connection: Connection, tenant: str, device: str, night: Night) -> dict[str, str]:
    """Make what is made of a device's epochs; return the names of that."""
    key = devices.get(tenant, connection, device).id
    model = predictions.model_id(connection, *MODEL)
    begun = datetime.fromtimestamp(night.utc_s, UTC)
    ended = begun + timedelta(seconds=30 * len(night))
    rows = [
        predictions.Prediction(key, night.stream, seq, begun, Stage.LIGHT, (0.1, 0.7, 0.1, 0.1))
        for seq in range(1, len(night) + 1)
    ]
    predictions.store(connection, model, rows)
    hypnogram = np.full(len(night), Stage.LIGHT, np.uint8).tobytes()
    found = recordings.Night(
        "closed", begun.date(), "UTC", begun, ended, hypnogram, model, 0, None
    )
    recording = recordings.add(connection, key, found)
    source = f"psg-{device.removeprefix('bed-')}"
    known = [labels.Label(begun, Stage.LIGHT)]
    labels.put(tenant, connection, device, known, source=source, by="walk")
    status = Status(
        state="online",
        stream=f"{night.stream:016x}",
        oldest_seq=0,
        next_seq=61,
        backlog=0,
    )
    reports.store(connection, {DeviceId(tenant, device): status})
    subject = drift_reports.Subject(
        tenants.id_of(tenant, connection), tenant, key, device, begun.date()
    )
    drift_reports.keep(
        connection,
        subject,
        model="@".join(MODEL),
        day=begun.date(),
        verdict="stable",
        body="{}",
    )
    wanted = commands.Range(night.stream, 1, 5)
    alert = _alert(connection, DeviceId(tenant, device), key)
    [command] = commands.order_resend(tenant, connection, device, [wanted])
    replay = replays.add(tenant, connection, device, model, since=begun, until=ended)
    order = {"model": MODEL[0], "version": MODEL[1], "device": device}
    operation = operations_of.add(tenant, connection, "replay", order, device=device, by="walk")
    return {
        "alert": str(alert),
        "recording": str(recording),
        "command": str(command),
        "replay": str(replay),
        "operation": str(operation.id),
    }


def _alert(connection: Connection, device: DeviceId, key: int) -> int:
    """Raise an alert of a device, as the companion does; return its id."""
    now = datetime.now(UTC)
    rule = DEFAULTS["silent"]
    look = Look(now, key, device, None, rule, Watch(), False, Sight.BAD, 700, "")  # noqa: FBT003
    told = [Told(look, f"{device.device} is silent", {})]
    assert alert_watches.raise_(connection, "silent", now, told) == 1
    [found] = alerts.list_of(device.tenant, connection, device=device.device)
    return found.id


def holdings(engine: Engine, tenant: str) -> dict[str, list[str]]:
    """Return all rows that are a tenant's, as text, by their tables."""
    with engine.connect() as connection:
        names = connection.scalars(
            text(
                "SELECT tablename FROM pg_policies WHERE policyname = 'tenant' "
                "UNION SELECT 'epochs' ORDER BY 1"
            )
        ).all()
        guards.enter(connection, tenant)
        found = {
            name: sorted(connection.scalars(text(f"SELECT t::text FROM {name} t")))  # noqa: S608
            for name in names
        }
        connection.rollback()
        return found
