"""Run the migrations against ``NOCTIS_DATABASE_URL``, or the URL that code passes in."""

from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, create_engine, pool, text

from noctis.settings import load
from noctis.storage import (
    alert_models,
    audit_models,
    certificate_models,
    command_models,
    drift_models,
    experiment_models,
    guards,
    label_models,
    operation_models,
    replay_models,
    rollout_models,
    rollup_schema,
    steering_models,
    user_models,
)
from noctis.storage.night_models import metadata

__all__ = [
    "alert_models",
    "audit_models",
    "certificate_models",
    "command_models",
    "drift_models",
    "experiment_models",
    "label_models",
    "operation_models",
    "replay_models",
    "rollout_models",
    "steering_models",
    "user_models",
]  # imported for their tables

# Two services that start at once must not migrate at once; the number is arbitrary.
ADVISORY_LOCK = 0x4E0C715
# What another's migration, or a lock on a table, may hold us up; a step itself takes its time.
LOCK_SECONDS = 600


def _is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Tell whether the models describe it; the rollup is a table on some editions only."""
    return not (kind == "table" and name == rollup_schema.NAME)


def _url() -> str:
    url = context.config.attributes.get("url")
    return url if url is not None else load().database_url.get_secret_value()


def _migrate(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        compare_server_default=True,
        include_name=_is_ours,
    )
    try:
        is_there = context.get_revision_argument() in context.get_context().get_current_heads()
    except KeyError:  # a command that only looks
        _run()
        return
    if not is_there:
        guards.lift(connection)
        connection.commit()
    try:
        _run()
    finally:
        _protect(connection)


def _run() -> None:
    with context.begin_transaction():
        context.run_migrations()


def _protect(connection: Connection) -> None:
    """Make the facade's rules for the newest schema; of an older one it sees nothing."""
    newest = tuple(context.script.get_heads())
    if context.get_context().get_current_heads() == newest:
        guards.protect(connection)
        connection.commit()


def _online() -> None:
    engine = create_engine(
        _url(),
        poolclass=pool.NullPool,
        connect_args={"connect_timeout": 10, "application_name": "noctis-migrations"},
    )
    with engine.connect() as connection:
        _migrate(connection)  # closing the connection gives the lock back


def _offline() -> None:
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
if context.is_offline_mode():
    _offline()
else:
    _online()
