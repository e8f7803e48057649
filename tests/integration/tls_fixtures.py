"""A broker behind TLS, and identities for it: good ones and every kind of bad one."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from broker.config import Listener, Tls
from broker.server import MosquittoServer
from noctis.certificates import Authority, Certificate, make_key
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.storage.revocations import NONE, Revocations
from tests.integration.broker_fixtures import Client, accounts

CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
ACCEPTED = b"\x20\x02\x00\x00"
Identity = tuple[Certificate, Path]


@dataclass
class House:
    """A broker with a listener for passwords and one for certificates, and its CA."""

    folder: Path
    server: MosquittoServer
    authority: Authority
    password_port: int
    device_port: int
    revoked: list[tuple[str, str]] = field(default_factory=list)

    def certified(self, name: str, *, by: Authority | None = None, days: int = 30) -> Identity:
        """Return a device's certificate, and the file with that and its key."""
        key, public_key = make_key()
        device = DeviceId.parse(name)
        issued = (by or self.authority).issue_device(device, public_key, days=days)
        file = self.folder / f"{issued.serial}.pem"
        file.write_text(issued.pem + key)
        return issued, file

    def context(self, identity: Path | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=self.authority.certificate.pem)
        # With 1.3 a client learns why it is refused only if that comes before the reset.
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        if identity is not None:
            made.load_cert_chain(identity)
        return made

    def reload(self, *, denied: frozenset[str] = frozenset(), signed: bool = True) -> None:
        now = datetime.now(UTC)
        pem = self.authority.revocation_list([(serial, now) for serial, _ in self.revoked])
        if not signed:
            pem = self.authority.revocation_list([])
        self.server.reload(accounts(), Revocations(pem, dict(self.revoked), denied))

    def hello(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> str:
        """Return what becomes of a connection: ``in``, or why not."""
        try:
            with self.greeted(context, session):
                return "in"
        except ssl.SSLError as error:
            return error.reason or repr(error)
        except (OSError, AssertionError) as error:
            return repr(error)

    @contextmanager
    def greeted(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> Iterator[ssl.SSLSocket]:
        """Yield a connection that the broker has accepted."""
        with (
            socket.create_connection(("127.0.0.1", self.device_port), 5) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as link,
        ):
            link.sendall(CONNECT)
            assert link.recv(4) == ACCEPTED
            yield link


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A House for all tests of a module; each undoes what it revoked, or leaves it."""
    folder = tmp_path_factory.mktemp("certificates")
    server, authority = MosquittoServer(folder / "broker"), Authority.create()
    key, public_key = make_key()
    certificate = authority.issue_server(["127.0.0.1"], public_key).pem
    first = folder / "first.crl"
    first.write_text(authority.revocation_list([]))
    files = server.install("server.crt", certificate), server.install("server.key", key)
    mutual = Tls(*files, server.install("ca.crt", authority.certificate.pem), first)
    ports = free_port(), free_port()
    server.listen(Listener(ports[0], tls=Tls(*files)), Listener(ports[1], tls=mutual))
    with server:
        server.start(free_port(), accounts(), NONE)
        yield House(folder, server, authority, *ports)


class Device(Client):
    """A client with a certificate instead of a password, under any client id."""

    def __init__(self, house: House, identity: Path, *, client_id: str = "any") -> None:
        super().__init__(house.device_port, "", client_id=client_id, version=paho.MQTTv311)
        self._client.tls_set_context(house.context(identity))
