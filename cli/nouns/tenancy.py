"""Whose things a facade lets its caller see: one tenant's, which the token names."""

from cli.facade import Facade
from noctis.errors import ConfigurationError

__all__ = ["check_own", "own_tenant"]


def check_own(facade: Facade, tenant: str) -> None:
    """Raise ConfigurationError where a tenant is named that is not the caller's."""
    profile = facade.profile
    if tenant != profile.tenant:
        message = f"{profile.login} sees the tenant {profile.tenant} alone, not {tenant}"
        hint = f"log in as somebody of {tenant}, or choose another --profile"
        raise ConfigurationError(message, hint=hint)


def own_tenant(facade: Facade, tenant: str | None) -> str:
    """Return the caller's tenant, which is the only one that may be named."""
    if tenant is not None:
        check_own(facade, tenant)
    return facade.profile.tenant
