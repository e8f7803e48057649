"""What monitors are told of the broker: connections, accounts, and how long it is trusted."""

import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from prometheus_client import Gauge

from broker.connections import connections_of
from broker.server import MosquittoServer
from noctis.errors import ProcessError

__all__ = ["CERTIFICATES_S", "Measures"]

CERTIFICATES_S: Final = 30.0
"""How often files of certificates are looked at."""

_connections = Gauge(
    "noctis_broker_connections", "Established connections of Mosquitto (Linux)."
)
_accounts = Gauge("noctis_broker_accounts", "Accounts that may connect.")
_synced = Gauge(
    "noctis_broker_accounts_timestamp_seconds",
    "When the accounts in force last were those of the database.",
)
_ends = Gauge(
    "noctis_certificate_ends_timestamp_seconds",
    "When the broker's certificate, its CA or its list of the revoked is good no longer.",
    ["certificate"],
)


class Measures:
    """Tells how a broker is; ``count`` is called every second or so."""

    def __init__(self, server: MosquittoServer) -> None:
        self._server = server
        self._due = 0.0

    def count(self, accounts: int | None) -> None:
        """Count connections and accounts, None: not known; look at the certificates."""
        if accounts is not None:
            _accounts.set(accounts)
        with suppress(OSError, ProcessError):  # no /proc, or Mosquitto has just ended
            _connections.set(connections_of(self._server.pid))
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + CERTIFICATES_S
            for kind, ends in _read(self._server.certificates):
                _ends.labels(kind).set(ends.timestamp())

    @staticmethod
    def synced() -> None:
        """Say that the accounts in force are those of the database."""
        _synced.set_to_current_time()


def _read(files: Iterable[tuple[str, Path]]) -> Iterable[tuple[str, datetime]]:
    for kind, path in files:
        with suppress(OSError, ValueError):  # being replaced, or the doctor tells
            ends = _end(kind, path.read_bytes())
            if ends is not None:
                yield kind, ends


def _end(kind: str, pem: bytes) -> datetime | None:
    if kind == "revoked":
        return x509.load_pem_x509_crl(pem).next_update_utc
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc
