"""A tenant's rules of alerts; what it never said is as ``noctis.alerts.DEFAULTS``."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from noctis.alerts import DEFAULTS, RULES, Name, Rule
from noctis.storage.alert_models import alert_rules
from noctis.storage.models import tenants
from noctis.storage.tenants import id_of

__all__ = ["Ruled", "get", "list_of", "put"]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A rule of a tenant; version 0 and never changed: as it is by default."""

    name: Name
    version: int
    rule: Rule
    changed_at: datetime | None


def list_of(tenant: str, connection: Connection) -> list[Ruled]:
    """Return all rules of a tenant; raise NotFoundError for an unknown one."""
    query = select(alert_rules).where(alert_rules.c.tenant_id == id_of(tenant, connection))
    known = {row.rule: row for row in connection.execute(query)}
    return [
        Ruled(name, 0, DEFAULTS[name], None)
        if (row := known.get(name)) is None
        else Ruled(
            name,
            row.version,
            Rule(row.enabled, row.threshold, row.raise_after, row.clear_after, row.cooldown_s),
            row.changed_at,
        )
        for name in RULES
    ]


def get(tenant: str, connection: Connection, name: Name, *, to_change: bool = False) -> Ruled:
    """Return a rule of a tenant; raise NotFoundError for an unknown tenant.

    ``to_change``: nobody else changes it before the transaction ends.
    """
    if to_change:  # the tenant's row: there may be no rule yet
        mine = select(tenants.c.id).where(tenants.c.name == tenant)
        connection.execute(mine.with_for_update(key_share=True))
    return next(it for it in list_of(tenant, connection) if it.name == name)


def put(tenant: str, connection: Connection, name: Name, rule: Rule) -> Ruled:
    """Give a tenant another rule, of the next version; the same one changes nothing."""
    known = get(tenant, connection, name, to_change=True)
    if known.rule == rule:
        return known
    values = {**asdict(rule), "version": known.version + 1}
    new = insert(alert_rules).values(tenant_id=id_of(tenant, connection), rule=name, **values)
    changed = {**values, "changed_at": func.now()}
    connection.execute(
        new.on_conflict_do_update(index_elements=["tenant_id", "rule"], set_=changed)
    )
    return get(tenant, connection, name)
