"""What the home network sees: TLS alone, by the platform's CA, for real devices and apps."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from broker.config import Listener, Tls
from broker.server import MosquittoServer
from noctis.certificates import CERTIFICATE_FILE, Authority, make_key, read_certificate
from noctis.errors import ConfigurationError
from noctis.private_files import write_private

__all__ = ["Outside", "authority_of"]

SERVER_DAYS: Final = 820
"""Some apps take no certificate that is good for longer."""
RENEWED: Final = timedelta(days=30)
"""So long before its end a certificate is followed by the next, as it is at each start."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Where others come to: ``port`` with passwords, the next with certificates, then images.

    ``folder`` has the certificate of all three, and its key.
    """

    host: str
    port: int
    folder: Path

    @property
    def device_port(self) -> int:
        """The broker's port of devices with certificates."""
        return self.port + 1

    @property
    def image_port(self) -> int:
        """The facade's port where devices fetch firmware."""
        return self.port + 2

    @property
    def files(self) -> tuple[Path, Path]:
        """The certificate and its key."""
        return self.folder / "server.crt", self.folder / "server.key"

    def open(self, broker: MosquittoServer, authority: Authority) -> None:
        """Have the broker listen there from its next start on, with a certificate for it.

        Raise ConfigurationError for what is no address of this machine.
        """
        address = _address(self.host)
        files = self._certify(broker, authority)
        ca = broker.install(CERTIFICATE_FILE, authority.certificate.pem)
        broker.listen(
            Listener(self.port, address, Tls(*files)),
            Listener(self.device_port, address, Tls(*files, ca)),
        )

    def renew(self, broker: MosquittoServer, authority: Authority) -> bool:
        """Make the next certificate where this one is about to end; tell whether that was so.

        The broker is to read its files anew then; the facade does so by itself.
        """
        served = read_certificate(self.files[0].read_text("ascii"))
        if served.not_after - datetime.now(UTC) > RENEWED:
            return False
        self._certify(broker, authority)
        return True

    def settings(self) -> dict[str, str]:
        """Return what the facade must be told to hand out images."""
        certificate, key = self.files
        return {
            "NOCTIS_IMAGES_LISTEN": f"{_address(self.host)}:{self.image_port}",
            "NOCTIS_IMAGES_CERTIFICATE": str(certificate),
            "NOCTIS_IMAGES_KEY": str(key),
        }

    def told(self, authority: Authority, var: Path) -> dict[str, Any]:
        """Return what who is outside must know."""
        return {
            "host": self.host,
            "port": self.port,
            "device_port": self.device_port,
            "images": f"https://{self.host}:{self.image_port}",
            "ca": str(var / "ca" / CERTIFICATE_FILE),
            "ca_fingerprint": authority.certificate.fingerprint,
        }

    def _certify(self, broker: MosquittoServer, authority: Authority) -> tuple[Path, Path]:
        """Write a new certificate and key, for the facade and for the broker; the broker's."""
        name = socket.gethostname()
        key, public_key = make_key()
        names = dict.fromkeys((self.host, _address(self.host), name, f"{name}.local"))
        server = authority.issue_server(list(names), public_key, days=SERVER_DAYS)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(self.files, (server.pem, key), strict=True):
            write_private(path, content)
        return broker.install("server.crt", server.pem), broker.install("server.key", key)


def authority_of(var: Path) -> Authority:
    """Return the platform's CA, which is made at the first start."""
    folder = var / "ca"
    if not Authority.is_in(folder):
        Authority.create().save(folder)
    return Authority.load(folder)


def _address(host: str) -> str:
    """Return the one address of this machine that ``host`` means."""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host))
        with socket.socket() as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        message = f"--listen {host} is no address of this machine: {error.strerror or error}"
        raise ConfigurationError(message, hint="name one that `ip address` shows") from error
    if address.is_unspecified:
        message = f"--listen {host} names no address that others could call"
        raise ConfigurationError(message, hint="name the address of this machine at home")
    return str(address)
