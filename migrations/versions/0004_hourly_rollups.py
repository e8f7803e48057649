"""Rollups: an hour of a device in one row, notes of late hours, the platform's own jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

from noctis.storage import rollup_schema, timescale

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FULL = timescale.Edition.FULL


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIMESTAMP(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the rollup, empty: the job fills it from the first epoch on."""
    op.create_table(
        "rollup_notes",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("device_id", sa.Integer, nullable=False),
        _time("since"),
        _time("until"),
    )
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text, primary_key=True),
        _time("until", nullable=True),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        sa.Column("error", sa.Text, nullable=True),
    )
    op.execute("INSERT INTO jobs (name) VALUES ('rollups')")
    edition = timescale.enable(op.get_bind())
    for statement in rollup_schema.create(edition):
        op.execute(statement)
    if edition is FULL:
        op.execute(
            f"SELECT add_continuous_aggregate_policy('{rollup_schema.NAME}', "
            "start_offset => interval '2 days', end_offset => interval '2 hours', "
            "schedule_interval => interval '1 hour')"
        )


def downgrade() -> None:
    """Drop the rollup, and with it the policy that refreshes it."""
    for statement in rollup_schema.drop(timescale.edition(op.get_bind())):
        op.execute(statement)
    op.drop_table("jobs")
    op.drop_table("rollup_notes")
