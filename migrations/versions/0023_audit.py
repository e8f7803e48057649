"""An audit that only grows: a chain of hashes, and erasable details beside it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# A part is told by its length in bytes, so that no two lists of parts look alike.
ENCODE = """
CREATE FUNCTION audit_encode(VARIADIC parts text[]) RETURNS bytea LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
SELECT convert_to(string_agg(coalesce(
         octet_length(convert_to(part, 'UTF8')) || ':' || part || ',', '-'), '' ORDER BY n),
         'UTF8')
  FROM unnest(parts) WITH ORDINALITY AS p (part, n)
$$
"""

# Whoever inserts: number, time and hash are made here, one after the other, until the COMMIT.
CHAIN = """
CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
  last audit;
BEGIN
  PERFORM pg_advisory_xact_lock(5640277, 1);
  SELECT * INTO last FROM audit ORDER BY number DESC LIMIT 1;
  NEW.number := coalesce(last.number, 0) + 1;
  NEW.at := clock_timestamp();
  NEW.hash := sha256(coalesce(last.hash, sha256('')) || audit_encode(
    NEW.number::text, (extract(epoch FROM NEW.at) * 1000000)::bigint::text, NEW.details::text,
    NEW.tenant_key::text, NEW.action, NEW.outcome, encode(NEW.commitment, 'hex')));
  RETURN NEW;
END $$
"""

# At COMMIT, so that the chain is held for no longer than that.
SEAL = """
CREATE FUNCTION audit_seal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO audit (number, at, details, tenant_key, action, outcome, commitment, hash)
  VALUES (0, now(), NEW.id, NEW.tenant_key, NEW.action, NEW.outcome,
          sha256(NEW.salt || audit_encode(NEW.actor, NEW.target, NEW.address, NEW.facts)), '');
  RETURN NULL;
END $$
"""

REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'UPDATE' AND TG_TABLE_NAME = 'audit_details'
     AND current_setting('noctis.audit_erasing', true) = 'yes' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION '% only grows: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'insufficient_privilege';
END $$
"""

# The facade's role has no right on the tables, and writes of its own tenant alone.
APPEND = """
CREATE FUNCTION audit_append(tenant text, action text, outcome text, actor text, target text,
                             address text, facts text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  key integer := (SELECT id FROM tenants WHERE name = tenant);
BEGIN
  IF current_setting('role') = 'noctis_facade'
     AND tenant IS DISTINCT FROM current_setting('noctis.tenant', true) THEN
    RAISE EXCEPTION 'an entry of another tenant is refused'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF key IS NULL AND tenant <> '' THEN  -- what nobody could have erased is not kept
    actor := 'unknown'; target := ''; address := ''; facts := '{}';
  END IF;
  INSERT INTO audit_details (tenant_key, action, outcome, actor, target, address, facts)
  VALUES (key, action, outcome, actor, target, address, facts);
END $$
"""

TRIGGERS = """
CREATE TRIGGER audit_chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_chain();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_chain;
CREATE CONSTRAINT TRIGGER audit_seal AFTER INSERT ON audit_details
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit_seal();
ALTER TABLE audit_details ENABLE ALWAYS TRIGGER audit_seal
"""
# Even where triggers are off for a replica.
GUARDS = """
CREATE TRIGGER {0}_rows BEFORE UPDATE OR DELETE ON {0}
  FOR EACH ROW EXECUTE FUNCTION audit_refuse();
ALTER TABLE {0} ENABLE ALWAYS TRIGGER {0}_rows;
CREATE TRIGGER {0}_all BEFORE TRUNCATE ON {0}
  FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE {0} ENABLE ALWAYS TRIGGER {0}_all
"""


def upgrade() -> None:
    """Make both tables, and what chains and guards their rows."""
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", TIMESTAMP(timezone=True), nullable=False),
        sa.Column(
            "details", sa.BigInteger, nullable=False, comment="of audit_details; may be erased"
        ),
        sa.Column("tenant_key", sa.Integer, comment="of tenants; null: the platform's"),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "audit_details",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("tenant_key", sa.Integer, sa.ForeignKey("tenants.id")),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, server_default="done"),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False, server_default=""),
        sa.Column("address", sa.Text, nullable=False, server_default=""),
        sa.Column("facts", sa.Text, nullable=False, server_default="{}"),
        sa.Column(
            "salt",
            sa.LargeBinary,
            nullable=False,
            server_default=sa.text("uuid_send(gen_random_uuid())"),
        ),
    )
    op.create_index("ix_audit_details_tenant_key", "audit_details", ["tenant_key"])
    guards = [GUARDS.format(table) for table in ("audit", "audit_details")]
    for statement in (ENCODE, CHAIN, SEAL, REFUSE, APPEND):
        op.execute(statement)
    for statement in ";".join((TRIGGERS, *guards)).split(";"):
        op.execute(statement)


def downgrade() -> None:
    """Drop all of it: what was audited is lost, so write a report first."""
    op.drop_table("audit_details")
    op.drop_table("audit")
    for name in ("audit_seal", "audit_chain", "audit_refuse", "audit_append", "audit_encode"):
        op.execute(f"DROP FUNCTION {name}")
