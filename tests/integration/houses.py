"""Two tenants with everything that a device leaves behind, and what is found of it."""

import asyncio
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text

from broker.server import MosquittoServer
from companion.erasure import Erasing
from noctis import topics
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.settings import Settings
from noctis.stages import Stage
from noctis.storage import (
    accounts,
    commands,
    dead_letters,
    devices,
    erasures,
    predictions,
    tenants,
)
from noctis.storage.commands import Range
from noctis.storage.database import Database
from noctis.storage.engine import transaction
from noctis.storage.predictions import Prediction
from tests.integration.broker_fixtures import (
    Client,
    link,
    on_loop,
    until,
)
from tests.integration.broker_fixtures import (
    accounts as broker_accounts,
)
from tests.integration.test_storage_ingest import NOW, frame, send

GONE, TWIN = DeviceId("quiet-house", "attic-room"), DeviceId("quiet-house", "twin-room")
OTHER = DeviceId("loud-house", "attic-room")
STREAM = {GONE: 1, TWIN: 2, OTHER: 3}
_OWNED = text("""
SELECT c.table_name FROM information_schema.columns c
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE c.column_name = :column AND t.table_type = 'BASE TABLE' AND c.table_schema = 'public'
 ORDER BY 1
""")
_ALL = text("""
SELECT table_name FROM information_schema.tables
 WHERE table_type = 'BASE TABLE' AND table_schema = 'public' ORDER BY 1
""")
# What no function of ours writes by itself here.
_MORE = (
    "INSERT INTO device_reports (device_id, body) VALUES (:device, '{}')",
    "INSERT INTO night_news (device_id) VALUES (:device) ON CONFLICT DO NOTHING",
    "INSERT INTO rollup_notes (device_id, since, until) VALUES (:device, now(), now())",
    "INSERT INTO moved_runs VALUES (:device, :stream, 9, now()) ON CONFLICT DO NOTHING",
    """
INSERT INTO epochs_hourly
SELECT tenant_id, device_id, epoch_start, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       0, 0, 0, 0
  FROM epochs WHERE device_id = :device LIMIT 1""",
    """
INSERT INTO recordings (tenant_id, device_id, state, evening, time_zone, started_at, ended_at,
                        hypnogram, epochs, missing, unstaged, moved, tib_min, out_of_bed_min,
                        unscored_min, tst_min, wake_min, light_min, deep_min, rem_min)
SELECT tenant_id, id, 'closed', now(), 'UTC', now(), now(), '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       0, 0
  FROM devices WHERE id = :device""",
    """
INSERT INTO replays (model_id, tenant_id, device_id, since, until)
SELECT (SELECT min(id) FROM models), tenant_id, id, now(), now()
  FROM devices WHERE id = :device""",
    """
INSERT INTO replay_parts (replay_id, device_id, stream, first_seq, last_seq, epochs)
SELECT id, device_id, :stream, 1, 2, 2 FROM replays WHERE device_id = :device""",
    """
INSERT INTO experiments (name, kind, model_id, share, tenant_id)
SELECT 'of-' || tenant_id, 'ab', (SELECT min(id) FROM models), 0.5, tenant_id
  FROM devices WHERE id = :device ON CONFLICT DO NOTHING""",
    "INSERT INTO reference_stages VALUES (:device, 'psg', now(), 1, 'ann', now())",
    """
INSERT INTO night_histograms (recording_id, device_id, revision, counts)
SELECT id, device_id, 1, '' FROM recordings WHERE device_id = :device""",
    """
INSERT INTO drift_reports (tenant_id, device_id, model, day, verdict, body)
SELECT tenant_id, it, 'stager@1', now(), 'drift', '{}'
  FROM devices, unnest(ARRAY[id, NULL]) it WHERE id = :device ON CONFLICT DO NOTHING""",
    """
INSERT INTO drift_acknowledgements
       (tenant_id, device_id, model, findings, acknowledged_by, reason)
SELECT tenant_id, it, 'stager@1', '{}', 'ann', 'a new bed'
  FROM devices, unnest(ARRAY[id, NULL]) it WHERE id = :device""",
    """
INSERT INTO certificates (serial, tenant_id, username, fingerprint, not_before, not_after)
SELECT md5(t.name || d.name), t.id, t.name || '/' || d.name, 'f1', now(), now() + '1 day'
  FROM devices d JOIN tenants t ON t.id = d.tenant_id WHERE d.id = :device""",
    "INSERT INTO device_configs (device_id, version, body) VALUES (:device, 1, '{}')",
    "INSERT INTO config_reports (device_id, version, body) VALUES (:device, 1, '{}')",
    """
INSERT INTO device_logs (device_id, boot, number, logged_at, level, text, times)
VALUES (:device, 1, 1, now(), 'info', 'boot 1', 1)""",
    """
INSERT INTO operations (tenant_id, device_id, kind, request, requested_by)
SELECT tenant_id, id, 'evaluation', '{}', 'ann' FROM devices WHERE id = :device""",
    """
INSERT INTO recordings (tenant_id, device_id, state, evening, time_zone, started_at, ended_at,
                        hypnogram, epochs, missing, unstaged, moved, tib_min, out_of_bed_min,
                        unscored_min, tst_min, wake_min, light_min, deep_min, rem_min, kind,
                        declared_by)
SELECT tenant_id, id, 'closed', now(), 'UTC', now(), now(), '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       0, 0, 'study', 'user:ann@' || tenant_id
  FROM devices WHERE id = :device""",
    """
INSERT INTO firmware (sha256, target, version, build, size)
VALUES ('ab', 'host', '0.2.0', 2, 1) ON CONFLICT DO NOTHING""",
    """
INSERT INTO rollouts (firmware_id, url, wave, most_failures, patience_s)
SELECT max(id), 'http://noctis.example', 1, 0, 60 FROM firmware""",
    """
INSERT INTO rollout_devices (rollout_number, device_id, place, version)
SELECT max(number), :device, 0, '0.2.0' FROM rollouts""",
    """
SELECT audit_append(t.name, 'device_added', 'done', 'user:ann@' || t.name,
                    t.name || '/' || d.name, '', '{}')
  FROM devices d JOIN tenants t ON t.id = d.tenant_id WHERE d.id = :device""",
    """
INSERT INTO alert_rules
SELECT tenant_id, 'silent', 1, true, 600, 1, 1, 0
  FROM devices WHERE id = :device ON CONFLICT DO NOTHING""",
    "INSERT INTO alert_watches (device_id, rule, streak) VALUES (:device, 'silent', 1)",
    """
INSERT INTO alerts (tenant_id, device_id, rule, message, details, raised_at,
                    acknowledged_at, acknowledged_by)
SELECT d.tenant_id, d.id, 'silent', d.name || ' is silent', '{}', now(), now(),
       'user:ann@' || t.name
  FROM devices d JOIN tenants t ON t.id = d.tenant_id WHERE d.id = :device""",
    """
INSERT INTO alert_events (tenant_id, device_id, alert_id, shard, rule, state, message, details,
                          at)
SELECT tenant_id, device_id, id, 0, rule, 'raised', message, '{}', now()
  FROM alerts WHERE device_id = :device""",
    "UPDATE recordings SET replaced_by = id, state = 'withdrawn' WHERE device_id = :device",
)


def fill(engine: Engine, who: DeviceId) -> int:
    """Leave something of a device in every table; return its key."""
    stream = STREAM[who]
    send(engine, frame(1, 40, stream=stream), device=who, now=NOW)
    send(
        engine, frame(101, 9, run_seq=100, boot=2, utc=None, stream=stream), device=who, now=NOW
    )
    send(engine, frame(201, 9, run_seq=200, stream=stream), device=who, now=NOW, backlog=True)
    with transaction(engine, 60) as connection:
        key = devices.get(who.tenant, connection, who.device).id
        model = predictions.model_id(connection, "stager", "1")
        rows = [Prediction(key, stream, n, NOW, Stage.REM, None) for n in range(1, 41)]
        predictions.store(connection, model, rows)
        accounts.add(who.tenant, connection, str(who), "device", "secret")
        commands.order_resend(who.tenant, connection, who.device, [Range(stream, 1, 9)])
        dead_letters.put(
            who.tenant,
            connection,
            who.device,
            topic=topics.up(who, "epochs"),
            reason="crc",
            detail="",
            payload=b"night",
        )
        for statement in _MORE:
            connection.execute(text(statement), {"device": key, "stream": stream})
    return key


def traces(engine: Engine, column: str, key: int) -> set[str]:
    """Return the tables with a row whose ``column`` is ``key``."""
    with transaction(engine) as connection:
        return {
            table
            for table in connection.scalars(_OWNED, {"column": column}).all()
            if connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM {table} WHERE {column} = :key)"),  # noqa: S608
                {"key": key},
            )
        }


def tables_that_name(engine: Engine, *words: str) -> set[str]:
    """Return the tables with a row in whose text any of the words stands."""
    with transaction(engine) as connection:
        return {
            table
            for table in connection.scalars(_ALL).all()
            for word in words
            if connection.scalar(
                text(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE :word)"),  # noqa: S608
                {"word": f"%{word}%"},
            )
        }


def content(engine: Engine, key: int) -> dict[str, list[str]]:
    """Return every row of a device, table by table."""
    with transaction(engine) as connection:
        return {
            table: sorted(
                connection.scalars(
                    text(f"SELECT t::text FROM {table} t WHERE device_id = :key"),  # noqa: S608
                    {"key": key},
                )
            )
            for table in connection.scalars(_OWNED, {"column": "device_id"}).all()
        }


@dataclass
class House:
    """Three devices with something in every table, and retained messages of each."""

    engine: Engine
    url: str
    broker: MosquittoServer
    keys: dict[DeviceId, int] = field(default_factory=dict)

    def ask(self, tenant: str, device: str | None, *, keep_device: bool = False) -> int:
        with transaction(self.engine) as connection:
            return erasures.request(
                tenant, connection, device, by="admin", keep_device=keep_device
            ).id

    def get(self, number: int) -> erasures.Erasure:
        with transaction(self.engine) as connection:
            return erasures.get(connection, number)

    def carry_out(self, *, turns: int = 2, again_s: float = 0.0) -> None:
        """Let the companion's part take so many turns."""

        async def main() -> None:
            database = Database(Settings(database_url=SecretStr(self.url)), application="test")
            session = Session(link(self.broker, "svc-companion-0"))
            part = Erasing(database, session, session, frozenset(range(64)), again_s=again_s)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(session.run())
                await until(lambda: session.ready)
                for _ in range(turns):
                    await part._turn()
                await session.stop()
                running.cancel()
            database.close()

        on_loop(main)

    def retained(self) -> set[str]:
        """Return the topics with a retained message, as the broker delivers them."""
        found: set[str] = set()
        for user, filters in {
            f"phone@{GONE.tenant}": [f"noctis/v1/app/{GONE.tenant}/#", "homeassistant/#"],
            str(GONE): [f"noctis/v1/down/{GONE}/#"],
            str(OTHER): [f"noctis/v1/down/{OTHER}/#"],
            "svc-companion-0": ["noctis/v1/up/+/+/+/status"],
        }.items():
            with Client(self.broker.port, user) as client:
                for one in filters:
                    client.subscribe(one)
                found |= set(client.topics())
        return found


@pytest.fixture
def house(broker: MosquittoServer, engine: Engine, database_url: str) -> House:
    users = [str(who) for who in (GONE, TWIN, OTHER)]
    phone = f"phone@{GONE.tenant}"
    broker.reload(broker_accounts(*users, phone))
    with transaction(engine) as connection:
        for who in (GONE, TWIN, OTHER):
            if who != TWIN:
                tenants.add(connection, who.tenant)
            devices.add(who.tenant, connection, who.device)
        accounts.add(GONE.tenant, connection, phone, "app", "secret")
    made = House(engine, database_url, broker)
    made.keys = {who: fill(engine, who) for who in (GONE, TWIN, OTHER)}
    with Client(broker.port, "svc-companion-0") as companion:
        for who in (GONE, TWIN, OTHER):
            for topic in (*topics.retained_of_device(who), *topics.retained_for_apps(who)):
                companion.publish(topic, b"{}", retain=True)
        companion.publish(topics.tenant_status(GONE.tenant), b"{}", retain=True)
    return made


def of(who: DeviceId) -> set[str]:
    return {*topics.retained_of_device(who), *topics.retained_for_apps(who)}
