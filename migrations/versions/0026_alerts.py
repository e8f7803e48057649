"""Alerts: rules of tenants, what is watched, alerts, and what is to be told of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

RULE = "rule IN ('no_breathing', 'silent', 'missing_epochs', 'drift')"


def _time(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable, server_default=default)


def _of(table: str) -> sa.Column[int]:
    owner = sa.ForeignKey(f"{table}s.id", ondelete="CASCADE")
    return sa.Column(f"{table}_id", sa.Integer, owner, nullable=False)


def _number() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


def upgrade() -> None:
    """Make the tables; a tenant without rules of its own has the default ones."""
    _make_rules()
    _make_alerts()
    _make_events()


def _make_rules() -> None:
    op.create_table(
        "alert_rules",
        _of("tenant"),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("threshold", sa.Integer, nullable=False),
        sa.Column("raise_after", sa.Integer, nullable=False),
        sa.Column("clear_after", sa.Integer, nullable=False),
        sa.Column("cooldown_s", sa.Integer, nullable=False),
        _time("changed_at", now=True),
        sa.PrimaryKeyConstraint("tenant_id", "rule"),
        sa.CheckConstraint(RULE, name="rule"),
        sa.CheckConstraint(
            "threshold > 0 AND raise_after > 0 AND clear_after > 0 AND cooldown_s >= 0",
            name="numbers",
        ),
    )
    op.create_table(
        "alert_watches",
        _of("device"),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("streak", sa.Integer, nullable=False),
        _time("cleared_at", nullable=True),
        sa.PrimaryKeyConstraint("device_id", "rule"),
        sa.CheckConstraint(RULE, name="rule"),
    )


def _make_alerts() -> None:
    op.create_table(
        "alerts",
        _number(),
        _of("tenant"),
        _of("device"),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("details", JSONB, nullable=False),
        _time("raised_at"),
        _time("cleared_at", nullable=True),
        _time("acknowledged_at", nullable=True),
        sa.Column("acknowledged_by", sa.Text, nullable=True),
        sa.CheckConstraint(RULE, name="rule"),
        sa.CheckConstraint(
            "(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"
        ),
    )
    op.create_index("ix_alerts_tenant_id", "alerts", ["tenant_id", "id"])
    op.create_index("ix_alerts_device_id", "alerts", ["device_id"])
    is_open = sa.text("cleared_at IS NULL")
    op.create_index(
        "uq_alerts_open", "alerts", ["device_id", "rule"], unique=True, postgresql_where=is_open
    )


def _make_events() -> None:
    op.create_table(
        "alert_events",
        _number(),
        _of("tenant"),
        _of("device"),
        sa.Column(
            "alert_id",
            sa.BigInteger,
            sa.ForeignKey("alerts.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("details", JSONB, nullable=False),
        _time("at"),
        _time("told_at", nullable=True),
        sa.CheckConstraint(RULE, name="rule"),
        sa.CheckConstraint("state IN ('raised', 'cleared', 'acknowledged')", name="state"),
    )
    op.create_index("ix_alert_events_device_id", "alert_events", ["device_id"])
    op.create_index(
        "uq_alert_events_alert_id", "alert_events", ["alert_id", "state"], unique=True
    )
    untold = sa.text("told_at IS NULL")
    op.create_index("ix_alert_events_untold", "alert_events", ["id"], postgresql_where=untold)


def downgrade() -> None:
    """Drop them: what was raised is forgotten."""
    for table in ("alert_events", "alerts", "alert_watches", "alert_rules"):
        op.drop_table(table)
