"""A home network for tests: ``noctis up --listen`` there, and devices with certificates."""

import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

from sqlalchemy import Engine

from cli.service import device_program
from noctis.certificates import Certificate
from noctis.status import Status
from noctis.storage import certificates, logs, reports
from noctis.storage.engine import transaction
from tests.acceptance.test_up import noctis
from tests.truth import differences, read_database, read_logs

HOME: Final = "127.0.0.2"  # an address that is not the loopback that the platform keeps to
WITHIN_S: Final = 40.0
BOOT: Final = Path(device_program()).with_name("noctis-boot")


@dataclass(frozen=True)
class Home:
    """A platform that listens on a home network."""

    folder: Path
    var: Path
    run: Mapping[str, Any]
    engine: Engine

    @property
    def outside(self) -> Mapping[str, Any]:
        told: Mapping[str, Any] = self.run["outside"]
        return told

    @property
    def ports(self) -> dict[str, int]:
        """The ports that others see: apps, devices and images."""
        told = self.outside
        images = int(told["images"].rpartition(":")[2])
        return {"apps": told["port"], "devices": told["device_port"], "images": images}

    def ask(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON value
        return noctis(*arguments, "--var", str(self.var), "--json")

    def certify(self, device: str) -> tuple[str, Path]:
        """Return the serial of a device's new certificate, and the folder of its files."""
        files = self.folder / device
        issued = self.ask("ca", "issue", f"home/{device}", "--out", str(files))
        return str(issued["serial"]), files

    def good(self, device: str) -> list[str]:
        with transaction(self.engine) as connection:
            known = certificates.list_of("home", connection, device)
        return [it.serial for it in known if it.revoked_at is None]

    def lines(self, device: str) -> list[str]:
        """Return what the device has said to the platform."""
        with transaction(self.engine) as connection:
            return [it.text for it in logs.list_of("home", connection, device)]

    def status(self, device: str) -> Status | None:
        """Return what the device last said of itself."""
        with transaction(self.engine) as connection:
            last = reports.last("home", connection, device)
        return None if last is None else last[0]

    def wrong(self, device: str) -> dict[str, Any]:
        """Return how what is stored of a device differs from its log."""
        made = read_logs(self.folder / device)
        stored = [it for it in read_database(self.engine, "home") if it.device == device]
        return differences(made, stored) if made else {"nothing was made": []}


@contextmanager
def device(
    home: Home, name: str, files: Path, *more: str, slots: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a device with the certificate of a folder; yield it, and the file of what it says.

    With ``slots`` it is a board, which boots images from there.
    """
    own = home.folder / name
    own.mkdir(exist_ok=True)
    said = own / "said"
    place = ["--host", HOME, "--port", str(home.outside["device_port"])]
    identity = {"ca": "ca.crt", "certificate": f"{name}.crt", "key": f"{name}.key"}
    tls = [it for kind, file in identity.items() for it in (f"--tls-{kind}", files / file)]
    program = [device_program()]
    if slots is not None:
        program = [str(BOOT), "--slots", str(slots), "--image", *program, "--"]
    with said.open("w") as output:
        process = subprocess.Popen(
            [
                *program,
                *("--tenant", "home", "--device", name, "--nor", own / "nor"),
                *("--log", own / "log", *place, *tls, *more),
            ],
            stderr=output,
            stdout=output,
        )
    try:
        yield process, said
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def other_server(certificate: Certificate, key: str, folder: Path) -> Iterator[str]:
    """Run a server of images with that certificate; yield its base URL."""
    folder.mkdir(parents=True)
    (folder / "pem").write_text(certificate.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
