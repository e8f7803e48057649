"""How a client reaches its facade: its URL, whom it trusts, how long it waits, who asks."""

import ssl
from typing import Any, Final

import httpx

from noctis.client.tokens import Account, Tokens
from noctis.errors import ConfigurationError

__all__ = ["CONNECT_S", "options"]

CONNECT_S: Final = 5.0


def options(
    url: str, *, user: str, app: str, password: str, ca: str, seconds: float
) -> dict[str, Any]:
    """Return what an httpx client is made with.

    Raises ConfigurationError unless one of ``user`` and ``app`` is named, and where ``ca`` is
    no file with a certificate to trust.
    """
    if bool(user) == bool(app):
        message = "it is not said who asks" if not user else "both a user and an app ask"
        raise ConfigurationError(message, hint="name one, as user= or as app=")
    try:
        trusted = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        message = f"{ca} holds no certificate to trust: {error}"
        raise ConfigurationError(message, hint="name the CA's certificate as ca=") from error
    account = Account("user" if user else "app", user or app, password)
    return {
        "base_url": url,
        "verify": trusted,
        "timeout": httpx.Timeout(seconds, connect=min(CONNECT_S, seconds)),
        "auth": Tokens(url, account),
    }
