"""How much a tenant may ask for; what is not said is as the platform's settings say."""

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from noctis.errors import StorageError
from noctis.storage.models import devices, tenants
from noctis.storage.tenants import id_of
from noctis.storage.user_models import quotas

__all__ = ["Quota", "QuotaError", "check_devices", "list_all", "put", "read"]


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may ask for; None: as the platform says.

    ``devices``: how many may be active; ``epochs_per_minute``: sent over HTTP.
    """

    requests_per_second: float | None = None
    burst: int | None = None
    epochs_per_minute: int | None = None
    devices: int | None = None

    def over(self, default: "Quota") -> "Quota":
        """Return this quota, with the default's word where it has none."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return Quota(**{**asdict(default), **said})


class QuotaError(StorageError):
    """The tenant has as many as it may have."""


_TABLE: Final = quotas.c
_VALUES: Final = (
    _TABLE.requests_per_second,
    _TABLE.burst,
    _TABLE.epochs_per_minute,
    _TABLE.devices,
)


def put(tenant: str, connection: Connection, quota: Quota) -> None:
    """Say what a tenant may ask for; raise NotFoundError, StorageError where less than one."""
    values = asdict(quota)
    connection.execute(
        insert(quotas)
        .values(tenant_id=id_of(tenant, connection), **values)
        .on_conflict_do_update(index_elements=[_TABLE.tenant_id], set_=values)
    )


def read(tenant: str, connection: Connection) -> Quota:
    """Return what was said of a tenant; raise NotFoundError."""
    key = id_of(tenant, connection)
    row = connection.execute(select(*_VALUES).where(_TABLE.tenant_id == key)).one_or_none()
    return Quota() if row is None else Quota(*row)


def list_all(connection: Connection) -> dict[str, Quota]:
    """Return what was said of tenants, by their names."""
    rows = connection.execute(
        select(tenants.c.name, *_VALUES).join(tenants, tenants.c.id == _TABLE.tenant_id)
    )
    return {name: Quota(*values) for name, *values in rows}


def check_devices(tenant: str, connection: Connection, default: int | None) -> None:
    """Raise QuotaError where a tenant has all the devices that it may have.

    ``default``: how many, where its quota says nothing; None: any number. Revoked ones do not
    count. Until the transaction ends nobody else adds one.
    """
    most = read(tenant, connection).devices
    most = default if most is None else most
    if most is None:
        return
    mine = tenants.c.name == tenant
    connection.execute(select(tenants.c.id).where(mine).with_for_update(key_share=True))
    active = connection.scalar(
        select(func.count())
        .select_from(devices)
        .join(tenants, tenants.c.id == devices.c.tenant_id)
        .where(mine, devices.c.revoked_at.is_(None))
    )
    if (active or 0) >= most:
        message = f"tenant {tenant!r} has {active} devices and may have {most}"
        raise QuotaError(message, hint="revoke one, or ask the operator for a larger quota")
