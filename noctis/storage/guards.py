"""What the facade can see: one tenant's rows, whatever its queries say.

Its transactions take on the role ``noctis_facade``, which owns nothing, and name one tenant.
Row-level security lets that role see and write the rows of this tenant alone: none at all
where no tenant is named. What is compressed by TimescaleDB cannot have row-level security, so
the role has no right on epochs and their hours; views of the same names, in a schema that it
looks into first, show the tenant's. Services own the tables: they work for all tenants, and
nothing here concerns them.

This stops a query that forgets its condition. It does not stop somebody who makes a query of
his own: the role is left as easily as it is taken on.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from noctis.errors import ConfigurationError
from noctis.storage import rollup_schema, views
from noctis.storage.driver import Prelude

__all__ = ["COMMON", "ROLE", "enter", "entering", "lift", "protect"]

ROLE: Final = "noctis_facade"
SCHEMA: Final = ROLE
POLICY: Final = "tenant"
COMMON: Final = ("models",)
"""Tables that are nobody's and that every tenant may read."""

VIEWED: Final = {"epochs": " WITH CHECK OPTION", rollup_schema.NAME: ""}
_TENANT: Final = "nullif(current_setting('noctis.tenant_id', true), '')::integer"
_RULES: Final = {
    "tenant_id": f"tenant_id = {_TENANT}",
    "device_id": f"device_id = ANY ((SELECT {SCHEMA}.devices())::integer[])",
    "tenant": "tenant = current_setting('noctis.tenant', true)",
}
"""Whose a row is, by the first of these columns that its table has."""

_DEVICES: Final = f"""
CREATE FUNCTION {SCHEMA}.devices() RETURNS integer[] LANGUAGE sql STABLE AS
$$ SELECT coalesce(array_agg(id), '{{}}') FROM public.devices WHERE tenant_id = {_TENANT} $$
"""  # noqa: S608 - every part is a constant of the schema
# The rules make costs look high where nothing is read: no workers for the reading of a page.
_SETTINGS: Final = f"""
SELECT set_config('noctis.tenant_id', coalesce(
         (SELECT id::text FROM tenants WHERE name = %(tenant)s), ''), true),
       set_config('noctis.tenant', %(tenant)s, true),
       set_config('search_path', '{SCHEMA}, public', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       set_config('role', '{ROLE}', true)
"""  # noqa: S608 - every part is a constant of the schema
_READ_ONLY: Final = f"{_SETTINGS}, set_config('transaction_read_only', 'on', true)"
_TABLES: Final = text("""
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND NOT a.attisdropped
 GROUP BY c.relname ORDER BY c.relname
""")
_STATE: Final = text(f"""
SELECT obj_description(n.oid, 'pg_namespace')
  FROM pg_namespace n
 WHERE n.nspname = '{SCHEMA}' AND has_schema_privilege('{ROLE}', n.oid, 'USAGE')
""")  # noqa: S608 - every part is a constant of the schema
_IS_MEMBER: Final = text("""
SELECT pg_has_role(current_user, oid, CASE WHEN current_setting('server_version_num')::int
                   >= 160000 THEN 'SET' ELSE 'MEMBER' END)
  FROM pg_roles WHERE rolname = :role
""")


def enter(connection: Connection, tenant: str) -> None:
    """Let the rest of the transaction see and write one tenant's rows alone.

    An unknown tenant, the empty name too, has no rows.
    """
    connection.exec_driver_sql(_SETTINGS, {"tenant": tenant})


def entering(tenant: str) -> Prelude:
    """Return what lets one statement, its own transaction, read one tenant's rows alone."""
    return Prelude(_READ_ONLY, {"tenant": tenant})


def protect(connection: Connection) -> None:
    """Bring the rules up to the tables that there are; nothing is done where they stand.

    Raise ConfigurationError where the role is missing and this user may not create it.
    """
    _ensure_role(connection)
    statements = list(_statements(connection))
    digest = sha256("\n".join(statements).encode()).hexdigest()
    if connection.scalar(_STATE) == digest:
        return
    lift(connection)
    for statement in statements:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{digest}'")


def lift(connection: Connection) -> None:
    """Take the rules away, so that the tables can change; until then the role sees nothing."""
    policies = text("SELECT tablename FROM pg_policies WHERE policyname = :name")
    for table in connection.scalars(policies, {"name": POLICY}).all():
        connection.exec_driver_sql(f"DROP POLICY {POLICY} ON public.{table}")
    connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def _statements(connection: Connection) -> Iterator[str]:
    """Return what makes the rules: policies of tables, views where there can be none."""
    yield f"CREATE SCHEMA {SCHEMA}"
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {ROLE}"
    yield _DEVICES
    for table, columns in connection.execute(_TABLES):
        if table not in VIEWED:
            yield from _guarded(table, columns)
    for name, check in VIEWED.items():
        own = f"SELECT * FROM public.{name} WHERE {_RULES['tenant_id']}"  # noqa: S608
        yield f"CREATE VIEW {SCHEMA}.{name} WITH (security_barrier) AS {own}{check}"
        rights = "SELECT, INSERT, UPDATE, DELETE" if check else "SELECT"
        yield f"GRANT {rights} ON {SCHEMA}.{name} TO {ROLE}"
    yield f"SET LOCAL search_path TO {SCHEMA}, public"
    yield from views.CREATE
    yield "SET LOCAL search_path TO DEFAULT"
    for name in ("epoch_timeline", "epoch_values"):
        yield f"ALTER VIEW {SCHEMA}.{name} SET (security_invoker = true)"
        yield f"GRANT SELECT ON {SCHEMA}.{name} TO {ROLE}"


def _guarded(table: str, columns: list[str]) -> Iterator[str]:
    if table in COMMON:
        yield f"GRANT SELECT ON public.{table} TO {ROLE}"
        return
    yield f"ALTER TABLE public.{table} ENABLE ROW LEVEL SECURITY"
    rule = f"id = {_TENANT}" if table == "tenants" else ""
    rule = rule or next((rule for column, rule in _RULES.items() if column in columns), "")
    if rule:
        yield f"CREATE POLICY {POLICY} ON public.{table} USING ({rule})"
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.{table} TO {ROLE}"


def _ensure_role(connection: Connection) -> None:
    """Make the role, which may be shared with other databases, and become a member of it."""
    user: str = connection.scalar(text("SELECT quote_ident(current_user)")) or ""
    create, grant = f"CREATE ROLE {ROLE} NOLOGIN", f"GRANT {ROLE} TO {user}"
    try:
        if connection.scalar(_IS_MEMBER, {"role": ROLE}) is None:
            connection.exec_driver_sql(
                f"DO $$ BEGIN {create}; EXCEPTION WHEN duplicate_object OR unique_violation "
                "THEN NULL; END $$"
            )
        if not connection.scalar(_IS_MEMBER, {"role": ROLE}):
            connection.exec_driver_sql(grant)
    except ProgrammingError as error:
        message = f"the database's user {user} may not make the role {ROLE} of the facade"
        hint = f"as a superuser: {create}; {grant}; then noctis migrate again"
        raise ConfigurationError(message, hint=hint) from error
