"""Who may do what on the broker: passwords and the ACL, rendered from the accounts.

The ACL denies by default. Its two patterns give every device its own topics: ``%u`` is the
whole user name, so ``tenant/device`` fills two levels. Mosquitto applies patterns to apps and
services too; whoever parses a topic therefore checks the names and the shape.
"""

import re
from collections.abc import Iterable
from typing import Final, Protocol

from noctis.errors import ConfigurationError, IdentityError
from noctis.identity import SERVICE_PREFIX, DeviceId, app_username, check_name
from noctis.topics import ROOT, of_all_devices

__all__ = ["MONITOR", "Account", "render_acl", "render_passwords", "rights"]

MONITOR: Final = "svc-monitor-0"
"""Who reads what the broker tells of itself; an account of its own process, in no table."""

_HASH: Final = re.compile(r"\$7\$[1-9][0-9]{0,8}\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+")

_PATTERNS: Final = (
    f"pattern write {ROOT}/up/+/%u/#",
    f"pattern read {ROOT}/down/%u/#",
)

_RIGHTS: Final = {
    "ingestor": (
        f"read {ROOT}/up/+/+/+/epochs",
        f"read {ROOT}/up/+/+/+/backlog",
        f"read {ROOT}/up/+/+/+/time",
        f"write {ROOT}/down/+/+/ack",
        f"write {ROOT}/down/+/+/time",
    ),
    "live": (
        f"read {ROOT}/up/+/+/+/epochs",
        f"write {ROOT}/app/+/+/stage",
    ),
    "companion": (
        f"read {ROOT}/up/+/+/+/status",
        f"read {ROOT}/up/+/+/+/result",
        f"read {ROOT}/up/+/+/+/ota",
        f"read {ROOT}/up/+/+/+/config",
        f"read {ROOT}/up/+/+/+/log",
        f"write {ROOT}/down/+/+/command",
        # Retained messages of an erased device are cleared by empty ones.
        f"write {ROOT}/up/+/+/+/status",
        f"write {ROOT}/down/+/+/config",
        f"write {ROOT}/down/+/+/ota",
        f"write {ROOT}/app/+/+/stage",
        f"write {ROOT}/app/+/+/status",
        f"write {ROOT}/app/+/+/night",
        f"write {ROOT}/app/+/+/alert",
        f"write {ROOT}/app/+/status",
        "write homeassistant/device/+/+/config",
        f"write {ROOT}/service/+/status",
        # It hears what is retained, and sends again what a broker has lost.
        *(f"read {it}" for it in of_all_devices()),
        f"read {ROOT}/app/+/status",
        f"read {ROOT}/service/+/status",
    ),
    "api": (f"read {ROOT}/app/+/+/stage",),
    "monitor": ("read $SYS/broker/#",),
    "probe": (f"read {ROOT}/probe/#", f"write {ROOT}/probe/#"),
}
"""What each kind of service connection ``svc-<kind>-<n>`` needs, and nothing more."""


class Account(Protocol):
    """An account that may connect: a row of the table ``accounts``."""

    @property
    def username(self) -> str:
        """The MQTT user, which is the client id too."""

    @property
    def password_hash(self) -> str:
        """Mosquitto's own format, ``$7$<iterations>$<salt>$<PBKDF2-SHA512>``."""


def rights(username: str) -> tuple[str, ...]:
    """Return what an account may do, as ``read <filter>`` and ``write <filter>``.

    Raises ConfigurationError for a user name that is no device, app or service.
    """
    if "/" not in username:
        return _topics(username)
    _topics(username)
    return (f"write {ROOT}/up/+/{username}/+", f"read {ROOT}/down/{username}/+")


def render_passwords(accounts: Iterable[Account]) -> str:
    """Return Mosquitto's password file.

    Raises ConfigurationError for a name or a hash that could forge another line.
    """
    lines = []
    for account in accounts:
        _topics(account.username)
        if _HASH.fullmatch(account.password_hash) is None:
            message = (
                f"the password hash of account {account.username!r} is not Mosquitto's $7$"
            )
            raise ConfigurationError(message, hint="set a new password for it")
        lines.append(f"{account.username}:{account.password_hash}\n")
    return "".join(sorted(lines))


def render_acl(accounts: Iterable[Account], denied: Iterable[str] = ()) -> str:
    """Return Mosquitto's ACL file: the devices' patterns, then each other account's topics.

    ``denied`` are users that may do nothing, although their certificates are still valid. A
    service of an unknown kind or without a number gets no topics. Raises ConfigurationError
    for a user name that is no device, app or service.
    """
    blocks = ["\n".join(_PATTERNS)]
    for username in sorted(denied):
        _topics(username)
        blocks.append(f"user {username}\ntopic deny #")
    for username in sorted(account.username for account in accounts):
        topics = _topics(username)
        if topics:
            blocks.append("\n".join([f"user {username}", *(f"topic {it}" for it in topics)]))
    return "\n\n".join(blocks) + "\n"


def _topics(username: str) -> tuple[str, ...]:
    """Return the topics of one account beyond the patterns."""
    try:
        if "/" in username:
            DeviceId.parse(username)
            return ()
        if "@" in username:
            return _app_topics(username)
        check_name(username, "service")
    except IdentityError as error:
        message = f"account {username!r} cannot be: {error}"
        raise ConfigurationError(message) from error
    if not username.startswith(SERVICE_PREFIX):
        message = f"account {username!r} is no device, app or service"
        hint = f"write tenant/device, app@tenant, or {SERVICE_PREFIX}<kind>-<n>"
        raise ConfigurationError(message, hint=hint)
    kind, _, number = username.removeprefix(SERVICE_PREFIX).rpartition("-")
    return _RIGHTS.get(kind, ()) if number.isdecimal() else ()


def _app_topics(username: str) -> tuple[str, ...]:
    app, _, tenant = username.partition("@")
    app_username(app, tenant)
    return (
        f"read {ROOT}/app/{tenant}/#",
        f"read {ROOT}/service/+/status",
        f"read homeassistant/+/{tenant}/+/config",
    )
