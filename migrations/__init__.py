"""The database's migrations (Alembic), for TimescaleDB and for plain PostgreSQL alike."""
