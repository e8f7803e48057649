"""Mosquitto's configuration file, rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from noctis.errors import ConfigurationError

__all__ = ["Limits", "Listener", "Tls", "render_config"]

_COMMON: Final = """\
per_listener_settings false
allow_anonymous false
set_tcp_nodelay true
check_retain_source true
queue_qos0_messages false
persistent_client_expiration 14d
# Sessions come and go by the thousand; only what is wrong belongs in the log.
connection_messages false
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
"""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS listener; with ``authority`` a client's certificate names its user.

    ``revoked`` is that authority's list to begin with; the broker's folder has later ones.
    """

    certificate: Path
    key: Path
    authority: Path | None = None
    revoked: Path | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and port to listen on; anything but loopback needs TLS."""

    port: int
    address: str = "127.0.0.1"
    tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may pile up; Mosquitto drops silently beyond the queue.

    The defaults hold some 100,000 live epochs, or a million in full frames, for an ingestor
    that is away, and no more than 64 MiB.
    """

    inflight_messages: int = 10_000
    queued_messages: int = 100_000
    queued_bytes: int = 64 * 1024 * 1024
    packet_bytes: int = 64 * 1024


def render_config(
    listeners: Sequence[Listener],
    *,
    passwords: Path,
    acl: Path,
    persistence: Path | None,
    revoked: Path | None = None,
    limits: Limits | None = None,
) -> str:
    """Return mosquitto.conf; ``persistence`` is the folder of its database, None for none.

    ``revoked`` is the list of revoked certificates, for listeners that ask for certificates.
    Raises ConfigurationError for a listener that would send passwords in the clear, or that
    would let revoked certificates in.
    """
    limits = limits or Limits()
    parts = [
        _COMMON,
        f"password_file {passwords}\n",
        f"acl_file {acl}\n",
        f"max_inflight_messages {limits.inflight_messages}\n",
        f"max_queued_messages {limits.queued_messages}\n",
        f"max_queued_bytes {limits.queued_bytes}\n",
        f"max_packet_size {limits.packet_bytes}\n",
        _render_persistence(persistence),
        *(_render_listener(listener, revoked) for listener in listeners),
    ]
    return "".join(parts)


def _render_persistence(folder: Path | None) -> str:
    """Return an optimisation: what kill -9 takes from the broker, the devices send again."""
    if folder is None:
        return "persistence false\n"
    return (
        "persistence true\n"
        f"persistence_location {folder}/\n"
        "persistence_file mosquitto.db\n"
        "autosave_interval 2\n"
        "autosave_on_changes false\n"
    )


def _render_listener(listener: Listener, revoked: Path | None) -> str:
    """Return a listener's lines.

    An option of listeners that stands before the first of them opens one more, on port 1883
    of every interface; ``use_username_as_clientid`` is such an option.
    """
    lines = [
        f"\nlistener {listener.port} {listener.address}",
        "# A stranger with a victim's client id would destroy its queue.",
        "use_username_as_clientid true",
    ]
    if listener.tls is not None:
        lines += _render_tls(listener.tls, revoked)
    elif not (listener.address == "localhost" or listener.address.startswith("127.")):
        message = f"listener {listener.address}:{listener.port} has no TLS"
        raise ConfigurationError(message, hint="passwords must not cross a network in clear")
    return "\n".join(lines) + "\n"


def _render_tls(tls: Tls, revoked: Path | None) -> list[str]:
    lines = [f"certfile {tls.certificate}", f"keyfile {tls.key}", "tls_version tlsv1.2"]
    if tls.authority is None:
        return lines
    if revoked is None:
        message = "a listener that asks for certificates has no list of the revoked ones"
        raise ConfigurationError(message, hint="noctis ca init writes a first one")
    return [
        *lines,
        f"cafile {tls.authority}",
        f"crlfile {revoked}",
        "# The certificate alone says who a client is; no password is asked for here.",
        "require_certificate true",
        "use_identity_as_username true",
    ]
