"""A broker's listener for certificates, and devices' identities for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from broker.config import Listener, Tls
from broker.server import MosquittoServer
from noctis.certificates import Authority, make_key
from noctis.childproc import free_port
from noctis.identity import DeviceId


@dataclass(frozen=True)
class Secured:
    """A CA, and the port of loopback where the broker asks for its certificates."""

    authority: Authority
    folder: Path
    port: int

    @classmethod
    def beside(cls, broker: MosquittoServer, folder: Path) -> Self:
        """Have a broker that does not run yet listen so from its start on."""
        authority, port = Authority.create(), free_port()
        folder.mkdir()
        (folder / "ca.crt").write_text(authority.certificate.pem)
        first = folder / "first.crl"
        first.write_text(authority.revocation_list([]))
        key, public_key = make_key()
        certificate = authority.issue_server(["127.0.0.1"], public_key).pem
        files = broker.install("server.crt", certificate), broker.install("server.key", key)
        ca = broker.install("ca.crt", authority.certificate.pem)
        broker.listen(Listener(port, tls=Tls(*files, ca, first)))
        return cls(authority, folder, port)

    def certify(self, device: DeviceId) -> None:
        """Make a device's key and certificate."""
        key, public_key = make_key()
        stem = self.folder / device.device
        stem.with_suffix(".crt").write_text(self.authority.issue_device(device, public_key).pem)
        stem.with_suffix(".key").write_text(key)

    def arguments(self, device: DeviceId) -> list[str]:
        """Return what ``noctis-device`` must be told to come by its certificate."""
        stem = self.folder / device.device
        files = {
            "--tls-ca": self.folder / "ca.crt",
            "--tls-certificate": stem.with_suffix(".crt"),
            "--tls-key": stem.with_suffix(".key"),
        }
        return [
            *("--port", str(self.port)),
            *(str(it) for pair in files.items() for it in pair),
        ]
