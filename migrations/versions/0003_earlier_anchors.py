"""The views anew: a run without a usable clock is placed by an earlier one of its boot too."""

from alembic import op

from noctis.storage import views

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the views again: where no later run of a boot knows the time, an earlier one may."""
    _remake()


def downgrade() -> None:
    """Make the views again; they always follow the schema of the code that runs."""
    _remake()


def _remake() -> None:
    for statement in (*views.DROP, *views.CREATE):
        op.execute(statement)
