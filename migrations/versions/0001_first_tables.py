"""The first tables: tenants, devices, accounts, epochs, predictions, dead letters."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

from noctis.storage import timescale, views

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CODES = (
    "hr_mean",
    "hr_sd",
    "hr_slope",
    "hr_rmssd",
    "hr_range",
    "rr_mean",
    "rr_sd",
    "rr_regularity",
    "resp_amp_cv",
    "act_count",
    "enmo",
    "move_frac",
    "still_s",
    "tilt_change",
    "quality",
)
TABLES = (
    "dead_letters",
    "predictions",
    "settled",
    "models",
    "outbox",
    "epochs_untimed",
    "epochs",
    "runs",
    "streams",
    "accounts",
    "devices",
    "tenants",
)
# A device's flash keeps about 198 days; what it may still send must outlive that.
RETENTION = "400 days"


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _id(kind: type[sa.Integer] = sa.Integer) -> sa.Column[int]:
    return sa.Column("id", kind, sa.Identity(always=True), primary_key=True)


def _column(
    name: str,
    kind: type[TypeEngine[Any]],
    *,
    default: str | sa.TextClause | None = None,
    unique: bool | None = None,
    comment: str | None = None,
) -> sa.Column[Any]:
    return sa.Column(
        name, kind, nullable=False, server_default=default, unique=unique, comment=comment
    )


def _people() -> None:
    op.create_table(
        "tenants",
        _id(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        _time("created_at", now=True),
        sa.CheckConstraint("name ~ '^[a-z0-9-]{1,32}$' AND name !~ '^svc-'", name="name"),
    )
    op.create_table(
        "devices",
        _id(),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False),
        _column("name", sa.Text),
        _column("time_zone", sa.Text, default="UTC"),
        _time("created_at", now=True),
        _time("revoked_at", nullable=True),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.CheckConstraint("name ~ '^[a-z0-9-]{1,32}$'", name="name"),
    )
    op.create_table(
        "accounts",
        _id(),
        sa.Column(
            "tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=True, index=True
        ),
        _column("username", sa.Text, unique=True),
        _column("kind", sa.Text),
        _column("password_hash", sa.Text),
        _time("created_at", now=True),
        _time("revoked_at", nullable=True),
        sa.CheckConstraint("kind IN ('device', 'app', 'service')", name="kind"),
        sa.CheckConstraint("(kind = 'service') = (tenant_id IS NULL)", name="tenant"),
    )


def _runs() -> None:
    op.create_table(
        "streams",
        sa.Column("stream", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column(
            "device_id", sa.Integer, sa.ForeignKey("devices.id"), nullable=False, index=True
        ),
        _time("first_seen"),
    )
    op.create_table(
        "runs",
        sa.Column("device_id", sa.Integer, sa.ForeignKey("devices.id"), nullable=False),
        _column("stream", sa.BigInteger),
        _column("run_seq", sa.BigInteger),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("tenants.id"), nullable=False),
        _column("reason", sa.SmallInteger),
        _column("voids", sa.SmallInteger),
        _column("boot", sa.BigInteger),
        _column("tick_s", sa.Integer),
        _column("utc_s", sa.BigInteger, comment="as the device sent it; 0: unknown"),
        _time("utc", nullable=True),
        _column("shift", sa.Interval, default=sa.text("'0'::interval")),
        _time("received_at"),
        sa.PrimaryKeyConstraint("device_id", "stream", "run_seq"),
        sa.Index(None, "device_id", "stream", "boot", "run_seq"),
    )
    op.create_index(
        "ix_runs_shifted",
        "runs",
        ["device_id", "stream", "run_seq"],
        postgresql_where=sa.text("shift <> '0'::interval"),
    )


def _epochs(name: str, *key: str) -> None:
    timed = [_time("epoch_start")] if "epoch_start" in key else []
    op.create_table(
        name,
        _column("tenant_id", sa.Integer),
        _column("device_id", sa.Integer),
        *timed,
        _column("stream", sa.BigInteger),
        _column("seq", sa.BigInteger),
        _column("run_seq", sa.BigInteger),
        _column("in_bed", sa.Boolean),
        *(_column(code, sa.SmallInteger) for code in CODES),
        _time("received_at"),
        sa.PrimaryKeyConstraint(*key),
    )


def _predictions() -> None:
    op.create_table(
        "outbox",
        _id(sa.BigInteger),
        _column("device_id", sa.Integer),
        *(_column(n, sa.BigInteger) for n in ("stream", "run_seq", "first_seq", "last_seq")),
        _time("created_at", now=True),
    )
    op.create_table(
        "models",
        _id(),
        _column("name", sa.Text),
        _column("version", sa.Text),
        sa.UniqueConstraint("name", "version"),
    )
    op.create_table(
        "settled",
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        _column("shard", sa.SmallInteger),
        _time("until"),
        sa.PrimaryKeyConstraint("model_id", "shard"),
    )
    op.create_table(
        "predictions",
        _column("tenant_id", sa.Integer),
        _column("device_id", sa.Integer),
        _column("stream", sa.BigInteger),
        _column("seq", sa.BigInteger),
        _column("model_id", sa.Integer),
        _time("epoch_start", nullable=True),
        sa.Column("stage", sa.SmallInteger),
        *(sa.Column(name, sa.REAL) for name in ("p_wake", "p_light", "p_deep", "p_rem")),
        _time("created_at", now=True),
        sa.PrimaryKeyConstraint("device_id", "stream", "seq", "model_id"),
        sa.CheckConstraint("stage BETWEEN 0 AND 3", name="stage"),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        _id(sa.BigInteger),
        *(_column(n, sa.Text) for n in ("tenant", "device", "topic", "reason", "detail")),
        _column("sha256", sa.LargeBinary),
        _column("payload", sa.LargeBinary),
        _column("count", sa.BigInteger, default="1"),
        _time("first_seen", now=True),
        _time("last_seen", now=True),
        sa.UniqueConstraint("tenant", "device", "sha256"),
    )


def _hypertable() -> None:
    edition = timescale.enable(op.get_bind())
    if edition is not timescale.Edition.NONE:
        op.execute(
            "SELECT create_hypertable('epochs', by_range('epoch_start', interval '7 days'), "
            "create_default_indexes => false)"
        )
    if edition is timescale.Edition.FULL:
        # The whole key is in the order, so that a late duplicate is looked for in few batches.
        op.execute(
            "ALTER TABLE epochs SET (timescaledb.compress, timescaledb.compress_segmentby = "
            "'tenant_id, device_id', timescaledb.compress_orderby = 'epoch_start, stream, seq')"
        )
        op.execute("SELECT add_compression_policy('epochs', interval '14 days')")
        op.execute(f"SELECT add_retention_policy('epochs', interval '{RETENTION}')")


def upgrade() -> None:
    """Make every table, the hypertable where there is TimescaleDB, and the views."""
    _people()
    _runs()
    _epochs("epochs", "device_id", "epoch_start", "stream", "seq")
    _epochs("epochs_untimed", "device_id", "stream", "seq")
    _predictions()
    _dead_letters()
    _hypertable()
    for statement in views.CREATE:
        op.execute(statement)


def downgrade() -> None:
    """Drop everything; the extension stays, others may use it."""
    for statement in views.DROP:
        op.execute(statement)
    for table in TABLES:
        op.drop_table(table)
