"""Who somebody is: tenants, devices, apps, and what a caller may do."""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from typing_extensions import override

from noctis.errors import IdentityError

__all__ = [
    "ROLES",
    "DeviceId",
    "Principal",
    "Role",
    "app_username",
    "check_name",
    "check_role",
    "check_tenant",
    "parse_login",
    "user_subject",
]

Role = Literal["viewer", "member", "admin", "platform"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""What a user or an app may be; the facade says what each is granted."""

_NAME = re.compile(r"[a-z0-9-]{1,32}")
SERVICE_PREFIX = "svc-"


def check_name(name: str, what: str = "name") -> str:
    """Return ``name`` when it matches ``[a-z0-9-]{1,32}``; raise IdentityError otherwise."""
    if _NAME.fullmatch(name) is None:
        message = f"{what} {name!r} is not valid"
        hint = "use 1 to 32 of the letters a-z, digits and '-'"
        raise IdentityError(message, hint=hint)
    return name


def check_tenant(name: str) -> str:
    """Return ``name`` when it may name a tenant; ``svc-`` belongs to the services."""
    check_name(name, "tenant")
    if name.startswith(SERVICE_PREFIX):
        message = f"tenant {name!r} begins with {SERVICE_PREFIX!r}"
        raise IdentityError(message, hint="that prefix belongs to the platform's services")
    return name


@dataclass(frozen=True, slots=True, order=True)
class DeviceId:
    """A device of a tenant; its text ``tenant/device`` is its MQTT user and client id."""

    tenant: str
    device: str

    def __post_init__(self) -> None:
        check_tenant(self.tenant)
        check_name(self.device, "device")

    @override
    def __str__(self) -> str:
        return f"{self.tenant}/{self.device}"

    @classmethod
    def parse(cls, text: str) -> "DeviceId":
        """Return the id that ``tenant/device`` names."""
        tenant, slash, device = text.partition("/")
        if not slash:
            message = f"device id {text!r} has no '/'"
            raise IdentityError(message, hint="write it as tenant/device")
        return cls(tenant, device)


def app_username(app: str, tenant: str) -> str:
    """Return the MQTT user ``app@tenant`` of an app."""
    return f"{check_name(app, 'app')}@{check_tenant(tenant)}"


def parse_login(text: str) -> tuple[str, str]:
    """Return name and tenant of a user's or an app's login ``name@tenant``."""
    name, at, tenant = text.partition("@")
    if not at:
        message = f"login {text!r} names no tenant"
        raise IdentityError(message, hint="write it as name@tenant")
    return check_name(name), check_tenant(tenant)


def user_subject(name: str, tenant: str) -> str:
    """Return what a user's tokens call him, which no app of the same name is called."""
    return f"user:{check_name(name, 'user')}@{check_tenant(tenant)}"


def check_role(text: str) -> Role:
    """Return ``text`` when it is a role; raise IdentityError otherwise."""
    for role in ROLES:
        if text == role:
            return role
    message = f"there is no role {text!r}"
    raise IdentityError(message, hint=f"the roles are {', '.join(ROLES)}")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was checked: its subject, its tenant and its scopes."""

    subject: str
    tenant: str
    scopes: frozenset[str]
