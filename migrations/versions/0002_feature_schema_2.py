"""The view of physical values anew, for version 2 of the features' codes."""

from alembic import op

from noctis.storage import views

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views again: hr_slope and tilt_change have other ranges."""
    _remake()


def downgrade() -> None:
    """Make the views again; they always follow the schema of the code that runs."""
    _remake()


def _remake() -> None:
    for statement in (*views.DROP, *views.CREATE):
        op.execute(statement)
